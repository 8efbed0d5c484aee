"""What impaired links carry: by the program in the middle, by tbf, and held up by the kernel or by netlab's process."""

import os
import time
from collections.abc import Callable
from typing import NamedTuple

from netlab.topology.impairment import PLAIN, Choice, Impairment
from tests.bench.measure import Aim, Part, Samples, Table
from tests.lab import middle
from tests.lab.middle import Line
from tests.lab.test_impairments import transferred

MS = 1_000_000
PACKETS, TCP, CPU, LATE, LATEST = "packets", "TCP", "CPU of the process", "later than set", "the latest of a hundred"
UNITS = {PACKETS: "1,000/s", TCP: "Mbit/s", CPU: "%", LATE: "µs", LATEST: "µs"}
PACE, SLICES = 10_000, 500  # packets a second, in so many portions
TEXT = """\
Two hosts with a middle between them, in the same way as every impaired link. Packets are UDP of 64 bytes, as many as
one Python process can send: that is the limit of the first three rows. The CPU is that of netlab's process at 10,000
packets a second, of one processor; the delay is that of 100 single packets on a line that is idle else. TCP is one
connection."""


class Kind(NamedTuple):
    """A row: what is set; `delay_ns` is held up."""

    name: str
    impairment: Impairment


def kinds(by: str) -> list[Kind]:
    """Return the rows; `by` is who holds packets up here."""
    return [
        Kind("a middle that does nothing", PLAIN),
        Kind("loss of 0.1 %", Impairment(loss=Choice("independent", chance=1000), seed=1)),
        Kind("a rate of 10 Gbit/s", Impairment(rate=10_000_000_000)),
        Kind(f"a delay of 1 ms, by {by}", Impairment(delay_ns=MS)),
        Kind(f"a delay of 1 ms ± 0.5 ms, by {by}", Impairment(delay_ns=MS, jitter_ns=MS // 2)),
    ]


def highest(line: Line, seconds: float) -> float:
    """Return how many thousand packets a second are carried, if as many are sent as one can send."""
    before, begins = line.counters().carried, time.monotonic()
    payload, send, to = bytes(22), line.sender.sendto, (middle.B, middle.PORT)
    while time.monotonic() < begins + seconds:
        for _ in range(200):
            send(payload, to)
    carried = line.counters().carried
    return (carried - before) / (time.monotonic() - begins) / 1000


def tcp(line: Line, seconds: float) -> float:
    """Return the Mbit/s of one connection, which is long enough to be fast."""
    size = 1 << 22
    while True:
        begins = time.monotonic()
        transferred(line, bytes(size))
        took = time.monotonic() - begins
        if took > seconds / 2:
            return size * 8 / took / 1e6
        size *= 4


def cpu(line: Line, seconds: float) -> float:
    """Return how many hundredths of a processor the process takes at the pace."""
    if line.process is None:
        return 0.0
    before, begins = _cpu_s(line.process.pid), time.monotonic()
    for portion in range(int(seconds * SLICES)):
        while time.monotonic() < begins + portion / SLICES:
            time.sleep(0.0002)
        line.send(range(PACE // SLICES))
    return 100 * (_cpu_s(line.process.pid) - before) / (time.monotonic() - begins)


def _cpu_s(pid: int) -> float:
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def late_us(line: Line, kind: Kind) -> tuple[float, float]:
    """Return the median and the most of how much later than set packets arrive."""
    line.drain()
    taken = sorted(line.delay_ns() - kind.impairment.delay_ns for _ in range(100))
    return taken[50] / 1000, taken[-1] / 1000


def measure(quick: bool) -> Part:
    """Measure all kinds in turns."""
    seconds, rounds = (0.5, 3) if quick else (1.0, 7)
    with middle.line() as line:
        line.impair(Impairment(delay_ns=MS))
        rows = kinds("netlab's process" if line.process else "netem")
        samples: Samples = {kind.name: {column: [] for column in UNITS} for kind in rows}
        for _ in range(rounds):
            for kind in rows:
                found = samples[kind.name]
                line.afresh(kind.impairment)
                each: list[tuple[str, Callable[[Line, float], float]]] = [(PACKETS, highest), (TCP, tcp), (CPU, cpu)]
                for column, work in each:
                    found[column].append(work(line, seconds))
                    line.settle()
                late, latest = late_us(line, kind)
                found[LATE].append(late)
                found[LATEST].append(latest)
    row = rows[3].name
    aims = (Aim(LATE, row, "", 1000), Aim(CPU, row, "", None))
    return Part("Impaired links", (), (Table("One link", UNITS, samples, aims, intro=TEXT),))
