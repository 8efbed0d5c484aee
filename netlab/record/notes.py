"""The types of small files in a lab's folder: who its processes are, what is pinned; `facts` has what happened."""

from collections.abc import Mapping
from typing import Annotated

from netlab.named_tuple import NamedTuple
from netlab.record.shapes import Count, Rule

_MOST_PIDS = 1 << 22
Pid = Annotated[int, Rule("the id of a process", lambda pid: 0 < pid <= _MOST_PIDS)]


class ProcessId(NamedTuple):
    """A process: its id, and when it was started in clock ticks since boot, because an id may be used again."""

    pid: Pid
    start_ticks: Count


class Pinned(NamedTuple):
    """The pins of a program: the `entry` that is attached, and all `pins`, such as maps/NAME."""

    entry: str
    pins: tuple[str, ...]


class Containers(NamedTuple):
    """A lab's containers: their engine's address, our mark on them, and the first process of each, by node."""

    engine: str
    mark: str
    nodes: Mapping[str, ProcessId]
