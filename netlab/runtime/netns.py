"""Nodes as network namespaces, without a process or a daemon to hold them.

A lab's namespaces are bind mounts in its own folder, which is a file system of its own: one detaching umount drops
them all, where a umount each takes 0.4 s for a thousand. What `ip netns` looks up by name are symlinks into that
folder, so whose they are is read off their targets, even after a crash at any point.
"""

import errno
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from netlab import syscalls
from netlab.errors import NetlabError

if TYPE_CHECKING:
    from netlab.runtime.cgroups import Groups

THREADS_FROM = 100  # nodes; unshare holds no lock of Python's, so two threads take about 0.7 of the time from here on


class Netns:
    """The namespaces of one lab; `folder` exists, is the lab's alone, and is mounted by the record.

    `limits` are those of the nodes that have some, as in lab.json: `cpu` in cores, `memory` in bytes, 0 for none.
    """

    def __init__(
        self,
        lab: str,
        folder: str = "",
        run_netns: str = "/run/netns",
        etc_netns: str = "/etc/netns",
        limits: Mapping[str, Mapping[str, float]] | None = None,
    ) -> None:
        self._lab = lab
        self._folder = folder or f"/run/netlab/{lab}"
        self._run_netns = run_netns
        self._etc_netns = etc_netns
        self._limits = limits or {}

    def create(self, nodes: Sequence[str]) -> None:
        """Make a namespace for each of these nodes, and the names by which `ip netns` finds it.

        Raises, before anything is made, NetlabError when a name is taken by something that is not this lab's, and
        HostError when this host cannot limit a node.
        """
        names = {f"{self._lab}.{node}": node for node in nodes}
        for folder in (self._run_netns, self._etc_netns):
            os.makedirs(folder, mode=0o755, exist_ok=True)
            for taken in names.keys() & set(os.listdir(folder)):
                self._refuse_foreign(os.path.join(folder, taken))
        if self._limits:
            self._groups().make()
        os.makedirs(f"{self._folder}/netns", mode=0o755, exist_ok=True)
        for name, node in names.items():
            self._symlink(self.netns_path(node), os.path.join(self._run_netns, name))
        self._symlink_alike(f"{self._folder}/etc", [os.path.join(self._etc_netns, name) for name in names])
        syscalls.in_threads(2 if len(nodes) >= THREADS_FROM else 1, self._make_all, nodes)

    def destroy(self) -> list[str]:
        """Remove the symlinks that point into the lab's folder, whatever they are called, and the control groups.

        Returns LAB.NODE for each node of which there was something. The namespaces themselves go with the folder's
        mount, and the symlinks' folders with the last name in them.
        """
        removed: dict[str, None] = {}
        for folder in (self._run_netns, self._etc_netns):
            ours = [name for name in _names(folder) if self._is_ours(os.path.join(folder, name))]
            for name in ours:
                _remove(os.path.join(folder, name))
            removed.update(dict.fromkeys(ours))
            if ours:
                with suppress(OSError):  # it holds others' names, or `ip netns` has mounted it
                    os.rmdir(folder)
        removed.update(dict.fromkeys(f"{self._lab}.{node}" for node in self._groups().remove()))
        return list(removed)

    def netns_path(self, node: str) -> str:
        """Return the path of the node's namespace, which is a mount in the lab's folder."""
        return f"{self._folder}/netns/{node}"

    def wrap(self, node: str, argv: Sequence[str]) -> list[str]:
        """Return the argv that runs `argv` in the node's namespace, with the lab's files in place of those in /etc.

        Where the node has limits, it puts itself under them first.
        """
        name = f"{self._lab}.{node}"
        if not os.path.lexists(os.path.join(self._run_netns, name)):
            raise NetlabError(f"somebody has removed {name} from {self._run_netns}: netlab down and up make it anew")
        joining = self._groups().joining(node) if node in self._limits else []
        return [*joining, "ip", "netns", "exec", name, *argv]

    def memory_kills(self, node: str) -> int:
        """Return how many processes of the node the kernel has killed because the node had used up its memory."""
        return self._groups().memory_kills(node) if node in self._limits else 0

    def _groups(self) -> "Groups":
        from netlab.model import Limits
        from netlab.runtime.cgroups import Groups

        limits = {node: Limits(about["cpu"], int(about["memory"])) for node, about in self._limits.items()}
        return Groups(self._lab, limits)

    def _make_all(self, nodes: Iterator[str]) -> None:
        for node in nodes:
            self._make(node)

    def _make(self, node: str) -> None:
        """Put the calling thread into a new namespace, and hold that by a mount."""
        path = self.netns_path(node)
        try:
            os.close(os.open(path, os.O_RDONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o444))
            syscalls.unshare_net()
            # thread-self: /proc/self would be the namespace of the main thread, which is the host's.
            syscalls.mount("/proc/thread-self/ns/net", path, "", syscalls.MS_BIND)
        except OSError as error:
            # unshare says "no space left" when it means a number of namespaces
            hint = " (raise the sysctl user.max_net_namespaces)" if error.errno == errno.ENOSPC else ""
            raise NetlabError(f"cannot make the namespace of node {node}: {error}{hint}") from error

    def _symlink(self, target: str, path: str) -> None:
        try:
            os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)  # a `down` may just have removed it, empty
            os.symlink(target, path)
        except FileExistsError:
            self._refuse_foreign(path)

    def _symlink_alike(self, target: str, paths: Sequence[str]) -> None:
        """Make symlinks to the same target as one file with many names, where the file system has that.

        These are on a disk, where a thousand new files can take most of a second.
        """
        for path in paths:
            try:
                os.link(paths[0], path, follow_symlinks=False)
            except OSError:  # the first; or EMLINK, EPERM, EEXIST …
                self._symlink(target, path)

    def _refuse_foreign(self, path: str) -> None:
        if not self._is_ours(path):
            raise NetlabError(f"{path} exists and is not lab {self._lab}'s: remove it, or give the lab another name")

    def _is_ours(self, path: str) -> bool:
        try:
            return os.readlink(path).startswith(f"{self._folder}/")
        except OSError:  # no symlink, or gone meanwhile
            return False


def _names(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return []


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:  # another `down` of the same lab was faster
        pass
