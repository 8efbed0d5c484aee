"""What of a plan is no longer there: nodes as they were read, beside the record of the plan."""

import socket
import struct
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from netlab.lab import addresses_now, node_drift, program_drift, route_drift, snapshot
from netlab.lab.node_drift import Inside, Link, Problem
from netlab.lab.program_drift import Pins
from netlab.plan.description import describe
from netlab.plan.planner import plan
from netlab.record.model import RouteRecord
from netlab.topology.hooks import EGRESS
from netlab.topology.ip_arithmetic import IPV4, IPV6, Subnet, parse
from netlab.topology.model import Endpoint, Node, Program, Route, Topology
from netlab.topology.model import Link as Wire

PROGRAM = Program("own", "/bpf/own.c", transmits=True)
NODES = (
    Node(
        "host",
        sysctls=(("net.ipv4.tcp_rmem", "4096 0x2000 6291456"), ("net.ipv6.conf.eth0.stable_secret", "2001:db8::1")),
    ),
    Node("router", routes=(Route("10.9.0.0/16", "10.0.0.1"),), programs=(PROGRAM,)),
    Node("switch", kind="switch"),
)
WIRES = (
    Wire(Endpoint("host"), Endpoint("router")),
    Wire(Endpoint("router"), Endpoint("switch")),
)
RECORD = describe(plan(Topology("lab", "/lab.yml", NODES, WIRES)), "/run/netlab/lab")
OWN = Pins({"own": 7, "egress": 8}, frozenset({"seen"}), frozenset(), "own", ("programs/own", "maps/seen"))
PASSING = Pins({"pass": 9}, frozenset(), frozenset(), "pass", ("programs/pass",))


def whole(node: str) -> Inside:
    """Return what is read in a node that is as planned."""
    about = RECORD.nodes[node]
    links = [Link("lo", 1, "00:00:00:00:00:00", 65536, True, 0, {"native": 0, "generic": 0})]
    if about.bridge:
        links.append(Link("br0", 16, "02:00:00:00:00:99", 1500, True, 0, {"native": 0, "generic": 0}))
    addresses, faces = set(), {}
    for name, port in about.interfaces.items():
        master = 16 if port.bridge else 0
        own = any(name in program.interfaces for program in about.programs)
        programs = {"native": 7 if own else 9 if port.passes else 0, "generic": 0}
        links.append(Link(name, port.index, port.mac, port.mtu, True, master, programs))
        addresses |= {(port.index, *parse(address)) for address in port.addresses}
        if port.faces:
            faces[name] = (True, False)
    routes = map(route_drift.planned, about.routes)
    return Inside(tuple(links), frozenset(addresses), frozenset(routes), about.sysctls, faces)


def said(node: str, seen: Inside, own: Pins = OWN, passing: Pins = PASSING) -> list[str]:
    """Return what is told of a node, without what mends it."""
    about = RECORD.nodes[node]
    pins = dict.fromkeys((key for key, _ in RECORD.programs_of(node)), own)
    found = [
        *node_drift.node_problems("lab", node, about, seen),
        *program_drift.program_problems("lab", node, about, seen, pins, passing),
    ]
    return [f"{one.where}: {one.what}" for one in found]


def changed(seen: Inside, name: str, /, **values: Any) -> Inside:
    """Return a node in which one interface is another."""
    links = tuple(link._replace(**values) if link.name == name else link for link in seen.links)
    return seen._replace(links=links)


@pytest.mark.parametrize("node", ["host", "router", "switch"])
def test_a_node_as_planned_has_no_problem(node: str) -> None:
    assert [] == said(node, whole(node))


@pytest.mark.parametrize("node", ["host", "router"])
def test_what_is_added_is_no_problem(node: str) -> None:
    """Links, addresses, routes and sysctls that nobody has planned; numbers written in another way."""
    seen = whole(node)
    extra = Link("mine", 40, "02:00:00:00:00:01", 9000, False, 0, {"native": 5, "generic": 0})
    sysctls = {**seen.sysctls, "net.ipv4.conf.all.log_martians": "1"}
    if node == "host":
        secret = "2001:0db8:0000:0000:0000:0000:0000:0001"
        sysctls |= {"net.ipv4.tcp_rmem": "4096\t8192\t6291456", "net.ipv4.ip_forward": "1"}
        sysctls |= {"net.ipv6.conf.eth0.stable_secret": secret}
    more = seen._replace(
        links=(*seen.links, extra),
        addresses=seen.addresses | {(40, 1, Subnet(IPV4, 0, 8))},
        routes=seen.routes | {route_drift.Route(Subnet(IPV6, 0, 0), 1, 20)},
        sysctls=sysctls,
    )

    assert [] == said(node, more)


def test_what_goes_with_an_interface_is_not_told_again() -> None:
    """Its addresses, its program and the routes through its network."""
    seen = whole("router")
    left = seen._replace(
        links=tuple(link for link in seen.links if link.name != "eth0"), addresses=frozenset(), routes=frozenset()
    )
    found = said("router", left)

    assert "router eth0: the interface is gone" in found
    assert not [each for each in found if "eth0" in each and "gone" not in each]
    assert not [each for each in found if "route" in each.removeprefix("router")]


@pytest.mark.parametrize(
    ("values", "what"),
    [
        ({"is_up": False}, "the link is down"),
        ({"mtu": 1400}, "its MTU is 1400, planned is 1500"),
        ({"mac": "02:00:00:00:00:07"}, "its MAC is 02:00:00:00:00:07, planned is "),
        ({"name": "wan0"}, "the interface is called wan0 now"),
        ({"index": 55}, "the interface is gone, and another one has its name"),
        ({"programs": {"native": 0, "generic": 0}}, "no XDP program is attached in native mode; planned is own"),
        ({"programs": {"native": 0, "generic": 7}}, "no XDP program is attached in native mode, but one in generic"),
        ({"programs": {"native": 8, "generic": 0}}, "another XDP program (number 8) is attached in the place of own"),
    ],
)
def test_an_interface_that_is_another_is_reported(values: dict[str, Any], what: str) -> None:
    """Also where what is attached is another program of the same node."""
    (told,) = said("router", changed(whole("router"), "eth0", **values))

    assert told.startswith(f"router eth0: {what}")


def test_a_program_that_a_reload_is_just_attaching_is_its_own() -> None:
    """The new build is pinned beside the old one, and its number is that of the program attached."""
    seen = changed(whole("router"), "eth0", programs={"native": 30, "generic": 0})

    assert said("router", seen)
    assert [] == said("router", seen, OWN._replace(coming=frozenset({30})))
    assert not list(program_drift.pin_problems("lab", "router", OWN._replace(programs={}, coming=frozenset({30}))))


@pytest.mark.parametrize(
    ("attached", "what"),
    [
        ((), "no tc program is attached at egress; planned is own"),
        ((8, 9), "another tc program (number 8, 9) is attached at egress in the place of own"),
    ],
)
def test_a_tc_program_that_is_not_attached_is_told(attached: tuple[int, ...], what: str) -> None:
    """Others may stand beside it; a reload is just attaching a new build."""
    about = RECORD.nodes["router"]
    about = about._replace(programs=tuple(each._replace(hook=EGRESS, mode="") for each in about.programs))
    places = [(name, EGRESS) for name in about.programs[0].interfaces]

    def told(numbers: tuple[int, ...], own: Pins = OWN) -> list[Problem]:
        seen = whole("router")._replace(tc=dict.fromkeys(places, numbers))
        return list(program_drift.program_problems("lab", "router", about, seen, {"router": own}, PASSING))

    assert [(f"router {name}", what) for name, _ in places] == [(one.where, one.what) for one in told(attached)]
    assert told(attached)[0].mend == "netlab reload --lab lab router, with its source as it is now"
    assert [] == told((3, 7, 9)) == told((30,), OWN._replace(coming=frozenset({30})))


def test_a_port_that_left_its_bridge_is_told_unless_the_bridge_has_gone() -> None:
    """Then it cannot be a port, and one line is enough."""
    seen = changed(whole("switch"), "eth0", master=0)
    without = seen._replace(links=tuple(link for link in seen.links if link.name != "br0"))

    assert ["switch eth0: it is no port of br0 any more"] == said("switch", seen)
    assert ["switch br0: the interface is gone"] == said("switch", without)


def test_sysctls_that_one_another_set_are_told_only_when_all_are_planned_alike() -> None:
    """net.ipv4.conf.all.forwarding and net.ipv4.ip_forward are one; the file may set them in any order."""
    several = {"net.ipv4.ip_forward": "1", "net.ipv4.conf.eth0.forwarding": "0"}
    about = RECORD.nodes["host"]._replace(sysctls=several)
    seen = whole("host")._replace(sysctls={"net.ipv4.ip_forward": "0", "net.ipv4.conf.eth0.forwarding": "0"})
    alike = about._replace(sysctls={"net.ipv4.ip_forward": "1", "net.ipv4.conf.all.forwarding": "1"})

    assert [] == list(node_drift.node_problems("lab", "host", about, seen))
    (told,) = node_drift.node_problems("lab", "host", alike, seen)
    assert told.mend == "netlab exec --lab lab host sysctl -qw net.ipv4.ip_forward=1"


def test_what_cannot_be_read_is_not_told() -> None:
    """A sysctl may be written and never read."""
    assert [] == said("host", whole("host")._replace(sysctls={}))


@pytest.mark.parametrize(
    ("lose", "mend"),
    [
        (lambda seen: seen._replace(routes=frozenset()), "ip route add 10.9.0.0/16 via 10.0.0.1"),
        (lambda seen: seen._replace(addresses=frozenset()), "ip addr add 10.0.0.2/24 dev eth0"),
        (lambda seen: seen._replace(addresses=frozenset()), "ip addr add fd00::2/64 dev eth0 nodad"),
        (lambda seen: changed(seen, "lo", is_up=False), "ip link set lo up"),
    ],
)
def test_what_mends_is_the_step_of_the_plan(lose: Callable[[Inside], Inside], mend: str) -> None:
    """As `up --dry-run` prints it, in the node."""
    found = node_drift.node_problems("lab", "router", RECORD.nodes["router"], lose(whole("router")))

    assert f"netlab exec --lab lab router {mend}" in [one.mend for one in found]


def test_interfaces_that_face_a_program_keep_their_offloads() -> None:
    """Frames are lost, or have wrong checksums, otherwise."""
    (told,) = said("host", whole("host")._replace(faces={"eth0": (False, True)}))

    assert told.startswith("host eth0: GRO is off and TX checksum offload is on, which ")


def test_pins_that_are_gone_are_told() -> None:
    found = [
        one.what for one in program_drift.pin_problems("lab", "router", OWN._replace(maps=frozenset(), programs={}))
    ]

    assert ["the pin of the program own is gone", "the pin of the map seen is gone"] == found


def attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def test_routes_are_read_as_the_kernel_tells_them() -> None:
    """Those of the main table, through each next hop; others are left out."""
    head = struct.Struct("=8BI")
    via = [socket.inet_aton(f"10.0.0.{number}") for number in (1, 2)]
    hops = b"".join(struct.pack("=HBBi", 16, 0, 0, 16) + attribute(5, each) for each in via)
    several = head.pack(socket.AF_INET, 16, 0, 0, 254, 3, 0, 1, 0) + attribute(1, socket.inet_aton("10.9.0.0"))
    metric = attribute(6, struct.pack("=I", 20))
    default = head.pack(socket.AF_INET6, 0, 0, 0, 254, 3, 0, 1, 0) + attribute(5, bytes(15) + b"\x09") + metric
    local = head.pack(socket.AF_INET, 32, 0, 0, 255, 2, 0, 2, 0) + attribute(1, via[0])
    bridged = head.pack(socket.AF_BRIDGE, 0, 0, 0, 254, 3, 0, 1, 0) + attribute(5, via[0])

    bare = head.pack(socket.AF_INET6, 32, 0, 0, 254, 3, 0, 6, 0) + attribute(1, b"\xfd\x09" + bytes(14)) + metric
    linked = head.pack(socket.AF_INET, 0, 0, 0, 254, 3, 253, 1, 0) + attribute(4, struct.pack("=I", 17))

    def read(*answers: bytes) -> Iterator[route_drift.Route]:
        for answer in answers:
            yield from snapshot._routes(answer)

    assert [
        route_drift.Route(Subnet(IPV4, 10 << 24 | 9 << 16, 16), 10 << 24 | 1, 0),
        route_drift.Route(Subnet(IPV4, 10 << 24 | 9 << 16, 16), 10 << 24 | 2, 0),
        route_drift.Route(Subnet(IPV6, 0, 0), 9, 20),
        route_drift.Route(Subnet(IPV6, 0xFD09 << 112, 32), 0, 20, "blackhole"),
        route_drift.Route(Subnet(IPV4, 0, 0), 0, 0, "", 17),
    ] == list(read(several + attribute(9, hops), default, local, bridged, bare, linked))


@pytest.mark.parametrize(
    ("route", "told"),
    [
        (RouteRecord("10.9.0.0/16", "10.0.0.1"), "its route to 10.9.0.0/16 through 10.0.0.1 is gone"),
        (RouteRecord("default", "fd00::1", 255 << 24), "its default route through fd00::1 is gone"),
        (RouteRecord("10.9.0.0/16", "", 0, "eth0", "", 16), "its route to 10.9.0.0/16 at eth0 is gone"),
        (RouteRecord("::/0", "", 0, "", "blackhole"), "its blackhole route to ::/0 is gone"),
        (RouteRecord("default", "fe80::1", 0, "eth0", "", 16), "its default route through fe80::1 is gone"),
    ],
)
@pytest.mark.parametrize("change", ["metric", "via", "kind", "index", "nothing"])
def test_a_route_of_somebody_else_is_not_the_planned_one(route: RouteRecord, told: str, change: str) -> None:
    """One to the same network with another metric, as of a routing daemon, or in another way."""
    there = route_drift.planned(route)
    others: dict[str, list[route_drift.Route]] = {
        "metric": [there._replace(metric=20)],
        "via": [there._replace(via=there.via + 1)],
        "kind": [there._replace(kind="unreachable")],
        "index": [there._replace(index=99)],
        "nothing": [],
    }
    seen = whole("router")
    about = RECORD.nodes["router"]._replace(routes=(route,))

    found = node_drift.node_problems("lab", "router", about, seen._replace(routes=frozenset(others[change])))

    assert [told] == [one.what for one in found]
    both = frozenset((there, *others[change]))
    assert [] == [*node_drift.node_problems("lab", "router", about, seen._replace(routes=both))]


PORT = RECORD.nodes["host"].interfaces["eth0"]
PEERED = PORT._replace(addresses=("10.4.0.1/32", "fd00::1/64"), peers={"10.4.0.1/32": "10.5.0.1"})
ADDRESSED = RECORD.nodes["host"]._replace(loopback=("10.255.0.1/32",), interfaces={"eth0": PEERED})


def with_addresses(*found: tuple[int, str]) -> Inside:
    return whole("host")._replace(addresses=frozenset((index, *parse(word)) for index, word in found))


def test_loopback_and_point_to_point_addresses_are_told_with_what_sets_them() -> None:
    found = node_drift.node_problems("lab", "host", ADDRESSED, with_addresses((16, "fd00::1/64")))

    assert [
        ("host lo", "its address 10.255.0.1/32 is gone", "ip addr add 10.255.0.1/32 dev lo"),
        ("host eth0", "its address 10.4.0.1/32 is gone", "ip addr add 10.4.0.1 peer 10.5.0.1/32 dev eth0"),
    ] == [(one.where, one.what, one.mend.partition("host ")[2]) for one in found if "address" in one.what]


def test_addresses_are_shown_without_those_that_every_interface_has() -> None:
    """Of each interface, in the order of the addresses."""
    kernels = ((1, "127.0.0.1/8"), (1, "::1/128"), (16, "fe80::6eff:fe00:0/64"))
    added = ((1, "10.255.0.1/32"), (1, "10.255.0.2/32"))

    assert {"lo": ("10.255.0.1/32", "10.255.0.2/32"), "eth0": ()} == addresses_now.of(
        ADDRESSED, with_addresses(*kernels, *added)
    )
