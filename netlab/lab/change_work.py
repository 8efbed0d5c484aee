"""What a change does to this host, part by part, and what takes that back."""

from collections.abc import Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING

from netlab import paths
from netlab.kernel import files
from netlab.lab import change_network, change_processes, change_programs, host_networks, map_filling, xdp_watch
from netlab.lab.change_balancer import Balancers
from netlab.lab.change_network import of
from netlab.lab.change_processes import Words
from netlab.lab.change_programs import Programs
from netlab.lab.host import Host
from netlab.lab.standing import Standing
from netlab.plan import hosts
from netlab.plan.fill_maps import FillMaps
from netlab.plan.setup_steps import RunSetup
from netlab.plan.steps import CreateNode, StartRole, Step
from netlab.plan.sysctl_step import UNKNOWN, ChangeSysctls
from netlab.record import store

if TYPE_CHECKING:
    from netlab.lab.changing import Change

_Fills = tuple[Standing, list[FillMaps]]


class Work:
    """What a change does to this host, and what takes that back."""

    def __init__(self, change: "Change", programs: Programs, host: Host, lock: int, deadline_s: float) -> None:
        self.before, self.after = change.before, change.after
        self.change, self.what = change, change.difference
        self.programs, self.host = programs, host
        self.lock, self.deadline_s, self.say = lock, deadline_s, change.say
        self.has_begun = False  # whether anything was undone
        self.balancers = Balancers(change.before, change.after, self.what, change.why.fresh)
        self.hosts = files.read(_hosts(change.folder))

    def do(self) -> None:
        """Undo what is to go, and do what is to come."""
        undo, do = self.what.undo, self.what.do
        self.balancers.quiet(self.deadline_s, self.say)
        self.has_begun = True
        change_processes.stop(self.before.record.folder, [step.key for step in of(StartRole, undo)])
        self.programs.take_off(self.before)
        change_network.clear(self.before, self.what.undone())
        _write_record(self.after, hosts.text(self.change.plan))
        if self.after.record.untrusted:
            from netlab.runtime.rooms import Rooms

            Rooms(self.after.record).refresh()
        change_network.do(self.after, do, self.change.plan.steps, self.say)
        xdp_watch.change(self.before.record, self.after, self.say)
        self.programs.put_in()
        self.programs.renew(self.before)
        self._fill((self.before, of(FillMaps, undo)), (self.after, of(FillMaps, do)))
        change_programs.attach_all(self.after, self.change.plan.steps, self.say)
        if self.change.has_middle:
            from netlab.lab import change_links

            change_links.hold(self.before, self.after, self.what, self.lock, self.say)
        self._take(self.after, undo, do, self.what.later)
        self.balancers.tell(self.say)

    def undo(self) -> None:
        """Have everything as before the change: what it has done is undone as far as it is done."""
        if not self.has_begun:
            self.balancers.undrain()
            return
        undo, done = self.what.undo, tuple(reversed(self.what.do))
        concerned = [step.key for step in of(StartRole, (*done, *undo))]  # some may still be those of before
        change_processes.stop(self.before.record.folder, concerned)
        self.programs.back_out()
        change_network.clear(self.after, done)
        change_network.clear(self.before, self.what.undone())  # as it may have been cut off inside a step
        _write_record(self.before, self.hosts)
        back = [step.back() for step in of(ChangeSysctls, done)]
        again = [*back, *map(_known, reversed(undo))]
        change_network.do(self.before, again, self.change.noted.done, lambda _: None)
        xdp_watch.change(self.after.record, self.before, self.say)
        self._fill((self.after, of(FillMaps, done)), (self.before, of(FillMaps, tuple(reversed(undo)))))
        stood = self.change.noted.done
        change_programs.attach_all(self.before, stood, lambda _: None)
        if self.change.has_middle:
            from netlab.lab import change_links

            change_links.hold_again(self.before, self.what, self.change.were_set, self.lock, self.say)
        went_on = {step.key for step in self.what.later}
        later = [step for step in of(StartRole, stood) if step.key in went_on]
        self._take(self.before, (*done, *undo), tuple(reversed(undo)), later)
        self.balancers.back()

    def _fill(self, gone: _Fills, new: _Fills) -> None:
        """Write entries of maps, and remove those that are not written any more."""
        if new[1]:
            map_filling.fill(*new, self.change.plan.topology.path or "the topology")
        if lost := [step for step in gone[1] if step not in self.what.gone_with]:
            map_filling.forget((gone[0], lost), new)

    def _take(
        self,
        lab: Standing,
        gone: Sequence[Step | ChangeSysctls],
        new: Sequence[Step | ChangeSysctls],
        later: Sequence[StartRole],
    ) -> None:
        forget = tuple(step.key for step in of(StartRole, (*self.change.noted.open, *gone)))
        words = Words(
            forget,
            tuple(later),
            tuple(of(RunSetup, new)),
            tuple(of(StartRole, new)),
            self.deadline_s,
            self.programs.has_events,
        )
        change_processes.take(lab, words, self.lock, self.host.tell)


def _known(step: Step | ChangeSysctls) -> Step | ChangeSysctls:
    """Return a step without sysctls of which nobody knows what they were, after a change that was cut off."""
    if isinstance(step, CreateNode):
        return step._replace(sysctls=tuple(each for each in step.sysctls if each[1] != UNKNOWN))
    return step


def _hosts(folder: str) -> str:
    return f"{folder}/{paths.ETC}/hosts"


def _write_record(lab: Standing, names: str | bytes) -> None:
    """Write what the lab is to be, and its hosts file, which nodes have mounted: it stays the same file."""
    joins_host = any(node.kind == "host" for node in lab.record.nodes.values())
    with host_networks.claimed(lab.record) if joins_host else nullcontext():
        store.write(lab.record)
    files.overwrite(_hosts(lab.record.folder), names)
