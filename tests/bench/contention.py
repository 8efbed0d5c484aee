"""Two CPUs at one balancer: what a step costs while the other CPU takes the same lock.

The other CPU begins anew for each sample, makes many times as many rounds, and its own counter must say that it has
made some all the while; else there is no sample.
"""

import os
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

from netlab.balancer.layout import key
from netlab.programs.maps import Map
from tests.bench.measure import Table
from tests.bench.rounds import Recorder, Rounds, balancer, counted, finished, sized, wrapper
from tests.bpf.races import Board, beside
from tests.bpf.rig import Rig

SIZE = 64
FORWARD, QUEUE, DEQUEUE = "forward", "queue", "dequeue"
ROUNDS = {FORWARD: 1 << 12, QUEUE: 1 << 12, DEQUEUE: 1 << 12}  # of ours in a sample
LONGER = 8  # times as many are the other CPU's
SLOWEST = 4  # the other CPU must make a quarter as many rounds as we do meanwhile
MANY = LONGER * ROUNDS[QUEUE]
ENDLESS = 65535  # more than all rounds of both
SAMPLES, MOST_TRIES = 3, 30  # of each case in a round; their median counts
DEADLINE_S = 20.0
WORK, ORDER, ENDED, OVER = 0, 1, 2, -1  # what to do, the number of the order, that of the last one done


class Case(NamedTuple):
    """What we do, and what the other CPU does meanwhile, which it counts under a reason; `threads` are to be had."""

    ours: str
    theirs: str
    reason: str
    threads: int


NOBODY = "nothing"
CASES = (
    Case(FORWARD, NOBODY, "", ENDLESS),
    Case(QUEUE, NOBODY, "", MANY),
    Case(DEQUEUE, NOBODY, "", MANY),
    Case(FORWARD, "forwards", "FORWARDED", ENDLESS),
    Case(FORWARD, "completes", "COMPLETION_FREED", ENDLESS),
    Case(QUEUE, "dequeues", "CARRIER_SENT", MANY),
    Case(DEQUEUE, "queues", "QUEUED", MANY),
)
WORKS = [case.theirs for case in CASES if case.reason]


class Steps:
    """The steps of a balancer, by many rounds of each."""

    def __init__(self, rounds: Rounds, rig: Rig) -> None:
        self._cost = rounds.cost
        self.rig = rig
        self._request, self._completion = sized(SIZE), finished(1)

    def receive(self, count: int) -> float:
        """Take requests, which are forwarded while a thread is free, and then wait."""
        return self._cost(self.rig.program, self._request, count)

    def complete(self, count: int) -> float:
        return self._cost(self.rig.program, self._completion, count)

    def dequeue(self, count: int) -> float:
        return self._cost(self.rig.egress, self._completion, count)

    def ours(self, case: Case) -> float:
        """Do our side of a case; return ns a round."""
        return (self.dequeue if case.ours == DEQUEUE else self.receive)(ROUNDS[case.ours])

    def theirs(self, work: str) -> None:
        """Do what the other CPU does."""
        many = MANY if work in {"dequeues", "queues"} else LONGER * ROUNDS[FORWARD]
        {"completes": self.complete, "dequeues": self.dequeue}.get(work, self.receive)(many)

    def prepare(self, case: Case) -> None:
        """Bring the balancer where a case begins: with threads taken, requests waiting, or both."""
        self.rig.again()
        if case.theirs == "completes":
            self.receive(LONGER * ROUNDS[FORWARD])
        if case.threads != ENDLESS:
            waiting = ROUNDS[DEQUEUE] if case.ours == DEQUEUE else case.threads
            self.receive(case.threads + waiting + 1)  # one always waits, so that whoever comes then waits too
            self.complete(waiting)


class Other:
    """The process on the other CPU, which does once for each order what it is told."""

    def __init__(self, rig: Rig, board: Board) -> None:
        self._rig = rig
        self._cells = board.cells
        self._cpu = sorted(os.sched_getaffinity(0))[1]

    def follow(self, steps: Steps) -> None:
        """Be that process."""
        while (order := self._cells[ORDER]) != OVER:
            if order != self._cells[ENDED]:
                steps.theirs(WORKS[self._cells[WORK]])
                self._cells[ENDED] = order

    def during(self, case: Case, measured: Callable[[], float]) -> float | None:
        """Measure while it works; None when it has not worked all the while."""
        before, order = self._count(case.reason), self._cells[ORDER] + 1
        self._cells[WORK] = WORKS.index(case.theirs)
        self._cells[ORDER] = order
        self._await(lambda: self._count(case.reason) > before or self._cells[ENDED] == order)
        begun = self._count(case.reason)
        value = measured()
        is_over = self._cells[ENDED] == order
        made = self._count(case.reason) - begun
        self._await(lambda: self._cells[ENDED] == order)
        return None if is_over or made < ROUNDS[case.ours] / SLOWEST else value

    def _count(self, reason: str) -> int:
        """Return how often its CPU has counted a reason."""
        kind = "carrier_reason" if reason.startswith("CARRIER") else "reason"
        number = self._rig.types.enum(kind)[reason]
        with Map.open(f"{self._rig.pins}/maps/{kind}s") as counts:
            value = counts.get_per_cpu(key(number))[self._cpu]
        count: int = self._rig.types.struct("count").get(value, "packets")
        return count

    def _await(self, is_so: Callable[[], bool]) -> None:
        deadline = time.monotonic() + DEADLINE_S
        while not is_so():
            assert time.monotonic() < deadline, "the other process does not answer"


@contextmanager
def other_cpu(rig: Rig, steps: Steps) -> Iterator[Other]:
    """Start the process on the second CPU, stay on the first, and end it."""
    board = Board(3)
    other = Other(rig, board)
    try:
        with beside(lambda: other.follow(steps)):
            try:
                yield other
            finally:
                board.cells[ORDER] = OVER
    finally:
        board.close()


class Contest:
    """All cases, round by round."""

    def __init__(self) -> None:
        self.recorder = Recorder()
        self.tried = self.kept = 0

    def play(self) -> None:
        """Measure each case, by programs loaded anew: where their code lies makes a difference."""
        with ExitStack() as stack:
            rounds = stack.enter_context(wrapper())
            rig = stack.enter_context(balancer(MANY + 2 * ROUNDS[QUEUE], TRACE=0))
            steps = Steps(rounds, rig)
            other = stack.enter_context(other_cpu(rig, steps))
            base = rounds.base()
            for case in CASES:
                rig.reset(backends=1, capacity=case.threads)
                values = [self._sample(case, steps, other) for _ in range(SAMPLES)]
                self.recorder.add(row_of(case), case.ours, statistics.median(values) - base)

    def _sample(self, case: Case, steps: Steps, other: Other) -> float:
        """Measure a case once, and again until the other CPU has worked all the while."""
        for _ in range(MOST_TRIES):
            steps.prepare(case)
            value = other.during(case, lambda: steps.ours(case)) if case.reason else steps.ours(case)
            self.tried += bool(case.reason)
            if value is not None:
                self.kept += bool(case.reason)
                assert not {"DROP_QUEUE_FULL", "COMPLETION_EXCESS", "CARRIER_EMPTY"} & set(counted(steps.rig))
                return value
        raise AssertionError(f"{case}: the other CPU is never at work all the while")


def row_of(case: Case) -> str:
    """Return what a row of the table is called."""
    return f"the other CPU {case.theirs}" if case.reason else "the other CPU does nothing"


def two_cpus(count: int) -> Table:
    """Compare what a step costs alone with what it costs while the other CPU works."""
    contest = Contest()
    for _ in range(count):
        contest.play()
    notes = (f"Of {contest.tried:,} samples {contest.kept:,} were kept, those during which the other CPU worked.",)
    units = dict.fromkeys((FORWARD, QUEUE, DEQUEUE), "ns")
    return Table("Two CPUs", units, contest.recorder.samples, notes=notes, intro=INTRO)


INTRO = """\
A step on one CPU, while the other works on the same balancer: one client, one worker, 64 bytes, trace compiled out. The
other CPU makes many more rounds than the sample takes, and a sample counts only if it has made some all the while, by a
counter of its own."""
