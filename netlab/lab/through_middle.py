"""Leads a link of a lab that stands through the middle, where it was a plain veth pair until now.

    a ─── b          becomes          a ─── l3a   l3b ─── b'

What was b becomes l3a: it moves into the middle. So a is not touched. In the place of b comes b', with the same name,
index, MAC, MTU, bridge, addresses, routes, sysctls and programs. All that b was is written down before, so that another
command finishes what a killed one has begun: each step is done only where its result is missing.
"""

import json
import os
import socket
import time
from collections.abc import Callable

from netlab import paths
from netlab.kernel.syscalls import inside
from netlab.lab import pass_programs
from netlab.lab.standing import Standing
from netlab.named_tuple import NamedTuple
from netlab.network import directions, links, replaced_end
from netlab.network.replaced_end import Saved
from netlab.paths import MIDDLE
from netlab.plan.middle import beside
from netlab.plan.middle_steps import CreateMiddle, SendSingly
from netlab.plan.steps import AddLink, FaceProgram, Interface
from netlab.plan.switch_steps import SetVlans
from netlab.programs import attachment, map_entries
from netlab.record import shapes
from netlab.record.impaired import Direction
from netlab.record.model import InterfaceRecord, LabRecord
from netlab.topology import hooks

_HOOKS = (*((hooks.XDP, mode) for mode in ("native", "generic")), *((hook, "") for hook in hooks.TC))
_HOST, _PROGRAMS, _BRIDGE = 100, 10, 1  # what it costs to replace an end


class Way(NamedTuple):
    """A link on its way through the middle: the end that stays, the one that is replaced, and what is beside each."""

    stays: Interface
    replaced: Interface
    beside_stays: Interface
    beside_replaced: Interface


def way_of(record: LabRecord, first: Direction) -> Way:
    """Return how a link is led through the middle, by the direction of its first end."""
    ends = [_interface(record, *first.sender), _interface(record, *first.receiver)]
    costs = [_cost(record, end) for end in ends]
    at = 0 if costs[0] < costs[1] else 1
    middle = [beside(first.number, side, end) for side, end in enumerate(ends)]
    return Way(ends[1 - at], ends[at], middle[1 - at], middle[at])


def saved(lab: Standing, way: Way) -> str:
    """Return the end that is to be replaced as it is, as JSON."""
    record, end = lab.record, way.replaced
    pins = [paths.map_pins(program.pins) for program in record.nodes[end.node].programs]

    def read() -> Saved:
        found = replaced_end.save(end.name)
        there = [(hook, mode, tuple(attachment.numbers([end.name], hook, mode)[end.name])) for hook, mode in _HOOKS]
        entries = tuple(map_entries.leading_to(found.index, pins))
        return found._replace(programs=tuple(each for each in there if each[2]), entries=entries)

    return json.dumps(shapes.plain(inside(lab.runtime.netns_path(end.node), read)))


def lead(lab: Standing, way: Way, written: str, lock: int, fill: Callable[[], None]) -> float:
    """Lead a link through the middle, and return for how many seconds it carried nothing.

    `written` is what `saved` has returned. `fill` lets the middle carry packets, once both links are there. NetlabError
    if the kernel refuses a step.
    """
    was = shapes.read(Saved, json.loads(written))
    at = lab.runtime.netns_path
    links.build([CreateMiddle(lab.record.lab)], at)
    _pin_passing(lab, way, lock)
    began = time.monotonic()
    _replace(lab, way, was)
    _restore(lab, way, was)
    settle(lab, way, lock)
    fill()
    inside(at(MIDDLE), lambda: replaced_end.set_up([way.beside_stays.name, way.beside_replaced.name]))
    return time.monotonic() - began


def settle(lab: Standing, way: Way, lock: int) -> None:
    """Let frames be single at all ends of a link that is led through the middle, and redirected ones arrive there."""
    at, name, end = lab.runtime.netns_path, lab.record.lab, way.replaced
    port = lab.record.nodes[end.node].interfaces[end.name]
    steps = [SendSingly(each.node, each.name, name) for each in way]
    links.build([*steps, *([FaceProgram(end.node, end.name, name)] if port.faces else [])], at)
    if passing := _pin_passing(lab, way, lock):
        pass_programs.attach(lab, MIDDLE, passing)
        directions.keep_single(passing, at)


def _pin_passing(lab: Standing, way: Way, lock: int) -> list[str]:
    """Return the middle's interfaces that are beside ends with an XDP program; the pass program is pinned for them."""
    pairs = ((way.stays, way.beside_stays), (way.replaced, way.beside_replaced))
    passing = [near.name for end, near in pairs if _has_native(lab.record, end)]
    if passing and not pass_programs.is_pinned(lab.record, MIDDLE):
        pass_programs.pin(lab.record, MIDDLE, lock)
    return passing


def _replace(lab: Standing, way: Way, was: Saved) -> None:
    """Move the end into the middle, and make another one in its place."""
    at, there = lab.runtime.netns_path, inside(lab.runtime.netns_path(MIDDLE), _names)
    if way.beside_stays.name not in there:
        descriptor = os.open(at(MIDDLE), os.O_RDONLY | os.O_CLOEXEC)
        try:
            name, index = way.beside_stays.name, way.beside_stays.index
            inside(at(way.replaced.node), lambda: replaced_end.move(was.index, descriptor, name, index))
        finally:
            os.close(descriptor)
    if way.beside_replaced.name not in there:
        fresh = way.replaced._replace(index=was.index, mac=was.mac, mtu=was.mtu)
        links.build([AddLink(way.beside_replaced._replace(mtu=was.mtu), fresh, lab.record.lab)], at)


def _restore(lab: Standing, way: Way, was: Saved) -> None:
    """Make the new end what the old one was, and free the one that has moved of what was attached to it."""
    at, end = lab.runtime.netns_path, way.replaced
    port = lab.record.nodes[end.node].interfaces[end.name]
    if port.vlan or port.vlans:
        links.build([SetVlans(end.node, end.name, was.index, port.vlan, port.vlans, lab.record.lab)], at)

    def restore() -> None:
        replaced_end.restore(end.name, was)
        for hook, mode, numbers in was.programs:
            attachment.put_back({end.name: numbers}, hook, mode)
        map_entries.put_back(was.entries)

    inside(at(end.node), restore)
    inside(at(MIDDLE), lambda: _detach(way.beside_stays.name))


def _detach(name: str) -> None:
    """Take what was attached to the end that has become one of the middle."""
    for hook, mode in _HOOKS:
        attachment.put_back({name: ()}, hook, mode)


def _has_native(record: LabRecord, end: Interface) -> bool:
    return any(
        program.hook == hooks.XDP and program.mode == "native" and end.name in program.interfaces
        for program in record.nodes[end.node].programs
    )


def _names() -> set[str]:
    return {name for _, name in socket.if_nameindex()}


def _cost(record: LabRecord, end: Interface) -> int:
    """Return what speaks against replacing an end: this host's, one with programs, a port of a bridge."""
    node = record.nodes[end.node]
    has_program = any(end.name in program.interfaces for program in node.programs)
    return _HOST * (node.kind == "host") + _PROGRAMS * has_program + _BRIDGE * bool(end.bridge)


def _interface(record: LabRecord, node: str, name: str) -> Interface:
    port: InterfaceRecord = record.nodes[node].interfaces[name]
    where = (port.index, port.mac, port.mtu, port.addresses, port.bridge, port.peer, port.peer_interface)
    return Interface(node, name, *where)
