"""Reads what the balancer knows of its backends from their reports: `struct reporter`, bpf/balancer/reporter.h."""

import time

from netlab.balancer.layout import Config, entries, key, map_of, types
from netlab.named_tuple import NamedTuple


class Reporter(NamedTuple):
    """A backend that reports. Its last report came `heard_s` seconds ago; if that is too long, it is `silent`.

    `received` and `completed` are the backend's own totals since it started. The other three count also over restarts:
    requests and completions lost on the way, and completions that came twice. A late one counts as lost until it comes.
    """

    heard_s: float
    received: int
    completed: int
    silent: bool
    lost_requests: int
    lost_completions: int
    doubled_completions: int


_COUNTED = ("received", "completed", "lost_requests", "lost_completions", "doubled_completions")


def reporters(pins: str) -> dict[str, Reporter | None]:
    """Return what the program knows of each backend, by name; None for one that has never reported."""
    found: dict[str, Reporter | None] = {}
    struct_reporter, silent = types(pins).struct("reporter"), types(pins).enum("absence")["SILENT"]
    with map_of(pins, "reporters") as known:
        for index, backend in entries(pins, Config.read(pins)).items():
            now = struct_reporter.of(known.get(key(index)))
            heard_s = max(time.monotonic_ns() - now["heard_ns"], 0) / 1e9
            counted = {name: now[name] for name in _COUNTED}
            is_silent = now["silent"] == silent
            found[backend.name] = Reporter(heard_s, silent=is_silent, **counted) if now["incarnation"] else None
    return found


def absent(pins: str) -> dict[str, str]:
    """Return why each absent backend gets no requests, by name: `silent`, `refusing` or `ill`."""
    found, program = {}, types(pins)
    why = {number: name.lower() for name, number in program.enum("absence").items()}
    with map_of(pins, "reporters") as known:
        for index, backend in entries(pins, Config.read(pins)).items():
            if absence := program.struct("reporter").get(known.get(key(index)), "silent"):
                found[backend.name] = why[absence]
    return found
