"""The balancer on two CPUs at once: two processes push packets through it, each pinned to a CPU of its own.

The windows in which the lock is let go are held open for about a microsecond, so that few rounds meet every
interleaving. A mutant that does not decide again after copying shows that the first test can fail.
"""

import mmap
import os
import random
import struct
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from netlab import loader, syscalls
from tests.bpf.rig import PASS, REDIRECT, SOURCE, Rig, completion, request

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="a race needs two CPUs"),
]

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
DEADLINE_S = 4.0
ROUNDS = 100_000
REQUESTS = 8000  # of each side
PAUSE = "for (int pause = 0; pause < 40; pause++) bpf_ktime_get_ns();"
COPIED = "copied = bpf_xdp_load_bytes(ctx, 0, slot->frame, length) == 0;"
TAKEN = "struct slot *slot = slots.lookup(&slot_number);\n\n\tif (!slot)"
DECIDE_AGAIN = "\tif (copied && !s->depth)\n\t\t*chosen = take_thread(s, c, random);\n"
NUMBER = slice(42, 46)  # of a request, behind the Ethernet, IP and UDP headers


def source(*changes: tuple[str, str]) -> str:
    """Return the balancer's text with changes, each of which must hit exactly one place."""
    with open(f"{ROOT}/{SOURCE}", encoding="utf-8") as file:
        text = file.read()
    for old, new in ((COPIED, f"{COPIED} {PAUSE}"), (TAKEN, f"{PAUSE} {TAKEN}"), *changes):
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


@contextmanager
def built(text: str) -> Iterator[Rig]:
    """Load a balancer with a queue of eight from its text."""
    with tempfile.TemporaryDirectory(prefix="netlab-races-") as folder:
        path = f"{folder}/balancer.c"
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        os.mkdir(f"{folder}/bpf")
        syscalls.mount("bpf", f"{folder}/bpf", "bpf")
        try:
            define: tuple[tuple[str, str | int], ...] = (("QUEUE", 8), ("TRACE", 0), ("TEST_ENTRIES", 1))
            job = loader.Job("test", "lb", path, f"{folder}/bpf/lb", folder, define=define, builtins=(("MTU", 1500),))
            compilation = loader.start(job)
            try:
                compilation.pinned(60)
            finally:
                compilation.kill()
            rig = Rig(f"{folder}/bpf/lb", text)
            yield rig
            rig.close()
        finally:
            syscalls.umount(f"{folder}/bpf")


class Board:
    """Numbers that two processes share, each written by one of them only."""

    def __init__(self, cells: int) -> None:
        self._memory = mmap.mmap(-1, 8 * cells)
        self.cells = memoryview(self._memory).cast("q")

    def close(self) -> None:
        self.cells.release()
        self._memory.close()


def on_cpu(index: int) -> None:
    """Pin this process to the index-th CPU that we may use."""
    os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[index]})


@contextmanager
def beside(work: Callable[[], None]) -> Iterator[None]:
    """Run work in a process on the second CPU, while the body runs on the first; an error there is one here."""
    before = os.sched_getaffinity(0)
    pid = os.fork()
    if not pid:
        code = 1
        try:
            on_cpu(1)
            work()
            code = 0
        finally:
            os._exit(code)
    try:
        on_cpu(0)
        yield
    finally:
        os.sched_setaffinity(0, before)
        _, status = os.waitpid(pid, 0)
    assert status == 0, "the other process failed"


def numbered(number: int) -> bytes:
    """Return a request that carries a number, without a checksum."""
    packet = bytearray(bytes(request(bytes(64), udp_chksum=0)))
    packet[NUMBER] = struct.pack("!I", number)
    return bytes(packet)


class Round:
    """One arrival against one completion, again and again: `go` starts each side, `done` and `served` answer."""

    OVER = -1

    def __init__(self, rig: Rig) -> None:
        self.rig, self.board = rig, Board(3)
        self.packet, self.ready = bytes(request(bytes(1400), udp_chksum=0)), bytes(completion(1))

    def complete(self) -> None:
        """Be the second CPU: push a completion each round, and run its carrier."""
        go, done, served = range(3)
        cells, number = self.board.cells, 0
        while True:
            number += 1
            while cells[go] not in (number, self.OVER):
                pass
            if cells[go] == self.OVER:
                return
            linger(number)
            verdict = self.rig.program.test_run(self.ready).verdict
            if verdict == REDIRECT and self.rig.egress.test_run(self.ready).verdict == PASS:
                cells[served] += 1
            cells[done] = number

    def arrive(self, number: int) -> bool:
        """Be the first CPU for one round; return whether the arrival was served, once."""
        go, done, served = range(3)
        cells = self.board.cells
        before = cells[served]
        cells[go] = number
        linger(number // 16)
        forwarded = self.rig.program.test_run(self.packet).verdict == REDIRECT
        ends = time.monotonic() + DEADLINE_S
        while cells[done] != number:
            assert time.monotonic() < ends, "the other process does not answer"
        return forwarded + cells[served] - before == 1

    def end(self) -> None:
        self.board.cells[0] = self.OVER


def linger(number: int) -> None:
    """Meet the other side a little earlier or later than in other rounds."""
    for _ in range(number % 16):
        pass


def first_stranded(rig: Rig) -> int:
    """Return the first round in which an arrival was left beside an idle thread, or 0.

    One backend with one thread, which is taken when a round begins. Either the arrival is forwarded, or it waits and
    the completion's carrier takes it; each leaves the thread taken again.
    """
    rig.reset(backends=1, capacity=1)
    rig.push(request())
    rounds, ends = Round(rig), time.monotonic() + DEADLINE_S
    with beside(rounds.complete):
        try:
            for number in range(1, ROUNDS + 1):
                if time.monotonic() > ends:
                    return 0
                if not rounds.arrive(number):
                    return number
        finally:
            rounds.end()
    return 0


def test_an_arrival_and_a_completion_at_the_same_time() -> None:
    """The request is served at once or by the completion's carrier, never left beside an idle thread."""
    with built(source()) as rig:
        stranded = first_stranded(rig)
        now = rig.now()

    assert stranded == 0
    assert (now.depth, now.free) == (0, {"worker1": 0})
    assert now.counters["received"] == now.counters["forwarded"] + now.counters["queued"]


def test_without_the_second_decision_a_request_is_stranded() -> None:
    """The test above can fail: a program that does not decide again under the lock fails it."""
    with built(source((DECIDE_AGAIN, ""))) as rig:
        stranded = first_stranded(rig)

    assert stranded > 0


class Side:
    """One of two processes that send requests, and complete, for one backend each, what that has been given.

    The cells they share, each written by one side: given[side][backend], completed[side], sent[side] once it is done
    with that, disordered[side], and how often each request was served.
    """

    COMPLETED, SENT, DISORDERED, SERVED = 4, 6, 8, 10

    def __init__(self, rig: Rig, board: Board, me: int) -> None:
        self.rig, self.cells, self.me = rig, board.cells, me
        self.completion = bytes(completion(me + 1))
        self.carriers = 0  # on their way
        self.last = [-1, -1]  # the number last dequeued, by the side that sent it

    def serve(self, packet: bytes) -> int:
        """Note who got a packet; return its number."""
        number: int = struct.unpack("!I", packet[NUMBER])[0]
        self.cells[self.SERVED + number] += 1
        self.cells[2 * self.me + packet[32] - 1] += 1  # backend N has the address 10.0.N.2
        return number

    def send(self, number: int) -> None:
        run = self.rig.program.test_run(numbered(number))
        if run.verdict == REDIRECT:
            self.serve(run.packet)

    def complete(self) -> None:
        """Complete one request, which may send a carrier on its way."""
        self.cells[self.COMPLETED + self.me] += 1
        self.carriers += self.rig.program.test_run(self.completion).verdict == REDIRECT

    def carry(self) -> None:
        """Let one carrier arrive."""
        self.carriers -= 1
        run = self.rig.egress.test_run(self.completion)
        if run.verdict == PASS:
            number = self.serve(run.packet)
            self.cells[self.DISORDERED + self.me] += number <= self.last[number % 2]
            self.last[number % 2] = number

    def busy(self) -> bool:
        """Whether our backend has been given more than it has completed."""
        return self.cells[self.me] + self.cells[2 + self.me] > self.cells[self.COMPLETED + self.me]

    def work(self, turns: int) -> None:
        """Complete, or let carriers arrive, so many times."""
        for _ in range(turns):
            if self.busy() and self.carriers < 2:
                self.complete()
            elif self.carriers:
                self.carry()

    def play(self) -> None:
        """Send requests of our parity for a while, completing as we go, then complete until nothing is left."""
        draws = random.Random(self.me)
        ends = time.monotonic() + DEADLINE_S
        sent = 0
        while sent < REQUESTS and time.monotonic() < ends:
            self.send(2 * sent + self.me)
            sent += 1
            self.work(draws.randrange(4))
        self.cells[self.SENT + self.me] = sent
        ends = time.monotonic() + DEADLINE_S
        while time.monotonic() < ends and not self.settled():
            self.work(3)

    def settled(self) -> bool:
        """Whether both sides have sent all they will, and all of that is completed or dropped."""
        sent, counters = self.cells[self.SENT : self.DISORDERED], self.rig.now().counters
        return all(sent) and counters["completions"] + counters["dropped"] == sum(sent)


def test_two_cpus_that_send_and_complete() -> None:
    """Whatever meets whatever: each request is served once or dropped for want of room, in order, and all ends idle."""
    board = Board(Side.SERVED + 2 * REQUESTS)
    with built(source()) as rig:
        rig.reset(backends=2, capacity=2)
        with beside(Side(rig, board, 1).play):
            Side(rig, board, 0).play()
        now = rig.now()
    cells = list(board.cells)
    board.close()
    sent, served, counters = sum(cells[Side.SENT : Side.DISORDERED]), cells[Side.SERVED :], now.counters

    assert set(served) <= {0, 1}
    assert sent == counters["received"] == counters["forwarded"] + counters["queued"] + counters["dropped"]
    assert sum(served) == counters["completions"] == counters["forwarded"] + counters["dequeued"]
    assert counters["queued"] == counters["dequeued"] > 0
    assert (now.depth, now.free) == (0, {"worker1": 2, "worker2": 2})
    assert cells[Side.DISORDERED : Side.SERVED] == [0, 0]
