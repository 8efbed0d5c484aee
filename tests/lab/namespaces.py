"""Labs made of nothing but namespaces and links, on a folder of their own below /run, and what to do inside them."""

import itertools
import os
import socket
import struct
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from netlab.kernel import syscalls
from netlab.network import links
from netlab.plan.steps import AddAddress, AddBridge, AddLink, AddRoute, CreateNode, Interface
from netlab.runtime.netns import Netns
from netlab.testing.waiting import PATIENCE_S

_T = TypeVar("_T")
_numbers = itertools.count(1)

# Both are set in every node by a plan: one is inherited from the host, the other makes new addresses wait.
HOST = (("net.ipv4.ip_forward", "0"), ("net.ipv6.conf.default.accept_dad", "0"))
ROUTER = (("net.ipv4.ip_forward", "1"), ("net.ipv6.conf.all.forwarding", "1"), HOST[1])


class Lab:
    """A lab whose steps are said by hand: `host`, `link`, `route`, then `build`."""

    def __init__(self, name: str, folder: str) -> None:
        self.name = name
        self.folder = folder
        self.runtime = Netns(name, folder)
        self.creates: list[CreateNode] = []
        self.steps: list[links.NetworkStep] = []
        self._count: dict[str, int] = {}

    def node(self, *names: str, sysctls: Sequence[tuple[str, str]] = HOST) -> None:
        """Add hosts."""
        self.creates += [CreateNode(name, tuple(sysctls), self.name) for name in names]

    def switch(self, name: str) -> None:
        """Add a node with a bridge."""
        self.node(name)
        self.steps.append(AddBridge(name, "br0", 2, self.name))
        self._count[name] = 1

    def link(self, a: str, b: str, subnet: str = "", mtu: int = 1500, bridges: tuple[str, str] = ("", "")) -> AddLink:
        """Add a link; on the subnet "7" its ends are 10.0.7.1 and .2, and fd00:7::1 and ::2."""
        names = []
        for node in (a, b):
            self._count[node] = self._count.get(node, 0) + 1
            names.append((node, f"eth{self._count[node] - 1}", self._count[node] + 1))
        ends = [
            Interface(*named, f"02:00:00:00:00:{next(_numbers) % 256:02x}", mtu, (), bridge, *other[:2])
            for named, other, bridge in zip(names, reversed(names), bridges, strict=True)
        ]
        self.steps.append(AddLink(ends[0], ends[1], self.name))
        for number, end in enumerate(ends, 1):
            if subnet:
                self.address(end, f"10.0.{subnet}.{number}/24", f"fd00:{subnet}::{number}/64")
        return AddLink(ends[0], ends[1], self.name)

    def address(self, end: Interface, *addresses: str) -> None:
        """Add addresses to an end of a link."""
        self.steps += [AddAddress(end.node, end.name, end.index, address, self.name) for address in addresses]

    def route(self, node: str, to: str, via: str) -> None:
        """Add a route."""
        self.steps.append(AddRoute(node, to, via, lab=self.name))

    def build(self) -> None:
        """Make all of it."""
        self.runtime.create([create.node for create in self.creates])
        links.build([*self.creates, *self.steps], self.runtime.netns_path)

    def inside(self, node: str, work: Callable[[], _T]) -> _T:
        """Return what `work` does in a thread inside a node."""
        return syscalls.inside(self.runtime.netns_path(node), work)

    def ip(self, node: str, *words: str) -> str:
        """Return what `ip` prints in a node."""
        return run("ip", "-n", f"{self.name}.{node}", *words)

    def ping(self, node: str, address: str, wait_s: float = PATIENCE_S) -> bool:
        """Return whether the very first echo request from a node is answered, which is waited for that long."""
        return self.inside(node, lambda: _echo(address, wait_s))


@contextmanager
def lab(name: str = "") -> Iterator[Lab]:
    """Yield an empty lab, and remove whatever has become of it."""
    folder = tempfile.mkdtemp(prefix="netlab-test-", dir="/run")
    syscalls.mount("netlab", folder, "tmpfs")
    try:
        os.mkdir(f"{folder}/etc")
        with open(f"{folder}/etc/hosts", "w", encoding="ascii") as file:
            file.write(f"192.0.2.1 only-{name or 'here'}\n")
        made = Lab(name or f"t{os.getpid()}x{next(_numbers)}", folder)
        try:
            yield made
        finally:
            made.runtime.destroy()
    finally:
        syscalls.umount(folder)
        os.rmdir(folder)


def run(*argv: str) -> str:
    """Return what a command prints; it says nothing else, and ends well."""
    done = subprocess.run(argv, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert (done.returncode, done.stderr) == (0, ""), f"{argv}: {done.stderr}"
    return done.stdout


def own_namespace() -> str:
    """Return the network namespace that the calling thread is in."""
    return os.readlink("/proc/thread-self/ns/net")


def _echo(address: str, wait_s: float) -> bool:
    """Send one echo request from where we are, and wait for its reply."""
    six = ":" in address
    family, protocol = (socket.AF_INET6, socket.IPPROTO_ICMPV6) if six else (socket.AF_INET, socket.IPPROTO_ICMP)
    body = struct.pack("!BBHHH", 128 if six else 8, 0, 0, 7, 1) + b"netlab"
    if not six:  # for IPv6 the kernel adds it
        total = sum(struct.unpack(f"!{len(body) // 2}H", body))
        body = body[:2] + struct.pack("!H", ~(total + (total >> 16)) & 0xFFFF) + body[4:]
    with socket.socket(family, socket.SOCK_RAW, protocol) as probe:
        probe.settimeout(wait_s)
        try:
            probe.sendto(body, (address, 0))
            while True:
                reply = probe.recv(2048)[0 if six else 20 :]
                if reply[0] == (129 if six else 0) and reply[4:] == body[4:]:
                    return True
        except OSError:  # no answer, or no way there
            return False
