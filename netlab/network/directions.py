"""Directions of links that are led through the middle: sets them, and takes away what does so.

`impairments` does what is done inside the middle. This is what the steps of a plan, and their inverses, need of it.
"""

import os
import time
from collections.abc import Callable, Iterable, Sequence

from netlab.errors import NetlabError
from netlab.kernel.netlink import Channel
from netlab.kernel.syscalls import inside
from netlab.network import impairments
from netlab.network.impairment_settings import Direction
from netlab.network.visits import failed
from netlab.paths import MIDDLE
from netlab.plan.middle_steps import Impair
from netlab.plan.undo import Undo
from netlab.topology.impairment import Impairment

_ETHTOOL_SGRO = 0x2C
_READY_S, _LOOK_S = 5.0, 0.005


def set_all(steps: Sequence[Impair], netns_path: Callable[[str], str]) -> None:
    """Do these steps; NetlabError says what failed, and why."""
    wanted = [Direction(step.source, step.target, step.impairment) for step in steps]
    try:
        impairments.set_directions(netns_path(MIDDLE), wanted)
    except OSError as error:
        raise failed(steps[0], error.strerror or str(error)) from error


def clear_all(steps: Sequence[Impair], netns_path: Callable[[str], str]) -> None:
    """Undo these steps; NetlabError says which one failed, and why."""
    for step in steps:
        try:
            impairments.clear_direction(netns_path(MIDDLE), step.source, step.target)
        except (NetlabError, OSError) as error:
            raise failed(Undo(step), str(error)) from error


def holder(does: Iterable[Impairment], netns_path: Callable[[str], str]) -> Sequence[str]:
    """Return the command that holds packets up in the middle, () if none has to."""
    return impairments.process_of(netns_path(MIDDLE), does) or ()


def await_holder(netns_path: Callable[[str], str]) -> None:
    """Return when the process that holds packets up listens in the middle, or has had enough time for it."""
    until = time.monotonic() + _READY_S
    while not inside(netns_path(MIDDLE), _listens) and time.monotonic() < until:
        time.sleep(_LOOK_S)


def _listens() -> bool:
    """Say whether a packet socket is open in the thread's namespace; the first line of the list is its head."""
    with open("/proc/thread-self/net/packet", encoding="ascii") as file:
        return len(file.readlines()) > 1


def keep_single(interfaces: Iterable[str], netns_path: Callable[[str], str]) -> None:
    """Keep frames single at interfaces of the middle with a program: some kernels switch GRO on with it."""

    def switch_off() -> None:
        channel = Channel()
        try:
            for name in interfaces:
                channel.ethtool(name, _ETHTOOL_SGRO, 0)
        except OSError as error:
            raise NetlabError(f"cannot switch GRO off at {name}: {os.strerror(error.errno or 0)}") from error
        finally:
            channel.close()

    inside(netns_path(MIDDLE), switch_off)
