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
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from ctypes import addressof, create_string_buffer
from pathlib import Path
from typing import Any, NamedTuple

from netlab import bpf
from netlab.maps import Map, possible_cpus
from tests.bench import farm
from tests.bench.contenders import LAB
from tests.bench.measure import Part, Samples, Table

HERE = Path(__file__).parent
FINE = 64  # as in sink.c
LOOKUP_BATCH = 24  # bpf(2)
SETTLED_S, DEADLINE_S = 0.05, 20.0
LIMIT = "plain redirect"
FEW = 20_000
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

    @property
    def rate(self) -> float:
        """How many arrived a second."""
        return self.arrived / self.lasted_s

    @property
    def lost(self) -> float:
        """How many have not arrived, in hundredths."""
        return 100 * (1 - self.arrived / self.sent)

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
            for step, count in enumerate(totals(delays)):
                if count:
                    found[step if step < FINE else (FINE + step % FINE) << (step // FINE - 1)] += count
    return found


def totals(counts: Map) -> list[int]:
    """Return the sums over all CPUs of an array's entries, each a number of 8 bytes, by one call."""
    size, cpus = counts.max_entries, possible_cpus()
    keys, values = create_string_buffer(4 * size), create_string_buffer(8 * cpus * size)
    behind = create_string_buffer(8)
    # struct { in_batch, out_batch, keys, values; count, map_fd; elem_flags, flags }
    places = [addressof(each) for each in (behind, keys, values)]
    bpf.call(LOOKUP_BATCH, bpf.attributes("4Q2I2Q", 0, *places, size, counts.fd, 0, 0), "read a map")
    each_cpu = struct.unpack(f"={cpus * size}Q", values)
    return [sum(each_cpu[at : at + cpus]) for at in range(0, cpus * size, cpus)]


def settled(lab: str) -> Counter[int]:
    """Wait until nothing arrives any more, and return what has."""
    deadline, before = time.monotonic() + DEADLINE_S, arrived(lab)
    while time.monotonic() < deadline:
        time.sleep(SETTLED_S)
        if (now := arrived(lab)) == before:
            return now
        before = now
    raise RuntimeError(f"{lab}: requests arrive for ever")


def shoot(lab: str, count: int, rate: float = 0.0) -> Shots:
    """Send so many requests, at a rate or as fast as can be."""
    before = settled(lab)
    lasted_s = in_node(lab, "client", "shoot.py", lab, str(count), str(rate))
    return Shots(count, lasted_s, settled(lab) - before)


def row(lab: str, flood: int, quick: bool) -> dict[str, float]:
    """Measure one contender once: a flood, what it takes without loss, then a calm stream at each rate."""
    shots = shoot(lab, flood)
    found = {FLOODED: shots.rate / 1000, LOST: shots.lost, LOSSLESS: lossless(lab, shots) / 1000}
    for rate, seconds in (CALM_SHORT if quick else CALM_LONG).items():
        shots = shoot(lab, int(rate * seconds), rate)
        for name, share in SHARES.items():
            if shots.sent * (1 - share) >= BEYOND:
                found[f"{name} at {rate:,}/s"] = shots.delay_us(share)
        found[f"lost at {rate:,}/s"] = shots.lost
    return found


def lossless(lab: str, flood: Shots) -> float:
    """Return the highest rate a second, of those tried, at which all requests arrive."""
    if not flood.lost:
        return flood.rate
    low, high, best = 0.0, 1.5 * flood.rate, 0.0
    for _ in range(HALVINGS):
        rate = (low + high) / 2
        shots = shoot(lab, int(rate * SEARCH_S), rate)
        if shots.lost:
            high = rate
        else:
            low, best = rate, max(best, shots.rate)
    return best


FLOODED, LOST, LOSSLESS = "delivered in a flood", "lost in a flood", "the most without loss"
# seconds by requests a second: long enough for ten requests beyond the last share
CALM_LONG, CALM_SHORT = {2_000: 5.0, 10_000: 2.0}, {2_000: 0.5, 10_000: 0.2}
SHARES = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999}
BEYOND = 9.99
HALVINGS, SEARCH_S = 6, 0.25
UNITS = {FLOODED: "1,000/s", LOST: "%", LOSSLESS: "1,000/s"}
DELAYS = {f"{share} at {rate:,}/s": "µs" for rate in CALM_LONG for share in SHARES}
LOSSES = {f"lost at {rate:,}/s": "%" for rate in CALM_LONG}


def measure(quick: bool) -> Part:
    """Measure all of it."""
    rounds, flood_s = (3, 0.1) if quick else (7, 0.5)
    fields, missing = contenders()
    samples: Samples = {}
    with ExitStack() as stack:
        labs = {field: f"{LAB}-{number}" for number, field in enumerate(fields)}
        for field, lab in labs.items():
            stack.enter_context(farm.lab(lab, CLIENT, field.lb, field.worker))
            stack.enter_context(field.running(lab))
        floods = {field: flood_of(lab, flood_s) for field, lab in labs.items()}
        for number in range(rounds):
            for place in range(len(fields)):
                field = fields[(number + place) % len(fields)]
                for column, value in row(labs[field], floods[field], quick).items():
                    samples.setdefault(field.name, {}).setdefault(column, []).append(value)
    samples = {field.name: samples[field.name] for field in fields}
    throughput = Table("Throughput", UNITS | LOSSES, samples, missing=tuple(missing), notes=(OVERLOAD,))
    delays = Table("Delay", DELAYS, samples)
    return Part("Requests a second, end to end", (TEXT,), (throughput, delays, added(samples)))


def added(samples: Samples) -> Table:
    """Return how much longer requests are under way than with the plain redirect, round by round."""
    limits = samples[LIMIT]
    found = {
        name: {
            column: [one - limit for one, limit in zip(values[column], limits[column], strict=True)]
            for column in DELAYS
            if column in limits
        }
        for name, values in samples.items()
        if name != LIMIT
    }
    return Table("Added delay", DELAYS, found, intro="What each adds to the plain redirect's delay, in the same round.")


def flood_of(lab: str, seconds: float) -> int:
    """Return how many requests take about so long to send."""
    shoot(lab, FEW)  # the first of all pay for what comes up once: neighbours, flows, sessions
    return max(FEW, int(FEW / shoot(lab, FEW).lasted_s * seconds))


OVERLOAD = (
    "A flood is more than nginx can take, which loses most of it. The most without loss is the flood where nothing of "
    "it is lost, and else the highest rate found, by halving, at which all requests of a quarter of a second arrive."
)
TEXT = """\
From the frame that a program in the client's namespace makes, through two veth pairs and whoever spreads requests, to a
program on a worker, 64 bytes, 1,024 clients' ports. All of a flood is one run of the kernel's on one CPU, which carries
each request as far as it goes without a process; only nginx works beside it, on the other. netlab's workers complete
each request at once, so its balancer handles twice as many packets as are counted; threads are always free. The plain
redirect chooses a worker in turn, knows nothing, and bounds what can be had here. nftables chooses once for each port
of a client's, and remembers; nginx opens a session for each request. Delays are at rates that leave all of them idle
most of the time. A share of the slowest is shown where it is ten requests of each round at least: a quick run has no
p99.9."""
