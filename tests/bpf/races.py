"""Two CPUs at once: two processes, each pinned to a CPU of its own, push packets through one balancer.

The windows in which the program lets its lock go are held open for about a microsecond, so that few rounds meet every
interleaving. After each round all of the state is compared with what either side has seen.
"""

import mmap
import os
import struct
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager

from netlab import balancer
from netlab.testing.waiting import PATIENCE_S
from tests.bpf.frames import Report
from tests.bpf.rig import DROP, PASS, REDIRECT, Build, Rig, completion, request

PAUSE = "for (int pause = 0; pause < 40; pause++) bpf_ktime_get_ns();"
COPIED = "copied = bpf_xdp_load_bytes(ctx, 0, slot->frame, length) == 0;"
TAKEN = "return CARRIER_EMPTY;"  # if not, a request has been taken off the queue
SEEN = "if (!waits) {"  # what a thread seemed to be free for
WINDOWS = tuple((fragment, f"{fragment} {PAUSE}") for fragment in (COPIED, TAKEN, SEEN))
NUMBER = slice(42, 46)  # of a request, behind the Ethernet, IP and UDP headers
_REQUEST = bytes(request(bytes(1400), udp_chksum=0))


def held_open(*changes: tuple[str, str]) -> Build:
    """Return a build of the balancer with its windows held open, and with changes."""
    return Build(changes=(*WINDOWS, *changes))


class Board:
    """Numbers that two processes share, each written by one of them only."""

    def __init__(self, cells: int) -> None:
        self._memory = mmap.mmap(-1, 8 * cells)
        self.cells = memoryview(self._memory).cast("q")

    def close(self) -> None:
        self.cells.release()
        self._memory.close()


def meet(is_so: Callable[[], bool]) -> None:
    """Wait for the other side without leaving the CPU, so that both begin at the same moment."""
    ends = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < ends, "the other process does not answer"


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


def played(play: Callable[[int, int], None], rounds: int) -> Generator[int]:
    """Play rounds, both sides of each at the same time; yield the number of each when both have been played.

    To be closed by whoever does not want them all.
    """
    board = Board(2)
    cells, (go, done) = board.cells, range(2)

    def follow() -> None:
        for number in range(1, rounds + 1):
            meet(lambda: cells[go] in (number, -1))  # noqa: B023 - called here and now
            if cells[go] < 0:
                return
            play(1, number)
            cells[done] = number

    with beside(follow):
        try:
            for number in range(1, rounds + 1):
                cells[go] = number
                play(0, number)
                meet(lambda: cells[done] == number)  # noqa: B023
                yield number
        finally:
            cells[go] = -1


def numbered(number: int) -> bytes:
    """Return a long request that carries a number, without a checksum."""
    return _REQUEST[: NUMBER.start] + struct.pack("!I", number) + _REQUEST[NUMBER.stop :]


def number_of(packet: bytes) -> int:
    number: int = struct.unpack("!I", packet[NUMBER])[0]
    return number


REPORTS = 9091


def reported(worker: int, incarnation: int, received: int) -> bytes:
    """Return a worker's report, without a checksum: it has received so many requests, and has completed none."""
    return _REPORTS[worker] + Report(received, 0, incarnation).pack()


_NOTHING = Report(0, 0, 0).pack()
_REPORTS = {
    worker: bytes(completion(worker, _NOTHING, udp_dport=REPORTS, udp_chksum=0)).removesuffix(_NOTHING)
    for worker in (1, 2)
}
# What both sides do in a round: `a` an arrival, a digit a completion of that worker, `c` the oldest carrier under way,
# `r` and `R` the first report of the first and the second worker since they have begun again, and `s` what the
# balancer's role does when it is started again.
BEGUN = {"r": 1, "R": 2}
ONE_AGAINST_ONE = (("a", "1c"),)
TWO_AGAINST_TWO = (("aa", "12cc"), ("aa", "1c2c"), ("a1c", "a2c"), ("a1c", "2ca"), ("1ac", "2ac"))
RESET_AGAINST_ONE = (("a", "rc"), ("1c", "rc"), ("rc", "2c"), ("a", "s"), ("1c", "s"), ("rc", "s"))
RESET_AGAINST_TWO = (
    ("aa", "rcRc"),
    ("a1c", "rac"),
    ("1c2c", "rcRc"),
    ("1ca", "Rrcc"),
    ("a2c", "src"),
    ("1cRc", "arcs"),
)


class Match:
    """One round after the other: each begins and ends with all threads taken and `depth` requests waiting.

    The board has the number of the round that is to be played, that of the last which the other side has played, and
    for each side how many requests it saw served, and for each of them number * 256 + worker.
    """

    GO, DONE, SIDES, SEEN = 0, 1, (2, 16), 14
    OVER = -1
    NUMBERS = 32  # of a round: 8 for each side, the others for those that make the queue as long as it has to be

    def __init__(self, rig: Rig, rounds: Sequence[tuple[str, str]], depth: int) -> None:
        workers = max(int(letter) for round_ in rounds for side in round_ for letter in side if letter.isdigit())
        rig.reset(backends=workers, capacity=1, report_port=REPORTS)
        self.rig, self.rounds, self.depth = rig, rounds, depth
        if any(letter in side for letter in BEGUN for round_ in rounds for side in round_):
            for worker in range(1, workers + 1):  # for the first time, before it is given anything
                rig.program.test_run(reported(worker, worker, 0))
        self.board = Board(self.SIDES[-1] + self.SEEN)
        self.completions = [bytes(completion(worker)) for worker in range(1, workers + 1)]
        self.size = rig.now().queue
        self.busy = [0] * workers  # requests that a worker has been given and has not completed
        self.sent = self.served = self.completed = self.dropped = self.played = 0
        self.known: list[int] = []  # the numbers that wait, or that are sent in this round
        self.strange: list[int] = []  # the numbers served that were none of those, or were served before

    # ---- what both processes do ----

    def play(self, side: int, number: int) -> None:
        """Be one side of a round."""
        linger(number if side else number // 16)
        seen, carriers, at = [], [], self.SIDES[side]
        for place, letter in enumerate(self.rounds[number % len(self.rounds)][side]):
            if letter == "a":
                run = self.rig.program.test_run(numbered(number * self.NUMBERS + 8 * side + place))
                if run.verdict == REDIRECT:
                    seen.append(run.packet)
            elif letter == "s":
                self.start_again()
            elif letter != "c":
                begins = letter in BEGUN
                worker = BEGUN[letter] if begins else int(letter)
                ready = reported(worker, self.begun_in(number, worker), 0) if begins else self.completions[worker - 1]
                if self.rig.program.test_run(ready).verdict == REDIRECT:
                    carriers.append(ready)
            elif carriers:
                run = self.rig.egress.test_run(carriers.pop(0))
                if run.verdict == PASS:
                    seen.append(run.packet)
        for place, packet in enumerate(seen, 1):
            self.board.cells[at + place] = number_of(packet) << 8 | packet[32]  # worker N has the address 10.0.N.2
        self.board.cells[at] = len(seen)

    def start_again(self) -> None:
        """Do what the balancer's role does when it is started again: it must not touch the state."""
        assert not balancer.set_up(self.rig.pins, self.rig.settings)

    def begun_in(self, number: int, worker: int) -> int:
        """Return the incarnation of a worker that begins again in a round; one more is for after the round."""
        return (number * 2 << 8) + worker

    def follow(self) -> None:
        """Be the other process: play the second side of each round."""
        cells, number = self.board.cells, 0
        while True:
            number += 1
            meet(lambda: cells[self.GO] in (number, self.OVER))  # noqa: B023
            if cells[self.GO] == self.OVER:
                return
            self.play(1, number)
            cells[self.DONE] = number

    # ---- what the first process does ----

    def first_fault(self, rounds: int, within_s: float = PATIENCE_S) -> str:
        """Play so many rounds, or up to the first after which something is wrong; say what and when, or nothing.

        A slow machine plays fewer, `played`, in the time that there is.
        """
        self.fill(0)
        fault, ends = next(self.faults(), ""), time.monotonic() + within_s
        with beside(self.follow):
            try:
                for number in range(1, rounds + 1):
                    fault = fault or self.fault_of(number)
                    self.played = number
                    if fault:
                        return f"round {number}: {fault}"
                    if time.monotonic() > ends:
                        break
            finally:
                self.board.cells[self.GO] = self.OVER
        return ""

    def fault_of(self, number: int) -> str:
        """Play a round on both CPUs; say what is wrong after it, or nothing."""
        cells = self.board.cells
        self.note_sent(number)
        cells[self.GO] = number
        self.play(0, number)
        meet(lambda: cells[self.DONE] == number)
        served = [divmod(seen, 256) for at in self.SIDES for seen in cells[at + 1 : at + 1 + cells[at]]]
        for each in served:
            self.note_served(*each)
        letters = "".join(self.rounds[number % len(self.rounds)])
        begun = {BEGUN[letter] for letter in letters if letter in BEGUN}
        late = sum(
            letters.count(str(worker)) for worker in begun
        )  # completions of what is gone: they freed a thread or not
        counted = self.rig.state()["completions"]
        if self.completed - late <= counted <= self.completed:
            self.completed = counted
        fault = next(self.stranded(), "")
        for worker in begun:
            fault = fault or self.fault_of_begun(number, worker, [to for _, to in served].count(worker))
        fault = fault or next(self.faults(), "")
        for worker in begun:
            if self.busy[worker - 1] > 1:
                self.begin_once_more(number, worker)
        if not fault:
            self.fill(number)
        return fault

    def fault_of_begun(self, number: int, worker: int, received: int) -> str:
        """Let a worker that has begun again in a round report what it has received in it, all others being gone.

        What the balancer has sent just before it has heard of that counts as received too, so a worker may have more
        requests than threads.
        """
        self.busy[worker - 1] = received
        run = self.rig.program.test_run(reported(worker, self.begun_in(number, worker), received))
        return (
            f"worker{worker} reports {received} received, and a thread is free by that" if run.verdict != DROP else ""
        )

    def begin_once_more(self, number: int, worker: int) -> None:
        """Let a worker begin again with nothing in hand, while nobody else does anything."""
        self.busy[worker - 1] = 0
        report = reported(worker, self.begun_in(number, worker) + (1 << 8), 0)
        if self.rig.program.test_run(report).verdict == REDIRECT:
            run = self.rig.egress.test_run(report)
            if run.verdict == PASS:
                self.note_served(number_of(run.packet), run.packet[32])

    def fill(self, number: int) -> None:
        """Take all threads, if that is still to be done, and let requests wait up to the depth of this match."""
        first = number * self.NUMBERS + 16
        for each in range(first, first + self.depth - len(self.known) + self.busy.count(0)):
            self.sent += 1
            self.known.append(each)
            run = self.rig.program.test_run(numbered(each))
            if run.verdict == REDIRECT:
                self.note_served(number_of(run.packet), run.packet[32])

    def note_sent(self, number: int) -> None:
        for side, letters in enumerate(self.rounds[number % len(self.rounds)]):
            for place, letter in enumerate(letters):
                if letter == "a":
                    self.sent += 1
                    self.known.append(number * self.NUMBERS + 8 * side + place)
                elif letter.isdigit():
                    self.completed += 1
                    self.busy[int(letter) - 1] -= 1

    def note_served(self, number: int, worker: int) -> None:
        self.served += 1
        self.busy[worker - 1] += 1
        if number in self.known:
            self.known.remove(number)
        else:
            self.strange.append(number)

    def stranded(self) -> Iterator[str]:
        """Yield whether a request waits beside an idle thread, while nothing is on its way."""
        depth, free = self.rig.state()["depth"], self.rig.threads().free
        if depth and any(free):
            yield f"{depth} wait beside idle threads {free}"

    def faults(self) -> Iterator[str]:
        """Yield what is wrong while nothing is on its way; what still waits is all that is known from then on."""
        yield from self.stranded()
        depth, queue = self.rig.state()["depth"], self.rig.queue()
        free, _, counters = self.rig.threads()
        total = {"received": self.sent, "completions": self.completed, "dequeued": self.served - counters["forwarded"]}
        if [max(1 - each, 0) for each in self.busy] != free:
            yield f"free threads {free}, but the workers are busy with {self.busy}"
        if {name: counters[name] for name in total} != total or depth != counters["queued"] - counters["dequeued"]:
            yield f"{counters} with {depth} waiting, but it should be {total}"
        if counters["received"] != counters["forwarded"] + counters["queued"] + counters["dropped"]:
            yield f"received is not the sum of what became of it: {counters}"
        if sorted(queue.slots()) != list(range(self.rig.slots)):
            yield f"slots lost or doubled: {queue}"
        if self.rig.kept() != len(queue.waiting):
            yield f"{self.rig.kept()} are kept, but {len(queue.waiting)} wait"
        waiting = [number_of(packet) for packet in self.rig.waiting()]
        gone = len(self.known) - len(waiting)
        if self.strange or not set(waiting) <= set(self.known):
            yield f"{self.strange} served and {waiting} waiting, of {self.known}"
        if gone != counters["dropped"] - self.dropped or (gone and self.depth < self.size):
            yield f"{gone} lost of {self.known}: {counters}"
        self.known, self.dropped = waiting, counters["dropped"]


def linger(number: int) -> None:
    """Meet the other side a little earlier or later than in other rounds."""
    for _ in range(number % 16):
        pass
