"""Nodes as network namespaces that need no process and no daemon.

A lab's namespaces are bind mounts in its own folder, which is a file system of its own. One detaching umount removes
all of them; a umount for each would take 0.4 s for a thousand.
"""

import errno
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from netlab import paths
from netlab.errors import NetlabError
from netlab.kernel import files
from netlab.runtime.base import Command, Entrance, Rights
from netlab.runtime.names import Names, release

if TYPE_CHECKING:
    from netlab.record.model import LimitsRecord
    from netlab.runtime.cgroup_limits import Groups
    from netlab.runtime.rooms import Rooms
    from netlab.topology.model import OwnFiles

THREADS_FROM = 100  # nodes; unshare needs no lock of Python's, so from here on two threads take about 0.7 of the time


class Netns:
    """The namespaces of one lab; `folder` exists, is the lab's alone, and is mounted by the record.

    `limits` are those of the nodes that have some. `viewers` are the paths of own files, by node. `hosts` are nodes
    that are this host itself. `rooms` are where the nodes of an untrusted lab run what they run.
    """

    def __init__(
        self,
        lab: str,
        folder: str = "",
        run_netns: str = paths.RUN_NETNS,
        etc_netns: str = paths.ETC_NETNS,
        limits: "Mapping[str, LimitsRecord] | None" = None,
        viewers: "Mapping[str, Sequence[str]] | None" = None,
        hosts: Collection[str] = (),
        rooms: "Rooms | None" = None,
    ) -> None:
        self.has_files = rooms is not None
        self._rooms = rooms
        self._lab = lab
        self._folder = folder or paths.folder_of(lab)
        self._limits = limits or {}
        self._viewers = viewers or {}
        self._names = Names(lab, self._folder, run_netns, etc_netns, hosts=hosts)

    def create(self, nodes: Sequence[str], own: "Mapping[str, OwnFiles] | None" = None) -> None:
        """Make the namespaces of each of these nodes, and the names by which `ip netns` finds it.

        Raises, before any namespace is made, NetlabError if something that is not this lab's has one of the names, and
        HostError if this host cannot limit a node.
        """
        self._names.make(nodes)
        if self._names.hosts:
            self._names.hold_host(nodes)
            nodes = [node for node in nodes if node not in self._names.hosts]
        if self._limits:
            self._groups().make(nodes)
        if not own or self._rooms:
            self._make_networks(nodes)
        if self._rooms:
            groups = self._groups()
            held = {node: groups.folders(node) for node in nodes if node in self._limits}
            self._rooms.make(nodes, own or {}, {node: self.netns_path(node) for node in nodes}, held)
        if not own or self._rooms:
            return
        from netlab.runtime.views import Views

        views = Views(self._lab, self._folder)
        try:
            views.open()
            self._make_networks(nodes)
            views.make(own, self.netns_path)
        finally:
            views.close()

    def open_middle(self) -> None:
        """Make the middle of the lab's links if there is none."""
        self._names.open_middle()

    def destroy(self) -> list[str]:
        """Remove names and control groups; return which nodes had any; the namespaces go with the folder."""
        limited = (paths.netns_name(self._lab, node) for node in self._groups().remove())
        return list(dict.fromkeys([*self._names.remove(), *limited]))

    def remove(self, nodes: Sequence[str]) -> None:
        """Remove these nodes with their names, views, rooms and control groups; what is missing is left out."""
        if self._rooms:
            from netlab.runtime import rooms

            rooms.end(self._folder, nodes)
        self._names.remove_of(nodes)
        self._groups().remove(nodes)
        for node in nodes:
            for kind in ("mnt", "uts"):
                release(paths.space(self._folder, node, kind))
        if os.path.isdir(f"{self._folder}/{paths.OWN}"):
            from netlab.runtime import own_folders

            own_folders.remove(self._folder, nodes)
        for folder in (f"{self._folder}/{name}" for name in (paths.OWN, paths.SPACES)):
            if os.path.isdir(folder) and not files.names(folder):
                from netlab.kernel import syscalls

                with suppress(OSError):  # only one of them is a mount
                    syscalls.umount(folder)
                os.rmdir(folder)

    def broken(self, nodes: Sequence[str]) -> list[tuple[str, str]]:
        """Return which namespaces, names and limits are gone or not as planned, as (node, in words)."""
        found = self._names.lost(nodes)
        if self._rooms:
            found += self._rooms.broken([node for node in nodes if node != paths.MIDDLE])
        if self._viewers:
            from netlab.runtime import view_loss

            found += view_loss.lost(self._folder, self._viewers)
        if self._limits:
            groups = self._groups()
            for node in self._limits:
                wrong = groups.changed(node) if groups.stand(node) else ["its control group is gone, and its limits"]
                found += [(node, what) for what in wrong]
        return found

    def netns_path(self, node: str) -> str:
        """Return the path of the node's namespace, which is a mount in the lab's folder."""
        return self._names.target(node)

    def wrap(self, node: str, argv: Sequence[str], rights: Rights = ()) -> Command:
        """Return how `argv` runs in the node's namespace, with the lab's files instead of those in /etc.

        If the node has limits, the command first enters its control groups. In an untrusted lab it runs in the node's
        room, unless `rights` is None.
        """
        self._names.check(node)
        if self._rooms and rights is not None:
            place = self._rooms.place(node, self._groups().folders(node) if node in self._limits else (), rights)
            return Command(list(argv), place, groups=place.groups)
        if node in self._viewers:
            entrance = self._entrance(node)
            return Command(list(argv), entrance=entrance, groups=entrance.groups)
        groups, enter = self._groups() if node in self._limits else None, ["ip", "netns", "exec"]
        words = [*(groups.prefix(node) if groups else ()), *enter, paths.netns_name(self._lab, node), *argv]
        return Command(words, groups=tuple(groups.folders(node)) if groups else ())

    def _entrance(self, node: str) -> Entrance:
        groups = self._groups().folders(node) if node in self._limits else []
        spaces = (paths.space(self._folder, node, kind) for kind in ("uts", "mnt"))
        return Entrance(tuple(groups), (self.netns_path(node), *spaces))

    def memory_kills(self, node: str) -> int:
        """Return how many processes of the node the kernel has killed because the node had used up its memory."""
        return self._groups().memory_kills(node) if node in self._limits else 0

    def _groups(self) -> "Groups":
        from netlab.record.model import LimitsRecord
        from netlab.runtime.cgroup_limits import Groups

        return Groups(self._lab, self._limits, total=self._rooms.total() if self._rooms else LimitsRecord())

    def _make_networks(self, nodes: Sequence[str]) -> None:
        from netlab.kernel import syscalls

        syscalls.in_threads(2 if len(nodes) >= THREADS_FROM else 1, self._make_all, nodes)

    def _make_all(self, nodes: Iterator[str]) -> None:
        for node in nodes:
            self._make(node)

    def _make(self, node: str) -> None:
        """Move the calling thread into a new namespace, and hold that by a mount."""
        from netlab.kernel import syscalls

        try:
            syscalls.unshare_net()
            # thread-self, because /proc/self would be the main thread's namespace, which is the host's.
            self._names.hold(node, "/proc/thread-self/ns/net")
        except OSError as error:
            # unshare says "no space left" when there are too many namespaces
            hint = " (raise the sysctl user.max_net_namespaces)" if error.errno == errno.ENOSPC else ""
            raise NetlabError(f"cannot make the namespace of node {node}: {error}{hint}") from error
