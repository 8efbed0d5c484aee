"""Which steps of a list are done together: stages, in the order of the list. Pure."""

from collections.abc import Iterable, Iterator
from enum import Enum
from itertools import groupby
from typing import assert_never

from netlab.named_tuple import NamedTuple
from netlab.plan.attach_program import AttachProgram
from netlab.plan.file_steps import GiveFiles
from netlab.plan.fill_maps import FillMaps
from netlab.plan.host_steps import GuardHost, JoinHost, OpenInternet
from netlab.plan.middle_steps import CreateMiddle, Impair, SendSingly
from netlab.plan.setup_steps import RunSetup
from netlab.plan.steps import AddAddress, AddBridge, AddLink, AddRoute, CreateNode, FaceProgram, StartRole, Step
from netlab.plan.switch_steps import SetVlans


class Work(Enum):
    """Steps that are done together: they need one another, or are faster together."""

    NETWORK = "nodes, and what joins them"
    PROGRAMS = "programs at their interfaces"
    PROCESSES = "what runs in nodes"


class Stage(NamedTuple):
    """Steps of one kind of work, in order."""

    work: Work
    steps: tuple[Step, ...]


def stages(steps: Iterable[Step]) -> Iterator[Stage]:
    """Yield neighbouring steps of one kind of work as a stage; no step is moved before another."""
    for work, together in groupby(steps, work_of):
        yield Stage(work, tuple(together))


def work_of(step: Step) -> Work:
    """Return the kind of work that a step belongs to."""
    match step:
        case CreateNode() | GiveFiles() | AddBridge() | AddLink() | AddAddress() | AddRoute() | FaceProgram():
            return Work.NETWORK
        case SetVlans() | JoinHost() | GuardHost() | OpenInternet():
            return Work.NETWORK
        case CreateMiddle() | SendSingly() | Impair():
            return Work.NETWORK
        case FillMaps() | AttachProgram():
            return Work.PROGRAMS
        case RunSetup() | StartRole():
            return Work.PROCESSES
    assert_never(step)
