"""Which ends of links are one broadcast domain: what switches join, by VLAN where a switch has them. Pure.

A *domain* is a node with a VLAN: of a switch that filters, one for each VLAN; of another one, one for frames without a
tag, and one for each VLAN that somebody sends through it. Domains that a link joins have one leader.
"""

from collections.abc import Mapping

from netlab.named_tuple import NamedTuple

FIRST_VLAN = 1  # of a port that says nothing, as everywhere
UNTAGGED = 0


class Port(NamedTuple):
    """The end of a link at a switch: `vlan` is that of frames without a tag, 0 for none; `vlans` are those with one."""

    vlan: int = 0
    vlans: tuple[int, ...] = ()

    def untagged(self) -> int:
        """Return the VLAN of frames without a tag on a switch that filters; 0 where it drops them."""
        return self.vlan or (0 if self.vlans else FIRST_VLAN)


Domain = tuple[str, int]


def domains(switch: str, port: Port, *, filters: bool, tags: tuple[int, ...]) -> dict[int, Domain]:
    """Return the domains that a port joins to its link, by the tag of frames there; 0 is: without one.

    `tags` are those that the other end sends.
    """
    if not filters:
        return {tag: (switch, tag) for tag in (UNTAGGED, *tags)}
    own = port.untagged()
    return {**({UNTAGGED: (switch, own)} if own else {}), **{vlan: (switch, vlan) for vlan in port.vlans}}


def common(one: Mapping[int, Domain], other: Mapping[int, Domain]) -> list[tuple[Domain, Domain]]:
    """Return the pairs of domains that a link between two switches joins, frames without a tag first."""
    return [(one[tag], other[tag]) for tag in sorted(one) if tag in other]


class Joined(dict[Domain, Domain]):
    """Domains, each with one that is nearer to its leader."""

    def leader(self, domain: Domain) -> Domain:
        """Return the leader of a domain, which is its own if nothing has joined it."""
        self.setdefault(domain, domain)
        while self[domain] != domain:
            self[domain] = domain = self[self[domain]]
        return domain

    def join(self, one: Domain, other: Domain) -> bool:
        """Let two domains have one leader, the first one's; return whether they had two."""
        a, b = self.leader(one), self.leader(other)
        self[b] = a
        return a != b
