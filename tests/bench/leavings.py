"""What a lab holds while it is idle, and how long the kernel goes on removing it when it is gone."""

import os
import subprocess
import time
from typing import Self

from tests.bench.contenders import run

HELD, DROPPED = "netlab-bench-held", "netlab-bench-dropped"
MARK = "mark0"
HELD_MEMORY = ("AnonPages", "Shmem", "SUnreclaim", "Percpu", "KernelStack", "PageTables", "VmallocUsed")
DEADLINE_S = 60.0
POLL_S = 0.001


def processes() -> int:
    """Return how many processes there are on this machine."""
    return sum(name.isdigit() for name in os.listdir("/proc"))


def used_kb() -> int:
    """Return how much memory processes and the kernel hold, in KB, without caches of files (proc(5))."""
    with open("/proc/meminfo", encoding="ascii") as file:
        found = {line.split(":")[0]: int(line.split()[1]) for line in file}
    return sum(found[name] for name in HELD_MEMORY)


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
