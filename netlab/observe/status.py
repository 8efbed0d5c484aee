"""What of a lab stands, and whether it is as planned."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from netlab.lab import node_drift
from netlab.record import store
from netlab.supervise.client import Process, processes

if TYPE_CHECKING:
    from netlab.lab.drift import Drift


class NodeStatus(NamedTuple):
    """A node: the name of its program, "" for none; `addresses` by interface; None for a node without a process.

    `memory_kills` are processes that the kernel has killed as the node's memory was used up; `udp_rcvbuf_errors`
    datagrams that it dropped as their socket's buffer was full, None where the node was not looked into.
    """

    kind: str
    role: str
    program: str
    addresses: Mapping[str, tuple[str, ...]]
    process: Process | None
    memory_kills: int
    udp_rcvbuf_errors: int | None


class LabStatus(NamedTuple):
    """A lab: `state` is `up`, `half-built` or `not as planned`, and `problems` are what is not as planned.

    `looked_inside` says that nodes were looked into, which takes root.
    """

    lab: str
    state: str
    topology: str
    nodes: Mapping[str, NodeStatus]
    problems: tuple[node_drift.Problem, ...]
    looked_inside: bool


def read(lab: str) -> LabStatus:
    """Return how a lab fares; needs no root."""
    from netlab.lab import drift

    found = drift.examine(lab)
    state = ("not as planned" if found.problems else "up") if store.is_complete(lab) else "half-built"
    topology, nodes = (found.lab.record.topology if found.lab else ""), _nodes(found)
    return LabStatus(lab, state, topology, nodes, found.problems, found.is_whole)


def _nodes(found: "Drift") -> dict[str, NodeStatus]:
    lab = found.lab
    if lab is None:
        return {}
    running = {entry.node: entry for entry in processes(lab.record.folder)}
    return {
        name: NodeStatus(
            node.kind,
            node.role,
            node.program.name if node.program else "",
            {port: about.addresses for port, about in node.interfaces.items()},
            (running.get(name) or Process(name, "not started")) if node.process else None,
            lab.runtime.memory_kills(name),
            found.udp_rcvbuf_errors.get(name),
        )
        for name, node in lab.record.nodes.items()
    }
