"""Nanoseconds a packet: what the balancer's program costs by itself, beside the least that a program can do.

The state is not restored but used up: the rounds of one step make what the next one's consume, and the counters must
say that every round was what it is called.
"""

from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from typing import NamedTuple

from netlab.programs.maps import LoadedProgram
from tests.bench import contention
from tests.bench.measure import Aim, Part, Table
from tests.bench.rounds import (
    HEADERS,
    Recorder,
    Rounds,
    Stage,
    balancer,
    counted,
    finished,
    on_one_cpu,
    sized,
    timed,
    wrapper,
)
from tests.bpf.rig import Rig, addressed, request

BACKENDS = 3
BURST = 64  # frames that a device hands over at once: NAPI_POLL_WEIGHT in include/linux/netdevice.h
MANY = 1024  # as many as the queue holds
FEWER = MANY // BURST  # laps of so many
SIZES = (64, 1514)
OTHER_PORT = 7


class Step(NamedTuple):
    """Rounds of one packet through one program, counted under one reason."""

    name: str
    program: str
    packet: bytes
    rounds: int
    reason: str


def steps(size: int, burst: int) -> list[Step]:
    """Return what a balancer with so many threads a backend goes through; after the last all of them are free again."""
    one = sized(size)
    other = bytes(request(bytes(size - HEADERS), udp_dport=OTHER_PORT))
    leaving = addressed(request(bytes(size - HEADERS)), 1)
    return [
        Step("pass: not one of our ports", "program", other, burst, "PASS_OTHER_PORT"),
        Step("forward", "program", one, BACKENDS * burst, "FORWARDED"),
        Step("forward, where it leaves", "egress", leaving, burst, ""),
        Step("queue", "program", one, burst, "QUEUED"),
        Step("completion, a carrier", "program", finished(1), burst, "COMPLETION_CARRIED"),
        Step("dequeue: the carrier", "egress", finished(1), burst, "CARRIER_SENT"),
        Step("completion", "program", finished(1), burst, "COMPLETION_FREED"),
        *(Step(REST, "program", finished(worker), burst, "COMPLETION_FREED") for worker in range(2, BACKENDS + 1)),
    ]


class Effort(NamedTuple):
    """How much is done for a table: rounds of the benchmark; in each, laps of a walk, and turns of the empty loop."""

    rounds: int
    laps: int
    turns: int
    many: int  # times that the empty loop goes round in a turn


LONG, SHORT = Effort(15, 800, 16, 1 << 17), Effort(3, 200, 8, 1 << 17)

NOTHING, EMPTY, REST = "nothing", "an empty program", "the rest"
REDIRECT = "minimal redirect"
PIECES = {
    "redirect": REDIRECT,
    "array": "a look-up in an array",
    "hash": "a look-up in a hash, key of 4 bytes",
    "lru": "a look-up in an LRU hash, key of 8 bytes",
    "atomic": "an atomic addition whose result is used",
    "lock": "a spin lock, taken and released",
    "random": "a random number",
    "copy": "a copy of the whole packet into a slot",
    "grow": "growing the packet to the MTU, and back",
    "print": "a line of trace",
}
# What no program can do without that does the same.
SUMS = {"sum: redirect, lock, LRU look-up": ("redirect", "lock", "lru"), "sum: lock, copy": ("lock", "copy")}
FORWARD_PARTS, QUEUE_PARTS = SUMS
AT_ONCE = {name: f"{name}, {MANY:,} at once" for name in ("queue", "dequeue: the carrier")}

Rows = dict[str, float]  # ns, by what it is


def walked(rounds: Rounds, rig: Rig, size: int, burst: int, laps: int, pieces: Mapping[str, LoadedProgram]) -> Rows:
    """Walk through all steps, and the pieces; see that each round was counted under its reason."""
    rig.reset(BACKENDS, capacity=burst)
    each, packet = steps(size, burst), sized(size)
    stages = [Stage(name, program, packet, burst) for name, program in pieces.items()]
    stages += [Stage(step.name, getattr(rig, step.program), step.packet, step.rounds) for step in each]
    found = rounds.walk(stages, laps)
    wanted: Counter[str] = Counter()
    for step in each:
        wanted[step.reason] += step.rounds * (laps + 1)
    del wanted[""]
    assert counted(rig) == wanted, f"counted {counted(rig)}, not {wanted}"
    return found


class Found:
    """What is found in all rounds: without the kernel's loop, with it, and by pieces."""

    def __init__(self) -> None:
        self.net, self.gross, self.pieces = Recorder(), Recorder(), Recorder()
        self.wrapper: list[float] = []

    def measure(self, rounds: Rounds, rigs: Mapping[int, Rig], size: int, effort: Effort) -> None:
        """Walk with the trace compiled out, and all pieces beside it; then with many at once; then with the trace."""
        column = f"{size} bytes"
        with ExitStack() as stack:
            own = {name: stack.enter_context(rounds.own(name)) for name in (NOTHING, *PIECES)}
            nothing = {NOTHING: own[NOTHING]}
            empty = min(timed(own[NOTHING], sized(size), effort.many) for _ in range(effort.turns))
            found = walked(rounds, rigs[0], size, BURST, effort.laps, own)
            many = walked(rounds, rigs[0], size, MANY, max(effort.laps // FEWER, 1), nothing)
            traced = walked(rounds, rigs[1], size, BURST, effort.laps, nothing)
        base = found.pop(NOTHING)
        pieces = {name: found.pop(name) - base for name in PIECES}
        self.wrapper.append(base)
        for name, text in PIECES.items():
            self.pieces.add(text, column, pieces[name])
        rows = {REDIRECT: pieces["redirect"]} | {name: value - base for name, value in found.items()}
        rows |= {name: many[step] - many[NOTHING] for step, name in AT_ONCE.items()}
        rows |= {name: sum(pieces[part] for part in parts) for name, parts in SUMS.items()}
        self._add(column, rows, empty)
        traced_base = traced.pop(NOTHING)
        rows = {REDIRECT: pieces["redirect"]} | {name: value - traced_base for name, value in traced.items()}
        self._add(f"{column}, trace", rows, empty)

    def _add(self, column: str, rows: Rows, empty: float) -> None:
        rows.pop(REST)
        for row, value in rows.items():
            self.net.add(row, column, value)
            self.gross.add(row, column, value + empty)
        self.gross.add(EMPTY, column, empty)


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
            for size in SIZES:
                found.measure(rounds, rigs, size, effort)
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
and redirects by a devmap. There are three backends; `trace` has the prints compiled in.

A round of the benchmark is one run of the kernel's, in which all programs have their turns, lap by lap: 64 packets of
a step, as a device hands over at once (and three times as many that are forwarded), then 64 of the next, until all
threads are free again. So whatever the machine does beside it meets all of them, and none finds the caches emptied by
others. The median of the laps counts."""
NET = """\
All is taken off that is not the program's own: the wrapper, and the loop in which the kernel runs it. What is left of
the minimal redirect is some nanoseconds, of which all others are multiples. The sums are of what cannot be avoided, as
measured below: whoever chooses a backend that others choose too takes a lock, and whoever knows a client again looks
him up; who lets a packet wait copies it."""
GROSS = """\
The same rounds. Only the restoring is taken off: what the kernel's loop costs for an empty program is left in, on both
sides, as it is in the nanoseconds a packet that others publish of their programs."""
MADE_OF = (
    "Programs that do one thing only, measured in turns in the same rounds: why the figures above are what they are."
)
