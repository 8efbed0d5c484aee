"""Sysctls of the network namespace that the calling thread is in."""

import os
from collections.abc import Iterable
from contextlib import suppress

from netlab.errors import HostError, NetlabError
from netlab.kernel import syscalls

NODES_A_PROC = 100
# As with sysctl(8), a slash in a name means a dot. So no name leads out of /proc/sys/net, where a thread sees its
# own namespace. Everything else in /proc/sys is the host's.
_SWAPPED = {ord("."): "/", ord("/"): "."}


class Sysctls:
    """Reads and writes them, for one thread, through a proc file system of its own, which it renews from time to time.

    The kernel keeps look-ups below /proc/sys/net in one chain for all namespaces, and walks the whole chain for the
    next. So a node's four sysctls would take 0.1 ms at first and 0.5 ms for the thousandth node. A proc of its own has
    its own chain. It takes 0.1 ms to make and 1 ms to remove, so the first nodes use /proc.
    """

    def __init__(self) -> None:
        self._proc = os.open("/proc", os.O_PATH | os.O_CLOEXEC)
        self._nodes = 0

    def close(self) -> None:
        """Remove the file system."""
        os.close(self._proc)

    def write_all(self, node: str, settings: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
        """Write the sysctls of the node that the thread is in; return those that do not exist.

        Raises NetlabError for one that refuses its value, or that does not belong to a node.
        """
        self._nodes += 1
        if self._nodes % NODES_A_PROC == 0:
            self._renew()
        return [(name, value) for name, value in settings if not self._write(node, name, value)]

    def read_all(self, names: Iterable[str]) -> dict[str, str]:
        """Return the values of those sysctls that exist in the thread's namespace and can be read."""
        self._nodes += 1
        if self._nodes % NODES_A_PROC == 0:
            self._renew()
        found = {}
        for name in names:
            with suppress(OSError):
                descriptor = os.open(f"sys/{name.translate(_SWAPPED)}", os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._proc)
                try:
                    found[name] = os.read(descriptor, 4096).decode(errors="replace").strip()
                finally:
                    os.close(descriptor)
        return found

    def _renew(self) -> None:
        try:
            proc = syscalls.open_proc()
        except OSError:  # an older kernel; this only takes longer
            return
        os.close(self._proc)
        self._proc = proc

    def _open(self, path: str) -> int:
        try:
            return os.open(path, os.O_RDWR | os.O_CLOEXEC, dir_fd=self._proc)
        except PermissionError:  # root too may only write to some, such as net.ipv4.route.flush
            return os.open(path, os.O_WRONLY | os.O_CLOEXEC, dir_fd=self._proc)

    def _write(self, node: str, name: str, value: str) -> bool:
        """Give a sysctl this value; return whether it exists."""
        if not name.startswith("net."):
            raise NetlabError(f"cannot set the sysctl {name} in node {node}: only net.* belongs to a node")
        path = f"sys/{name.translate(_SWAPPED)}"
        try:
            descriptor = self._open(path)
            try:
                # Most have their value already. Writing would make some spin for the lock under which the other
                # thread makes its links: 1 s for a thousand nodes.
                if _value(descriptor) != value.encode():
                    os.pwrite(descriptor, value.encode(), 0)
            finally:
                os.close(descriptor)
        except FileNotFoundError:
            return False
        except OSError as error:
            reason = os.strerror(error.errno or 0)
            raise NetlabError(f"cannot set the sysctl {name}={value} in node {node}: {reason}") from error
        return True


def _value(descriptor: int) -> bytes | None:
    """Return the value of an open sysctl, None if it gives none."""
    try:
        return os.read(descriptor, 4096).strip()
    except OSError:  # it is open for writing only; or it has no value yet, like an interface's stable_secret
        return None


def is_of(name: str, interfaces: Iterable[str]) -> bool:
    """Say whether a sysctl is an interface's, such as net.ipv4.conf.eth0.rp_filter, and so exists only with it."""
    parts = name.translate(_SWAPPED).split("/")
    return any(interface in parts for interface in interfaces)


def no_such(name: str, node: str) -> NetlabError:
    """Return the error that says so."""
    text = f"cannot set the sysctl {name} in node {node}: "
    if name.startswith("net.ipv6.") and not os.path.exists("/proc/sys/net/ipv6"):
        return HostError(f"{text}this kernel has no IPv6")
    return NetlabError(f"{text}there is no such sysctl")
