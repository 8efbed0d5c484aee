"""The types of what a supervisor writes down, one line for each fact. Only who reads these lines needs them."""

from netlab.named_tuple import NamedTuple
from netlab.record.notes import Pid
from netlab.record.shapes import Count, MisfitError, read


class Begun(NamedTuple):
    """A supervisor has begun, and will start these processes, by key; all times here are CLOCK_MONOTONIC."""

    processes: tuple[str, ...]
    ns: Count


class Forgotten(NamedTuple):
    """A process is no longer one of the lab's."""

    forgotten: str
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


class Late(NamedTuple):
    """A process is not ready in its time."""

    process: str
    pid: Pid
    late_ns: Count
    why: str


class Followed(NamedTuple):
    """A process `before` has ended, and goes on in the background as another one."""

    process: str
    pid: Pid
    before: Pid
    start_ticks: Count
    followed_ns: Count


class Gone(NamedTuple):
    """A process in the background has ended, and nobody has seen how."""

    process: str
    pid: Pid
    ended_ns: Count
    gone: Count


class Restarting(NamedTuple):
    """An ended process starts again by itself, `pause_s` seconds after that, the `count`-th time in a row."""

    process: str
    pid: Pid
    restart_ns: Count
    count: Count  # type: ignore[assignment]  # it hides tuple.count, which nobody calls
    at_most: Count
    pause_s: float


class Exhausted(NamedTuple):
    """An ended process does not start again: it has as often as it may."""

    process: str
    pid: Pid
    exhausted_ns: Count
    at_most: Count


class Cut(NamedTuple):
    """A process has printed more than it may: nobody reads what comes after these bytes."""

    process: str
    pid: Pid
    cut_ns: Count
    most: Count


class StopRequested(NamedTuple):
    """Somebody has asked the supervisor to stop a process."""

    process: str
    pid: Pid
    stop_ns: Count


class Paused(NamedTuple):
    """A request has paused a process: `how` is `frozen`, by its control group, or `stopped`, by SIGSTOP."""

    process: str
    pid: Pid
    paused_ns: Count
    how: str


class Resumed(NamedTuple):
    """A paused process goes on."""

    process: str
    pid: Pid
    resumed_ns: Count


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


Ended = Exited | Killed | Gone
OfOne = (
    Started | Ready | Late | Cut | Followed | StopRequested | Paused | Resumed | Ended | Restarting | Exhausted
)  # process
Fact = Begun | Forgotten | OfOne
_KINDS = (
    *(Begun, Forgotten, Started, Ready, Late, Cut, Followed, StopRequested, Paused, Resumed),
    *(Exited, Killed, Gone, Restarting, Exhausted),
)
_BY_FIELDS: dict[frozenset[str], type[Fact]] = {frozenset(kind._fields): kind for kind in _KINDS}


def fact(value: object) -> Fact:
    """Return the type for a line that a supervisor has written; MisfitError if a field is missing or unknown."""
    kind = _BY_FIELDS.get(frozenset(value)) if isinstance(value, dict) else None
    if kind is None:
        raise MisfitError("something that a supervisor writes down", value)
    return read(kind, value)
