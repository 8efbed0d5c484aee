"""What of a list of steps is done together: as stages, in the order of the list. Pure."""

from collections.abc import Iterable, Iterator
from enum import Enum
from itertools import groupby
from typing import NamedTuple, assert_never

from netlab.plan.steps import (
    AddAddress,
    AddBridge,
    AddLink,
    AddRoute,
    AttachProgram,
    CreateNode,
    FaceProgram,
    StartRole,
    Step,
)


class Work(Enum):
    """What is done as a whole: its steps need one another, or are faster together than one by one."""

    NETWORK = "nodes, and what joins them"
    PROGRAMS = "programs at their interfaces"
    PROCESSES = "what runs in nodes"


class Stage(NamedTuple):
    """Steps of one work, in order."""

    work: Work
    steps: tuple[Step, ...]


def stages(steps: Iterable[Step]) -> Iterator[Stage]:
    """Yield steps that follow each other and are of one work as a stage; none is moved before another."""
    for work, together in groupby(steps, work_of):
        yield Stage(work, tuple(together))


def work_of(step: Step) -> Work:
    """Return the work that a step is a part of."""
    match step:
        case CreateNode() | AddBridge() | AddLink() | AddAddress() | AddRoute() | FaceProgram():
            return Work.NETWORK
        case AttachProgram():
            return Work.PROGRAMS
        case StartRole():
            return Work.PROCESSES
    assert_never(step)
