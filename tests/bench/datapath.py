"""Nanoseconds a packet: what the balancer's program costs by itself, beside the least that a program can do.

The state is not restored but used up: the rounds of one step make what the next one's consume, and the counters must
say that every round was what it is called.
"""

from contextlib import ExitStack
from typing import NamedTuple

from tests.bench import contention
from tests.bench.measure import Aim, Part, Table
from tests.bench.rounds import (
    HEADERS,
    WAITING,
    Recorder,
    Rounds,
    balancer,
    counted,
    finished,
    on_one_cpu,
    sized,
    timed,
    wrapper,
)
from tests.bpf.rig import Rig, addressed, request

THREADS = 1024  # of each of the three backends
SIZES = (64, 1514)
OTHER_PORT = 7
SLOW_SHARE = 16  # so many times less of what costs ten times as much


class Step(NamedTuple):
    """Rounds of one packet through one program, counted under one reason."""

    name: str
    program: str
    packet: bytes
    rounds: int
    reason: str


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


class Effort(NamedTuple):
    """How much is done for a table: rounds of the benchmark; in each, turns and walks, of which the cheapest counts."""

    rounds: int
    turns: int  # of each piece, with so many rounds of what leaves no state behind
    many: int
    walks: int


LONG, SHORT = Effort(15, 16, 1 << 17, 8), Effort(3, 8, 1 << 15, 3)


def best_walk(rounds: Rounds, rig: Rig, size: int, count: int) -> dict[str, float]:
    """Return the least that each step has cost in a few walks."""
    walks = [walk(rounds, rig, size) for _ in range(count)]
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


NOTHING, EMPTY = "nothing", "an empty program"
REDIRECT = "minimal redirect"
PIECES = {
    "redirect": REDIRECT,
    "array": "a look-up in an array",
    "hash": "a look-up in a hash, key of 4 bytes",
    "lru": "a look-up in an LRU hash, key of 8 bytes",
    "lock": "a spin lock, taken and released",
    "random": "a random number",
    "copy": "a copy of the whole packet into a slot",
    "grow": "growing the packet to the MTU, and back",
    "print": "a line of trace",
}
# What no program can do without that does the same, each part once for each time that it is needed.
SUMS = {
    "sum: redirect, lock, LRU look-up": ("redirect", "lock", "lru"),
    "sum: redirect, two locks, copy": ("redirect", "lock", "lock", "copy"),
}
FORWARD_PARTS, QUEUE_PARTS = SUMS


class Alone(NamedTuple):
    """What the wrapper costs by itself, what the kernel's loop does, and each piece without them; ns."""

    wrapper: float
    empty: float
    pieces: dict[str, float]

    @classmethod
    def of(cls, rounds: Rounds, size: int, effort: Effort) -> "Alone":
        """Measure all in turns; what makes one take longer than its least is something else that the machine does."""
        packet, least = sized(size), dict.fromkeys((EMPTY, NOTHING, *PIECES), float("inf"))
        with ExitStack() as stack:
            own = {name: stack.enter_context(rounds.own(name)) for name in (NOTHING, *PIECES)}
            for _ in range(effort.turns):
                found = {EMPTY: timed(own[NOTHING], packet, effort.many)}
                for name, program in own.items():
                    found[name] = rounds.precise(program, packet, effort.many // (SLOW_SHARE if name == "print" else 1))
                least = {name: min(value, found[name]) for name, value in least.items()}
        pieces = {name: least[name] - least[NOTHING] for name in PIECES}
        return cls(least[NOTHING], least[EMPTY], pieces)

    def sums(self) -> dict[str, float]:
        """Return what the pieces cost together that cannot be avoided."""
        return {name: sum(self.pieces[part] for part in parts) for name, parts in SUMS.items()}


class Found:
    """What is found in all rounds: without the kernel's loop, with it, and by pieces."""

    def __init__(self) -> None:
        self.net, self.gross, self.pieces = Recorder(), Recorder(), Recorder()
        self.wrapper: list[float] = []

    def add(self, size: int, alone: Alone, walks: dict[int, dict[str, float]]) -> None:
        """Take a round of one size, the walks by whether the trace is compiled in."""
        self.wrapper.append(alone.wrapper)
        for name, text in PIECES.items():
            self.pieces.add(text, f"{size} bytes", alone.pieces[name])
        for trace, found in walks.items():
            column = f"{size} bytes, trace" if trace else f"{size} bytes"
            rows = {REDIRECT: alone.pieces["redirect"]}
            rows |= {name: value - alone.wrapper for name, value in found.items()}
            rows |= {} if trace else alone.sums()
            for row, value in rows.items():
                self.net.add(row, column, value)
                self.gross.add(row, column, value + alone.empty)
            self.gross.add(EMPTY, column, alone.empty)


def single(effort: Effort) -> tuple[Table, Table, Table]:
    """Measure every step, with the trace compiled in and out, in so many rounds; then what programs are made of.

    Each round loads the programs anew: where their code lies makes a difference.
    """
    found = Found()
    for _ in range(effort.rounds):
        with ExitStack() as stack:
            stack.enter_context(on_one_cpu())
            rounds = stack.enter_context(wrapper())
            rigs = {trace: stack.enter_context(balancer(TRACE=trace)) for trace in (0, 1)}
            for rig in rigs.values():
                rig.reset(capacity=THREADS)
            for size in SIZES:
                walks = {trace: best_walk(rounds, rig, size, effort.walks) for trace, rig in rigs.items()}
                found.add(size, Alone.of(rounds, size, effort), walks)
    return tables(found)


def tables(found: Found) -> tuple[Table, Table, Table]:
    """Return the tables of what is found on one CPU."""
    sizes = [f"{size} bytes" for size in SIZES]
    units = dict.fromkeys([size + trace for trace in ("", ", trace") for size in sizes], "ns")
    aims = (Aim(sizes[0], "forward", REDIRECT, 3), Aim(sizes[0], "queue", REDIRECT, 6))
    parts = (Aim(sizes[0], "forward", FORWARD_PARTS, None), Aim(sizes[0], "queue", QUEUE_PARTS, None))
    notes = (f"Taken off everywhere: the wrapper's own {min(found.wrapper):.1f} ns a round, its call included.",)
    net = Table("One CPU", units, found.net.samples, aims + parts, (), notes, NET)
    gross = Table("One CPU, the kernel's loop left in", units, found.gross.samples, aims, intro=GROSS)
    made_of = Table("What it is made of", dict.fromkeys(sizes, "ns"), found.pieces.samples, intro=MADE_OF)
    return net, gross, made_of


def measure(quick: bool) -> Part:
    """Measure all of it."""
    net, gross, made_of = single(SHORT if quick else LONG)
    return Part("Data path", (TEXT,), (net, gross, made_of, contention.two_cpus(3 if quick else 9)))


TEXT = """\
What the balancer's program costs by itself: nanoseconds a packet by BPF_PROG_TEST_RUN, pinned to a CPU, through a
wrapper that restores the packet in each round, and whose own cost is taken off. The minimal redirect writes both MACs
and redirects by a devmap. There are three backends; `trace` has the prints compiled in."""
NET = """\
All is taken off that is not the program's own: the wrapper, and the loop in which the kernel runs it. What is left of
the minimal redirect is some nanoseconds, of which all others are multiples. The sums are of what cannot be avoided, as
measured below: whoever chooses a backend that others choose too takes a lock, and whoever knows a client again looks
him up; who lets a packet wait copies it and takes the lock again, since a thread may have become free meanwhile."""
GROSS = """\
The same rounds. Only the restoring is taken off: what the kernel's loop costs for an empty program is left in, on both
sides, as it is in the nanoseconds a packet that others publish of their programs."""
MADE_OF = (
    "Programs that do one thing only, measured in turns in the same rounds: why the figures above are what they are."
)
