"""A lab that joins the host stays off the host's networks, and finds the way outside."""

import pytest

from netlab.plan.host_steps import GuardHost, JoinHost, OpenInternet
from netlab.plan.mistakes import PlanError
from netlab.plan.planner import Plan, plan
from netlab.plan.steps import AddRoute
from netlab.plan.surroundings import Surroundings, Taken
from netlab.topology.ip_arithmetic import parse
from netlab.topology.model import Endpoint, Link, Node, Route, Topology

WORLD = Node("world", "host", internet=True)


def taken(*networks: str) -> Surroundings:
    return Surroundings(tuple(Taken(parse(each)[1], "address of eth0") for each in networks), (4, 6))


def lab(*pairs: str, world: Node = WORLD, **said: tuple[str, ...]) -> Topology:
    """Return a lab with these links; `said` are the addresses of a node at its links."""
    names = dict.fromkeys(name for pair in pairs for name in pair.split("-"))
    nodes = tuple(
        world if name == "world" else Node(name, "switch" if name.startswith("s") else "node") for name in names
    )
    ends = [[Endpoint(name, addresses=said.get(name, ())) for name in pair.split("-")] for pair in pairs]
    return Topology("t", "", nodes, tuple(Link(a, b) for a, b in ends))


def ways(found: Plan, node: str) -> list[tuple[str, str]]:
    return [(step.to, step.via) for step in found.steps if isinstance(step, AddRoute) and step.node == node]


def test_chosen_subnets_avoid_what_the_host_uses() -> None:
    found = plan(lab("a-world", "b-world"), surroundings=taken("10.0.0.0/23", "fd00::/64"))

    assert [end.addresses for end in found.interfaces[::2]] == [
        ("10.0.2.1/24", "fd00:0:0:2::1/64"),
        ("10.0.3.1/24", "fd00:0:0:3::1/64"),
    ]


def test_a_host_that_uses_all_of_10_leaves_the_other_pool() -> None:
    found = plan(lab("a-world"), surroundings=taken("10.0.0.0/8"))

    assert found.interfaces[0].addresses[0].startswith("172.16.")


@pytest.mark.parametrize("used", ["10.5.0.0/16", "10.5.1.0/28", "10.5.1.7/32"])
def test_written_ones_that_overlap_are_refused(used: str) -> None:
    with pytest.raises(PlanError) as caught:
        plan(lab("a-world", a=("10.5.1.1/24",)), surroundings=taken(used))

    expected = f"expected a network that this host does not use, found 10.5.1.0/24, which overlaps its {used} (address"
    assert expected in str(caught.value)
    assert caught.value.misfits[0].keys == ("links", "0", "endpoints", "0", "address")


def test_the_other_end_of_a_point_to_point_address_is_refused_alike() -> None:
    world = Endpoint("world", addresses=("10.4.0.1/32",), peers=("198.51.100.1",))
    asked = lab("world-a")._replace(links=(Link(world, Endpoint("a")),))
    with pytest.raises(PlanError) as caught:
        plan(asked, surroundings=taken("198.51.100.0/24"))

    assert caught.value.misfits[0].keys == ("links", "0", "endpoints", "0", "peer")


def test_a_route_of_the_host_is_refused_alike() -> None:
    world = WORLD._replace(routes=(Route("10.9.0.0/16", "a"),))
    with pytest.raises(PlanError) as caught:
        plan(lab("a-world", world=world), surroundings=taken("10.9.3.0/24"))

    assert caught.value.misfits[0].keys == ("nodes", "world", "routes", "0")


@pytest.mark.parametrize(
    ("to", "expected"),
    [
        ("64.0.0.0/2", "no wider network than /8"),
        ("2000::/3", "no wider network than /8"),
        ("169.254.169.254/32", "no loopback, link-local or multicast network"),
        ("fe80::/64", "no loopback, link-local or multicast network"),
    ],
)
def test_routes_of_the_host_to_half_the_world_or_to_each_links_own_are_refused(to: str, expected: str) -> None:
    with pytest.raises(PlanError) as caught:
        plan(lab("a-world", world=WORLD._replace(routes=(Route(to, "a"),))), surroundings=taken())

    assert f"expected {expected} beside this host, found {to}" in str(caught.value)
    assert caught.value.misfits[0].keys == ("nodes", "world", "routes", "0")


def test_links_within_the_lab_are_refused_alike_where_the_host_would_have_a_route_to_them() -> None:
    inner = lab("a-r", "r-world", a=("169.254.169.1/24", "fe80::1/64"))
    with pytest.raises(PlanError) as caught:
        plan(inner, surroundings=taken())

    assert [misfit.keys for misfit in caught.value.misfits] == [("links", "0", "endpoints", "0", "address")]
    plan(lab("a-r", a=("169.254.169.1/24",)))  # beside no host


def test_every_node_has_a_way_outside_and_the_host_none_but_to_the_lab() -> None:
    found = plan(lab("a-r", "r-world"), surroundings=taken())

    assert ways(found, "a") == [("default", "10.0.0.2"), ("default", "fd00::2")]
    assert ways(found, "r") == [("default", "10.0.1.2"), ("default", "fd00:0:0:1::2")]
    assert ways(found, "world") == [("10.0.0.0/24", "10.0.1.1"), ("fd00::/64", "fd00:0:0:1::1")]


def test_there_is_no_way_in_a_family_that_the_host_has_none_of() -> None:
    found = plan(lab("a-world"), surroundings=Surroundings((), (4,)))

    assert ways(found, "a") == [("default", "10.0.0.2")]
    assert [step.families for step in found.steps if isinstance(step, OpenInternet)] == [(4,)]


def test_behind_a_switch_the_host_is_the_way_beside_a_router_to_the_rest() -> None:
    found = plan(lab("a-s", "s-world", "s-r", "r-b"), surroundings=Surroundings((), (4,)))

    assert set(ways(found, "a")) == {
        ("10.0.1.0/24", "10.0.0.3"),
        ("default", "10.0.0.2"),
        ("fd00:0:0:1::/64", "fd00::3"),
    }
    assert ("default", "10.0.0.2") in ways(found, "r")
    assert ways(found, "b")[0] == ("default", "10.0.1.1")


def test_a_host_without_internet_is_no_way_and_no_router() -> None:
    found = plan(lab("a-world", "world-b", world=WORLD._replace(internet=False)), surroundings=taken())
    guards = [step for step in found.steps if isinstance(step, GuardHost)]

    assert [ways(found, name) for name in ("a", "b", "world")] == [[], [], []]
    assert [(step.interface, step.forwards) for step in guards] == [("nh-t-0", False), ("nh-t-1", False)]
    assert not any(isinstance(step, OpenInternet) for step in found.steps)


def test_the_host_is_joined_and_not_made() -> None:
    found = plan(lab("a-world"), surroundings=taken())

    assert [str(step) for step in found.steps if isinstance(step, JoinHost)] == ["ip netns attach t.world $$"]
    assert "ip netns add t.world" not in "\n".join(map(str, found.steps))
