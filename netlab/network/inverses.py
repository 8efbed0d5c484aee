"""Undoes links, bridges, addresses, routes and offloads, in namespaces that stay.

There are two rounds, each for all nodes that need it, so that nothing is removed before what depends on it:

    empty     offloads, routes and addresses
    remove    links, each at one of its ends, and then bridges
"""

from collections.abc import Callable, Sequence
from typing import assert_never

from netlab.network.links import NOT_SINGLY, UNFACED, NetworkStep, OfNode
from netlab.network.messages import Messages
from netlab.network.visits import Request, Visitor, offload, request, visit_all
from netlab.plan.host_steps import GuardHost
from netlab.plan.middle_steps import Impair, SendSingly
from netlab.plan.steps import AddAddress, AddBridge, AddLink, AddRoute, FaceProgram
from netlab.plan.switch_steps import SetVlans
from netlab.plan.undo import Undo


class _NodeUndo:
    """What is to be undone in one node."""

    __slots__ = ("addressing", "bridges", "faces", "links", "name", "vlans")

    def __init__(self, name: str) -> None:
        self.name = name
        self.faces: list[FaceProgram | SendSingly] = []
        self.addressing: list[AddAddress | AddRoute] = []
        self.links: list[AddLink] = []
        self.bridges: list[AddBridge] = []
        self.vlans: list[SetVlans] = []


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


def _by_node(steps: Sequence[OfNode]) -> list[_NodeUndo]:
    work: dict[str, _NodeUndo] = {}

    def at(name: str) -> _NodeUndo:
        return work.setdefault(name, _NodeUndo(name))

    for step in steps:
        match step:
            case AddLink():
                at(step.a.node).links.append(step)
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
        requests = [_taken_away(visitor.messages, step) for step in node.addressing]
        requests += [
            (Undo(step), visitor.messages.no_vlan(step.index, vlan))
            for step in node.vlans
            for vlan in (*((step.vlan,) if step.vlan else ()), *step.vlans)
        ]
        request(channel, requests)
    finally:
        channel.close()


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
    requests: list[Request] = [(Undo(link), visitor.messages.no_link(link.a.index)) for link in node.links]
    requests += [(Undo(bridge), visitor.messages.no_link(bridge.index)) for bridge in node.bridges]
    try:
        request(channel, requests)
    finally:
        channel.close()
