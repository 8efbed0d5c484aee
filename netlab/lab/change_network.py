"""Undoes and does the network part of a change: nodes, links, addresses, routes, sysctls."""

import os
from collections.abc import Iterable, Sequence
from typing import TypeVar

from netlab import paths
from netlab.errors import NetlabError
from netlab.kernel import kill
from netlab.lab.host import ELSEWHERE
from netlab.lab.standing import Standing
from netlab.network import inverses, links, sysctl_changes
from netlab.plan.file_steps import GiveFiles
from netlab.plan.host_steps import JoinHost
from netlab.plan.middle_steps import CreateMiddle
from netlab.plan.stages import Work, work_of
from netlab.plan.steps import CreateNode, Step
from netlab.plan.sysctl_step import ChangeSysctls

_Kind = TypeVar("_Kind")


def of(kind: type[_Kind], steps: Iterable[object]) -> list[_Kind]:
    """Return the steps of one kind."""
    return [step for step in steps if isinstance(step, kind)]


def clear(lab: Standing, steps: Sequence[Step | ChangeSysctls]) -> None:
    """Undo these steps of the network, in this order, as far as they are done. What runs in nodes that go is ended.

    The middle of links stays: `change_links` removes it when it knows what is led through it no more.
    """
    work = [step for step in steps if not isinstance(step, ChangeSysctls) and work_of(step) == Work.NETWORK]
    nodes = [step.node for step in of(CreateNode, work)]
    _end_processes(lab, nodes)
    elsewhere = ELSEWHERE | CreateNode | CreateMiddle
    inverses.clear([step for step in work if not isinstance(step, elsewhere)], lab.runtime.netns_path)
    lab.runtime.remove([*nodes, *(step.node for step in of(JoinHost, work))])


def _end_processes(lab: Standing, nodes: Sequence[str]) -> None:
    """End every process in these nodes, whoever has started it."""
    spaces = set()
    for node in nodes:
        path = f"{lab.record.folder}/{paths.NETNS}/{node}"
        if os.path.ismount(path):
            about = os.stat(path)
            spaces.add((about.st_dev, about.st_ino))
    if not spaces:
        return
    stopped = kill.stop_all(kill.Whose(spaces))
    if stopped.spared:
        raise NetlabError(f"{', '.join(stopped.spared)} has called this command from inside a node that goes")
    if stopped.left:
        raise NetlabError(f"these processes of nodes that go cannot be ended: {', '.join(stopped.left)}")


def do(lab: Standing, steps: Sequence[Step | ChangeSysctls]) -> None:
    """Do the steps of the network among these; `lab` is as it is to be."""
    work = [step for step in steps if isinstance(step, ChangeSysctls) or work_of(step) == Work.NETWORK]
    changes = of(ChangeSysctls, work)
    nodes = [step.node for step in work if isinstance(step, CreateNode | JoinHost)]
    if nodes:
        lab.runtime.create(nodes, {step.node: step.own for step in of(GiveFiles, work)})
    if changes:
        sysctl_changes.before_links(changes, lab.runtime.netns_path)
    if of(CreateMiddle, work):
        lab.runtime.open_middle()
    made = [step for step in work if not isinstance(step, ChangeSysctls | ELSEWHERE)]
    if made:
        links.build(made, lab.runtime.netns_path)
    if changes:
        sysctl_changes.after_links(changes, lab.runtime.netns_path)
