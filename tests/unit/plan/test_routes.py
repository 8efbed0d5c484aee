import ipaddress

import pytest

from netlab.plan import routes
from netlab.plan.addresses import layout
from netlab.topology.model import Endpoint, Link, Node, Route, Topology


def lab(*pairs: str, switches: str = "", routes: dict[str, tuple[Route, ...]] | None = None) -> Topology:
    """Return a topology of these links, such as `h1 r1`."""
    links = tuple(Link(Endpoint(a), Endpoint(b)) for a, b in (pair.split() for pair in pairs))
    names = dict.fromkeys(name for pair in pairs for name in pair.split())
    nodes = (Node(name, "switch" if name in switches.split() else "node") for name in names)
    return Topology("lab", "", tuple(node._replace(routes=(routes or {}).get(node.name, ())) for node in nodes), links)


def ipv4(topology: Topology) -> list[str]:
    hops, note = routes.routes(topology, layout(topology))

    assert not note
    return [" ".join(hop[:3]) for hop in hops if ":" not in hop.via]


def shown(topology: Topology) -> list[tuple[str, str, str]]:
    """Return all routes, without their metrics."""
    return [hop[:3] for hop in routes.routes(topology, layout(topology))[0]]


Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Table = list[tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, str]]  # networks, and the next hop ("" if on link)


def unreachable(topology: Topology) -> list[tuple[str, str]]:
    """Return (node, address) for every address that no hop by hop walk through both families' routes gets to."""
    where = layout(topology)
    tables: dict[str, Table] = {node.name: [] for node in topology.nodes if node.kind == "node"}
    owner: dict[Address, str] = {}
    for end, found in zip(where.ends, where.addresses, strict=True):
        for address in map(ipaddress.ip_interface, found.values()):
            tables[end.node].append((address.network, ""))
            owner[address.ip] = end.node
    for node, to, via, *_ in routes.routes(topology, where)[0]:
        everything = "::/0" if ":" in via else "0.0.0.0/0"
        tables[node].append((ipaddress.ip_network(everything if to == "default" else to), via))
    return [(name, str(target)) for name in tables for target in owner if not _arrives(name, target, owner, tables)]


def _arrives(node: str, target: Address, owner: dict[Address, str], tables: dict[str, Table]) -> bool:
    for _ in range(len(tables)):
        matches = [entry for entry in tables[node] if target in entry[0]]
        if owner[target] == node or not matches:
            break
        via = max(matches, key=lambda entry: entry[0].prefixlen)[1]
        node = owner[ipaddress.ip_address(via) if via else target]
    return owner[target] == node


def test_a_host_with_one_link_has_its_default_route_through_its_peer() -> None:
    topology = lab("h1 r", "r h2")

    assert shown(topology) == [
        ("h1", "default", "10.0.0.2"),
        ("h1", "default", "fd00::2"),
        ("h2", "default", "10.0.1.1"),
        ("h2", "default", "fd00:0:0:1::1"),
    ]


def test_behind_switches_the_default_route_is_through_the_only_router() -> None:
    assert ipv4(lab("h1 s1", "s1 s2", "r s2", "r out", switches="s1 s2")) == [
        "h1 default 10.0.0.2",
        "out default 10.0.1.1",
    ]


def test_behind_switches_without_a_router_there_is_no_route() -> None:
    assert ipv4(lab("h1 s", "h2 s", switches="s")) == []


def test_a_host_between_two_routers_has_a_route_through_each() -> None:
    topology = lab("h s", "r1 s", "r2 s", "r1 a", "r2 b", switches="s")

    assert [route for route in ipv4(topology) if route.startswith("h ")] == [
        "h 10.0.1.0/24 10.0.0.2",
        "h 10.0.2.0/24 10.0.0.3",
    ]
    assert unreachable(topology) == []


def test_routers_know_the_way_to_every_segment() -> None:
    assert ipv4(lab("h1 r1", "r1 r2", "r2 h2")) == [
        "h1 default 10.0.0.2",
        "r1 10.0.2.0/24 10.0.1.2",
        "r2 10.0.0.0/24 10.0.1.1",
        "h2 default 10.0.2.1",
    ]


@pytest.mark.parametrize(
    "topology",
    [
        lab("a b"),
        lab("h1 r1", "r1 r2", "r2 r3", "r3 h2"),
        lab("a b", "b c", "c d", "d a", "a h1", "c h2"),
        lab("r1 r2", "r2 r3", "r3 r1", "r1 s", "r2 s", "h s", "r3 x", switches="s"),
        lab("h1 s1", "r1 s1", "r1 s2", "r2 s2", "r2 s3", "h3 s3", "h2 s2", switches="s1 s2 s3"),
        lab(*(f"n{y}{x} n{y}{x + 1}" for y in range(4) for x in range(3)), *(f"n{y}0 n{y + 1}0" for y in range(3))),
    ],
    ids=["pair", "chain", "ring", "triangle", "segments", "grid"],
)
def test_every_address_is_reached_from_every_node_without_loops(topology: Topology) -> None:
    assert unreachable(topology) == []


def test_paths_are_shortest_and_the_first_in_the_file_among_equals() -> None:
    ring = lab("a b", "b c", "a d", "d c", "c h")

    assert "a 10.0.4.0/24 10.0.0.2" in ipv4(ring)


def test_a_thousand_leaves_have_one_route_a_family_and_their_centre_none() -> None:
    hops = ipv4(lab(*(f"leaf{number} centre" for number in range(1000))))

    assert len(hops) == 1000
    assert not [hop for hop in hops if hop.startswith("centre")]


def test_a_lab_that_needs_too_many_routes_gets_none_between_routers_and_a_note() -> None:
    chain = lab(*(f"r{number} r{number + 1}" for number in range(200)))

    hops, note = routes.routes(chain, layout(chain))

    assert len(hops) == 4
    assert "more than 20000 routes" in note


@pytest.mark.parametrize("narrow", [0, 1])
def test_where_an_end_has_no_ipv6_there_are_no_ipv6_routes(narrow: int) -> None:
    topology = lab("h s", "s r", "r x", switches="s")
    links = tuple(link._replace(mtu=1000 if at == narrow else 0) for at, link in enumerate(topology.links))

    hops, _ = routes.routes(topology, layout(topology._replace(links=links)))

    assert [(hop.node, hop.via) for hop in hops] == [("h", "10.0.0.2"), ("x", "10.0.1.1"), ("x", "fd00:0:0:1::1")]


def test_a_written_default_replaces_the_chosen_one_of_its_family() -> None:
    topology = lab("h r", "r x", routes={"h": (Route("default", "10.0.0.99"),)})

    assert shown(topology)[:2] == [
        ("h", "default", "fd00::2"),
        ("h", "default", "10.0.0.99"),
    ]


@pytest.mark.parametrize(("to", "via", "left"), [("0.0.0.0/0", "10.0.0.9", ":"), ("::/0", "fd00::9", ".")])
def test_a_default_may_be_written_as_a_network(to: str, via: str, left: str) -> None:
    topology = lab("h r", "r x", routes={"h": (Route(to, via),)})

    hops = [hop for hop in routes.routes(topology, layout(topology))[0] if hop[0] == "h"]

    assert [hop[1] for hop in hops] == ["default", "default"]
    assert left in hops[0][2]
    assert hops[1][2] == via


def test_other_written_routes_are_added_to_the_default_route() -> None:
    topology = lab("h r", "r x", routes={"h": (Route("10.9.0.0/16", "10.0.0.2"), Route("10.8.0.1", "10.0.0.2"))})

    assert ipv4(topology)[:3] == ["h default 10.0.0.2", "h 10.9.0.0/16 10.0.0.2", "h 10.8.0.1 10.0.0.2"]


def test_a_written_route_replaces_the_chosen_ones_that_it_covers() -> None:
    wide = (Route("10.0.0.0/16", "10.0.1.77"),)
    topology = lab("h1 r1", "r1 r2", "r2 h2", "r2 h3", routes={"r1": wide})

    assert [route for route in ipv4(topology) if route.startswith("r1")] == ["r1 10.0.0.0/16 10.0.1.77"]


def test_a_node_without_links_may_have_written_routes_only() -> None:
    topology = Topology("lab", "", (Node("alone"),), ())

    assert routes.routes(topology, layout(topology)) == ([], "")


def test_what_is_chosen_is_the_last_resort_and_what_is_written_is_not() -> None:
    """Also for FRR, to which the highest byte of a metric is a distance, and 255 the highest one."""
    topology = lab("h r", "r x", routes={"h": (Route("10.9.0.0/16", "10.0.0.2", metric=7),)})

    hops, _ = routes.routes(topology, layout(topology))

    assert {hop.metric for hop in hops if hop.to == "default"} == {routes.AUTOMATIC_METRIC}
    assert routes.AUTOMATIC_METRIC >> 24 == 255
    assert [hop.metric for hop in hops if hop.to == "10.9.0.0/16"] == [7]


@pytest.mark.parametrize("node", ["h1", "r1"])
def test_a_node_without_automatic_routes_has_those_that_are_written(node: str) -> None:
    topology = lab("h1 r1", "r1 r2", "r2 h2", routes={"r1": (Route("10.9.0.0/16", "10.0.1.2"),)})
    nodes = tuple(one._replace(automatic_routes=one.name != node) for one in topology.nodes)

    found = ipv4(topology._replace(nodes=nodes))

    written = ["r1 10.9.0.0/16 10.0.1.2"]
    assert [route for route in found if route.startswith(node)] == (written if node == "r1" else [])
    assert [route for route in found if not route.startswith(node)] == [
        route for route in ipv4(topology) if not route.startswith(node)
    ]


def test_a_next_hop_may_be_a_name() -> None:
    """It is the neighbour's address on the first link that both are on; a default route is one of each family."""
    ways = (
        Route("default", "r"),
        Route("fd09::/32", "r"),
        Route("10.9.0.0/16", "x"),
        Route("0.0.0.0/0", "r", metric=9),
    )
    topology = lab("h r", "h r", "h s", "x s", switches="s", routes={"h": ways})

    assert [route[1:] for route in shown(topology) if route[0] == "h"] == [
        ("default", "10.0.0.2"),
        ("default", "fd00::2"),
        ("fd09::/32", "fd00::2"),
        ("10.9.0.0/16", "10.0.2.2"),
        ("default", "10.0.0.2"),
    ]


def test_a_name_of_replicas_is_the_one_that_is_a_neighbour() -> None:
    topology = lab("h w1", "g w2", routes={"h": (Route("10.9.0.0/16", "w"),), "g": (Route("10.9.0.0/16", "w"),)})
    nodes = tuple(node._replace(replica_of="w" if node.name[0] == "w" else "") for node in topology.nodes)

    found = [route for route in ipv4(topology._replace(nodes=nodes)) if "10.9" in route]

    assert found == ["h 10.9.0.0/16 10.0.0.2", "g 10.9.0.0/16 10.0.1.2"]


def test_a_route_without_a_next_hop_covers_only_its_own_network() -> None:
    """A last resort such as `blackhole` takes nothing away from the routes that lead somewhere."""
    ways = (Route("default", kind="blackhole"), Route("10.0.2.0/24", kind="unreachable"))
    topology = lab("h1 r1", "r1 r2", "r2 h2", "r2 h3", routes={"r1": ways})

    assert [
        (hop.to, hop.via or hop.kind) for hop in routes.routes(topology, layout(topology))[0] if hop.node == "r1"
    ] == [
        ("10.0.3.0/24", "10.0.1.2"),
        ("fd00:0:0:2::/64", "fd00:0:0:1::2"),
        ("fd00:0:0:3::/64", "fd00:0:0:1::2"),
        ("0.0.0.0/0", "blackhole"),
        ("::/0", "blackhole"),
        ("10.0.2.0/24", "unreachable"),
    ]


def odd() -> Topology:
    """Return a triangle with point-to-point, second and loopback addresses, and an end without any."""
    nodes = tuple(Node(name, loopback=(f"10.255.0.{at}/32",)) for at, name in enumerate("abc", 1))
    links = (
        Link(Endpoint("a", addresses=("10.4.0.1/32",), peers=("10.5.0.1",)),
             Endpoint("b", addresses=("10.5.0.1/32",), peers=("10.4.0.1",))),
        Link(Endpoint("b", addresses=("10.6.0.1/24", "10.7.0.1/24")), Endpoint("c", addresses=("10.6.0.2/16",))),
        Link(Endpoint("a", automatic=()), Endpoint("c")),
    )  # fmt: skip
    return Topology("lab", "", nodes, links)


def test_routes_lead_to_addresses_that_are_in_no_network() -> None:
    """Of loopback interfaces, of point-to-point links and of second networks; through neighbours that are on a link."""
    assert ipv4(odd()) == [
        "a default 10.5.0.1",
        "b 10.0.2.0/24 10.6.0.2",
        "b 10.255.0.1/32 10.4.0.1",
        "b 10.255.0.3/32 10.6.0.2",
        "c 10.7.0.0/24 10.6.0.1",
        "c 10.255.0.2/32 10.6.0.1",
        "c 10.5.0.1/32 10.6.0.1",
        "c 10.255.0.1/32 10.6.0.1",
        "c 10.4.0.1/32 10.6.0.1",
    ]


def test_one_network_on_two_links_has_one_route() -> None:
    """And none where it is on a link."""
    ends = [Endpoint(name, addresses=(f"10.8.0.{at}/24",)) for at, name in enumerate("ab", 1)]
    bare = [Endpoint(name, automatic=()) for name in "rs"]
    links = (*map(Link, ends, bare), Link(Endpoint("a"), Endpoint("x")), Link(Endpoint("b"), Endpoint("x")))
    topology = Topology("lab", "", tuple(map(Node, "abrsxy")), (*links, Link(Endpoint("x"), Endpoint("y"))))

    assert [route for route in ipv4(topology) if "10.8" in route] == ["x 10.8.0.0/24 10.0.2.1"]
