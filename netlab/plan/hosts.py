"""What a lab's nodes see in /etc: in every node, a node's name resolves to all of its addresses. Pure."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from netlab.paths import label_of

if TYPE_CHECKING:
    from netlab.plan.planner import Plan
    from netlab.topology.model import Node

# Files beside `hosts` that nodes see in the place of the host's. Names resolve to IPv4 first, as the labs' programs
# expect. A name outside the lab fails at once, because no name server can be reached.
RESOLV_CONF = "resolv.conf"
BESIDE = {"gai.conf": "precedence ::ffff:0:0/96 100\n", RESOLV_CONF: "# a lab has no name server\n"}
LOCALHOST = ("127.0.0.1 localhost", "::1 localhost ip6-localhost ip6-loopback")


def text(plan: "Plan") -> str:
    """Return the contents of /etc/hosts: localhost, then every IPv4 address, then every IPv6 address, node by node.

    Addresses of a node's links come before those of its loopback interface. A replica's addresses also have its name
    in the file, so that `worker` resolves to worker1, worker2 and so on. The node's own name comes first, because an
    address resolves back to the first name. Labels follow, for programs that take nothing else for a host's name.
    """
    names = {node.name: " ".join(_names(node)) for node in plan.topology.nodes}
    addresses: dict[str, list[str]] = {name: [] for name in names}
    for interface in plan.interfaces:
        addresses[interface.node] += (address.partition("/")[0] for address in interface.addresses)
    for node in plan.topology.nodes:
        addresses[node.name] += (address.partition("/")[0] for address in node.loopback)
    lines = [f"{address} {names[node]}" for node, own in addresses.items() for address in own]
    lines.sort(key=lambda line: ":" in line)
    return "\n".join((*LOCALHOST, *lines, ""))


def _names(node: "Node") -> Iterable[str]:
    own = [name for name in (node.name, node.replica_of) if name]
    return dict.fromkeys([*own, *map(label_of, own)])
