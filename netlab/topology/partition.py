"""Which links a partition cuts, and which switches it divides: from the groups of nodes. Pure.

Nodes in no group are one more group: the rest. A switch in no group belongs to the group that all its links lead to. If
they lead to several groups it is between these: it is divided, so that each group has a part of it.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence

from netlab.named_tuple import NamedTuple
from netlab.topology.link_names import Ends

REST = -1  # the group of nodes that are in none


class Cut(NamedTuple):
    """What makes a partition.

    `links` are those that go down. `divided` are the ports of each switch that is between groups, by group. `unclear`
    are links between two such switches: each would carry packets of several groups.
    """

    links: tuple[Ends, ...]
    divided: Mapping[str, Mapping[int, tuple[str, ...]]]
    unclear: tuple[Ends, ...] = ()


def cut(groups: Sequence[Sequence[str]], links: Sequence[Ends], switches: Collection[str]) -> Cut:
    """Return what is to be done so that no packet passes from group to group."""
    side = _sides(groups, links, switches)
    divided: dict[str, dict[int, tuple[str, ...]]] = defaultdict(dict)
    for link in links:
        for switch, port, other in _ways(link):
            if switch not in side and other in side:
                ports = divided[switch].get(side[other], ())
                divided[switch][side[other]] = (*ports, port)
    return Cut(
        tuple(link for link in links if link.a in side and link.b in side and side[link.a] != side[link.b]),
        {switch: ports for switch, ports in divided.items() if len(ports) > 1},
        tuple(link for link in links if link.a not in side and link.b not in side),
    )


def _sides(groups: Sequence[Sequence[str]], links: Sequence[Ends], switches: Collection[str]) -> dict[str, int]:
    """Return the group of each node, but for switches that are between groups."""
    side = {node: number for number, group in enumerate(groups) for node in group}
    nodes = dict.fromkeys(node for link in links for node in link.nodes)
    side.update((node, REST) for node in nodes if node not in side and node not in switches)
    near: dict[str, list[str]] = defaultdict(list)
    for link in links:
        for switch, _, other in _ways(link):
            near[switch].append(other)
    open_ones = [node for node in nodes if node not in side]
    found = True
    while found:
        found = False
        for switch in [each for each in open_ones if each not in side]:
            there = {side[other] for other in near[switch] if other in side}
            beyond = {other for other in near[switch] if other not in side}
            if len(there) <= 1 and len(beyond) <= (1 if there else 0):
                side[switch] = next(iter(there), REST)
                found = True
    return side


def _ways(link: Ends) -> Iterator[tuple[str, str, str]]:
    """Yield the link as seen from each end: the node, its interface, the other node."""
    yield link.a, link.a_interface, link.b
    yield link.b, link.b_interface, link.a
