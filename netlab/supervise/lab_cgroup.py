"""A lab's own control group: every process of the lab is in it, also one that changes its namespaces or environment.

The group limits nothing. Its name is the lab's mark. It is right below the group of the `up` that made it, so that
group's limits, such as a quota, hold for the lab, too. If `up` runs in a group that belongs to a user, such as systemd
makes for each user's own services, the lab's group is below the nearest group above that belongs to root: the owner of
a group can freeze everything below it. The path is written to the lab's file `group` before the group is made. If the
file is lost, the group is found by its name, where only root can make groups. netlab uses version 2 of control groups,
or else any hierarchy of version 1. On a host without a writable one, a lab has no group.
"""

import _thread
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import accumulate

from netlab import paths
from netlab.kernel import cgroups, files
from netlab.record import mark


class Move:
    """Puts a process into a group, in a thread, because the kernel takes some milliseconds: it waits for all CPUs.

    It uses `_thread`, because `threading` would wait until the thread has begun.
    """

    def __init__(self, group: str, pid: int) -> None:
        self._group = group
        self._pid = pid
        self._done = _thread.allocate_lock()

    def begin(self) -> None:
        """Begin, and return at once."""
        if not self._group:
            return
        self._done.acquire()
        try:
            _thread.start_new_thread(self._run, ())
        except RuntimeError:  # there is no room for a thread
            self._run()

    def wait(self) -> None:
        """Wait until the process is in the group, or cannot be put there. May be called twice."""
        with self._done:
            pass

    def _run(self) -> None:
        try:
            fd = os.open(f"{self._group}/cgroup.procs", os.O_WRONLY | os.O_CLOEXEC)
            try:
                os.write(fd, b"%d" % self._pid)
            finally:
                os.close(fd)
        except OSError:  # it stays where it is
            pass
        finally:
            self._done.release()


def join(lab: str, folder: str, pid: int) -> Move:
    """Make a group for the lab, if this host can have one, and begin to put a process into it."""
    move = Move(make(lab, folder), pid)
    move.begin()
    return move


def make(lab: str, folder: str) -> str:
    """Make the lab's group and return its path; "" if this host has no group to make it in."""
    for group in _places(mark.mark(lab)):
        try:
            with open(f"{folder}/{paths.GROUP}", "wb", opener=_for_root) as file:
                file.write(os.fsencode(group))
            with suppress(FileExistsError):
                os.mkdir(group, mode=0o755)
        except OSError:  # it is read-only, or no more groups are allowed
            continue
        return group
    with suppress(OSError):
        os.unlink(f"{folder}/{paths.GROUP}")
    return ""


def _for_root(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


def find(lab: str, folder: str) -> list[str]:
    """Return the lab's groups: the one in its file, or, without that, all groups with its name."""
    try:
        group = _noted(lab, folder)
    except OSError:
        group = ""
    if group:
        return [group] if os.path.isdir(group) else []
    return [group for name, group in _everywhere() if name == mark.mark(lab)]


def _noted(lab: str, folder: str) -> str:
    """Return the group in the lab's file, "" if there is none that is possible; raises OSError."""
    group = os.fsdecode(files.read(f"{folder}/{paths.GROUP}"))
    return group if os.path.basename(group) == mark.mark(lab) and os.path.isabs(group) else ""


def problem(lab: str, folder: str) -> tuple[str, str]:
    """Return what is wrong with the group that was made for a lab, and the command that mends it.

    Both are "" if nothing is wrong, if no group was made, or if the caller may not read where it is.
    """
    try:
        group = _noted(lab, folder)
    except (FileNotFoundError, PermissionError):
        return "", ""
    except OSError:
        group = ""
    if not group:
        return f"{folder}/{paths.GROUP}, which says where its control group is, is damaged", ""
    if not os.path.isdir(group):
        return f"its control group {group} is gone", ""
    for name, thawed in cgroups.FREEZERS:
        if cgroups.lines(f"{group}/{name}") not in ([], [thawed]):
            return f"its control group {group} is frozen", f"echo {thawed} >{group}/{name}"
    return "", ""


def labs() -> set[str]:
    """Return the labs that have groups."""
    return {lab for name, _ in _everywhere() if (lab := mark.marked(name))}


def _hierarchies() -> Iterator[tuple[str, str, str]]:
    """Yield where each hierarchy is mounted, its root, and its controllers ("" for version 2, which is first)."""
    lines = [line.split() for line in cgroups.lines(cgroups.MOUNTS) if " - cgroup" in line]
    found = []
    for words in lines:
        kind, _, options = words[words.index("-") + 1 :][:3]
        if kind in ("cgroup", "cgroup2"):
            found.append(("" if kind == "cgroup2" else options.partition(",")[2], words[4], words[3]))
    # The other controllers of version 1 need settings before one can join, or count usage twice.
    for want in ("", "name=", "freezer", "pids"):
        for controllers, path, root in found:
            if controllers.rpartition(",")[2].startswith(want) if want else not controllers:
                yield path, root.rstrip("/"), controllers


def _places(name: str) -> Iterator[str]:
    """Yield where the caller could make a group of this name, the best place first."""
    own = [line.split(":", 2)[1:] for line in cgroups.lines(cgroups.OWN)]
    for path, root, controllers in _hierarchies():
        for mine, place in own:
            is_here = set(mine.split(",")) <= set(controllers.split(",")) and f"{place}/".startswith(f"{root}/")
            if is_here and (above := _safe(path, place[len(root) :].split("/"))):
                yield f"{above}/{name}"


def _safe(top: str, names: Sequence[str]) -> str:
    """Return the lowest group on this path such that only root can change it and every group above it."""
    at = ""
    for path in accumulate((top, *filter(None, names)), "{}/{}".format):
        if not _is_safe(path):
            break
        at = path
    return at


def _is_safe(group: str) -> bool:
    """Say whether only root, or root's group, can make groups in a group."""
    try:
        about = os.stat(group)
    except OSError:  # it has gone
        return False
    others = stat.S_IWOTH | (stat.S_IWGRP if about.st_gid else 0)
    return about.st_uid in (0, os.geteuid()) and not about.st_mode & others


def _everywhere() -> Iterator[tuple[str, str]]:
    """Yield name and path of each lab's group: its name says so, and only root can have made it."""
    for path, _, _ in _hierarchies():
        for folder, names, _ in os.walk(path) if _is_safe(path) else ():
            names[:] = [name for name in names if _is_safe(f"{folder}/{name}")]
            yield from ((name, f"{folder}/{name}") for name in names if mark.marked(name))
