"""What a supervisor says and is asked, a JSON object a line, in one versioned schema; docs/supervisor.md has all of it.

The version changes when a field or a kind goes, or means something else. New kinds and new fields change nothing: who
reads skips what he does not know.
"""

import json
import time

VERSION = 1
LIFE = ("started", "ready", "exited", "failed", "complete")  # what happens to processes
KINDS = (*LIFE, "line", "trace", "overrun")  # the events: what a reader may choose
LINE_LIMIT = 1 << 16  # bytes of a request


def message(kind: str, **what: object) -> bytes:
    """Return one line of what a supervisor says."""
    return json.dumps({"kind": kind, **what}).encode() + b"\n"


def event(kind: str, ns: int = 0, **what: object) -> bytes:
    """Return an event that happens now, or has happened at another time (CLOCK_MONOTONIC in nanoseconds)."""
    return message(kind, ns=ns or time.monotonic_ns(), **what)
