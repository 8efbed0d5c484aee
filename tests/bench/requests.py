"""Requests a second, end to end: through namespaces and veth pairs, from a client's frame to a worker's program.

Each contender stands in a lab of its own, all at once, and takes its turn in every round. Requests are made by a
program in the client's namespace (fire.c), which stamps them; a program on the workers counts them by how long they
have been under way (sink.c). Nothing of Python's is between.
"""

import json
import os
import struct
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple

from netlab.programs.maps import Map
from tests.bench import farm
from tests.bench.contenders import LAB
from tests.bench.measure import Part, Samples, Table

HERE = Path(__file__).parent
FINE = 64  # as in sink.c
SETTLED_S, DEADLINE_S = 0.05, 20.0
LIMIT = "plain redirect"
FEW = 20_000
RATES = (2_000, 10_000)
LB_NUMBER = struct.unpack("!I", bytes(int(part) for part in farm.LB.split(".")))[0]
CLIENT = f"{{xdp: {HERE}/fire.c}}"
COMPLETING = f"{{xdp: {{program: {HERE}/sink.c, define: {{COMPLETIONS: {farm.COMPLETIONS}, LB: {LB_NUMBER}}}}}}}"
SILENT = f"{{xdp: {HERE}/sink.c}}"
ENDLESS = 65535  # threads of a worker: more than can be under way


class Contender(NamedTuple):
    """Who spreads the requests: the nodes' settings (YAML), and what else has to run."""

    name: str
    lb: str
    worker: str
    running: Callable[[str], AbstractContextManager[None]]


class Shots(NamedTuple):
    """What became of a number of requests; `delays` counts those that arrived, by nanoseconds."""

    sent: int
    lasted_s: float
    delays: Counter[int]

    @property
    def arrived(self) -> int:
        return self.delays.total()

    def delay_us(self, share: float) -> float:
        """Return the delay that a share of those that arrived do not exceed, in µs."""
        left = share * self.arrived
        for delay in sorted(self.delays):
            left -= self.delays[delay]
            if left <= 0:
                return delay / 1000
        return 0.0


def nothing(_: str) -> AbstractContextManager[None]:
    return nullcontext()


def contenders() -> tuple[list[Contender], list[str]]:
    """Return all that are installed, the limit first, and who is missing."""
    found = [
        Contender(LIMIT, f"{{xdp: {HERE}/limit.c}}", SILENT, limit),
        Contender("netlab", farm.balancer(1024, ENDLESS), COMPLETING, nothing),
        Contender("netlab, trace", farm.balancer(1024, ENDLESS, trace=1), COMPLETING, nothing),
    ]
    missing = [reason for reason in (farm.no_nftables(), farm.no_nginx()) if reason]
    if not farm.no_nftables():
        found.append(Contender("nftables DNAT", "{}", SILENT, farm.nftables))
    if not farm.no_nginx():
        found.append(Contender("nginx, least_conn", "{}", SILENT, lambda lab: farm.nginx(lab, "least_conn;", 0)))
    return found, missing


@contextmanager
def limit(lab: str) -> Iterator[None]:
    """Tell the plain redirect where the workers are, from where it runs."""
    in_node(lab, "lb", "point.py", lab)
    yield


def in_node(lab: str, node: str, script: str, *args: str) -> Any:
    """Run one of our scripts in a node, and return what it prints, which is JSON."""
    command = ["ip", "netns", "exec", f"{lab}.{node}", sys.executable, str(HERE / script), *args]
    environment = os.environ | {"PYTHONPATH": str(HERE.parent.parent)}
    done = subprocess.run(command, check=True, capture_output=True, env=environment)
    return json.loads(done.stdout or "null")


def arrived(lab: str) -> Counter[int]:
    """Return how many requests have ever arrived at the workers, by how many nanoseconds they took."""
    found: Counter[int] = Counter()
    for number in range(1, farm.WORKERS + 1):
        with Map.open(f"/run/netlab/{lab}/bpf/worker{number}/maps/delays") as delays:
            for step in range(delays.max_entries):
                count = sum(int.from_bytes(each, sys.byteorder) for each in delays.get_per_cpu(struct.pack("=I", step)))
                if count:
                    found[step if step < FINE else (FINE + step % FINE) << (step // FINE - 1)] += count
    return found


def settled(lab: str) -> Counter[int]:
    """Wait until nothing arrives any more, and return what has."""
    deadline, before = time.monotonic() + DEADLINE_S, arrived(lab)
    while time.monotonic() < deadline:
        time.sleep(SETTLED_S)
        if (now := arrived(lab)) == before:
            return now
        before = now
    raise RuntimeError(f"{lab}: requests arrive for ever")


class Range:
    """A contender's lab, in which nothing is under way between two shots."""

    def __init__(self, lab: str, flood_s: float) -> None:
        self._lab = lab
        self._arrived = settled(lab)
        self.shoot(FEW)  # the first of all pay for what comes up once: neighbours, flows, sessions
        self._flood = max(FEW, int(FEW / self.shoot(FEW).lasted_s * flood_s))

    def shoot(self, count: int, rate: float = 0.0) -> Shots:
        """Send so many requests, at a rate or as fast as can be."""
        before = self._arrived
        lasted_s = in_node(self._lab, "client", "shoot.py", self._lab, str(count), str(rate))
        self._arrived = settled(self._lab)
        return Shots(count, lasted_s, self._arrived - before)

    def row(self, rates: Sequence[int], calm_s: float) -> dict[str, float]:
        """Measure once: a flood, then a calm stream at each rate."""
        shots = self.shoot(self._flood)
        found = {FLOODED: shots.arrived / shots.lasted_s / 1000, LOST: 100 * (1 - shots.arrived / shots.sent)}
        for rate in rates:
            found |= calm(self.shoot(int(rate * calm_s), rate), rate)
        return found


def calm(shots: Shots, rate: int) -> dict[str, float]:
    """Return what a calm stream's figures are."""
    found = {f"lost at {rate:,}/s": 100 * (1 - shots.arrived / shots.sent)}
    known = (share for share in SHARES if shots.sent * (1 - share / 100) >= BEYOND)
    return found | {f"p{share} at {rate:,}/s": shots.delay_us(share / 100) for share in known}


FLOODED, LOST = "delivered in a flood", "lost in a flood"
UNITS = {FLOODED: "1,000/s", LOST: "%"}
SHARES = (50, 99, 99.9)  # percentiles,
BEYOND = 9.99  # each shown where ten requests lie beyond it


def measure(quick: bool) -> Part:
    """Measure all of it."""
    rounds, flood_s, calm_s, rates = (3, 0.1, 0.2, RATES[-1:]) if quick else (7, 0.5, 1.0, RATES)
    fields, missing = contenders()
    samples: Samples = {}
    with ExitStack() as stack:
        labs = {field: f"{LAB}-{number}" for number, field in enumerate(fields)}
        for field, lab in labs.items():
            stack.enter_context(farm.lab(lab, CLIENT, field.lb, field.worker))
            stack.enter_context(field.running(lab))
        ranges = {field: Range(lab, flood_s) for field, lab in labs.items()}
        for number in range(rounds):
            for place in range(len(fields)):
                field = fields[(number + place) % len(fields)]
                for column, value in ranges[field].row(rates, calm_s).items():
                    samples.setdefault(field.name, {}).setdefault(column, []).append(value)
    samples = {field.name: samples[field.name] for field in fields}
    losses = {f"lost at {rate:,}/s": "%" for rate in rates}
    delays = {column: "µs" for column in samples[LIMIT] if column.startswith("p")}
    throughput = Table("Throughput", UNITS | losses, samples, missing=tuple(missing))
    return Part(
        "Requests a second, end to end", (TEXT,), (throughput, Table("Delay", delays, samples), added(samples, delays))
    )


def added(samples: Samples, units: dict[str, str]) -> Table:
    """Return how much longer requests are under way than with the plain redirect, round by round."""
    limits = samples[LIMIT]
    found = {
        name: {
            column: [one - limit for one, limit in zip(values[column], limits[column], strict=True)] for column in units
        }
        for name, values in samples.items()
        if name != LIMIT
    }
    return Table("Added delay", units, found, intro="What each adds to the plain redirect's delay, in the same round.")


TEXT = """\
From the frame that a program in the client's namespace makes, through two veth pairs and whoever spreads requests, to a
program on a worker, 64 bytes, 1,024 clients' ports. All of a flood is one run of the kernel's on one CPU, which carries
each request as far as it goes without a process; only nginx works beside it, on the other. netlab's workers complete
each request at once, so its balancer handles twice as many packets as are counted; threads are always free. The plain
redirect chooses a worker in turn, knows nothing, and bounds what can be had here. nftables chooses once for each port
of a client's, and remembers; nginx opens a session for each request. Delays are at rates that leave all of them idle
most of the time. A share of the slowest is shown where ten requests of each round are slower still."""
