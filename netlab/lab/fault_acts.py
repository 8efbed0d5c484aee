"""Does single faults in a lab that stands, and takes note of what they change, so that it can be restored."""

from collections.abc import Callable

from netlab import balancer
from netlab.balancer import control
from netlab.errors import NetlabError
from netlab.lab import fault_state, link_state, partition
from netlab.lab.fault_state import BY_LINK, InForce, pending
from netlab.lab.standing import Standing
from netlab.paths import node_of
from netlab.record import store
from netlab.record.links import link as link_named
from netlab.record.links import name
from netlab.supervise import talk
from netlab.topology import faults
from netlab.topology.faults import Fault


class Acts:
    """The faults of one lab; `state` is what is in force, and in the lab's folder from before it is done."""

    def __init__(self, lab: Standing, state: InForce) -> None:
        self.lab = lab
        self.state = state

    def note(self, state: InForce) -> None:
        """Write down what is in force."""
        self.state = state
        fault_state.write(self.lab.record.folder, state)

    def do(self, fault: Fault) -> str:
        """Do a fault, and return a remark, "" for none; NetlabError says why it cannot be done."""
        doing: dict[str, Callable[[Fault], str]] = {
            faults.KILL: self._kill,
            faults.PAUSE: self._pause,
            faults.RESUME: self._resume,
            faults.DRAIN: self._drain,
            faults.UNDRAIN: self._undrain,
            faults.LINK: self._link,
            faults.PARTITION: self._partition,
            faults.RESTORE: self._restore,
        }
        return doing[fault.do](fault)

    def is_over(self, fault: Fault) -> bool:
        """Say whether what this fault ends is not in force any more."""
        state = self.state
        match fault.do:
            case faults.RESUME:
                return fault.target not in state.paused
            case faults.UNDRAIN:
                return not any(fault.target in nodes for nodes in state.drained.values())
            case faults.LINK if fault.change == faults.BEFORE:
                return self._called(fault) not in state.impaired
            case faults.LINK:
                return BY_LINK not in state.links.get(self._called(fault), ())
        return fault.groups != state.groups

    # ---- processes ---------------------------------------------------------------------------------------------------

    def _kill(self, fault: Fault) -> str:
        with talk.to(self.lab.record.folder) as supervisor:
            supervisor.kill(fault.target, fault.signal)
        if fault.target not in self.state.killed:
            self.note(self.state._replace(killed=(*self.state.killed, fault.target)))
        return ""

    def _pause(self, fault: Fault) -> str:
        with talk.to(self.lab.record.folder) as supervisor:
            about = supervisor.states().get(fault.target, {"state": "gone"})
            if talk.runs(about) and about["state"] != "paused":
                self.note(self.state._replace(paused=(*self.state.paused, fault.target)))
            supervisor.pause(fault.target)
        return ""

    def _resume(self, fault: Fault) -> str:
        with talk.to(self.lab.record.folder) as supervisor:
            supervisor.resume(fault.target)
        self._forget_pause(fault.target)
        return ""

    def _forget_pause(self, process: str) -> None:
        if process in self.state.paused:
            self.note(self.state._replace(paused=tuple(each for each in self.state.paused if each != process)))

    def _restore_process(self, process: str) -> None:
        """Resume a process, if it is paused, and start it, if it was killed and does not run."""
        state = self.state
        with talk.to(self.lab.record.folder) as supervisor:
            about = supervisor.states().get(process, {"state": "gone"})
            if process in state.paused and about["state"] == "paused":
                supervisor.resume(process)
            if process in state.killed and not talk.runs(about) and not talk.waits(about):
                supervisor.ask("start", process=process)
        self._forget_pause(process)
        if process in state.killed:
            self.note(self.state._replace(killed=tuple(each for each in state.killed if each != process)))

    # ---- backends ----------------------------------------------------------------------------------------------------

    def _drain(self, fault: Fault) -> str:
        key, pins = self._balancer_of(fault.target)
        if fault.target in control.drained(pins):
            raise NetlabError(f"{fault.target} is drained already")
        drained = {**self.state.drained, key: (*self.state.drained.get(key, ()), fault.target)}
        self.note(self.state._replace(drained=drained))
        with store.locked(self.lab.record.lab):
            control.drain(pins, [fault.target])
        return ""

    def _undrain(self, fault: Fault) -> str:
        key, pins = self._balancer_of(fault.target)
        with store.locked(self.lab.record.lab):
            control.undrain(pins, [fault.target], self.lab.runtime.netns_path(node_of(key)))
        self._forget_drain(fault.target)
        return ""

    def _forget_drain(self, node: str) -> None:
        left = {key: tuple(each for each in nodes if each != node) for key, nodes in self.state.drained.items()}
        if left != self.state.drained:
            self.note(self.state._replace(drained={key: nodes for key, nodes in left.items() if nodes}))

    def _restore_drain(self, node: str) -> None:
        if any(node in nodes for nodes in self.state.drained.values()):
            key, pins = self._balancer_of(node)
            if node in control.drained(pins):
                with store.locked(self.lab.record.lab):
                    control.undrain(pins, [node], self.lab.runtime.netns_path(node_of(key)))
            self._forget_drain(node)

    def _balancer_of(self, node: str) -> tuple[str, str]:
        """Return key and pins of the balancer that has this node as a backend."""
        there = balancer.carried(self.lab.record)
        for key, program in there.items():
            if node in control.backends(program.pins):
                return key, program.pins
        whose = ", ".join(there)
        raise NetlabError(f"{node} is no backend of {whose}" if there else "no node of this lab carries a balancer")

    # ---- links and partitions ----------------------------------------------------------------------------------------

    def _called(self, fault: Fault) -> str:
        """Return what the link of a fault is called in the state."""
        return name(self.lab.record, link_named(self.lab.record, fault.target))

    def _link(self, fault: Fault) -> str:
        if fault.change in (faults.IMPAIRED, faults.BEFORE):
            return self._impair(fault) if fault.change == faults.IMPAIRED else self._as_before(self._called(fault))
        link = link_named(self.lab.record, fault.target)
        reasons = self.state.links.get(self._called(fault), ())
        is_up = link_state.is_up(self.lab, link)
        if fault.change == faults.DOWN:
            if BY_LINK in reasons or (not reasons and not is_up):
                raise NetlabError(f"{fault.target} is down already")
            partition.cut_link(self, link, BY_LINK)
            return ""
        if not reasons and is_up:
            raise NetlabError(f"{fault.target} is up already")
        if not reasons:  # somebody else has set it down
            return "; ".join(link_state.set_up(self.lab, link))
        told = partition.mend_link(self, link, BY_LINK)
        return told if self._called(fault) not in self.state.links else "it stays down as long as the partition cuts it"

    def _impair(self, fault: Fault) -> str:
        from netlab.lab import link_impairing  # here, as most time lines have none

        called, link = self._called(fault), link_named(self.lab.record, fault.target)
        if called not in self.state.impaired:
            before = link_impairing.now(self.lab, link)
            self.note(self.state._replace(impaired={**self.state.impaired, called: before}))
        return link_impairing.impair(self.lab, link, fault)

    def _as_before(self, called: str) -> str:
        """Let a link do what it did before it was impaired, if it was."""
        if called not in self.state.impaired:
            return ""
        from netlab.lab import link_impairing

        told = link_impairing.as_before(self.lab, link_named(self.lab.record, called), self.state.impaired[called])
        left = {each: before for each, before in self.state.impaired.items() if each != called}
        self.note(self.state._replace(impaired=left))
        return told

    def _restore_link(self, called: str) -> str:
        told = [self._as_before(called)]
        if BY_LINK in self.state.links.get(called, ()):
            told.append(partition.mend_link(self, link_named(self.lab.record, called), BY_LINK))
        return "; ".join(filter(None, told))

    def _partition(self, fault: Fault) -> str:
        if self.state.groups:
            partition.lift(self)
        return partition.make(self, fault.groups)

    # ---- restoring ---------------------------------------------------------------------------------------------------

    def _restore(self, fault: Fault) -> str:
        told: list[str] = []
        for each in self._meant(fault):
            match each.scope:
                case faults.PARTITION:
                    told.append(partition.lift(self))
                case faults.LINK:
                    told.append(self._restore_link(each.target))
                case faults.PROCESS:
                    self._restore_process(each.target)
                case _:
                    self._restore_drain(each.target)
        return "; ".join(filter(None, told))

    def _meant(self, fault: Fault) -> list[Fault]:
        """Return what is in force of that which is to be restored."""
        there = pending(self.state)
        match fault.scope:
            case faults.ALL:
                return there
            case faults.NODE:
                of_node = (faults.NODE, faults.PROCESS)
                return [each for each in there if each.scope in of_node and node_of(each.target) == fault.target]
            case faults.LINK:
                return [each for each in there if each.scope == faults.LINK and each.target == self._called(fault)]
        return [each for each in there if each.scope == fault.scope and each.target == fault.target]
