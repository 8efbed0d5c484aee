"""What the balancer knows of its backends by their reports, laid out as in bpf/balancer/reporter.h."""

import struct
import time
from typing import NamedTuple

from netlab.balancer.layout import Config, entries, key, map_of

# struct reporter: incarnation, heard_ns, what is known of markers, then as in Reporter, with `lost` before `silent`,
# and behind them what may still come of the completions that are lost, and what is in hand beyond the threads
REPORTER = struct.Struct("=QQ24x2I4x4I20x")


class Reporter(NamedTuple):
    """A backend that reports; its last report came `heard_s` seconds ago, and it is silent if that is too long.

    `received` and `completed` are the backend's own totals since it began. What was lost on the way to it and back, and
    the completions that came twice, count on when it begins again; what came too late is not lost, as soon as it comes.
    """

    heard_s: float
    received: int
    completed: int
    silent: bool
    lost_requests: int
    lost_completions: int
    doubled_completions: int


def reporters(pins: str) -> dict[str, Reporter | None]:
    """Return what the program knows of each backend; None of one that has never reported."""
    found: dict[str, Reporter | None] = {}
    with map_of(pins, "reporters") as known:
        for index, backend in entries(pins, Config.read(pins)).items():
            incarnation, heard_ns, received, completed, silent, *lost = REPORTER.unpack(known.get(key(index)))
            heard_s = max(time.monotonic_ns() - heard_ns, 0) / 1e9
            found[backend.name] = Reporter(heard_s, received, completed, bool(silent), *lost) if incarnation else None
    return found
