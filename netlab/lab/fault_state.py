"""What faults are in force in a lab, as its folder says: what a time line has changed, and has not restored yet."""

import json
import os
from collections.abc import Mapping
from contextlib import suppress

from netlab import paths
from netlab.errors import NetlabError
from netlab.kernel import files, pids
from netlab.named_tuple import NamedTuple
from netlab.record import shapes
from netlab.record.shapes import Count
from netlab.topology import faults
from netlab.topology.faults import Fault

BY_LINK, BY_PARTITION = "link", "partition"  # why a link is down


class InForce(NamedTuple):
    """The faults in force. `pid` and `start_ticks` are the process that plays them, 0 if they are kept.

    `links` says why each link is down, by what it is called. `paused` and `killed` are keys of processes. `drained` are
    nodes, by the balancer. `groups` are those of the partition, and `divided` says, for each switch, how many parts it
    has besides its own. `impaired` has, for each link that was impaired, what each of its ends sent before, as JSON, ""
    where it was led through no middle.
    """

    pid: Count = 0
    start_ticks: Count = 0
    links: Mapping[str, tuple[str, ...]] = {}
    paused: tuple[str, ...] = ()
    killed: tuple[str, ...] = ()
    drained: Mapping[str, tuple[str, ...]] = {}
    groups: tuple[tuple[str, ...], ...] = ()
    divided: Mapping[str, Count] = {}
    impaired: Mapping[str, Mapping[str, str]] = {}

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to restore."""
        return not (
            self.links or self.paused or self.killed or self.drained or self.groups or self.divided or self.impaired
        )

    @property
    def is_played(self) -> bool:
        """Whether the process that plays them is alive."""
        return bool(self.pid) and pids.is_alive(self.pid, self.start_ticks)


def read(folder: str) -> InForce | None:
    """Return what is in force in the lab with this folder, None if nothing is or it cannot be read."""
    try:
        return shapes.read(InForce, files.load(f"{folder}/{paths.FAULTS}"))
    except (OSError, ValueError):
        return None


def left_over(folder: str) -> list[str]:
    """Return what is in force that no process will restore, in words."""
    state = read(folder)
    return in_force(state) if state and not state.is_played else []


def check_none(lab: str, folder: str) -> None:
    """Raise NetlabError if faults are in force: what restores them knows the lab as it is."""
    state = read(folder)
    if state and state.is_played:
        raise NetlabError(f"process {state.pid} plays a time line of faults in {lab}: end it first, by Ctrl-C")
    if state and not state.is_empty:
        raise NetlabError(f"faults are in force in {lab}: netlab fault restore --lab {lab} restores what they changed")


def played(folder: str) -> list[str]:
    """Return what is in force of the time line that is being played, in words."""
    state = read(folder)
    return in_force(state) if state and state.is_played else []


def write(folder: str, state: InForce) -> None:
    """Write down what is in force; NetlabError if the lab is gone."""
    try:
        files.write(f"{folder}/{paths.FAULTS}", json.dumps(shapes.plain(state)))
    except OSError as error:
        raise NetlabError(f"cannot write {folder}/{paths.FAULTS}: {error.strerror}; is the lab gone?") from error


def remove(folder: str) -> None:
    """Write down that nothing is in force any more."""
    with suppress(FileNotFoundError):
        os.unlink(f"{folder}/{paths.FAULTS}")


def in_force(state: InForce) -> list[str]:
    """Return what is in force, in words."""
    drained = [node for nodes in state.drained.values() for node in nodes]
    return [
        *(f"link {each} down" for each, why in state.links.items() if BY_LINK in why),
        *(f"link {each} impaired" for each in state.impaired),
        *([f"partition {' | '.join(map(', '.join, state.groups))}"] if state.groups or state.divided else ()),
        *(f"{each} paused" for each in state.paused),
        *(f"{each} drained" for each in drained),
        *(f"{each} killed" for each in state.killed),
    ]


def pending(state: InForce, *, starts: bool = True) -> list[Fault]:
    """Return what restores all that is in force, each by itself; without `starts`, no process starts again."""
    bare = Fault(0, faults.RESTORE)
    drained = [node for nodes in state.drained.values() for node in nodes]
    down = [each for each, why in state.links.items() if BY_LINK in why]
    processes = dict.fromkeys((*state.paused, *(state.killed if starts else ())))
    return [
        *(bare._replace(scope=faults.NODE, target=each) for each in drained),
        *(bare._replace(scope=faults.PROCESS, target=each) for each in processes),
        *([bare._replace(scope=faults.PARTITION)] if state.groups or state.divided else ()),
        *(bare._replace(scope=faults.LINK, target=each) for each in dict.fromkeys((*state.impaired, *down))),
    ]
