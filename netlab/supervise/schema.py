"""The messages of a supervisor, one JSON object a line, in one versioned schema; docs/supervisor.md has all of it.

The version changes when a field or a kind is removed or gets another meaning. New kinds and new fields do not change
it: a reader skips what it does not know.
"""

import json
import time

from netlab.supervise.log_reader import HAPPENED

VERSION = 1
LIFE = (
    *("setup", "prepared", "started", "ready", "late", "followed", "exited", "failed"),
    *("restarting", "exhausted", "paused", "resumed", "complete"),
)  # what happens to processes
LOGGED = ("line", "note", "trace", "event", "overrun", "xdp", *HAPPENED)  # what is in the logs, too
KINDS = (*LIFE, *LOGGED)  # the events that a reader may choose
LINE_LIMIT = 1 << 16  # bytes of a request


def message(kind: str, **what: object) -> bytes:
    """Return one line of a supervisor's output."""
    return json.dumps({"kind": kind, **what}).encode() + b"\n"


def event(kind: str, ns: int = 0, **what: object) -> bytes:
    """Return an event of this moment, or of another time (CLOCK_MONOTONIC in nanoseconds)."""
    return message(kind, ns=ns or time.monotonic_ns(), **what)
