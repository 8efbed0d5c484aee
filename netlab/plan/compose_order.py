"""The order in which Compose starts services. Pure."""

from collections.abc import Sequence

from netlab.paths import node_of
from netlab.topology.model import Node


def start_order(nodes: Sequence[Node]) -> tuple[dict[str, list[str]], list[str]]:
    """Return which nodes each node is started after, and the nodes that wait for each other in a circle.

    Processes never wait in a circle, but their nodes may: for those nodes, Compose gets no order.
    """
    after = {
        node.name: dict.fromkeys(node_of(key) for process in node.processes for key in process.after) for node in nodes
    }
    for name, others in after.items():
        others.pop(name, None)
    placed: set[str] = set()
    rest = after
    while ready := [name for name, others in rest.items() if placed.issuperset(others)]:
        placed.update(ready)
        rest = {name: others for name, others in rest.items() if name not in placed}
    while ends := rest.keys() - {each for others in rest.values() for each in others}:
        rest = {name: others for name, others in rest.items() if name not in ends}
    kept = {name: [each for each in others if name not in rest or each not in rest] for name, others in after.items()}
    return kept, list(rest)
