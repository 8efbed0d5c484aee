"""Limits nodes by control groups: one for each limited node, in the hierarchy of each controller that it needs.

A node's group is HIERARCHY/netlab/LAB/NODE, so a lab's name is enough to find all of them. A hierarchy is cgroup v1's
of a controller, or v2's if that offers it; a host may have both. A process enters its node's groups before it becomes
`ip netns exec`, which hides the hierarchies. So it is limited before it becomes what the node is to run.
"""

import errno
import os
import signal
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress

from netlab import paths
from netlab.errors import HostError, NetlabError
from netlab.kernel import kill
from netlab.named_tuple import NamedTuple
from netlab.record.model import LimitsRecord

MOUNTS = "/proc/self/mountinfo"
CONTROLLERS = LimitsRecord._fields
_NO_QUOTA = "-1"  # in cgroup v1
PERIOD_US = 100_000  # the kernel's own; what a node may use of each
_REMOVE_DEADLINE_S = 30.0  # on a busy machine, killed processes take a while to end
_POLL_S = 0.01
# 0 means the process that writes it: the shell itself.
_JOIN = 'while [ "$1" != -- ]; do echo 0 >"$1/cgroup.procs" || exit 1; shift; done; shift; exec "$@"'


class Hierarchy(NamedTuple):
    """A file system of control groups: where it is mounted, whether it is v2's, and which of CONTROLLERS it offers."""

    path: str
    unified: bool
    controllers: tuple[str, ...]


def hierarchies(mounts: str = MOUNTS) -> list[Hierarchy]:
    """Return the hierarchies that this process sees, cgroup v1's before v2's, with each controller in one only."""
    found: dict[str, Hierarchy] = {}
    with open(mounts, encoding="utf-8", errors="surrogateescape") as file:
        lines = [line.split() for line in file if " - cgroup" in line]
    for words in sorted(lines, key=lambda words: words[words.index("-") + 1]):
        kind, _, options = words[words.index("-") + 1 :][:3]
        path = words[4]
        offered = _read(f"{path}/cgroup.controllers").split() if kind == "cgroup2" else options.split(",")
        fresh = tuple(name for name in CONTROLLERS if name in offered and name not in found)
        found.update(dict.fromkeys(fresh, Hierarchy(path, kind == "cgroup2", fresh)))
    return list(dict.fromkeys(found.values()))


def labs(mounts: str = MOUNTS) -> set[str]:
    """Return the labs that have groups."""
    return {lab for each in hierarchies(mounts) for lab in _folders(f"{each.path}/{paths.LIMITS}")}


class Groups:
    """The groups of one lab, for the nodes in `limits`, which all have limits; the constructor touches nothing.

    `total` is what all of these may use together.
    """

    def __init__(
        self,
        lab: str,
        limits: Mapping[str, LimitsRecord],
        mounts: str = MOUNTS,
        total: LimitsRecord = LimitsRecord(),  # noqa: B008 - it is immutable
    ) -> None:
        self._total = total
        self._lab = lab
        self._limits = limits
        self._mounts = mounts

    def make(self, nodes: Collection[str] | None = None) -> None:
        """Make the groups, without members, of all nodes or of these.

        HostError, before any is made, if this host cannot limit a node.
        """
        limited = {node: limits for node, limits in self._limits.items() if nodes is None or node in nodes}
        if not limited:
            return
        there = hierarchies(self._mounts)
        for node, limits in limited.items():
            for controller in sorted(_wanted(limits).difference(*(each.controllers for each in there))):
                raise HostError(
                    f"node {node} has a limit of {controller}, and this host has no control groups for that: mount or"
                    f" enable the kernel's {controller} controller (cgroups(7)), or leave `limits` out"
                )
        self.remove(limited)  # an earlier lab of this name may have left groups
        try:
            for hierarchy in there:
                self._make(hierarchy, limited)
        except OSError as error:
            message = f"cannot limit the nodes of {self._lab}: {error.filename}: {error.strerror}"
            if error.errno == errno.EINVAL:
                message += "; a control group above it may have a lower limit: ask for less, or leave `limits` out"
            raise HostError(message) from error

    def prefix(self, node: str) -> list[str]:
        """Return what goes before an argv, so that the process that executes it enters the node's groups."""
        return ["sh", "-c", _JOIN, "netlab", *self.folders(node), "--"] if node in self._limits else []

    def folders(self, node: str) -> list[str]:
        """Return the folders of the node's groups; NetlabError if one is gone."""
        groups = [group for _, group in self._groups(node)]
        for group in groups:
            if not os.path.isdir(group):
                raise NetlabError(f"somebody has removed {group}: netlab down and up make it anew")
        return groups

    def stand(self, node: str) -> bool:
        """Say whether all the node's groups exist."""
        return all(os.path.isdir(group) for _, group in self._groups(node))

    def changed(self, node: str) -> list[str]:
        """Return in words which of the node's limits are not as planned; a frozen group is one of them."""
        found = []
        for hierarchy, group in self._groups(node):
            for name, planned in (*_settings(hierarchy, self._limits[node]), ("cgroup.freeze", "0")):
                now = _read(f"{group}/{name}").strip()  # "" without accounting for swap, or if it cannot be read
                if now and not _same(name, now, planned):
                    found.append(f"{group}/{name} is {now}, planned is {planned}")
        return found

    def memory_kills(self, node: str) -> int:
        """Return how many of the node's processes the kernel has killed because the node's memory was used up."""
        if node not in self._limits or not self._limits[node].memory:
            return 0
        return next((_kills(*each) for each in self._groups(node) if "memory" in each[0].controllers), 0)

    def remove(self, nodes: Collection[str] | None = None) -> list[str]:
        """Remove the lab's groups, or those of these nodes, end the processes there; return the nodes that had groups.

        NetlabError if one cannot be removed.
        """
        removed: dict[str, None] = {}
        for hierarchy in hierarchies(self._mounts):
            top = f"{hierarchy.path}/{paths.LIMITS}/{self._lab}"
            chosen = [node for node in _folders(top) if nodes is None or node in nodes]
            removed.update(dict.fromkeys(chosen))
            for group in (f"{top}/{node}" for node in chosen):
                for folder, _, _ in os.walk(group, topdown=False):
                    _remove(folder)
            for folder in (top, f"{hierarchy.path}/{paths.LIMITS}"):
                with suppress(OSError):  # it is not there, as after a kill, or contains others
                    os.rmdir(folder)
        return list(removed)

    def _groups(self, node: str) -> Iterator[tuple[Hierarchy, str]]:
        """Yield the hierarchies in which a node is limited, and its group there."""
        for hierarchy in hierarchies(self._mounts):
            if _wanted(self._limits[node]) & set(hierarchy.controllers):
                yield hierarchy, f"{hierarchy.path}/{paths.LIMITS}/{self._lab}/{node}"

    def _make(self, hierarchy: Hierarchy, limited: Mapping[str, LimitsRecord]) -> None:
        wanted = {node: limits for node, limits in limited.items() if _wanted(limits) & set(hierarchy.controllers)}
        if not wanted:
            return
        top = _above(hierarchy, self._lab)
        _limit(hierarchy, top, self._total)
        for node, limits in wanted.items():
            os.mkdir(f"{top}/{node}")
            _limit(hierarchy, f"{top}/{node}", limits)


def _limit(hierarchy: Hierarchy, group: str, limits: LimitsRecord) -> None:
    for name, value in _settings(hierarchy, limits):
        # without accounting for swap, the kernel cannot limit it either
        if "sw" not in name or os.path.exists(f"{group}/{name}"):
            _write(f"{group}/{name}", value)


def _above(hierarchy: Hierarchy, lab: str) -> str:
    """Make the groups above a lab's nodes, if need be, and return the lowest of these."""
    folders = [hierarchy.path, f"{hierarchy.path}/{paths.LIMITS}", f"{hierarchy.path}/{paths.LIMITS}/{lab}"]
    with suppress(FileNotFoundError):  # the `down` of another lab may remove the second while it is empty
        os.makedirs(folders[-1], exist_ok=True)
    os.makedirs(folders[-1], exist_ok=True)
    for folder in folders if hierarchy.unified else ():
        given = _read(f"{folder}/cgroup.subtree_control").split()
        if more := [f"+{name}" for name in hierarchy.controllers if name not in given]:
            _write(f"{folder}/cgroup.subtree_control", " ".join(more))
    return folders[-1]


def _wanted(limits: LimitsRecord) -> set[str]:
    return {name for name, value in zip(CONTROLLERS, limits, strict=True) if value}


def _settings(hierarchy: Hierarchy, limits: LimitsRecord) -> Iterator[tuple[str, str]]:
    """Yield the files of a group, and what is written to each: memory before the sum of memory and swap."""
    if limits.cpu and "cpu" in hierarchy.controllers:
        quota = round(limits.cpu * PERIOD_US)
        if hierarchy.unified:
            yield "cpu.max", f"{quota} {PERIOD_US}"
        else:
            yield "cpu.cfs_period_us", str(PERIOD_US)
            # In v1 no group may have more than the one above it.
            yield "cpu.cfs_quota_us", str(quota) if limits.cpu <= _cores_of(hierarchy.path) else _NO_QUOTA
    if limits.memory and "memory" in hierarchy.controllers:
        if hierarchy.unified:
            yield "memory.max", str(limits.memory)
            yield "memory.swap.max", "0"
        else:
            yield "memory.limit_in_bytes", str(limits.memory)
            yield "memory.memsw.limit_in_bytes", str(limits.memory)
    if limits.pids and "pids" in hierarchy.controllers:
        yield "pids.max", str(limits.pids)


def _cores_of(group: str) -> float:
    """Return the cores that a group of cgroup v1 may use: infinity where it has no quota, or is above all groups."""
    quota, period = _read(f"{group}/cpu.cfs_quota_us").strip(), _read(f"{group}/cpu.cfs_period_us").strip()
    return int(quota) / int(period) if quota.isdigit() and period.isdigit() else float("inf")


def _same(name: str, now: str, planned: str) -> bool:
    """Say whether a setting is as planned: the kernel counts memory in whole pages."""
    if name.startswith("memory.") and now.isdigit():
        page = os.sysconf("SC_PAGE_SIZE")
        return int(now) // page == int(planned) // page
    return now == planned


def _remove(group: str) -> None:
    """Remove a group, and end the processes in it."""
    deadline = time.monotonic() + _REMOVE_DEADLINE_S
    while True:
        try:
            os.rmdir(group)
        except FileNotFoundError:
            return
        except OSError as error:
            if error.errno != errno.EBUSY or time.monotonic() > deadline:
                raise NetlabError(f"cannot remove {group}: {error.strerror}, processes {_pids(group)}") from error
        else:
            return
        _kill(group)
        time.sleep(_POLL_S)


def _kill(group: str) -> None:
    own = kill.lineage()
    for pid in _pids(group):
        if pid in own:
            raise NetlabError(f"process {pid} has called this command from inside the lab; end it first")
        pidfd = kill.open_pidfd(pid)
        if pidfd >= 0:
            if pid in _pids(group):  # asked once more, because the pidfd now holds the id
                kill.send(pidfd, signal.SIGKILL)
            os.close(pidfd)


def _pids(group: str) -> Sequence[int]:
    return [int(word) for word in _read(f"{group}/cgroup.procs").split() if word != "0"]


def memory_kills_around(pid: int, mounts: str = MOUNTS) -> int:
    """Return how many processes in the group of a process were killed because its memory was used up."""
    paths = [line.split(":", 2) for line in _read(f"/proc/{pid}/cgroup").splitlines()]  # number:controllers:path
    for each in hierarchies(mounts):
        for _, controllers, path in paths:
            if "memory" in each.controllers and (controllers == "" if each.unified else "memory" in controllers):
                return _kills(each, f"{each.path}{path}")
    return 0


def _kills(hierarchy: Hierarchy, group: str) -> int:
    lines = _read(f"{group}/{'memory.events' if hierarchy.unified else 'memory.oom_control'}").splitlines()
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)


def _folders(path: str) -> list[str]:
    try:
        return sorted(entry.name for entry in os.scandir(path) if entry.is_dir(follow_symlinks=False))
    except OSError:
        return []


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except OSError:
        return ""


def _write(path: str, text: str) -> None:
    """Write to a file of a control group; an OSError names the file."""
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())
    except OSError as error:
        raise OSError(error.errno, error.strerror, path) from error
    finally:
        os.close(fd)
