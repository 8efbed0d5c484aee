"""Which links are led through the middle, and by which steps. Pure; most labs have no such link."""

from collections.abc import Iterator, Sequence

from netlab.named_tuple import NamedTuple
from netlab.paths import MIDDLE, middle_end
from netlab.plan.middle_steps import Impair, SendSingly
from netlab.plan.steps import AddLink, Interface
from netlab.topology.impairment import Impairment, seed_named
from netlab.topology.model import Topology

# Above those of nodes: of an interface whose peer has its own index the kernel tells carrier loss up to a second later
# (linkwatch_urgent_event in net/core/link_watch.c).
FIRST_INDEX = 1 << 16


class MiddleLink(NamedTuple):
    """A link that is led through the middle: its number, from 1, its ends in nodes, and the middle's ends beside these.

    `sends` is what happens to the packets that each of both ends sends.
    """

    number: int
    ends: tuple[Interface, Interface]
    middle: tuple[Interface, Interface]
    sends: tuple[Impairment, Impairment]

    def links(self, lab: str) -> tuple[AddLink, AddLink]:
        """Return the two links that the link is."""
        (a, b), (near_a, near_b) = self.ends, self.middle
        return AddLink(a, near_a, lab), AddLink(near_b, b, lab)

    def steps(self, lab: str) -> Iterator[SendSingly | Impair]:
        """Yield what makes one link of the two, both of which are there."""
        yield from (SendSingly(end.node, end.name, lab) for end in (*self.ends, *self.middle))
        for end, source, target, does in zip(self.ends, self.middle, self.middle[::-1], self.sends, strict=True):
            yield Impair(end.node, end.name, source.name, target.name, does, lab)


def beside(number: int, side: int, end: Interface) -> Interface:
    """Return the interface of the middle that is beside an end of a link."""
    digits = f"{number - 1:06x}"
    mac = f"02:6d:{digits[:2]}:{digits[2:4]}:{digits[4:]}:0{side}"
    index = FIRST_INDEX + 2 * (number - 1) + side
    return Interface(MIDDLE, middle_end(2 * number - 2 + side), index, mac, end.mtu, (), "", end.node, end.name)


def through_middle(topology: Topology, interfaces: Sequence[Interface]) -> dict[int, MiddleLink]:
    """Return the links that are led through the middle, by their numbers from 1."""
    found = {}
    for number, link in enumerate(topology.links, 1):
        if link.a.sends and link.b.sends:
            ends = interfaces[2 * number - 2], interfaces[2 * number - 1]
            a, b = ends
            middle = beside(number, 0, a), beside(number, 1, b)
            sends = seeded(link.a.sends, a), seeded(link.b.sends, b)
            found[number] = MiddleLink(number, ends, middle, sends)
    return found


def seeded(does: Impairment, end: Interface) -> Impairment:
    """Return what an end's packets meet, with a seed: without a written one, it follows from the names of the ends."""
    return does._replace(seed=does.seed or seed_of(end.node, end.name, end.peer, end.peer_interface))


def seed_of(node: str, interface: str, peer: str, peer_interface: str) -> int:
    """Return the seed of what one end of a link sends, where none is written."""
    return seed_named(f"{node} {interface} {peer} {peer_interface}")
