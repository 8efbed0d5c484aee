"""Plays a time line of faults in a lab that stands, and restores what it has changed."""

import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager

from netlab import paths
from netlab.errors import NetlabError, UsageError
from netlab.kernel.pids import start_ticks
from netlab.lab import fault_state, happenings
from netlab.lab.fault_acts import Acts
from netlab.lab.fault_moves import Move, moves
from netlab.lab.fault_state import InForce, pending
from netlab.lab.standing import Standing
from netlab.named_tuple import NamedTuple
from netlab.record import impaired, store
from netlab.record.faults import FaultRecord
from netlab.record.model import LabRecord
from netlab.topology import faults
from netlab.topology.faults import Fault

Stop = Callable[[float], bool]


class Happened(NamedTuple):
    """A fault that has happened, or could not be done: so long after the begin, of CLOCK_MONOTONIC nanoseconds `ns`.

    `problem` says why it could not be done, "" if it was; `remark` what else is to be known. `ends` says that it is
    the end of a fault, and `restores` that the time line is over, and this takes back what is left of it.
    """

    since_ns: int
    ns: int
    fault: Fault
    problem: str = ""
    remark: str = ""
    ends: bool = False
    restores: bool = False

    @property
    def text(self) -> str:
        """What has happened, in a line."""
        if self.problem:
            return f"{self.fault}: not done: {self.problem}"
        return f"{self.fault}; {self.remark}" if self.remark else str(self.fault)


Tell = Callable[[Happened], None]


class Played(NamedTuple):
    """How a time line ended: how many faults could not be done, and whether it was stopped."""

    failed: int
    stopped: bool = False


def run(lab: Standing, time_line: Iterable[Fault], tell: Tell, stop: Stop, *, keep: bool = False) -> Played:
    """Play a time line, and restore what it has changed, unless it is to be kept; return how that went.

    `tell` gets each fault when it has happened. `stop` waits for so many seconds, and says whether to stop earlier; it
    is asked between faults only. A fault that cannot be done is told, and the time line goes on. NetlabError if faults
    are in force already, or if the lab is gone.
    """
    folder = lab.record.folder
    line = moves(time_line)
    _warm_up(line)
    acts = Acts(lab, InForce(os.getpid(), start_ticks(os.getpid())))
    with store.locked(lab.record.lab):
        fault_state.check_none(lab.record.lab, folder)
        acts.note(acts.state)
    player = _Player(acts, tell)
    try:
        stopped = _play(player, line, stop)
    finally:
        if os.path.isdir(folder):
            player.leave() if keep else player.restore(starts=False)
    return Played(player.failed, stopped)


@contextmanager
def injecting(lab: Standing, tell: Tell, stop: Stop) -> Iterator[Callable[[Iterable[Fault]], Played]]:
    """Yield what plays time lines, one after the other; what they have changed is restored at the end of the block.

    Processes that they have killed start again then.
    NetlabError if faults are in force already.
    """
    acts = Acts(lab, InForce(os.getpid(), start_ticks(os.getpid())))
    with store.locked(lab.record.lab):
        fault_state.check_none(lab.record.lab, lab.record.folder)
        acts.note(acts.state)

    def play(time_line: Iterable[Fault]) -> Played:
        player = _Player(acts, tell)
        stopped = _play(player, moves(time_line), stop)
        return Played(player.failed, stopped)

    try:
        yield play
    finally:
        if os.path.isdir(lab.record.folder):
            _Player(acts, tell).restore(starts=True)


def planned(record: LabRecord) -> list[Fault]:
    """Return the time line of a lab's topology."""
    return [*map(fault_of, record.faults)]


def fault_of(recorded: FaultRecord) -> Fault:
    """Return a fault as it is in a lab's record."""
    return Fault(**{**recorded._asdict(), "does": impaired.parsed(recorded.does)})


def restore(lab: Standing, tell: Tell) -> Played:
    """Restore what a time line has left: one that was killed, or was to keep it. Killed processes start again."""
    state = fault_state.read(lab.record.folder)
    if state and state.is_played:
        raise NetlabError(f"process {state.pid} plays a time line in {lab.record.lab}: Ctrl-C there restores all")
    player = _Player(Acts(lab, (state or InForce())._replace(pid=0, start_ticks=0)), tell)
    player.restore(starts=True)
    return Played(player.failed)


def check(lab: Standing, time_line: Iterable[Fault]) -> None:
    """Raise UsageError if the lab does not have what a time line names."""
    from netlab import balancer

    drains = [fault.target for fault in time_line if fault.do in (faults.DRAIN, faults.UNDRAIN)]
    if drains and not balancer.carried(lab.record):
        raise UsageError(f"{drains[0]} cannot be drained: no node of the lab {lab.record.lab} carries a balancer")


def _warm_up(planned: Iterable[Move]) -> None:
    """Import what is slow to import before the time line begins, if it needs that."""
    if any(move.fault.do == faults.PARTITION for move in planned):
        from netlab.network.messages import Messages

        Messages()
    if any(move.fault.change == faults.IMPAIRED for move in planned):
        from netlab.lab import link_impairing  # noqa: F401


def _play(player: "_Player", planned: Iterable[Move], stop: Stop) -> bool:
    """Make the moves, each at its time; say whether that was stopped."""
    for move in planned:
        while (left_ns := player.begin_ns + move.at_ns - time.monotonic_ns()) > 0:
            if stop(left_ns / 1e9):
                return True
        if stop(0):
            return True
        if not os.path.exists(f"{player.folder}/{paths.RECORD}"):
            raise NetlabError("the lab is gone")
        player.make(move)
    return False


class _Player:
    """Makes moves: does them, writes them down and tells them."""

    def __init__(self, acts: Acts, tell: Tell) -> None:
        self.begin_ns = time.monotonic_ns()
        self.folder = acts.lab.record.folder
        self.failed = 0
        self._refused: set[int] = set()  # their id(): the same may be written twice, and be done once
        self._acts = acts
        self._tell = tell

    def make(self, move: Move) -> None:
        """Make a move, unless it ends what has never begun, or has ended already."""
        if move.begun and (id(move.begun) in self._refused or self._acts.is_over(move.fault)):
            return
        self._do(move.fault, ends=bool(move.begun))

    def restore(self, *, starts: bool) -> None:
        """Restore what is in force, and forget what could be restored."""
        with ExitStack() as each:  # what fails, or cannot be told, keeps nothing else from being restored
            for fault in reversed(pending(self._acts.state, starts=starts)):
                each.callback(self._do, fault, restores=True)
        if not starts:
            self._acts.note(self._acts.state._replace(killed=()))
        self.leave()

    def leave(self) -> None:
        """Leave what is in force to `restore`."""
        if self._acts.state.is_empty:
            fault_state.remove(self.folder)
        else:
            self._acts.note(self._acts.state._replace(pid=0, start_ticks=0))

    def _do(self, fault: Fault, *, ends: bool = False, restores: bool = False) -> None:
        ns, problem, remark = time.monotonic_ns(), "", ""
        try:
            remark = self._acts.do(fault)
        except (NetlabError, UsageError, OSError) as error:
            problem = str(error)
            self.failed += 1
            self._refused.add(id(fault))
        happened = Happened(ns - self.begin_ns, ns, fault, problem, remark, ends, restores)
        _write_down(self._acts.lab, happened)
        self._tell(happened)


def _write_down(lab: Standing, happened: Happened) -> None:
    """Let the supervisor write it down, or do so where there is none, as in a lab without processes."""
    about = happened.fault.target if happened.fault.do not in (faults.LINK, faults.PARTITION) else ""
    about = about if happened.fault.scope in ("", faults.NODE, faults.PROCESS) else ""
    happenings.write_down(lab.record.folder, "fault", about, happened.text, happened.ns)
