"""Undoes links, bridges, addresses, routes and offloads, in namespaces that stay.

There are two rounds, each for all nodes that need it, so that nothing is removed before what depends on it:

    empty     offloads, routes and addresses
    remove    links, each at one of its ends, and then bridges
"""

import errno
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import assert_never

from netlab.errors import NetlabError
from netlab.network.links import NOT_SINGLY, UNFACED, NetworkStep, OfNode
from netlab.network.messages import Messages
from netlab.network.visits import Request, Visitor, failed, offload, request, visit_all
from netlab.plan.host_steps import GuardHost
from netlab.plan.middle_steps import Impair, SendSingly
from netlab.plan.steps import AddAddress, AddBridge, AddLink, AddRoute, FaceProgram
from netlab.plan.switch_steps import SetVlans
from netlab.plan.undo import Undo

# The kernel says these of what is not there: an interface, an address, a route, a VLAN of a port.
_GONE = (errno.ENODEV, errno.EADDRNOTAVAIL, errno.ESRCH, errno.ENOENT, errno.ENXIO)


class _NodeUndo:
    """What is to be undone in one node."""

    __slots__ = ("addressing", "bridges", "faces", "links", "name", "vlans")

    def __init__(self, name: str) -> None:
        self.name = name
        self.faces: list[FaceProgram | SendSingly] = []
        self.addressing: list[AddAddress | AddRoute] = []
        self.links: list[tuple[AddLink, int]] = []  # each with the index of its end here
        self.bridges: list[AddBridge] = []
        self.vlans: list[SetVlans] = []


def clear(steps: Sequence[NetworkStep], netns_path: Callable[[str], str]) -> None:
    """Undo these steps as far as they are done, in their order; what is gone already is left out.

    Raises NetlabError, as `undo` does, for anything else that the kernel refuses.
    """
    messages = Messages()
    if impaired := [step for step in steps if isinstance(step, Impair)]:
        from netlab.network import directions

        with suppress(NetlabError):  # the middle, or their interfaces, are gone
            directions.clear_all(impaired, netns_path)
    of_nodes = [step for step in steps if not isinstance(step, Impair)]
    work = [each for each in _by_node(of_nodes, both_ends=True) if os.path.exists(netns_path(each.name))]
    visit_all(_clear, work, messages, netns_path)


def _clear(visitor: Visitor, node: _NodeUndo) -> None:
    """Undo one request after the other: the kernel may refuse any of them."""
    channel = visitor.enter(node.name)
    try:
        for face in node.faces:
            with suppress(NetlabError):  # its interface is gone
                offload(channel, Undo(face), face.interface, UNFACED if isinstance(face, FaceProgram) else NOT_SINGLY)
        for step, message in (*_emptying(visitor.messages, node), *_removal(visitor.messages, node)):
            refusal = channel.request([message])
            if refusal and refusal.errno not in _GONE:
                raise failed(step, f"{os.strerror(refusal.errno)}{f' ({refusal.words})' if refusal.words else ''}")
    finally:
        channel.close()


def undo(steps: Sequence[NetworkStep], messages: Messages, netns_path: Callable[[str], str]) -> None:
    """Undo these steps. Routes and addresses are removed in the order of the steps: routes should come first.

    Raises NetlabError, with the inverse and the kernel's reason, if one fails.
    """
    if impaired := [step for step in steps if isinstance(step, Impair)]:
        from netlab.network import directions

        directions.clear_all(impaired, netns_path)
    work = _by_node([step for step in steps if not isinstance(step, Impair)])
    emptied = [node for node in work if node.faces or node.addressing or node.vlans]
    visit_all(_empty, emptied, messages, netns_path)
    visit_all(_remove, [node for node in work if node.links or node.bridges], messages, netns_path)


def _by_node(steps: Sequence[OfNode], *, both_ends: bool = False) -> list[_NodeUndo]:
    """Return what is to be undone in each node: a link at one of its ends, or at both, where one may be gone."""
    work: dict[str, _NodeUndo] = {}

    def at(name: str) -> _NodeUndo:
        return work.setdefault(name, _NodeUndo(name))

    for step in steps:
        match step:
            case AddLink():
                for end in (step.a, step.b) if both_ends else (step.a,):
                    at(end.node).links.append((step, end.index))
            case SetVlans():
                at(step.node).vlans.append(step)
            case AddAddress() | AddRoute():
                at(step.node).addressing.append(step)
            case AddBridge():
                at(step.node).bridges.append(step)
            case GuardHost():
                pass  # it goes with its link
            case FaceProgram() | SendSingly():
                at(step.node).faces.append(step)
            case _:
                assert_never(step)
    return list(work.values())


def _empty(visitor: Visitor, node: _NodeUndo) -> None:
    """Undo what depends on links."""
    channel = visitor.enter(node.name)
    try:
        for face in node.faces:
            offload(channel, Undo(face), face.interface, UNFACED if isinstance(face, FaceProgram) else NOT_SINGLY)
        request(channel, _emptying(visitor.messages, node))
    finally:
        channel.close()


def _emptying(messages: Messages, node: _NodeUndo) -> list[Request]:
    """Return the requests that undo what depends on links."""
    requests = [_taken_away(messages, step) for step in node.addressing]
    requests += [
        (Undo(step), messages.no_vlan(step.index, vlan))
        for step in node.vlans
        for vlan in (*((step.vlan,) if step.vlan else ()), *step.vlans)
    ]
    return requests


def _taken_away(messages: Messages, step: AddAddress | AddRoute) -> Request:
    match step:
        case AddAddress():
            return Undo(step), messages.no_address(step.index, step.address, step.peer)
        case AddRoute():
            return Undo(step), messages.no_route(step)
    assert_never(step)


def _remove(visitor: Visitor, node: _NodeUndo) -> None:
    """Remove links and bridges; the kernel removes what still depends on them."""
    channel = visitor.enter(node.name)
    try:
        request(channel, _removal(visitor.messages, node))
    finally:
        channel.close()


def _removal(messages: Messages, node: _NodeUndo) -> list[Request]:
    """Return the requests that remove links and bridges."""
    requests: list[Request] = [(Undo(link), messages.no_link(index)) for link, index in node.links]
    return requests + [(Undo(bridge), messages.no_link(bridge.index)) for bridge in node.bridges]
