"""Nanoseconds a packet: what the balancer's program costs by itself, beside the least that a program can do.

Everything runs by BPF_PROG_TEST_RUN through tests/bench/rounds.c, which restores the packet in each round. The state is
not restored but used up: the rounds of one step make what the next one's consume, and the counters must say that every
round was what it is called.
"""

import statistics
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from netlab.maps import LoadedProgram, Map
from tests.bench.measure import Aim, Part, Samples, Table
from tests.bpf.races import Board, beside
from tests.bpf.rig import FIRST, ROOT, SOURCE, Rig, addressed, completion, pinned, request

HERE = Path(__file__).parent
WAITING = 1024  # requests that the queue holds
THREADS = 1024  # of each of the three backends
SIZES = (64, 1514)
BEGIN_S = 10.0
HEADERS = 42  # Ethernet, IPv4, UDP
RESTORED = 56
OTHER_PORT = 7
MANY = 1 << 16  # rounds of what is short
LONG = 1 << 18  # of two that work at a time
TRIES = 2  # of each step in a round of the benchmark; the better one counts


class Step(NamedTuple):
    """Rounds of one packet through one program, counted under one reason."""

    name: str
    program: str
    packet: bytes
    rounds: int
    reason: str


class Rounds:
    """The wrapper, loaded; a process of its own needs one of its own."""

    def __init__(self, pins: str) -> None:
        self._pins = pins
        self._program = LoadedProgram.open(f"{pins}/programs/rounds")
        self._frame, self._target = (Map.open(f"{pins}/maps/{name}") for name in ("frame", "target"))
        with Map.open(f"{pins}/maps/doors") as doors:
            doors.set(struct.pack("=I", 1), struct.pack("=II", 1, 0))
        for name, key in (("known", struct.pack("=I", 1)), ("flows", struct.pack("=Q", 1))):
            with Map.open(f"{pins}/maps/{name}") as looked_up:
                looked_up.set(key, bytes(8))

    def close(self) -> None:
        for each in (self._program, self._frame, self._target):
            each.close()

    def own(self, name: str) -> LoadedProgram:
        """Return one of the wrapper's own programs."""
        return LoadedProgram.open(f"{self._pins}/programs/{name}_run")

    def cost(self, program: LoadedProgram, packet: bytes, rounds: int) -> float:
        """Return how many nanoseconds a round takes, wrapper and all."""
        self._target.set(FIRST, struct.pack("=I", program.fd))
        self._frame.set(FIRST, packet[:RESTORED] + struct.pack("=II", len(packet), 0))
        run = self._program.test_run(packet, rounds)
        assert run.verdict, "the packet could not be restored"
        return run.duration_ns + 0.5  # the kernel rounds down

    def cheapest(self, program: LoadedProgram, packet: bytes) -> float:
        """Return the same of a program that leaves no state behind: the mean of the better half of some long runs.

        What makes a run longer is something else that the machine does; a mean, because the kernel knows no fractions.
        """
        times = sorted(self.cost(program, packet, MANY) for _ in range(2 * TRIES))
        return statistics.fmean(times[:TRIES])


@contextmanager
def wrapper() -> Iterator[Rounds]:
    """Load the wrapper."""
    with pinned(str(HERE / "rounds.c")) as pins:
        rounds = Rounds(pins)
        try:
            yield rounds
        finally:
            rounds.close()


@contextmanager
def balancer(queue: int = WAITING, **define: int) -> Iterator[Rig]:
    """Load the balancer."""
    path = f"{ROOT}/{SOURCE}"
    with pinned(path, QUEUE=queue, TEST_ENTRIES=1, **define) as pins:
        rig = Rig(pins, Path(path).read_text(encoding="utf-8"))
        try:
            yield rig
        finally:
            rig.close()


def sized(payload: int) -> bytes:
    """Return a request of so many bytes in all."""
    return bytes(request(bytes(payload - HEADERS)))


def finished(worker: int) -> bytes:
    """Return a completion of 64 bytes."""
    return bytes(completion(worker)).ljust(64, b"\0")


def steps(size: int) -> list[Step]:
    """Return what a balancer with nothing in hand goes through, in this order."""
    one = sized(size)
    other = bytes(request(bytes(size - HEADERS), udp_dport=OTHER_PORT))
    return [
        Step("pass: not one of our ports", "program", other, 3 * THREADS, "PASS_OTHER_PORT"),
        Step("forward", "program", one, 3 * THREADS, "FORWARDED"),
        Step("forward, where it leaves", "egress", addressed(request(bytes(size - HEADERS)), 1), 3 * THREADS, ""),
        Step("queue", "program", one, WAITING, "QUEUED"),
        Step("completion, a carrier", "program", finished(1), WAITING, "COMPLETION_CARRIED"),
        Step("dequeue: the carrier", "egress", finished(1), WAITING, "CARRIER_SENT"),
        Step("completion", "program", finished(2), THREADS, "COMPLETION_FREED"),
    ]


def counted(rig: Rig) -> dict[str, int]:
    """Return all counts that are not zero."""
    packets = {name: count.packets for name, count in rig.counts().items() if count.packets}
    return packets | rig.carrier_counts()


def best_walk(rounds: Rounds, rig: Rig, size: int) -> dict[str, float]:
    """Return the least that each step has cost in a few walks."""
    walks = [walk(rounds, rig, size) for _ in range(TRIES)]
    return {name: min(each[name] for each in walks) for name in walks[0]}


def walk(rounds: Rounds, rig: Rig, size: int) -> dict[str, float]:
    """Go through all steps once, and see that each round was counted under its reason; return ns a round."""
    rig.again()
    found, reasons = {}, {}
    for step in steps(size):
        found[step.name] = rounds.cost(getattr(rig, step.program), step.packet, step.rounds)
        reasons[step.reason] = step.rounds
    wanted = {reason: count for reason, count in reasons.items() if reason}
    assert counted(rig) == wanted, f"counted {counted(rig)}, not {wanted}"
    return found


class Recorder:
    """Samples in ns, of which the wrapper's own in the same round are taken off."""

    def __init__(self) -> None:
        self.samples: Samples = {}

    def add(self, row: str, column: str, value: float) -> None:
        self.samples.setdefault(row, {}).setdefault(column, []).append(max(value, 0.0))


REDIRECT = "minimal redirect"
ALONE = {
    "nothing": "the wrapper itself",
    "redirect": REDIRECT,
}
PIECES = {
    "array": "a look-up in an array",
    "hash": "a look-up in a hash, key of 4 bytes",
    "lru": "a look-up in an LRU hash, key of 8 bytes",
    "lock": "a spin lock, taken and released",
    "random": "a random number",
    "copy": "a copy of the whole packet into a slot",
    "grow": "growing the packet to the MTU, and back",
    "print": "a line of trace",
}


def single(count: int) -> tuple[Table, Table]:
    """Measure every step, with the trace compiled in and out, in so many rounds; then what programs are made of."""
    recorder, pieces = Recorder(), Recorder()
    with ExitStack() as stack:
        rounds = stack.enter_context(wrapper())
        rigs = {trace: stack.enter_context(balancer(TRACE=trace)) for trace in (0, 1)}
        own = {name: stack.enter_context(rounds.own(name)) for name in (*ALONE, *PIECES)}
        for rig in rigs.values():
            rig.reset(capacity=THREADS)
        for _ in range(count):
            for size in SIZES:
                packet = sized(size)
                alone = {name: rounds.cheapest(program, packet) for name, program in own.items()}
                column = f"{size} bytes"
                for trace, rig in rigs.items():
                    traced = f"{column}, trace" if trace else column
                    recorder.add(REDIRECT, traced, alone["redirect"] - alone["nothing"])
                    for name, value in best_walk(rounds, rig, size).items():
                        recorder.add(name, traced, value - alone["nothing"])
                recorder.add(ALONE["nothing"], column, alone["nothing"])
                for name, text in {"redirect": REDIRECT, **PIECES}.items():
                    pieces.add(text, column, alone[name] - alone["nothing"])
    columns = [f"{size} bytes" + trace for trace in ("", ", trace") for size in SIZES]
    aims = (Aim("64 bytes", "forward", REDIRECT, 3), Aim("64 bytes", "queue", REDIRECT, 6))
    aside = recorder.samples.pop(ALONE["nothing"])
    notes = (f"Taken off everywhere: the wrapper's own {min(aside['64 bytes']):.0f} ns a round, its call included.",)
    one = Table("One CPU", dict.fromkeys(columns, "ns"), recorder.samples, aims, (), notes)
    made_of = Table(
        "What it is made of",
        dict.fromkeys([f"{size} bytes" for size in SIZES], "ns"),
        pieces.samples,
        intro="Programs that do one thing only, measured in the same rounds: why the figures above are what they are.",
    )
    return one, made_of


def contention(count: int) -> Table:
    """Measure forwarding while the other CPU does nothing, forwards too, or completes what was forwarded."""
    recorder = Recorder()
    with balancer(TRACE=0) as rig, wrapper() as ours, wrapper() as theirs:
        rig.reset(backends=1, capacity=1 << 30)
        packet = sized(64)
        with ours.own("nothing") as nothing, ours.own("redirect") as redirect:
            for _ in range(count):
                base = ours.cheapest(nothing, packet)
                recorder.add(REDIRECT, "64 bytes", ours.cheapest(redirect, packet) - base)
                recorder.add("forward, alone", "64 bytes", ours.cost(rig.program, packet, MANY) - base)

        def forward() -> float:
            return theirs.cost(rig.program, packet, 2 * count * LONG)

        def complete() -> float:
            return theirs.cost(rig.program, finished(1), 2 * count * LONG)

        ours.cost(rig.program, packet, 8 * count * LONG)  # to be completed
        for name, work in (("forward, both CPUs", forward), ("forward, the other CPU completes", complete)):
            for value in against(work, lambda: ours.cost(rig.program, packet, LONG), count):
                recorder.add(name, "64 bytes", value - base)
        assert set(counted(rig)) == {"FORWARDED", "COMPLETION_FREED"}, counted(rig)
    return Table(
        "Two CPUs",
        {"64 bytes": "ns"},
        recorder.samples,
        intro="Forwarding on one CPU, while the other works on the same balancer; one client, trace compiled out.",
    )


def against(work: Callable[[], float], measured: Callable[[], float], count: int) -> list[float]:
    """Measure so often, while another process, on the other CPU, works all the time.

    Its run is a long one: between runs the kernel lets nobody begin before all that run have paused.
    """
    board = Board(1)

    def begin() -> None:
        board.cells[0] = 1
        work()

    try:
        with beside(begin):
            deadline = time.monotonic() + BEGIN_S
            while not board.cells[0]:
                assert time.monotonic() < deadline, "the other process does not begin"
            values = [measured() for _ in range(count)]
    finally:
        board.close()
    return values


def measure(quick: bool) -> Part:
    """Measure all of it."""
    count = 4 if quick else 15
    text = (
        """\
What the balancer's program costs by itself: nanoseconds a packet by BPF_PROG_TEST_RUN, through a wrapper that restores
the packet in each round, and whose own cost is taken off. The minimal redirect writes both MACs and redirects by a
devmap. There are three backends; `trace` has the prints compiled in.""",
    )
    one, made_of = single(count)
    return Part("Data path", text, (one, contention(4 if quick else 15), made_of))
