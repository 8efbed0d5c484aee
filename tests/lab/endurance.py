"""Labs that come and go many times, some of them killed on their way, and what is held after it all."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from itertools import combinations
from pathlib import Path
from statistics import median
from typing import NamedTuple

from netlab import paths
from netlab.kernel import syscalls
from netlab.testing import leaks
from netlab.testing.waiting import PATIENCE_S
from tests.bench.leavings import kernel_kb, removed
from tests.lab.lab import ROOT, netlab

NAME = "endures"
TOPOLOGY = f"""
name: {NAME}
nodes:
  left: {{command: [sleep, inf], limits: {{cpu: 0.9, memory: 64M}}, env: {{WORD: said}}}}
  right: {{command: [sleep, inf], xdp: pass}}
  alone: {{}}
  hub: {{kind: switch}}
links: [[left, right], [left, hub]]
"""
LOOK_EVERY = 20  # rounds; after each kill, too
KERNEL = ("SUnreclaim", "Percpu", "VmallocUsed")
LEAKY = "kmalloc-96"  # Linux 6.18 loses some 2,400 objects of this slab with each trace instance, whoever makes one
INSTANCES = 20  # to see how many


class Held(NamedTuple):
    """What the machine holds: the kernel's own memory but for LEAKY, objects of that, and open files."""

    kernel_kb: float
    leaky: float
    files: float


def held() -> Held:
    """Look when the kernel has removed all that was let go of, and has given up what it keeps for later use."""
    removed()
    with open("/proc/sys/fs/file-nr", encoding="ascii") as file:
        files = int(file.read().split()[0])
    all_kb, (leaky, leaky_kb) = kernel_kb(KERNEL), slab(LEAKY)
    return Held(all_kb - leaky_kb, leaky, files)


def growth(samples: Sequence[Held], rounds: int) -> Held:
    """Return what a round takes for ever, by samples so many rounds apart.

    It is the median of the slopes between any two (Theil and Sen), so that what others do now and then does not count.
    """
    pairs = list(combinations(enumerate(samples), 2))
    slopes = [[(y - x) / (rounds * (at - of)) for x, y in zip(a, b, strict=True)] for (of, a), (at, b) in pairs]
    return Held(*map(median, zip(*slopes, strict=True)))


def slab(name: str) -> tuple[int, int]:
    """Return the objects of a slab, and how much memory it takes in KB."""
    with open("/proc/slabinfo", encoding="ascii") as file:
        about = next(line.split() for line in file if line.startswith(f"{name} "))
    return int(about[1]), int(about[-2]) * int(about[5]) * os.sysconf("SC_PAGE_SIZE") // 1024


def kept() -> dict[str, int]:
    """Return the files of compiled programs, with their sizes."""
    cache = Path(os.environ[paths.CACHE_VARIABLE])
    return {str(each): each.stat().st_size for each in cache.rglob("*") if each.is_file()}


def lost_with_an_instance() -> float:
    """Return how many objects the kernel loses with one trace instance, made and removed without netlab."""
    tracefs = syscalls.open_file_system("tracefs")
    try:
        before = slab(LEAKY)[0]
        for _ in range(INSTANCES):
            os.mkdir(f"/proc/self/fd/{tracefs}/instances/{NAME}-control")
            os.rmdir(f"/proc/self/fd/{tracefs}/instances/{NAME}-control")
        return (slab(LEAKY)[0] - before) / INSTANCES
    finally:
        os.close(tracefs)


def of_the_lab() -> leaks.Snapshot:
    """Look only at what bears the lab's name, for where others may be at work: there is no cell for engines."""
    return {kind: {what for what in found if NAME in what} for kind, found in leaks.snapshot().items()}


class Rounds:
    """Brings one lab up and down again and again; `hit` counts the commands that a kill has ended."""

    def __init__(self, topology: str, *options: str, looks: Callable[[], leaks.Snapshot] = leaks.snapshot) -> None:
        self._up = ("up", topology, "--lab", NAME, *options)
        self._down = ("down", NAME)
        self._looks = looks
        self._before = looks()
        self._source = random.Random(200)
        self.hit = 0

    def play(self, rounds: int, killed: int) -> None:
        """Play so many rounds, of which so many are killed: `up` and `down` by turns, at random moments."""
        up_s, down_s = self._seconds(self._up), self._seconds(self._down)
        victims = set(self._source.sample(range(rounds), killed))
        for number in range(rounds):
            if number not in victims:
                netlab(*self._up)
                netlab(*self._down)
            elif self._source.random() < 0.5:
                self._kill(self._up, up_s)
                netlab(*self._down)
            else:
                netlab(*self._up)
                self._kill(self._down, down_s)
                netlab(*self._down)
            if number in victims or number % LOOK_EVERY == 0 or number == rounds - 1:
                left = leaks.settled(self._before, looks=self._looks)
                assert not left, f"after round {number}:\n" + "\n".join(left)

    def _seconds(self, words: tuple[str, ...]) -> float:
        began = time.monotonic()
        netlab(*words)
        return time.monotonic() - began

    def _kill(self, words: tuple[str, ...], took_s: float) -> None:
        argv = [sys.executable, "-m", "netlab", *words]
        running = subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            running.wait(self._source.uniform(0.02, 1) * took_s)
        except subprocess.TimeoutExpired:
            running.kill()
        self.hit += running.wait(PATIENCE_S) == -signal.SIGKILL
