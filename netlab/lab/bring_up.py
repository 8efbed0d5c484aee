"""Builds a lab from its plan, and removes it.

`build` does the steps of a plan on a Machine, stage by stage, and undoes everything if one fails. `up` and `down` do
this on this host, under the lab's lock.
"""

import os
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from netlab import paths
from netlab.errors import NetlabError, UsageError, explain
from netlab.kernel import kill, signals
from netlab.lab import removal
from netlab.record import store

if TYPE_CHECKING:
    from netlab.lab.standing import Standing
    from netlab.plan.planner import Plan
    from netlab.plan.stages import Stage
    from netlab.plan.steps import Step
    from netlab.record.model import LabRecord

Say = Callable[[str], None]
_TRIES = 10  # to plan a lab beside others that are planned at the same moment
MOST = 20  # problems of a lab in one message


class Machine(Protocol):
    """What building a lab does to a machine, in this order."""

    def open(self) -> None:
        """Make the lab's folder, and write the lab's record."""

    def prepare(self, steps: "Sequence[Step]") -> None:
        """Begin the slow work that needs no nodes, such as compiling the programs of all steps."""

    def do(self, stage: "Stage") -> None:
        """Do the steps of a stage; those of earlier stages are done."""

    def complete(self) -> None:
        """Record that the lab stands."""

    def undo(self) -> list[str]:
        """Remove everything that belongs to the lab, at any stage, and return what was found."""


def build(machine: Machine, steps: "Sequence[Step]") -> None:
    """Do a list of steps on a machine; undo everything if a step fails or is interrupted, and then raise the error.

    A signal that comes too late to undo the lab reaches the caller when the lab is complete.
    """
    with signals.raising() as comes_too_late:
        _build(machine, steps, comes_too_late)


def _build(
    machine: Machine,
    steps: "Sequence[Step]",
    comes_too_late: Callable[[], object],
    done: "Callable[[Stage], None] | None" = None,
) -> None:
    from netlab.plan.stages import stages

    try:
        machine.open()
        machine.prepare(steps)
        for stage in stages(steps):
            machine.do(stage)
            if done:
                done(stage)
        comes_too_late()  # from here on a signal waits: the lab becomes complete, or is undone
        machine.complete()
    except BaseException as error:
        with signals.waiting():
            _undo(machine, error)
        raise


def _undo(machine: Machine, error: BaseException) -> None:
    """Undo after an error. If not everything can be undone, raise an error that says both, this one first."""
    try:
        machine.undo()
    except NetlabError as problem:
        raise NetlabError(f"{explain(error)[0].removeprefix('netlab: ')}\nnetlab: {problem}") from error


def up(
    plan: "Plan",
    deadline_s: float,
    say: Say,
    before_roles: "Callable[[Standing], None] | None" = None,
    again: "Callable[[], Plan] | None" = None,
    done: "Callable[[Stage], None] | None" = None,
) -> bool:
    """Build a plan's lab on this host, and return when every role is ready.

    Does nothing, and returns False, if the same lab is up already. A signal that comes too late to undo the lab
    reaches the caller when the lab is up. `before_roles` is called with the lab when its nodes, links and programs are
    made, and before anything runs in it. `again` plans the lab once more, where another one has just taken networks of
    this host that it would use. `done` is called with each stage when it is done. Raises NetlabError, with everything
    undone, if a step fails, if the roles are not ready `deadline_s` seconds after they were started, or if another lab
    of this name exists.
    """
    refuse_from_inside()
    for _ in range(_TRIES if again else 0):
        try:
            return _up(plan, deadline_s, say, before_roles, done)
        except NetlabError as error:
            if not again or not _is_outdated(error):
                raise
            say(f"netlab: {plan.topology.name}: networks are chosen anew, as another lab has just taken some")
            plan = again()
    return _up(plan, deadline_s, say, before_roles, done)


def _is_outdated(error: NetlabError) -> bool:
    from netlab.lab import host_networks

    return isinstance(error, host_networks.OutdatedError)


def _up(
    plan: "Plan",
    deadline_s: float,
    say: Say,
    before_roles: "Callable[[Standing], None] | None",
    done: "Callable[[Stage], None] | None",
) -> bool:
    from netlab.lab.host import Host
    from netlab.plan.description import describe

    lab = plan.topology.name
    record = describe(plan, paths.folder_of(lab))
    waiting = f"netlab: waiting for another command to leave the lab {lab}"
    with signals.raising() as comes_too_late, store.locked(lab, waiting=lambda: say(waiting)) as lock:
        if lab in store.labs():
            _refuse_another(record, plan)
            say(f"netlab: {lab} is up already")
            return False
        _refuse_left(lab)
        began = time.monotonic()
        _build(Host(plan, record, lock, deadline_s, say, before_roles), plan.steps, comes_too_late, done)
        say(f"netlab: {lab} is up after {time.monotonic() - began:.2f} s")
        return True


def down(lab: str, say: Say) -> list[str]:
    """Remove everything that belongs to a lab, whatever is left of it, and return what was found.

    It is no error if there is no such lab.
    """
    from netlab.lab import standing

    refuse_from_inside()
    folder = paths.folder_of(lab)
    waiting = f"netlab: waiting for another command to leave the lab {lab}"
    with store.locked(lab, waiting=lambda: say(waiting), may_do_without=True):
        state = "up" if store.is_complete(lab) else "half-built"
        with signals.waiting():
            found = removal.remove(lab, *standing.runtimes_left(lab, folder))
    if not found:
        say(f"netlab: {lab} is not up, and nothing of it is left")
    elif state == "up":
        say(f"netlab: {lab} is down")
    else:
        say(f"netlab: {lab} was not whole; removed what was left of it: {', '.join(found)}")
    return found


def down_all(say: Say) -> None:
    """Remove every lab of this machine. If some cannot be removed, NetlabError names them after all others are gone."""
    refuse_from_inside()
    left = []
    labs = removal.labs_with_leftovers(containers=True)
    for lab in labs:
        try:
            down(lab, say)
        except (NetlabError, OSError) as error:
            say(explain(error)[0])
            left.append(lab)
    if left:
        raise NetlabError(f"not removed, for the reasons above: {', '.join(left)}")
    if not labs:
        say("netlab: no lab is up")


def _refuse_another(record: "LabRecord", plan: "Plan") -> None:
    """Raise NetlabError unless the lab that is there is complete and has this record."""
    lab = record.lab
    if not store.is_complete(lab):
        raise NetlabError(f"{lab} is not whole, as after an `up` that was cut off: netlab down --lab {lab} removes it")
    from netlab.lab import drift

    seen = drift.examine(lab)
    problems, there = seen.problems, seen.lab
    if problems or not there:
        lines = "\n".join(f"  {problem}" for problem in problems[:MOST])
        more = f"\n  … and {len(problems) - MOST} more: netlab status --lab {lab}" if problems[MOST:] else ""
        raise NetlabError(f"{lab} is up already, but not as planned:\n{lines}{more}")
    if there.record._replace(clock_offset_ns=record.clock_offset_ns) != record:
        same = there.record.topology == record.topology
        what = "as its file was, or with other --set" if same else f"from {there.record.topology}"
        raise NetlabError(
            f"a lab named {lab} is up {what}; what differs: {_in_short(there.record, record, plan)}\n"
            f"netlab: netlab apply {plan.topology.path or 'FILE'} changes only that; or netlab down --lab {lab} first,"
            f" or give this one another name with --lab"
        )


def _in_short(before: "LabRecord", record: "LabRecord", plan: "Plan") -> str:
    """Return in a few words what a plan has that a lab has not, or otherwise."""
    from netlab.lab import change_reasons, noted_steps
    from netlab.plan import interruptions
    from netlab.plan.difference import difference

    if before.runtime != record.runtime:
        return f"the runtime is {before.runtime}, not {record.runtime}"
    if before.untrusted != record.untrusted:
        return f"that is {_trust(before)}, this {_trust(record)}"
    why = change_reasons.reasons(before, record, plan.steps)
    return interruptions.in_short(difference(noted_steps.read(record.lab).done, plan.steps, why))


def _trust(record: "LabRecord") -> str:
    return "untrusted" if record.untrusted else "trusted"


def _refuse_left(lab: str) -> None:
    """Raise NetlabError if a lab of this name still runs, but somebody has removed its folder."""
    # A `down` and a reboot remove the names in /run. Mostly there are none, and the slow search is not needed.
    if not removal.has_names(lab, paths.RUN_NETNS):
        return
    from netlab.supervise import identity

    if found := identity.supervisors(paths.folder_of(lab)):
        raise NetlabError(
            f"an earlier lab {lab}, whose folder somebody has removed, still runs (its supervisor is process"
            f" {found[0][0]}): netlab down --lab {lab} removes it"
        )


def refuse_from_inside() -> None:
    """Raise UsageError in a node: mounts made there do not reach the host, and a `down` would end itself."""
    from netlab.record import mark

    about = os.stat("/proc/self/ns/net")
    for lab in store.labs():
        in_network = (about.st_dev, about.st_ino) in removal.namespaces(paths.folder_of(lab))
        if in_network or kill.sees_files_of("self", mark.mark(lab)):
            raise UsageError(f"this is a node of the lab {lab}: labs are built and removed from outside")
