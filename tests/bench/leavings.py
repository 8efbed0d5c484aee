"""What a lab holds while it is idle, and how long the kernel goes on removing it when it is gone."""

import glob
import os
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Self

from tests.bench.contenders import run

HELD, DROPPED = "netlab-bench-held", "netlab-bench-dropped"
MARK = "mark0"
KERNEL = ("SUnreclaim", "Percpu", "KernelStack", "PageTables", "VmallocUsed", "Shmem")
ENGINE = ("dockerd", "containerd")  # what grows with each container, and was there before
DEADLINE_S = 60.0
POLL_S = 0.001
SETTLED_S = 0.3  # what has just been started is still at work


class Footprint:
    """What is held since `begin`: memory of new processes, of a Docker engine's, and of the kernel; in KB.

    A process's memory is its share of all that it has mapped (PSS). The kernel keeps what is given back to it for
    later use, in slabs; these it is told to give up, or what is made next would seem to take nothing.
    """

    def __init__(self) -> None:
        self.shares: dict[int, int] = {}
        self.kernel = 0

    def begin(self) -> None:
        """Wait until what was let go of is gone, and remember what is there."""
        removed()
        self.shares, self.kernel = shares_kb(), kernel_kb()

    def taken_kb(self) -> tuple[float, int]:
        """Return how much memory has been taken, and how many processes there are more."""
        time.sleep(SETTLED_S)
        now, kernel = shares_kb(), kernel_kb()
        engine = {pid for pid in now if pid in self.shares and is_engine(pid)}
        ours = lineage(os.getpid()) | engine
        new = [pid for pid in now if pid not in self.shares and self._founder(pid, ours) in ours]
        grown = sum(now[pid] - self.shares[pid] for pid in engine)
        return sum(now[pid] for pid in new) + grown + kernel - self.kernel, len(new)

    def _founder(self, pid: int, ours: set[int]) -> int:
        """Return the nearest process above a new one that was there before: what others start meanwhile has others."""
        while pid and pid not in ours and pid not in self.shares:
            pid = parent(pid)
        return pid


def shares_kb() -> dict[int, int]:
    """Return the share of memory of each process that has any: neither zombies nor kernel threads."""
    found: dict[int, int] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with suppress(OSError), open(f"/proc/{name}/smaps_rollup", encoding="ascii") as file:
                found |= {int(name): int(line.split()[1]) for line in file if line.startswith("Pss:")}
    return found


def parent(pid: int) -> int:
    """Return the process that has started one, or has adopted it; 0 when there is none any more."""
    with suppress(OSError), open(f"/proc/{pid}/stat", encoding="utf-8") as file:
        return int(file.read().rpartition(")")[2].split()[1])
    return 0


def lineage(pid: int) -> set[int]:
    """Return a process and all above it; whom nobody awaits becomes a child of one of them."""
    found = set()
    while pid:
        found.add(pid)
        pid = parent(pid)
    return found


def is_engine(pid: int) -> bool:
    """Tell whether a process is one of a Docker engine's own."""
    with suppress(OSError), open(f"/proc/{pid}/comm", encoding="utf-8") as file:
        return file.read().strip() in ENGINE
    return False


def kernel_kb(kinds: Sequence[str] = KERNEL) -> int:
    """Return how much memory the kernel holds for itself, and in file systems in memory: kinds of proc(5)'s meminfo."""
    for path in glob.glob("/sys/kernel/slab/*/shrink"):
        with suppress(OSError), open(path, "w", encoding="ascii") as file:
            file.write("1")
    with open("/proc/meminfo", encoding="ascii") as file:
        found = {line.split(":")[0]: int(line.split()[1]) for line in file}
    return sum(found[name] for name in kinds)


class Mark:
    """A namespace that is let go of after all others; the kernel removes them in that order, behind our backs.

    It holds one end of a veth pair, so that the disappearance of the other end, in a namespace that is kept, says that
    it is gone, and with it all that was let go of before.
    """

    def __enter__(self) -> Self:
        run("ip", "netns", "add", HELD)
        run("ip", "netns", "add", DROPPED)
        run("ip", "link", "add", MARK, "netns", HELD, "type", "veth", "peer", "name", MARK, "netns", DROPPED)
        return self

    def await_removal(self) -> None:
        """Let go, and return when the kernel has."""
        run("ip", "netns", "del", DROPPED)
        deadline = time.monotonic() + DEADLINE_S
        look = ["ip", "-n", HELD, "link", "show", MARK]
        while subprocess.run(look, check=False, capture_output=True).returncode == 0:
            if time.monotonic() > deadline:
                raise TimeoutError("the kernel does not remove a namespace")
            time.sleep(POLL_S)

    def __exit__(self, *_: object) -> None:
        run("ip", "netns", "del", HELD)


def removed() -> None:
    """Wait until the kernel has removed all that was let go of."""
    with Mark() as mark:
        mark.await_removal()
