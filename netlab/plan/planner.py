"""Topology → Plan: every name, address and step of a lab, chosen the same way on every run. Pure.

Choices are stable: a node or link that is added at the end of the file does not rename or renumber those before it.
There are two exceptions: a link that joins two switched segments makes them one, and a segment that grows past 254
hosts needs a larger subnet.
"""

import os
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

from netlab import assets
from netlab.named_tuple import NamedTuple
from netlab.paths import MIDDLE, process_key, program_key
from netlab.plan.addresses import Layout, interface_names, layout, macs
from netlab.plan.attach_program import AttachProgram
from netlab.plan.file_steps import GiveFiles
from netlab.plan.fill_maps import FillMaps
from netlab.plan.host_steps import GuardHost, JoinHost, OpenInternet, interface_index
from netlab.plan.middle_steps import CreateMiddle
from netlab.plan.mistakes import PlanError
from netlab.plan.routes import routes
from netlab.plan.setup_steps import RunSetup
from netlab.plan.steps import (
    BRIDGE,
    LO,
    LO_INDEX,
    AddAddress,
    AddBridge,
    AddLink,
    AddRoute,
    CreateNode,
    FaceProgram,
    Interface,
    StartRole,
    Step,
)
from netlab.plan.surroundings import NOWHERE, Surroundings
from netlab.plan.switch_steps import SetVlans
from netlab.topology.document.tree import Document
from netlab.topology.hooks import XDP
from netlab.topology.ip_arithmetic import FAMILIES, IPV4, IPV6
from netlab.topology.model import DEFAULT_MTU, NODE_IMAGE, Node, Process, Program, Topology

if TYPE_CHECKING:
    from netlab.plan.middle import MiddleLink

# 1 is lo. If the host has tunnel modules loaded, a new namespace has their devices from 2 on (tunl0, gre0, sit0).
# On a switch the bridge has this index, and its ports follow.
FIRST_INDEX = 16
# A namespace inherits some of these from the host. Each is set, so that every host behaves alike.
NO_DUPLICATE_DETECTION = (("net.ipv6.conf.default.accept_dad", "0"), ("net.ipv6.conf.all.accept_dad", "0"))
# Between routers the two directions may take different paths; a strict reverse path filter would drop such packets.
NO_REVERSE_PATH_FILTER = (("net.ipv4.conf.default.rp_filter", "0"), ("net.ipv4.conf.all.rp_filter", "0"))
# Otherwise `ip link set eth0 down` would remove the IPv6 addresses for good, while IPv4 addresses stay.
KEPT_ADDRESSES = (("net.ipv6.conf.all.keep_addr_on_down", "1"),)


class Plan(NamedTuple):
    """A lab, ready to be built.

    `interfaces` are those of the file's links in order, `a` before `b`. `steps` are in the order in which they are
    done: CreateNode, JoinHost, GiveFiles, AddBridge, CreateMiddle, AddLink, SetVlans, GuardHost, AddAddress, AddRoute,
    OpenInternet, SendSingly, Impair, FaceProgram, FillMaps, AttachProgram, RunSetup, StartRole. `notes` are sentences
    about the choices, for people. `surroundings` are the networks of this host that the choices avoid. `untrusted` says
    that nobody vouches for the topology, and for what it names.
    """

    topology: Topology
    interfaces: tuple[Interface, ...]
    steps: tuple[Step, ...]
    notes: tuple[str, ...] = ()
    surroundings: Surroundings = NOWHERE
    untrusted: bool = False


def plan(
    topology: Topology,
    document: Document | None = None,
    surroundings: Surroundings = NOWHERE,
    *,
    untrusted: bool = False,
) -> Plan:
    """Return the plan of a validated topology, which may have been read from a document.

    `surroundings` are the networks that a lab with a node that is this host must avoid. `untrusted` says that nobody
    vouches for the topology, which was validated as such.

    PlanError, or TopologyError if there is a document, if its subnets have no room for the addresses that it needs, or
    if its routes lead through no neighbours.
    """
    try:
        return _plan(topology, surroundings)._replace(untrusted=untrusted)
    except PlanError as error:
        if document is None:
            raise
        raise error.located(document, topology) from None


def _plan(topology: Topology, surroundings: Surroundings) -> Plan:
    where = layout(topology, surroundings.taken)
    interfaces = _interfaces(topology, where)
    hops, note = routes(topology, where, surroundings.outside)
    lab = topology.name
    count: dict[str, int] = {}
    for end in where.ends:
        count[end.node] = count.get(end.node, 0) + (not end.joined)
    steps: list[Step] = [
        CreateNode(node.name, _sysctls(node, count.get(node.name, 0)), lab, _image(topology, node))
        for node in topology.nodes
        if node.kind != "host"
    ]
    steps += [JoinHost(node.name, lab) for node in topology.nodes if node.kind == "host"]
    steps += [GiveFiles(node.name, node.own, lab) for node in topology.nodes if any(node.own)]
    switches = {node.name: node for node in topology.nodes if node.kind == "switch"}
    steps += [AddBridge(name, BRIDGE, FIRST_INDEX, lab, node.stp, node.filters) for name, node in switches.items()]
    middle = _middle(topology, interfaces)
    steps += [CreateMiddle(lab)] if middle else []
    for at in range(0, len(interfaces), 2):
        led = middle.get(at // 2 + 1)
        steps += led.links(lab) if led else [AddLink(interfaces[at], interfaces[at + 1], lab)]
    steps += [
        SetVlans(end.node, end.name, end.index, there.port.untagged(), there.port.vlans, lab)
        for end, there in zip(interfaces, where.ends, strict=True)
        if switches and end.node in switches and switches[end.node].filters
    ]
    hosts = {node.name: node.internet for node in topology.nodes if node.kind == "host"}
    steps += [GuardHost(end.node, end.name, end.index, hosts[end.node], lab) for end in interfaces if end.node in hosts]
    steps += [
        AddAddress(
            interface.node, interface.name, interface.index, address, lab, dict(interface.peers).get(address, "")
        )
        for interface in interfaces
        for address in interface.addresses
    ]
    steps += [AddAddress(node.name, LO, LO_INDEX, address, lab) for node in topology.nodes for address in node.loopback]
    index_of = {(interface.node, interface.name): interface.index for interface in interfaces}
    steps += [AddRoute(*hop, index_of.get((hop.node, hop.interface), 0), lab) for hop in hops]
    for host in (name for name, is_way in hosts.items() if is_way):
        ours = tuple(end.name for end in interfaces if end.node == host)
        steps.append(OpenInternet(host, ours, surroundings.outside, lab))
    steps += [step for led in middle.values() for step in led.steps(lab)]
    steps += _programs(topology, interfaces, middle)
    there = topology.runtime == "docker"
    steps += [RunSetup(node.name, node.setup, node.env, lab, there) for node in topology.nodes if node.setup]
    steps += _processes(topology)
    notes = (*((note,) if note else ()), *_mtu_notes(topology, where))
    return Plan(topology, interfaces, tuple(steps), notes, surroundings)


def _middle(topology: Topology, interfaces: tuple[Interface, ...]) -> "dict[int, MiddleLink]":
    """Return the links that are led through the middle, by their numbers from 1."""
    if not any(link.a.sends for link in topology.links):
        return {}
    from netlab.plan.middle import through_middle

    return through_middle(topology, interfaces)


def _mtu_notes(topology: Topology, where: Layout) -> Iterator[str]:
    if any(node.kind == "switch" for node in topology.nodes):
        from netlab.plan import mtu_notes

        yield from mtu_notes.of_switches(topology, where)


def _interfaces(topology: Topology, where: Layout) -> tuple[Interface, ...]:
    """Return both ends of every link, complete."""
    names, addresses = interface_names(topology), macs(topology)
    kinds = {node.name: node.kind for node in topology.nodes}
    position: dict[str, int] = {}
    found = []
    for number, end in enumerate(where.ends):
        link = topology.links[number // 2]
        bridge = BRIDGE if kinds[end.node] == "switch" else ""
        first = interface_index(topology.name, 0) if kinds[end.node] == "host" else FIRST_INDEX + bool(bridge)
        index = position[end.node] = position.get(end.node, first - 1) + 1
        said = where.addresses[number]
        own = (*(said[family] for family in FAMILIES if family in said), *where.further[number])
        peer = where.ends[number ^ 1].node
        mtu = link.mtu or DEFAULT_MTU
        found.append(
            Interface(
                end.node,
                names[number],
                index,
                addresses[number],
                mtu,
                own,
                bridge,
                peer,
                names[number ^ 1],
                tuple((said[IPV6 if ":" in each else IPV4], each) for each in end.peers),
            )
        )
    return tuple(found)


def _image(topology: Topology, node: Node) -> str:
    return (node.image or NODE_IMAGE) if topology.runtime == "docker" else ""


def _sysctls(node: Node, links: int) -> tuple[tuple[str, str], ...]:
    """Return what is written below /proc/sys in a node: netlab's defaults, overridden by the file."""
    forwards = node.kind != "switch" and links > 1
    chosen = {"net.ipv4.ip_forward": str(int(forwards)), "net.ipv6.conf.all.forwarding": str(int(forwards))}
    chosen.update(NO_DUPLICATE_DETECTION)
    if node.kind != "switch":
        chosen.update(KEPT_ADDRESSES)
    if forwards:
        chosen.update(NO_REVERSE_PATH_FILTER)
    chosen.update(node.sysctls)
    return tuple(chosen.items())


def _programs(topology: Topology, interfaces: tuple[Interface, ...], middle: "dict[int, MiddleLink]") -> list[Step]:
    """Return the steps that attach programs, after those that prepare the other ends of their links."""
    attached: list[AttachProgram] = []
    for node in topology.nodes:
        own = tuple(interface.name for interface in interfaces if node.programs and interface.node == node.name)
        for program in node.programs:
            key = program_key(node.name, program.name, is_only=len(node.programs) == 1)
            attached.append(AttachProgram(node.name, program, program.interfaces or own, key, topology.name))
    ends = {(s.node, name): s.program for s in attached if s.program.hook == XDP for name in s.interfaces}
    direct = interfaces
    if ends and middle:
        led = {end for each in middle.values() for end in each.ends}
        direct = tuple(interface for interface in interfaces if interface not in led)
    faced = [
        FaceProgram(interface.node, interface.name, topology.name)
        for interface in direct
        if ends and (interface.peer, interface.peer_interface) in ends
    ]
    filled = [FillMaps(node.name, node.maps, topology.name) for node in topology.nodes if node.maps]
    beside = [end for each in middle.values() for end in each.middle]
    return [*faced, *filled, *attached, *_receivers(topology.name, (*direct, *beside), ends)]


def _receivers(lab: str, interfaces: Collection[Interface], ends: dict[tuple[str, str], Program]) -> list[Step]:
    """Return the steps that make XDP_TX arrive: veth drops such frames unless the other end has a program, too.

    (veth_xdp_flush in drivers/net/veth.c. Redirected frames need only GRO, see FaceProgram.) In generic mode such
    frames leave as ordinary ones. The middle has that program for redirected frames, too: GRO would make large ones.
    """
    wanted: dict[str, list[str]] = {}
    for interface in interfaces:
        program = ends.get((interface.peer, interface.peer_interface))
        if not program or program.mode != "native" or (interface.node, interface.name) in ends:
            continue
        if program.transmits or interface.node == MIDDLE:
            wanted.setdefault(interface.node, []).append(interface.name)
    passing = Program("pass", os.path.join(assets.folder("bpf"), "pass.c"))
    return [AttachProgram(node, passing, tuple(names), node, lab, for_peer=True) for node, names in wanted.items()]


def _processes(topology: Topology) -> list[Step]:
    """Return the processes of the nodes: in the order of the file, but each one after those in its `after`."""
    waiting = [
        (process_key(node.name, process.name), node, process) for node in topology.nodes for process in node.processes
    ]
    started = {key for key, _, process in waiting if process.autostart}
    placed: set[str] = set()
    steps: list[Step] = []
    while waiting:
        # Only a process that starts by itself can be waited for.
        ready = [one for one in waiting if placed.issuperset(started.intersection(one[2].after))]
        ready = ready or waiting  # A cycle is a mistake that has been refused already.
        for _, node, process in ready:
            steps.append(
                StartRole(
                    node.name,
                    _argv(process),
                    tuple(key for key in process.after if key in started),
                    _variables(node, process),
                    bool(process.role),
                    process.autostart,
                    topology.name,
                    topology.runtime == "docker",
                    process.name,
                    process.ready,
                    process.restart,
                )
            )
        placed.update(key for key, _, _ in ready)
        waiting = [one for one in waiting if one[0] not in placed]
    return steps


def _variables(node: Node, process: Process) -> tuple[tuple[str, str], ...]:
    """Return the variables that the file gives a process: its own override its node's."""
    return tuple({**dict(node.env), **dict(process.env)}.items()) if process.env else node.env


def _argv(process: Process) -> tuple[str, ...]:
    """Return a command line: an option has its values behind it, underscores in its name become dashes."""
    if not process.role:
        return process.command
    options = (word for key, values in process.args for word in ("--" + key.replace("_", "-"), *values))
    return ("python3", process.role_path, *options)
