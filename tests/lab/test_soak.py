"""A soak: many short requests, packets lost on purpose, workers and the balancer's role killed, and a full account."""

import os
import random
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pytest

from netlab import balancer
from netlab.record import store
from netlab.supervise import logs
from netlab.testing.waiting import PATIENCE_S, eventually
from tests.lab.feed import CLIENT, Feed
from tests.lab.lab import LAB, background, lab, pid, start
from tests.lab.lossy import LOSSY, Fate, Wires, fates, lose, wires

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("no_leaks")]

REQUESTS = 100_000 if os.environ.get("NETLAB_LONG") else 5000  # `make soak`: a minute
LOST = 100  # every so-many-th request, and every so-many-th completion
QUEUE = 64
SILENT_NS = 700_000_000
CHUNK, BURST = 20, 150  # requests sent at a time; every so often more than can wait
BURST_EVERY = 2500
CAPACITY = 5
LONGEST_SLEEP_US = 2000
FREE = {"worker1": CAPACITY, "worker2": CAPACITY, "worker3": CAPACITY}


def data(name: int) -> str:
    """Return a request's data: a sleep of 0 to 2 ms, and its name in eight digits more, less than a nanosecond."""
    return f"0.00{random.Random(name).randint(0, LONGEST_SLEEP_US):04}{name:08}"


def in_chunks(now: balancer.Snapshot, sent: int) -> int | None:
    """Send the next ones, all but REQUESTS, when the last ones have been taken."""
    waiting = sent - now.counters["received"] + now.depth
    if sent >= REQUESTS:
        return None
    size = BURST if sent % BURST_EVERY < CHUNK <= sent else CHUNK
    return min(size, REQUESTS - sent) if waiting <= CHUNK else 0


class Account(NamedTuple):
    """What became of the requests: how many of each fate, and what contradicts that each has exactly one."""

    fates: Counter[str]
    wrong: list[str]


def account(
    sent: int, wire: list[Fate], served: Mapping[str, list[int]], decided: Mapping[int, str], killed: Iterable[str]
) -> Account:
    """Join by request what the client has sent, the wire and the balancer's trace have seen, and the workers have done.

    `served` has the requests by worker, worker N having an address that ends in N + 1; `decided` has where the balancer
    has sent each request, or why it was dropped.
    """
    done = Counter(name for names in served.values() for name in names)
    found: Counter[str] = Counter()
    wrong = [f"{name} was served, and never sent" for name in done if name >= sent]
    for name in range(sent):
        fate, decision = wire[name], decided.get(name, "nothing")
        worker = f"worker{fate.worker - 1}"
        has_arrived = (fate.passed, fate.lost, decision) == (1, 0, worker)
        possible = {
            "served": has_arrived and done[name] == 1 and name in served[worker],
            f"in hand when {worker} was killed": has_arrived and not done[name] and worker in killed,
            "lost on purpose": (fate.passed, fate.lost, decision, done[name]) == (0, 1, worker, 0),
            f"dropped: {decision}": (fate.passed, fate.lost, done[name]) == (0, 0, 0) and decision not in FREE,
        }
        ways = [way for way, is_so in possible.items() if is_so and way != "dropped: nothing"]
        found.update(ways)
        if len(ways) != 1:
            wrong.append(f"{name}: {fate}, decided: {decision}, served {done[name]} times")
    return Account(found, wrong)


def finished(lines: Iterable[str]) -> Iterator[int]:
    """Yield the names of the requests that a worker has finished, by what it has printed."""
    names = {}
    for line in lines:
        if found := re.match(r'received #(\d+) from \S+: "0\.\d{6}(\d{8})" ', line):
            names[found[1]] = int(found[2])
        elif found := re.match(r"finished #(\d+): ", line):
            yield names[found[1]]


def decisions(lines: Iterable[str]) -> dict[int, str]:
    """Return the worker that the balancer has sent each request to, or why it has dropped it.

    The balancer numbers the requests from 1, in the order in which the one client has sent them.
    """
    pattern = re.compile(r"(?:forward|dequeue) #(\d+) to (worker\d)|drop #(\d+), (.*)")
    found = (pattern.match(line) for line in lines)
    return {int(each[1] or each[3]) - 1: each[2] or each[4] for each in found if each}


class Trouble:
    """Kills two workers and the balancer's role under traffic, and starts each again."""

    def __init__(self, pins: str, traffic: "Future[None]") -> None:
        self._pins, self._traffic = pins, traffic
        self._again: list[subprocess.Popen[str]] = []

    def make(self) -> None:
        self._after(0.2)
        os.kill(pid("worker2"), signal.SIGKILL)
        self._until(lambda: not self._now().free["worker2"] and "silent" in self._said("lb"))
        self._start("worker2")
        self._after(0.5)
        os.kill(pid("worker3"), signal.SIGKILL)
        self._start("worker3")  # before anybody has noticed
        self._after(0.8)
        os.kill(pid("lb"), signal.SIGKILL)
        self._start("lb")

    def end(self) -> None:
        """Stop what was started again."""
        for each in self._again:
            each.terminate()
        for each in self._again:
            each.wait(PATIENCE_S)

    def _said(self, node: str) -> str:
        return "\n".join(logs.tail(store.read(LAB).folder, node, 1))

    def _start(self, node: str) -> None:
        self._again.append(start(node, stdout=subprocess.DEVNULL))  # what it prints is in its log

    def _now(self) -> balancer.Snapshot:
        return balancer.snapshot(self._pins)

    def _after(self, part: float) -> None:
        self._until(lambda: self._now().counters["received"] >= part * REQUESTS)

    def _until(self, condition: Callable[[], object]) -> None:
        eventually(lambda: condition() or self._traffic.done())
        if self._traffic.done():
            self._traffic.result()  # raises what has ended it


def read(folder: str) -> tuple[dict[str, list[int]], dict[int, str]]:
    """Return what the workers have served, before they were killed and after, and what the balancer has decided."""
    served = {worker: list(finished(line.text for line in logs.read(folder, [worker]))) for worker in FREE}
    lines = list(logs.read(folder, [], trace=True))
    assert not [line.text for line in lines if line.stream == "lost"]
    return served, decisions(line.text for line in lines)


def table(found: Account, counted: Wires) -> str:
    """Return the account as a table."""
    rows = [("requests sent", REQUESTS), *sorted(found.fates.items()), ("in all", sum(found.fates.values()))]
    rows.append((f"beside: of {counted.completions:,} completions lost on purpose", counted.lost_completions))
    return "\n".join(f"{number:>9,} {what}" for what, number in rows)


def completions(pins: str) -> int:
    """Return how many completions have arrived at the balancer, whatever they have done there."""
    counts = balancer.counts(pins, "reasons", "reason")
    return sum(count.packets for name, count in counts.items() if name.startswith("COMPLETION"))


def test_every_request_is_accounted_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Sent is served, lost on purpose, in hand at a kill, or dropped for a named reason; all threads end free."""
    (tmp_path / "lossy.yml").write_text(LOSSY)
    defines = (f"QUEUE={QUEUE}", f"SILENT_NS={SILENT_NS}")
    options = [word for each in defines for word in ("--set", f"nodes.lb.xdp.define.{each}")]
    with lab(str(tmp_path / "lossy.yml"), *options), ThreadPoolExecutor(1) as pool:
        lose(LAB, tmp_path, REQUESTS=LOST, COMPLETIONS=LOST, NAMES=REQUESTS)
        about = store.read(LAB)
        pins = dict(about.programs())["lb"].pins
        eventually(lambda: all(balancer.reporters(pins).values()))
        client = background("client", [sys.executable, "-c", CLIENT], stdin=subprocess.PIPE, stdout=None, stderr=None)
        traffic = pool.submit(Feed(pins, client, data, in_chunks).flow)
        trouble = Trouble(pins, traffic)
        try:
            trouble.make()
            traffic.result()
            eventually(lambda: (balancer.snapshot(pins).depth, balancer.snapshot(pins).free) == (0, FREE))
            found = account(REQUESTS, fates(LAB), *read(about.folder), ("worker2", "worker3"))
            counted, heard = wires(LAB), completions(pins)
            shown = table(found, counted)
        finally:
            trouble.end()
            client.kill()
            client.wait(PATIENCE_S)
    with capsys.disabled():
        print(f"\n{shown}")

    assert found.wrong == []
    assert sum(found.fates.values()) == REQUESTS
    assert all(number <= CAPACITY for fate, number in found.fates.items() if fate.startswith("in hand"))
    assert found.fates["served"] > REQUESTS * 0.9
    assert found.fates["lost on purpose"] == counted.lost_requests == counted.requests // LOST
    assert counted.requests == REQUESTS - sum(each for fate, each in found.fates.items() if fate.startswith("dropped"))
    assert counted.lost_completions == counted.completions // LOST
    assert counted.completions - counted.lost_completions == heard
    # A worker that is killed may have said that it is done, and not have told the balancer; or the other way round.
    assert abs(counted.completions - found.fates["served"]) <= 2 * CAPACITY
