"""The wrapper around a program that is measured by BPF_PROG_TEST_RUN, and the balancer, without a lab.

Everything runs through tests/bench/rounds.c, which restores the packet in each round.
"""

import itertools
import os
import statistics
import struct
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from netlab import paths
from netlab.balancer.layout import FIRST, key
from netlab.programs import map_values
from netlab.programs.maps import LoadedProgram, Map
from tests.bench.measure import Samples
from tests.bpf import sources
from tests.bpf.rig import Rig, completion, pinned, request

HERE = Path(__file__).parent
WAITING = 1024  # requests that the queue holds, unless said otherwise
HEADERS = 42  # Ethernet, IPv4, UDP
STAGES, MOST_LAPS = 32, 4095
BASE_ROUNDS, BASE_TRIES = 1 << 17, 5


class Stage(NamedTuple):
    """So many rounds in a row of a program, in each lap of a walk."""

    name: str
    program: LoadedProgram
    packet: bytes
    rounds: int


class Rounds:
    """The wrapper, loaded. Whoever measures is pinned to a CPU."""

    def __init__(self, pins: str) -> None:
        self._pins = pins
        self._types = map_values.types(paths.layouts(pins))
        self._program = LoadedProgram.open(f"{pins}/programs/rounds")
        self._frame, self._target = (Map.open(f"{pins}/maps/{name}") for name in ("frame", "target"))
        with Map.open(f"{pins}/maps/doors") as doors:
            doors.set(key(1), self._types.struct("door").pack(ifindex=1))
        for name, at in (("known", key(1)), ("flows", self._types.struct("key").pack(bytes=1))):
            with Map.open(f"{pins}/maps/{name}") as looked_up:
                looked_up.set(at, bytes(looked_up.value_size))

    def close(self) -> None:
        for each in (self._program, self._frame, self._target):
            each.close()

    def own(self, name: str) -> LoadedProgram:
        """Return one of the wrapper's own programs."""
        return LoadedProgram.open(f"{self._pins}/programs/{name}_run")

    def cost(self, program: LoadedProgram, packet: bytes, rounds: int) -> float:
        """Return how many nanoseconds a round takes by the kernel's clock, wrapper and all."""
        self._prepare(program, packet)
        run = self._program.test_run(packet, rounds)
        assert run.verdict, "the packet could not be restored"
        return run.duration_ns + 0.5  # the kernel rounds down

    def precise(self, program: LoadedProgram, packet: bytes, rounds: int) -> float:
        """Return the same of very many rounds, by this thread's own time on the CPU, which knows fractions."""
        self._prepare(program, packet)
        return timed(self._program, packet, rounds)

    def walk(self, stages: Sequence[Stage], laps: int) -> dict[str, float]:
        """Go through all stages so many times; return the median of how many ns a round of each takes, wrapper and all.

        There is one lap more before, and one round more of the first stage behind.
        """
        assert len(stages) <= STAGES
        assert laps <= MOST_LAPS
        names = ("stages", "walks", "times", "stage_target")
        in_a_lap = sum(stage.rounds for stage in stages)
        with ExitStack() as stack:
            about, walks, times, targets = (
                stack.enter_context(Map.open(f"{self._pins}/maps/{name}")) for name in names
            )
            for number, stage in enumerate(stages):
                one = self._types.struct("stage").pack(frame=self._restored(stage.packet), rounds=stage.rounds)
                about.set(key(number), one)
                targets.set(key(number), key(stage.program.fd))
            walks.set(FIRST, self._types.struct("walk").pack(left=stages[0].rounds, stages=len(stages)))
            with self.own("walk") as walk:
                run = walk.test_run(stages[0].packet, in_a_lap * (laps + 1) + 1)
            assert run.verdict, "the packet could not be restored"
            noted = struct.iter_unpack(f"={STAGES}I", times.get(FIRST))
            found = list(itertools.islice(noted, 1, laps + 1))
        return {
            stage.name: statistics.median(lap[number] for lap in found) / stage.rounds
            for number, stage in enumerate(stages)
        }

    def base(self) -> float:
        """Return what the wrapper takes by itself; whatever makes it take longer is something else."""
        packet = sized(64)
        with self.own("nothing") as nothing:
            return min(self.precise(nothing, packet, BASE_ROUNDS) for _ in range(BASE_TRIES))

    def _prepare(self, program: LoadedProgram, packet: bytes) -> None:
        (cpu,) = os.sched_getaffinity(0)
        self._target.set(key(cpu), key(program.fd))
        self._frame.set(key(cpu), self._restored(packet))

    def _restored(self, packet: bytes) -> bytes:
        """Return what restores a packet in each round: its beginning and its length."""
        fields = self._types.struct("frame")
        return fields.pack(beginning=packet[: fields.field("beginning").size], length=len(packet))


def timed(program: LoadedProgram, packet: bytes, rounds: int) -> float:
    """Return how many nanoseconds of this thread's time a round of a program takes that runs without the wrapper."""
    begun = time.thread_time_ns()
    run = program.test_run(packet, rounds)
    lasted_ns = time.thread_time_ns() - begun
    assert run.verdict, "the packet could not be restored"
    return lasted_ns / rounds


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
def on_one_cpu() -> Iterator[None]:
    """Stay on the last CPU that we may use: the first ones are those that machines give interrupts to."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def balancer(queue: int = WAITING, **define: int) -> Iterator[Rig]:
    """Load the balancer."""
    with pinned(str(sources.FOLDER / "balancer.c"), QUEUE=queue, TEST_ENTRIES=1, **define) as pins:
        rig = Rig(pins)
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


def counted(rig: Rig) -> dict[str, int]:
    """Return all counts that are not zero."""
    packets = {name: count.packets for name, count in rig.counts().items() if count.packets}
    return packets | rig.carrier_counts()


class Recorder:
    """Samples by row and column."""

    def __init__(self) -> None:
        self.samples: Samples = {}

    def add(self, row: str, column: str, value: float) -> None:
        self.samples.setdefault(row, {}).setdefault(column, []).append(value)
