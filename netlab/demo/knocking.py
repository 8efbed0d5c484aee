"""Sends packets that are nobody's request to nodes with a program, and says what became of them.

A packet to a closed port is refused if it passes the program. No answer means that the program kept it.
"""

import socket
from collections.abc import Iterator
from functools import partial

from netlab import paths
from netlab.kernel import syscalls
from netlab.lab.standing import Standing
from netlab.record.model import InterfaceRecord, LabRecord

CLOSED_PORT = 1
_PATIENCE_S = 1.0
_KINDS = (("TCP", socket.SOCK_STREAM), ("UDP", socket.SOCK_DGRAM))


def at_programs(lab: Standing) -> dict[str, str]:
    """Send packets to a closed port behind each program, from a host beside it, and return the answers."""
    found: dict[str, str] = {}
    for key, program in lab.record.programs():
        node = paths.node_of(key)
        port = lab.record.nodes[node].interfaces[program.interfaces[0]]
        peer = next(_hosts_behind(lab.record, node, port), "")
        for what, kind in _KINDS:
            host = _address(port)
            name = f"{what} to port {CLOSED_PORT} of {key}"
            found[name] = knock(lab, peer, host, kind) if peer and host else "there is nobody to knock"
    return found


def from_node(lab: Standing, node: str, target: str, ports: dict[int, tuple[str, ...]]) -> dict[str, str]:
    """Send packets from a node to another one, to these ports by these protocols, and return the answers."""
    host = address_facing(lab.record, node, target)
    kinds = dict(_KINDS)
    return {
        f"{what} from {node} to port {port} of {target}": knock(lab, node, host, kinds[what], port)
        for port, protocols in ports.items()
        for what in protocols
        if host
    }


def address_facing(lab: LabRecord, node: str, target: str) -> str:
    """Return the address of a node at its interface to another one; any address if they are not beside each other."""
    interfaces = lab.nodes[target].interfaces.values()
    facing = [each for each in interfaces if node in _hosts_behind(lab, target, each)]
    return next(filter(None, map(_address, (*facing, *interfaces))), "")


def knock(lab: Standing, node: str, host: str, kind: int, port: int = CLOSED_PORT) -> str:
    """Send a packet from a node, and return what came of it."""
    try:
        return syscalls.inside(lab.runtime.netns_path(node), partial(_answer, host, kind, port))
    except OSError as error:
        return f"{node} cannot be entered: {error.strerror}"


def _address(interface: InterfaceRecord) -> str:
    """Return an interface's address, IPv4 if it has one."""
    hosts = sorted((each.partition("/")[0] for each in interface.addresses), key=lambda each: ":" in each)
    return next(iter(hosts), "")


def _hosts_behind(lab: LabRecord, node: str, port: InterfaceRecord) -> Iterator[str]:
    """Yield the hosts at the other end of a node's interface; if that is a switch, the hosts behind it.

    Switches have no address for an answer, and are joined without loops.
    """
    other = lab.nodes[port.peer]
    if other.kind != "switch":
        yield port.peer
        return
    for further in other.interfaces.values():
        if further.peer != node:
            yield from _hosts_behind(lab, port.peer, further)


def _answer(host: str, kind: int, port: int) -> str:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, kind) as knocking:
        knocking.settimeout(_PATIENCE_S)
        try:
            knocking.connect((host, port))
            knocking.send(b"?")
            knocking.recv(1)
        except TimeoutError:
            return "no answer"
        except OSError as error:
            return str(error.strerror).lower()
    return "answered"
