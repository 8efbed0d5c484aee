"""Control groups of either version: their members, thawing, and removing."""

import errno
import os
import time
from collections.abc import Sequence
from contextlib import suppress

MOUNTS, OWN = "/proc/self/mountinfo", "/proc/self/cgroup"
FREEZERS = (("cgroup.freeze", "0"), ("freezer.state", "THAWED"))
_REMOVE_DEADLINE_S = 30.0  # a busy machine takes a while to remove processes that have ended
_POLL_S = 0.01


def thaw(groups: Sequence[str]) -> None:
    """Thaw these groups and all groups below, so that frozen processes go on."""
    for group in groups:
        for folder, _, _ in os.walk(group):
            for name, thawed in FREEZERS:
                with suppress(OSError):
                    fd = os.open(f"{folder}/{name}", os.O_WRONLY | os.O_CLOEXEC)
                    try:
                        os.write(fd, thawed.encode())
                    finally:
                        os.close(fd)


def members(groups: Sequence[str]) -> set[int]:
    """Return the processes in these groups and in all groups below."""
    found: set[int] = set()
    for group in groups:
        for folder, _, _ in os.walk(group):
            with suppress(OSError), open(f"{folder}/cgroup.procs", encoding="ascii") as file:
                found.update(int(word) for word in file.read().split())
    return found - {0}


def has(groups: Sequence[str], pid: int | str) -> bool:
    """Say whether a process is in one of these groups or below."""
    names = {os.path.basename(group) for group in groups}
    return any(not names.isdisjoint(line.split("/")) for line in lines(f"/proc/{pid}/cgroup"))


def remove(groups: Sequence[str]) -> None:
    """Remove these groups, whose processes have ended; OSError when one cannot be removed."""
    deadline = time.monotonic() + _REMOVE_DEADLINE_S
    for group in groups:
        for folder, _, _ in os.walk(group, topdown=False):
            while not _removed(folder, deadline):
                time.sleep(_POLL_S)


def _removed(folder: str, deadline: float) -> bool:
    try:
        os.rmdir(folder)
    except FileNotFoundError:
        return True
    except OSError as error:  # processes that have ended are in it for a moment longer
        if error.errno != errno.EBUSY or time.monotonic() > deadline:
            raise
        return False
    return True


def lines(path: str) -> list[str]:
    """Return the lines of a file, none where there is none."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read().splitlines()
    except OSError:
        return []
