"""Mistakes that show only when everything is chosen stand in the file where they were made."""

import pytest

from netlab.errors import TopologyError
from netlab.plan.planner import plan
from netlab.topology import document, validate

ROUTES = """\
name: routes
nodes:
  a: {routes: [{to: 10.7.0.0/16, via: 10.0.0.2}, {to: 10.9.0.0/16, via: 10.200.0.1}]}
  b:
  leaf:
    replicas: 3
    routes:
    - to: default
      via: 10.0.1.77
    - to: 10.99.0.0/16
      via: 10.0.77.1
links: [[a, b], [b, leaf]]
"""
FULL = """\
name: full
nodes: {a: , b: , sw: {kind: switch}, leaf: {replicas: 3}}
links:
- {endpoints: [a, b], subnet: 10.0.0.0/8}
- {endpoints: [leaf, sw], subnet: 172.16.0.0/12}
- {endpoints: [{node: b}, leaf1]}
- [b, leaf3]
"""


def mistakes(text: str) -> list[str]:
    """Return what is told of a topology that cannot be planned."""
    written = document.parse(text, "lab.yml")
    with pytest.raises(TopologyError) as refused:
        plan(validate.topology(written), written)
    return [mistake.text("lab.yml") for mistake in refused.value.mistakes]


def test_every_route_through_no_neighbour_is_told_where_it_stands() -> None:
    """One of a replicated node once, by the first replica that has no such neighbour."""
    a = "(a has 10.0.0.1/24, fd00::1/64)"
    leaf = "(leaf1 has 10.0.1.2/24, fd00:0:0:1::2/64)"
    leaf2 = "(leaf2 has 10.0.2.2/24, fd00:0:0:2::2/64)"

    assert [
        f"lab.yml:3:73: nodes.a.routes.1.via: expected the address of a neighbour, found 10.200.0.1 {a}",
        f"lab.yml:9:12: nodes.leaf.routes.0.via: expected the address of a neighbour, found 10.0.1.77 {leaf2}",
        f"lab.yml:11:12: nodes.leaf.routes.1.via: expected the address of a neighbour, found 10.0.77.1 {leaf}",
    ] == mistakes(ROUTES)


def test_a_link_without_room_for_a_subnet_is_told_where_it_stands() -> None:
    """A link of a replicated node is several, and those behind it have other numbers."""
    what = "no subnet is left for the link of b and leaf1: write its subnets, or smaller ones elsewhere"

    assert [f"lab.yml:6:3: links.2: {what}"] == mistakes(FULL)


NAMES = """\
name: names
nodes:
  a: {routes: [{to: "fd09::/32", via: b}, {to: default, via: b}]}
  b:
  leaf:
    replicas: 2
    routes:
    - none
    - {to: "fd09::/32", via: a, interface: eth0}
    - {to: 10.9.0.0/16, via: 10.0.0.2, interface: eth1}
links: [{endpoints: [a, b], mtu: 1000}, {endpoints: [leaf, b]}, [leaf, a]]
"""


def test_a_neighbour_without_the_address_that_a_route_needs_is_told_where_it_stands() -> None:
    """Of the family of the destination, or at the interface."""
    has = "(leaf1 has 10.0.3.1/24, fd00:0:0:3::1/64 at eth1)"

    assert [
        "lab.yml:3:39: nodes.a.routes.0.via: expected a neighbour of a with an IPv6 address, found b",
        "lab.yml:9:30: nodes.leaf.routes.1.via: expected a neighbour of leaf1 at eth0 with an IPv6 address, found a",
        f"lab.yml:10:30: nodes.leaf.routes.2.via: expected the address of a neighbour, found 10.0.0.2 {has}",
    ] == mistakes(NAMES)
