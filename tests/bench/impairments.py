"""What impaired links carry: by the program in the middle, by tbf, and held up by the kernel or by netlab's process."""

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from netlab.network.impairments import Counters
from netlab.testing.waiting import PATIENCE_S
from netlab.topology.impairment import PLAIN, Choice, Impairment
from tests.bench.measure import Aim, Part, Samples, Table
from tests.lab import middle
from tests.lab.middle import Line
from tests.lab.namespaces import lab

MS = 1_000_000
NEVER = Choice("gilbert-elliott", worsens=10_000, recovers=100_000)
PACKETS, TCP, CPU, LATE, LATEST = "packets", "TCP", "CPU of the process", "later than set", "the latest of a hundred"
ALONE = "packets for each second of its CPU"
UNITS = {PACKETS: "1,000/s", ALONE: "1,000", TCP: "Mbit/s", CPU: "%", LATE: "µs", LATEST: "µs"}
PACE, SLICES = 10_000, 500  # packets a second, in so many portions
TEXT = """\
Two hosts with a middle between them, in the same way as every impaired link. Packets are UDP of 64 bytes, as many as
one Python process can send: that is the limit of the first four rows. The CPU is that of netlab's process at 10,000
packets a second, of one processor. How many it carries for each second of that does not depend on who else computes.
The delay is that of 100 single packets on a line that is idle else. TCP is one connection."""


class Kind(NamedTuple):
    """A row: what is set; `delay_ns` is held up."""

    name: str
    impairment: Impairment


def kinds(by: str) -> list[Kind]:
    """Return the rows; `by` is who holds packets up here."""
    return [
        Kind("a plain link", PLAIN),
        Kind("a middle that does nothing", PLAIN),
        Kind(
            "four choices, none of which is met", Impairment(loss=NEVER, corrupt=NEVER, duplicate=NEVER, reorder=NEVER)
        ),
        Kind("a rate of 10 Gbit/s", Impairment(rate=10_000_000_000)),
        Kind(f"a delay of 1 ms, by {by}", Impairment(delay_ns=MS)),
        Kind(f"a delay of 1 ms ± 0.5 ms, by {by}", Impairment(delay_ns=MS, jitter_ns=MS // 2)),
    ]


class Plain(Line):
    """A link without a middle."""

    def counters(self) -> Counters:
        """Return what has come to b; it is carried at once."""
        with self.lab.inside("b", lambda: open("/proc/thread-self/net/dev", encoding="ascii")) as file:
            fields = next(text for text in file if text.strip().startswith("eth0:")).partition(":")[2].split()
        return Counters(int(fields[1]), *[0] * 7)

    def afresh(self, impairment: Impairment = PLAIN, back: Impairment = PLAIN) -> None:
        """Begin with nothing under way."""
        self.drain()


@contextmanager
def plain() -> Iterator[Plain]:
    """Yield two hosts with a link."""
    with middle.on_one_processor() as processors, lab() as made:
        made.node("a", "b")
        link = made.link("a", "b")
        made.address(link.a, f"{middle.A}/24")
        made.address(link.b, f"{middle.B}/24")
        made.build()
        with Plain(made, processors) as found:
            yield found


def highest(line: Line, seconds: float) -> float:
    """Return how many thousand packets a second are carried, if as many are sent as one can send."""
    before, begins = line.counters().carried, time.monotonic()
    payload, send, to = bytes(22), line.sender.sendto, (middle.B, middle.PORT)
    while time.monotonic() < begins + seconds:
        for _ in range(200):
            send(payload, to)
    carried = line.counters().carried
    return (carried - before) / (time.monotonic() - begins) / 1000


def alone(line: Line, seconds: float) -> float:
    """Return how many thousand packets the process carries in a second of a processor's time, however many it gets."""
    assert line.process
    before, spent = line.counters().carried, _cpu_s(line.process.pid)
    highest(line, seconds)
    line.settle()
    return (line.counters().carried - before) / (_cpu_s(line.process.pid) - spent) / 1000


def tcp(line: Line, seconds: float) -> float:
    """Return the Mbit/s that one connection delivers."""
    ends = time.monotonic() + seconds
    server = line.lab.inside("b", lambda: socket.create_server((middle.B, 0)))
    client = line.lab.inside("a", socket.socket)
    with server, client:
        client.settimeout(PATIENCE_S)
        client.connect(server.getsockname())
        accepted, _ = server.accept()
        sender = threading.Thread(target=_send_until, args=(client, ends))
        sender.start()
        with accepted:
            accepted.settimeout(PATIENCE_S)
            begins, came, room = time.monotonic(), 0, bytearray(1 << 18)
            while got := accepted.recv_into(room):
                came += got
            took = time.monotonic() - begins
        sender.join()
    return came * 8 / took / 1e6


def _send_until(client: socket.socket, ends: float) -> None:
    data = bytes(1 << 18)
    while time.monotonic() < ends:
        client.sendall(data)
    client.shutdown(socket.SHUT_WR)


def cpu(line: Line, seconds: float) -> float:
    """Return how many hundredths of a processor the process takes at the pace."""
    assert line.process
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
    with plain() as bare, middle.line() as line:
        line.impair(Impairment(delay_ns=MS))
        rows = kinds("netlab's process" if line.process else "netem")
        samples: Samples = {kind.name: {column: [] for column in UNITS} for kind in rows}
        for _ in range(rounds):
            for kind in rows:
                measure_kind(bare if kind is rows[0] else line, kind, seconds, samples[kind.name])
    held_up = rows[-2].name
    aims = (Aim(LATE, held_up, "", 1000), Aim(CPU, held_up, "", None), Aim(ALONE, held_up, "", None))
    return Part("Impaired links", (), (Table("One link", UNITS, samples, aims, intro=TEXT),))


def measure_kind(line: Line, kind: Kind, seconds: float, found: dict[str, list[float]]) -> None:
    """Add what is measured on a line with this."""
    line.afresh(kind.impairment)
    line.delay_ns()  # so that addresses are known
    works: dict[str, Callable[[Line, float], float]] = {PACKETS: highest, TCP: tcp}
    if kind.impairment.delay_ns and line.process:
        works |= {ALONE: alone, CPU: cpu}
    for column, work in works.items():
        found[column].append(work(line, seconds))
        line.settle()
    if not kind.impairment.jitter_ns:
        for column, value in zip((LATE, LATEST), late_us(line, kind), strict=True):
            found[column].append(value)
