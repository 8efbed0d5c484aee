"""How long requests wait: one central queue, beside an ideal one and beside those who choose a worker at once.

Poisson arrivals, exponential service, fifteen servers on three workers. Every contender gets the same sequences. What
is compared with is an ideal queue replayed over what was recorded: when each request left the client, and how long it
really was served. So neither the luck of a sequence nor a sleep that overruns is charged to the balancer; all else is.
"""

import json
import statistics
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from pathlib import Path
from typing import Any, NamedTuple

from tests.bench import farm
from tests.bench.contenders import LAB, run
from tests.bench.measure import Aim, Curves, Part, Samples, Table, quantile
from tests.bench.queueing import ideal_waits, mean, mean_wait, poisson, wait_below

HERE = Path(__file__).parent
PYTHON = "/usr/bin/python3"
SERVICE_S = 0.04  # the mean; the kernel's timers are late by a thousandth of that
ALL = farm.WORKERS * farm.SERVERS
IDEAL, OURS, NGINX, NFTABLES = "ideal queue", "netlab", "nginx, least_conn", "nftables, round robin"
ERLANG, SPLIT = "Erlang C", f"M/M/{farm.SERVERS} on each of {farm.WORKERS} workers"
FIRST_PORT, PORT_RANGES, MOST_REQUESTS = 10_000, 15, 3_000  # of clients: none is used again while it is remembered
GOALS = (0.8, 0.9)
# Seconds of a sequence by load, the longer the longer a queue remembers that it was empty once; and how many of them.
LENGTHS_S = {0.5: 1.5, 0.7: 1.5, 0.8: 1.5, 0.9: 3.0, 0.95: 8.0}
LONG, SHORT = {0.5: 9, 0.7: 9, 0.8: 9, 0.9: 9, 0.95: 5}, {0.8: 3}
NS = 1e9


class Recording(NamedTuple):
    """What became of one sequence: waits and the ideal queue's, in ms; how near the workers were to being too slow."""

    waits: list[float]
    ideal: list[float]
    lost: int
    cpu_share: float  # of the busiest worker process, of one CPU
    pickup_ms: list[float]  # from the kernel's receipt of a packet until a free server has taken it
    late_ms: list[float]  # how much longer than asked for a server was busy


class Spreader(NamedTuple):
    """Somebody who spreads requests: what stands on `lb`, what runs there, and whether workers send it completions."""

    name: str
    lb: str
    running: Callable[[str], AbstractContextManager[None]]
    completions: str


def spreaders() -> tuple[list[Spreader], list[str]]:
    """Return all that are installed, and who is missing."""
    to = f"{farm.LB}:{farm.COMPLETIONS}"
    found, missing = [Spreader(OURS, farm.balancer(queue=4096), lambda _: nullcontext(), to)], []
    if no_nginx := farm.no_nginx():
        missing.append(no_nginx)
    else:
        found.append(Spreader(NGINX, "{}", lambda lab: farm.nginx(lab, "least_conn;", responses=1), "-"))
    if no_nftables := farm.no_nftables():
        missing.append(no_nftables)
    else:
        found.append(Spreader(NFTABLES, "{}", farm.nftables, "-"))
    return found, missing


class Stage:
    """A spreader in a lab of its own, which stands for as long as sequences are played."""

    def __init__(self, spreader: Spreader, lab: str) -> None:
        self.spreader = spreader
        self.lab = lab
        self.played = 0

    def play(self, sequence: list[tuple[float, float]]) -> Recording:
        """Send a sequence through it, by workers started anew, and return what became of it."""
        first_port = FIRST_PORT + self.played % PORT_RANGES * MOST_REQUESTS
        self.played += 1
        with tempfile.TemporaryDirectory(prefix="netlab-bench-") as name:
            folder = Path(name)
            (folder / "sequence").write_text(json.dumps(sequence))
            with ExitStack() as stack:
                for number in range(1, farm.WORKERS + 1):
                    command = [PYTHON, str(HERE / "server.py"), f"{folder}/worker{number}", str(farm.SERVERS)]
                    command.append(self.spreader.completions)
                    stack.enter_context(farm.process(self.lab, f"worker{number}", *command, says="ready"))
                source: list[str | Path] = [PYTHON, HERE / "source.py", folder / "sequence", folder / "sent"]
                run("ip", "netns", "exec", f"{self.lab}.client", *source, farm.LB, str(first_port))
            sent = json.loads((folder / "sent").read_text())
            workers = [json.loads((folder / f"worker{number}").read_text()) for number in range(1, farm.WORKERS + 1)]
        return recorded(sent, workers)


def recorded(sent: list[int], workers: list[dict[str, Any]]) -> Recording:
    """Join what the client and the workers have written down; times are in ns."""
    rows = {int(row[0]): row[1:] for worker in workers for row in worker["rows"]}
    served = [number for number in range(len(sent)) if number in rows]
    arrivals = [float(sent[number]) for number in served]
    services = [rows[number][2] - rows[number][1] for number in served]
    lasted = (sent[-1] - sent[0]) / NS
    return Recording(
        waits=[(rows[number][1] - sent[number]) / 1e6 for number in served],
        ideal=[wait / 1e6 for wait in ideal_waits(arrivals, services, ALL)],
        lost=len(sent) - len(served),
        cpu_share=max(float(worker["cpu_s"]) for worker in workers) / lasted,
        pickup_ms=[(row[1] - row[0]) / 1e6 for row in rows.values()],
        late_ms=[(row[2] - row[1] - row[3] * NS) / 1e6 for row in rows.values()],
    )


Recordings = dict[tuple[str, float], list[Recording]]


def record(sequences: dict[float, int]) -> tuple[Recordings, list[str]]:
    """Play so many sequences of each load through every spreader, in turns."""
    found: Recordings = {}
    contenders, missing = spreaders()
    with ExitStack() as stack:
        stages = [Stage(spreader, f"{LAB}-{number}") for number, spreader in enumerate(contenders)]
        for stage in stages:
            stack.enter_context(farm.lab(stage.lab, lb=stage.spreader.lb))
            stack.enter_context(stage.spreader.running(stage.lab))
        for load, count in sequences.items():
            rate = load * ALL / SERVICE_S
            for seed in range(count):
                sequence = poisson(int(rate * LENGTHS_S[load]), rate, SERVICE_S, seed)
                for place in range(len(stages)):
                    stage = stages[(place + seed) % len(stages)]
                    found.setdefault((stage.spreader.name, load), []).append(stage.play(sequence))
    return found, missing


def waits(found: Recordings, loads: list[float], word: str, of: Callable[[list[float]], float]) -> Table:
    """Return a table of what `of` says of the waits: rows are the spreaders, columns the loads."""
    samples: Samples = {IDEAL: {}}
    for (name, load), recordings in found.items():
        samples.setdefault(name, {})[column(load)] = [of(each.waits) for each in recordings]
        if name == OURS:
            samples[IDEAL][column(load)] = [of(each.ideal) for each in recordings]
    aims = tuple(Aim(column(load), OURS, IDEAL, 1.1) for load in loads if load in GOALS)
    return Table(f"{word} wait", {column(load): "ms" for load in loads}, samples, aims if word == "Mean" else ())


def column(load: float) -> str:
    return f"load {load:g}"


def p99(values: list[float]) -> float:
    return quantile(values, 0.99)


def health(found: Recordings, loads: list[float]) -> Table:
    """Return what shows that the workers' own processes did not make requests wait."""
    samples: Samples = {}
    for load in loads:
        ours = found[OURS, load]
        samples[column(load)] = {
            "CPU of the busiest worker": [each.cpu_share * 100 for each in ours],
            "packet to server, median": [statistics.median(each.pickup_ms) * 1000 for each in ours],
            "packet to server, p99": [p99(each.pickup_ms) * 1000 for each in ours],
            "service too long, median": [statistics.median(each.late_ms) * 1000 for each in ours],
            "service too long, p99": [p99(each.late_ms) * 1000 for each in ours],
        }
    units = dict.fromkeys(next(iter(samples.values())), "µs") | {"CPU of the busiest worker": "%"}
    lost = {
        name: sum(each.lost for (one, _), all_ in found.items() if one == name for each in all_) for name, _ in found
    }
    intro = """\
With netlab: from the kernel's receipt of a request at a worker until a server of that worker, which is one process, has
taken it up; and how much longer than asked for servers were busy. Both are to be small beside the waits above. The
second is part of the service times that the ideal queue is replayed with."""
    notes = (f"Requests lost: {', '.join(f'{name} {count}' for name, count in lost.items())}.",)
    return Table("Were the workers fast enough?", units, samples, notes=notes, intro=intro)


def curves(found: Recordings, loads: list[float]) -> tuple[Curves, ...]:
    """Return the plots of mean and p99 waits, in mean service times."""
    plots = []
    for word, of, formula in (("mean", mean, mean_wait), ("p99", p99, lambda n, load: wait_below(n, load, 0.99))):
        lines: dict[str, list[list[float]]] = {}
        for (name, load), recordings in found.items():
            each = statistics.median(of(one.waits) for one in recordings) / (SERVICE_S * 1000)
            lines.setdefault(name, []).append([load, each])
            if name == OURS:
                ideal = statistics.median(of(one.ideal) for one in recordings) / (SERVICE_S * 1000)
                lines.setdefault(IDEAL, []).append([load, ideal])
        for line, servers in ((f"{ERLANG}, {ALL} servers", ALL), (SPLIT, farm.SERVERS)):
            lines[line] = [[load, formula(servers, load)] for load in loads]
        title = f"{word} wait, in mean service times, {ALL} servers on {farm.WORKERS} workers"
        plots.append(Curves(f"wait-{word}.svg", title, "load", "wait / mean service time", lines, "y"))
    return tuple(plots)


def measure(quick: bool) -> Part:
    """Measure all of it."""
    sequences = SHORT if quick else LONG
    loads = list(sequences)
    found, missing = record(sequences)
    tables = [waits(found, loads, "Mean", mean), waits(found, loads, "p99", p99), health(found, loads)]
    tables[0] = tables[0]._replace(missing=tuple(missing))
    text = f"""\
Poisson arrivals, exponential service of {SERVICE_S * 1000:.0f} ms in the mean, {farm.WORKERS} workers of \
{farm.SERVERS} servers, at loads of 0.5 to 0.95 of what
they can do; the same sequences for all. A wait is from the moment a request left the client until a server took it up,
by one clock. The ideal is one first-in-first-out queue that loses no time, replayed over the arrivals and services
recorded with netlab: near a load of 1 a sequence has few independent waits in it, so all are compared on the same
sequences, and none with the formulas, which the plots show for orientation: one queue for all fifteen servers, and one
before each worker's five, among which requests are dealt by chance. nginx gets an answer to each request, and so knows
who is busy; nftables chooses in turn."""
    return Part("Scheduling quality", (text,), tuple(tables), curves(found, loads))
