"""What the kernels of a lab's nodes say of their sockets."""

import time

from netlab.demo.evidence import Sockets
from netlab.kernel import syscalls
from netlab.lab.standing import Standing

_PATIENCE_S = 1.0  # for TCP to close its connections
_INTERVAL_S = 0.05
_LISTEN = "0A"  # state of a socket, in /proc/net/tcp


def settled(lab: Standing) -> dict[str, Sockets]:
    """Return what the nodes' kernels say of TCP, as soon as no connection is left, or a second later."""
    end = time.monotonic() + _PATIENCE_S
    while True:
        found = _of_nodes(lab)
        if not any(node.connections for node in found.values()) or time.monotonic() > end:
            return found
        time.sleep(_INTERVAL_S)


def listens(lab: Standing, node: str, port: int) -> bool:
    """Say whether something in a node waits for packets at a UDP port."""

    def look() -> bool:
        ports = []
        for protocol in ("udp", "udp6"):
            with open(f"/proc/thread-self/net/{protocol}", encoding="ascii") as file:
                ports += [line.split()[1].rpartition(":")[2] for line in file.readlines()[1:]]
        return f"{port:04X}" in ports

    return syscalls.inside(lab.runtime.netns_path(node), look)


def _of_nodes(lab: Standing) -> dict[str, Sockets]:
    return {node: syscalls.inside(lab.runtime.netns_path(node), _here) for node in lab.record.nodes}


def _here() -> Sockets:
    """Read the network of the calling thread; /proc/net would be that of the main thread."""
    with open("/proc/thread-self/net/snmp", encoding="ascii") as file:
        names, values = (line.split()[1:] for line in file if line.startswith("Tcp:"))
    counters = dict(zip(names, map(int, values), strict=True))
    states = [state for protocol in ("tcp", "tcp6") for state in _states(f"/proc/thread-self/net/{protocol}")]
    return Sockets(counters["RetransSegs"], counters["OutRsts"], sum(state != _LISTEN for state in states))


def _states(path: str) -> list[str]:
    with open(path, encoding="ascii") as file:
        return [line.split()[3] for line in file.readlines()[1:]]
