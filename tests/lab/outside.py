"""A namespace that plays a host, and one that plays the outside: nothing of the machine's own network is touched."""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

from netlab.kernel import syscalls
from netlab.testing import labs
from netlab.testing.waiting import PATIENCE_S
from tests.lab.lab import ROOT

_T = TypeVar("_T")
HOST_AT = ("198.51.100.2", "2001:db8::2")  # in the network outside
FAR = ("198.51.100.1", "2001:db8::1")  # whom nodes want to reach there
_SET_UP = """
ip link add up0 type veth peer name eth0 netns {far}
sysctl -qw net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=0 net.ipv6.conf.up0.accept_dad=0
ip -n {far} link set lo up
ip netns exec {far} sysctl -qw net.ipv6.conf.eth0.accept_dad=0
ip link set lo up
for at in 198.51.100.{{}}/24 2001:db8::{{}}/64; do
    ip addr add $(echo $at | sed 's/{{}}/2/') dev up0
    ip -n {far} addr add $(echo $at | sed 's/{{}}/1/') dev eth0
done
ip link set up0 up
ip -n {far} link set eth0 up
ip route add default via 198.51.100.1
ip route add default via 2001:db8::1
"""


class Machine:
    """The namespace that plays the host; what is done in it goes through a thread that enters it."""

    def __init__(self, name: str) -> None:
        self.path, self.far_path = f"/run/netns/{name}", f"/run/netns/{name}-far"

    def inside(self, work: Callable[[], _T]) -> _T:
        """Return what `work` returns on the host that is played; what it starts is there, too."""
        return syscalls.inside(self.path, work)

    def sh(self, commands: str) -> str:
        """Return what shell commands print there."""
        done = self.inside(
            lambda: subprocess.run(
                ["sh", "-ec", commands], capture_output=True, text=True, timeout=PATIENCE_S, check=False
            )
        )
        assert done.returncode == 0, f"{commands}\n{done.stdout}{done.stderr}"
        return done.stdout

    def netlab(self, *words: str, **keywords: Any) -> "subprocess.CompletedProcess[str]":
        """Run a netlab command there."""
        return self.inside(lambda: labs.netlab(*words, **{"cwd": ROOT, **keywords}))

    def python(self, lab: str, node: str, code: str, *arguments: str) -> str:
        """Return what Python code prints in a node."""
        return self.netlab("exec", "--lab", lab, node, sys.executable, "-c", code, *arguments).stdout.strip()

    def state(self) -> str:
        """Return all that a lab may have changed there."""
        return self.sh(
            "cat /proc/sys/net/ipv4/ip_forward; grep . /proc/sys/net/ipv6/conf/*/accept_ra"
            " /proc/sys/net/ipv[46]/conf/*/forwarding; nft list ruleset | sed 's/counter .* bytes [0-9]*//';"
            " ip -o link | grep -o 'nl-[^@:]*' || :; ls -A /run/netlab 2>/dev/null || :"
        )

    @contextmanager
    def server(
        self, kind: socket.SocketKind, at: str, port: int, reply: Callable[[bytes], bytes]
    ) -> Iterator[list[str]]:
        """Answer requests outside, meanwhile; the list has whom each came from."""
        seen: list[str] = []
        family = socket.AF_INET6 if ":" in at else socket.AF_INET
        with syscalls.inside(self.far_path, lambda: _bound(family, kind, at, port)) as own:
            answering = threading.Thread(target=_answer, args=(own, kind, reply, seen), daemon=True)
            answering.start()
            try:
                yield seen
            finally:
                with suppress(OSError):
                    own.shutdown(socket.SHUT_RDWR)
                answering.join(PATIENCE_S)


def _bound(family: int, kind: socket.SocketKind, at: str, port: int) -> socket.socket:
    own = socket.socket(family, kind)
    own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    own.bind((at, port))
    if kind == socket.SOCK_STREAM:
        own.listen()
    return own


def _answer(own: socket.socket, kind: socket.SocketKind, reply: Callable[[bytes], bytes], seen: list[str]) -> None:
    while True:
        try:
            if kind == socket.SOCK_STREAM:
                one, whom = own.accept()
                with one:
                    seen.append(whom[0])
                    one.sendall(reply(one.recv(512)))
            else:
                asked, whom = own.recvfrom(512)
                if not asked:  # as from a socket that was shut down
                    return
                seen.append(whom[0])
                own.sendto(reply(asked), whom)
        except OSError:
            return


@contextmanager
def machine(number: int = 0) -> Iterator[Machine]:
    """Yield a host that has a network outside, and forwards nothing; of several, each has a number."""
    name = f"played{os.getpid()}-{number}"
    played = Machine(name)
    far = f"{name}-far"
    try:
        subprocess.run(["sh", "-ec", f"ip netns add {name}; ip netns add {far}"], check=True, timeout=PATIENCE_S)
        played.sh(_SET_UP.format(far=far))
        yield played
    finally:
        subprocess.run(["sh", "-c", f"ip netns del {name}; ip netns del {far}"], check=False, timeout=PATIENCE_S)


def name_reply(query: bytes) -> bytes:
    """Return the answer of a name server that knows every name: 198.51.100.1, and no IPv6 address."""
    end = query.index(b"\0", 12) + 5  # the question: the name, its type and its class
    is_ipv4 = query[end - 4 : end - 2] == b"\0\1"
    answer = b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4" + socket.inet_aton(FAR[0]) if is_ipv4 else b""
    return (
        query[:2] + b"\x81\x80" + query[4:6] + (b"\0\1" if is_ipv4 else b"\0\0") + b"\0\0\0\0" + query[12:end] + answer
    )
