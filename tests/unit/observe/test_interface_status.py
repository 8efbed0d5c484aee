"""Interfaces as they are, beside what was planned."""

from netlab.lab.node_drift import Inside, Link
from netlab.observe import interface_status
from netlab.observe.interface_status import InterfaceStatus
from netlab.record.model import BridgeRecord, InterfaceRecord, LimitsRecord, NodeRecord, ProgramRecord
from netlab.topology.ip_arithmetic import parse

PROGRAM = ProgramRecord("count", ("eth0",), "xdp")
NODE = NodeRecord(
    "node",
    LimitsRecord(),
    {"eth0": InterfaceRecord(("10.0.0.1/24", "fd00::1/64"), 16, peer="b", peer_interface="eth3")},
    (PROGRAM,),
    (),
)
LINK = Link("eth0", 16, "", 1500, is_up=True, master=0, programs={"native": 7, "generic": 0})
LO = Link("lo", 1, "", 65536, is_up=True, master=0, programs={})
Addresses = tuple[tuple[int, str], ...]
ADDRESSES: Addresses = ((1, "127.0.0.1/8"), (16, "10.0.0.1/24"), (16, "fd00::1/64"), (16, "fe80::1/64"))


def inside(*links: Link, addresses: Addresses = ADDRESSES) -> Inside:
    return Inside((LO, *links), frozenset((at, *parse(text)) for at, text in addresses), frozenset(), {}, {})


def seen(*links: Link, addresses: Addresses = ADDRESSES, down: tuple[str, ...] = ()) -> InterfaceStatus:
    return interface_status.of(NODE, inside(*links, addresses=addresses), down)["eth0"]


AS_PLANNED = InterfaceStatus("b:eth3", "up", "", ("10.0.0.1/24", "fd00::1/64"), programs=("count (native)",))


def test_what_is_as_planned() -> None:
    """The kernel's own addresses, and an interface that every node has, are not told."""
    assert {"eth0": AS_PLANNED} == interface_status.of(NODE, inside(LINK), ())
    assert AS_PLANNED.is_as_planned


def test_states_of_links() -> None:
    down, quiet = LINK._replace(is_up=False), LINK._replace(has_carrier=False)

    assert ("down", False) == (seen(down).state, seen(down).is_as_planned)
    assert ("set down", True) == (seen(down, down=("eth0",)).state, seen(down, down=("eth0",)).is_as_planned)
    assert ("no carrier", True) == (seen(quiet).state, seen(quiet).is_as_planned)
    assert ("gone", False) == (seen().state, seen().is_as_planned)


def test_addresses_that_were_lost_and_added() -> None:
    found = seen(LINK, addresses=((16, "fd00::1/64"), (16, "10.9.0.1/24")))

    assert (("10.0.0.1/24",), ("10.9.0.1/24",)) == (found.lost, found.added)
    assert {"10.9.0.1/24", "fd00::1/64"} == set(found.addresses)
    assert not found.is_as_planned


def test_an_interface_that_nobody_planned() -> None:
    added = interface_status.of(NODE, inside(LINK, Link("tun0", 20, "", 1500, is_up=True, master=0, programs={})), ())

    assert not added["tun0"].is_planned
    assert not added["tun0"].is_as_planned


def test_programs_that_are_there_and_that_are_gone() -> None:
    """In the mode that was planned; at a hook of tc, what was read there."""
    off = seen(LINK._replace(programs={"native": 0, "generic": 9}))
    at_tc = NODE._replace(programs=(PROGRAM._replace(hook="tc egress", mode=""),))
    gone, there = (
        interface_status.of(at_tc, inside(LINK)._replace(tc=found), ())["eth0"]
        for found in ({("eth0", "tc egress"): ()}, {("eth0", "tc egress"): (3,)})
    )

    assert ((), ("count (native)",)) == (off.programs, off.lost_programs)
    assert ((), ("count (tc egress)",)) == (gone.programs, gone.lost_programs)
    assert ("count (tc egress)",) == there.programs


def test_a_node_that_nobody_looked_into_is_as_planned() -> None:
    """XDP's mode is not known there."""
    found = interface_status.of(NODE, None, ())["eth0"]

    assert ("", ("10.0.0.1/24", "fd00::1/64"), ("count (xdp)",)) == (found.state, found.addresses, found.programs)
    assert found.is_as_planned


def test_a_switch_shows_its_ports_and_not_its_bridge() -> None:
    switch = NODE._replace(kind="switch", bridge=BridgeRecord("br0", 2), programs=())
    bridge = Link("br0", 2, "", 1500, is_up=True, master=0, programs={})
    found = interface_status.of(switch, inside(LINK._replace(state="blocking"), bridge), ())

    assert {"eth0": "blocking"} == {name: each.port for name, each in found.items()}
