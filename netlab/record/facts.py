"""The types of what a supervisor writes down, one line for each fact. Only who reads these lines needs them."""

from typing import NamedTuple

from netlab.record.notes import Pid
from netlab.record.shapes import Count, MisfitError, read


class Begun(NamedTuple):
    """A supervisor has begun, and will start these processes, by key; all times here are CLOCK_MONOTONIC."""

    processes: tuple[str, ...]
    ns: Count


class Started(NamedTuple):
    """A process was started."""

    process: str
    pid: Pid
    start_ticks: Count
    started_ns: Count
    argv: tuple[str, ...]
    awaits_ready: bool


class Ready(NamedTuple):
    """A process has printed READY."""

    process: str
    pid: Pid
    ready_ns: Count


class StopRequested(NamedTuple):
    """Somebody has asked the supervisor to stop a process."""

    process: str
    pid: Pid
    stop_ns: Count


class Exited(NamedTuple):
    """A process has ended by itself."""

    process: str
    pid: Pid
    ended_ns: Count
    exit: Count


class Killed(NamedTuple):
    """A process was ended by a signal."""

    process: str
    pid: Pid
    ended_ns: Count
    signal: Count


Fact = Begun | Started | Ready | StopRequested | Exited | Killed
_BY_FIELDS: dict[frozenset[str], type[Fact]] = {
    frozenset(kind._fields): kind for kind in (Begun, Started, Ready, StopRequested, Exited, Killed)
}


def fact(value: object) -> Fact:
    """Return the type for a line that a supervisor has written; MisfitError if a field is missing or unknown."""
    kind = _BY_FIELDS.get(frozenset(value)) if isinstance(value, dict) else None
    if kind is None:
        raise MisfitError("something that a supervisor writes down", value)
    return read(kind, value)
