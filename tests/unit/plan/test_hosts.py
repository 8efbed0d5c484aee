from netlab.plan import hosts
from netlab.plan.planner import plan
from netlab.topology.model import Endpoint, Link, Node, Topology

NODES = (Node("lb"), Node("s", kind="switch"), Node("web1", replica_of="web"), Node("web2", replica_of="web"))
LINKS = tuple(Link(Endpoint(a), Endpoint(b)) for a, b in (("web1", "s"), ("web2", "s"), ("lb", "s"), ("lb", "web1")))


def test_every_name_has_all_its_addresses_and_a_replicated_one_those_of_its_replicas() -> None:
    assert hosts.text(plan(Topology("lab", "", NODES, LINKS))).splitlines() == [
        "127.0.0.1 localhost",
        "::1 localhost ip6-localhost ip6-loopback",
        "10.0.0.3 lb",
        "10.0.1.1 lb",
        "10.0.0.1 web1 web",
        "10.0.1.2 web1 web",
        "10.0.0.2 web2 web",
        "fd00::3 lb",
        "fd00:0:0:1::1 lb",
        "fd00::1 web1 web",
        "fd00:0:0:1::2 web1 web",
        "fd00::2 web2 web",
    ]


def test_a_lab_without_links_knows_localhost_only() -> None:
    text = hosts.text(plan(Topology("lab", "", (Node("alone"),), ())))

    assert text == "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n"


def test_loopback_addresses_come_behind_those_of_links() -> None:
    nodes = (Node("a", loopback=("10.255.0.1/32", "fd00:ff::1/128")), Node("b"))
    link = Link(Endpoint("a", addresses=("10.1.0.1/24", "10.2.0.1/24")), Endpoint("b"))

    assert hosts.text(plan(Topology("lab", "", nodes, (link,)))).splitlines()[2:] == [
        *("10.1.0.1 a", "10.2.0.1 a", "10.255.0.1 a", "10.1.0.2 b"),
        *("fd00::1 a", "fd00:ff::1 a", "fd00::2 b"),
    ]


def test_labels_stand_beside_names_that_are_none() -> None:
    nodes = (Node("PC_1"), Node("R1", replica_of="R"))

    text = hosts.text(plan(Topology("lab", "", nodes, (Link(Endpoint("PC_1"), Endpoint("R1")),))))

    assert text.splitlines()[2:4] == ["10.0.0.1 PC_1 pc-1", "10.0.0.2 R1 R r1 r"]
