"""Notes for people on links with different MTUs; they are no mistakes."""

from collections.abc import Iterator

from netlab.plan.addresses import Layout, Segment
from netlab.topology.model import DEFAULT_MTU, Topology

_SHOWN = 3  # links of each MTU


def of_switches(topology: Topology, where: Layout) -> Iterator[str]:
    """Yield a sentence for each set of connected switches whose links have different MTUs: long frames are lost there.

    Unlike a router, a bridge tells the sender nothing.
    """
    switches = {node.name for node in topology.nodes if node.kind == "switch"}
    for segment in where.segments:
        links = _by_mtu(topology, segment)
        if len(links) > 1:
            names = {end.node: None for number in segment.links for end in where.ends[2 * number : 2 * number + 2]}
            who = " and ".join(name for name in names if name in switches)
            sizes = ", ".join(f"{mtu} ({_few(links[mtu])})" for mtu in sorted(links, reverse=True))
            yield (
                f"the links of {who} have different mtus, {sizes}: longer frames than a link takes are lost there, and"
                " nobody is told"
            )


def _by_mtu(topology: Topology, segment: Segment) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for number in segment.links:
        link = topology.links[number]
        found.setdefault(link.mtu or DEFAULT_MTU, []).append(f"{link.a.node}-{link.b.node}")
    return found


def _few(links: list[str]) -> str:
    return ", ".join(links[:_SHOWN]) + (", …" if links[_SHOWN:] else "")
