"""Nodes as network namespaces, without a process or a daemon to hold them.

A lab's namespaces are bind mounts in its own folder, which is a file system of its own: one detaching umount drops
them all, where a umount each takes 0.4 s for a thousand.
"""

import errno
from collections.abc import Iterator, Sequence

from netlab import syscalls
from netlab.errors import NetlabError
from netlab.runtime import Command, some
from netlab.runtime.names import Names

THREADS_FROM = 100  # nodes; unshare holds no lock of Python's, so two threads take about 0.7 of the time from here on


class Netns:
    """The namespaces of one lab; `folder` exists, is the lab's alone, and is mounted by the record."""

    has_files = False

    def __init__(
        self, lab: str, folder: str = "", run_netns: str = "/run/netns", etc_netns: str = "/etc/netns"
    ) -> None:
        self._lab = lab
        self._names = Names(lab, folder or f"/run/netlab/{lab}", run_netns, etc_netns)

    def create(self, nodes: Sequence[str]) -> None:
        """Make a namespace for each of these nodes, and the names by which `ip netns` finds it.

        Raises NetlabError, before anything is made, when a name is taken by something that is not this lab's.
        """
        self._names.make(nodes)
        syscalls.in_threads(2 if len(nodes) >= THREADS_FROM else 1, self._make_all, nodes)

    def destroy(self) -> list[str]:
        """Remove the names that `ip netns` has, and return them; the namespaces go with the folder's mount."""
        return self._names.remove()

    def broken(self, nodes: Sequence[str]) -> str:
        """Return which nodes, or names, are gone, in words: "" for none."""
        return f"somebody has removed {some(lost)}" if (lost := self._names.lost(nodes)) else ""

    def netns_path(self, node: str) -> str:
        """Return the path of the node's namespace, which is a mount in the lab's folder."""
        return self._names.target(node)

    def wrap(self, node: str, argv: Sequence[str]) -> Command:
        """Return how `argv` runs in the node's namespace, with the lab's files in place of those in /etc."""
        self._names.check(node)
        return Command(["ip", "netns", "exec", f"{self._lab}.{node}", *argv])

    def _make_all(self, nodes: Iterator[str]) -> None:
        for node in nodes:
            self._make(node)

    def _make(self, node: str) -> None:
        """Put the calling thread into a new namespace, and hold that by a mount."""
        try:
            syscalls.unshare_net()
            # thread-self: /proc/self would be the namespace of the main thread, which is the host's.
            self._names.hold(node, "/proc/thread-self/ns/net")
        except OSError as error:
            # unshare says "no space left" when it means a number of namespaces
            hint = " (raise the sysctl user.max_net_namespaces)" if error.errno == errno.ENOSPC else ""
            raise NetlabError(f"cannot make the namespace of node {node}: {error}{hint}") from error
