"""Changes a lab that stands to what a plan says: `netlab apply`.

Only the difference is undone and done; `plan/difference` says what that is. Before it begins, it is written down of
which steps nobody can be sure (`noted_steps`). After a kill these are undone, as far as they are done, and the rest
stands: so the next `apply` knows where it is.
"""

import os
import time
from collections.abc import Callable, Sequence

from netlab import paths
from netlab.errors import NetlabError, explain
from netlab.kernel import cgroups, files, signals
from netlab.lab import (
    bring_up,
    change_downs,
    change_network,
    change_processes,
    change_programs,
    commands_of_nodes,
    fault_state,
    happenings,
    noted_steps,
    reload,
)
from netlab.lab.change_network import of
from netlab.lab.change_programs import Programs
from netlab.lab.change_reasons import reasons
from netlab.lab.change_work import Work
from netlab.lab.host import Host
from netlab.lab.standing import Standing
from netlab.plan import interruptions
from netlab.plan.description import describe
from netlab.plan.difference import difference, stay_loaded
from netlab.plan.middle_steps import CreateMiddle
from netlab.plan.planner import Plan
from netlab.plan.steps import StartRole
from netlab.plan.sysctl_step import ChangeSysctls
from netlab.record import changing, impaired, store
from netlab.record.impaired import Links
from netlab.record.model import LabRecord
from netlab.supervise import client, lab_cgroup

Say = Callable[[str], None]


class Change:
    """The change of one lab that stands to what a plan says. The constructor only reads.

    NetlabError if the lab is not there, not whole, or of another kind.
    """

    def __init__(self, plan: Plan, say: Say) -> None:
        self.plan, self.lab, self.say = plan, plan.topology.name, say
        if self.lab not in store.labs():
            raise NetlabError(f"no lab named {self.lab} is up: netlab up {plan.topology.path} builds it")
        self.before = Standing.read(self.lab)
        if not store.is_complete(self.lab):
            raise NetlabError(f"{self.lab} is not whole: netlab down --lab {self.lab} removes it")
        self.noted = noted_steps.read(self.lab)
        record = self.before.record
        self.folder = record.folder
        wanted = describe(plan, self.folder)._replace(clock_offset_ns=record.clock_offset_ns)
        self.after = Standing(wanted)
        self.is_cut_off = bool(self.noted.open) or changing.is_there(self.folder)  # an earlier change
        self.why = reasons(record, wanted, plan.steps)
        self.difference = difference(self.noted.done, plan.steps, self.why)
        self.has_middle = record.has_middle or wanted.has_middle or os.path.exists(f"{self.folder}/{paths.LINKS}")
        self.were_down = change_downs.found(self.before)
        self.were_set: Links | None = None  # by `netlab link`
        self.spoilt: Sequence[str] = ()
        if self.has_middle:
            from netlab.lab import change_links

            change_links.check(record, wanted, self.difference)
            self.were_set = impaired.read(record)
            self.spoilt = change_links.spoilt(self.before)

    @property
    def is_needed(self) -> bool:
        """Whether anything is to be done."""
        if (
            self.is_cut_off
            or self.were_down
            or self.spoilt
            or self.after.record != self.before.record
            or not self.difference.is_empty
        ):
            return True
        if not self.has_middle:
            return False
        from netlab.lab import change_links

        return change_links.was_changed(self.before.record)

    def tell(self) -> None:
        """Say what the change interrupts, and what moves."""
        for text in (
            *change_downs.told(self.were_down),
            *self.spoilt,
            *interruptions.told(self.difference, self.why.fresh),
        ):
            self.say(f"netlab: {self.lab}: {text}")

    def links_as_written(self) -> list[str]:
        """Return as shell commands what is done to links that `netlab link` has set, and that stay."""
        if not self.has_middle:
            return []
        from netlab.lab import change_links

        return change_links.commands(self.before.record, self.after.record, self.difference)

    def make(self, lock: int, deadline_s: float, comes_too_late: Callable[[], object]) -> None:
        """Make the change; undo all of it if a step fails, or on a signal, and then raise the error."""
        fault_state.check_none(self.lab, self.folder)
        if any(isinstance(step, StartRole) for step in self.noted.done) and not client.supervisor_pid(self.folder):
            raise NetlabError(f"the supervisor of {self.lab} has died: netlab down --lab {self.lab}, then up")
        host = Host(self.plan, self.after.record, lock, deadline_s, self.say)
        commands_of_nodes.check(self.after, host.home, of(StartRole, self.difference.do), any_runs=True)
        for key, program in self.before.record.programs():
            reload.clear_up(self.before, key, program)
        if self.noted.open:  # first, as it removes what compilers may have left
            self._clear_up()
        programs = self._compiled(host, lock)
        self.tell()
        try:
            work = Work(self, programs, host, lock, deadline_s)
            try:
                self._write_down()
                change_downs.set_up(self.before, self.were_down, self.say)
                work.do()
                if self.has_middle:
                    from netlab.lab import change_links

                    change_links.settle(self.before, self.after, self.difference, lock, self.say)
                comes_too_late()  # from here on a signal waits
                self._complete(programs)
            except BaseException as error:
                with signals.waiting():
                    self._back_out(error, work)
                raise
        finally:
            programs.end()

    def _compiled(self, host: Host, lock: int) -> Programs:
        """Compile what is new. Where another build cannot take over maps, its program is made anew."""
        while True:
            programs = Programs(self.after, self.difference, self.why.fresh, host.job)
            try:
                refused = programs.prepare(lock, self.say)
            except BaseException:
                programs.end()
                raise
            if not refused:
                return programs
            programs.end()
            self.why = self.why._replace(fresh=(*self.why.fresh, *refused))
            self.difference = difference(self.noted.done, self.plan.steps, self.why)

    def _clear_up(self) -> None:
        """Undo what a change that was cut off may have done."""
        steps = [step for step in self.noted.open if not isinstance(step, ChangeSysctls)]
        change_processes.stop(self.folder, [step.key for step in of(StartRole, steps)])
        change_programs.clear(self.before, steps, stay_loaded(self.noted.done))
        change_network.clear(self.before, steps)
        self.before.runtime.remove([step.node for step in of(CreateMiddle, steps)])  # all that is led there is cleared

    def _write_down(self) -> None:
        """Write down what stays in any case, and of which steps nobody is sure from here on."""
        changing.begin(self.folder, self.plan.topology.path or self.lab)
        again = tuple(reversed(self.difference.do))
        noted_steps.write(self.folder, self.difference.left, (*again, *self.difference.undo))

    def _complete(self, programs: Programs) -> None:
        noted_steps.write(self.folder, self.plan.steps)
        programs.finish()
        _remove_logs(self.after.record)
        self._end_idle_supervisor(self.after.record)
        changing.end(self.folder)

    def _end_idle_supervisor(self, record: LabRecord) -> None:
        """End the supervisor if the lab as it is now needs none."""
        if not record.has_supervisor and not os.path.exists(f"{self.folder}/{paths.LINKS}"):
            _end_supervisor(self.lab, self.folder)

    def _back_out(self, error: BaseException, work: Work) -> None:
        """Have all as it was. If that fails, raise an error that says both; then the change counts as cut off."""
        try:
            work.undo()
            change_downs.set_down(self.before, self.were_down)
            self._end_idle_supervisor(self.before.record)
            _remove_logs(self.before.record)
            noted_steps.write(self.folder, self.noted.done)
            if not self.is_cut_off:
                changing.end(self.folder)
                self.say(f"netlab: {self.lab} is as it was before")
        except (NetlabError, OSError) as problem:
            what = explain(error)[0].removeprefix("netlab: ")
            raise NetlabError(
                f"{what}\nnetlab: and not all could be put back: {problem}\nnetlab: netlab apply, with this file or the"
                f" one before, goes on from here; netlab down --lab {self.lab} removes all"
            ) from error


def apply(plan: Plan, deadline_s: float, say: Say) -> None:
    """Make the lab that stands what a plan says, by the difference only, and return when every new role is ready.

    Raises NetlabError, with all as it was, if a step fails, or if a new process is not ready `deadline_s` seconds after
    its start. A signal that comes too late to undo the change reaches the caller when that is done.
    """
    bring_up.refuse_from_inside()
    lab = plan.topology.name
    waiting = f"netlab: waiting for another command to leave the lab {lab}"
    with signals.raising() as comes_too_late, store.locked(lab, waiting=lambda: say(waiting)) as lock:
        change = Change(plan, say)
        if not change.is_needed:
            say(f"netlab: {lab} is as {plan.topology.path or 'planned'} says: nothing to do")
            return
        began = time.monotonic()
        change.make(lock, deadline_s, comes_too_late)
        counts = {"undone": len(change.difference.undone()), "done": len(change.difference.do)}
        text = (
            f"changed as {plan.topology.path or 'planned'} says: {counts['undone']} steps undone, {counts['done']} done"
        )
        happenings.write_down(change.before.record.folder, "applied", "", text, data=counts)
        say(f"netlab: {lab} is changed after {time.monotonic() - began:.2f} s")


def shown(plan: Plan, say: Say) -> list[str]:
    """Return what `apply` would undo and do, as shell commands, and say what else people should know of it."""
    change = Change(plan, say)
    if not change.is_needed:
        say(f"netlab: {change.lab} is as {plan.topology.path or 'planned'} says: nothing to do")
    if change.is_cut_off:
        say(f"netlab: {change.lab}: a change was cut off; what it may have done is undone first")
    change.tell()
    undone = [*change.noted.open, *change.difference.undone()]
    steps = [step.undone() for step in undone] + [str(step) for step in change.difference.do]
    return [*change_downs.commands(change.before, change.were_down), *steps, *change.links_as_written()]


def _remove_logs(record: LabRecord) -> None:
    """Remove the logs of what is no longer in the lab."""
    own = {paths.log(record.folder, key) for key in record.logs()}
    for name in files.names(f"{record.folder}/{paths.LOGS}"):
        path = f"{record.folder}/{paths.LOGS}/{name}"
        if path.removesuffix(".1") not in own:
            files.remove(path)


def _end_supervisor(lab: str, folder: str) -> None:
    """End the supervisor of a lab in which nothing is left to do for it."""
    groups = lab_cgroup.find(lab, folder)
    client.stop_supervisor(folder)
    cgroups.remove(groups)
    for name in (paths.SUPERVISOR, paths.PROCESSES, paths.SOCKET, paths.GROUP, paths.TAKEN):
        files.remove(f"{folder}/{name}")
