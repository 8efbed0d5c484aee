"""The network of a lab: links, bridges, addresses, routes and offloads, made in namespaces that exist already.

Three things make this fast. No link is ever moved, which would wait 14 ms for every CPU: it is made inside one node,
and a descriptor names the node of its other end. Every index is the plan's, so nothing is looked up. And all messages
of a node are sent together.

Each link is made in the node that has fewer links. So a node makes some of its links, and gets the others. There are
three rounds, each for all nodes that need it:

    prepare   nodes that get links from others: sysctls and lo, which must be set before the first link exists
    create    nodes that make links or have none: (prepare), their links; the rest, if they get no links from others
    finish    nodes that got links from others: set these up and into their bridge, then addresses and routes
"""

import os
import socket
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from typing import assert_never

from netlab.kernel import sysctls
from netlab.kernel.netlink import Channel
from netlab.network import carriers
from netlab.network.messages import Messages
from netlab.network.visits import Request, Visitor, failed, offload, request, visit_all
from netlab.plan.host_steps import GuardHost
from netlab.plan.middle_steps import CreateMiddle, Impair, SendSingly
from netlab.plan.steps import AddAddress, AddBridge, AddLink, AddRoute, CreateNode, FaceProgram, Interface
from netlab.plan.switch_steps import SetVlans
from netlab.plan.undo import Undo
from netlab.record.mark import mark

OfNode = AddBridge | AddLink | SetVlans | GuardHost | AddAddress | AddRoute | FaceProgram | SendSingly
NetworkStep = OfNode | Impair
_Made = CreateNode | CreateMiddle | OfNode
Change = CreateNode | CreateMiddle | NetworkStep | Undo[NetworkStep]

LINKS_AT_ONCE = 100  # links in one request: a thread holds a descriptor for the other end of each
_LO = 1
_ETHTOOL_STXCSUM = 0x17
_ETHTOOL_SGRO = 0x2C
SINGLY, NOT_SINGLY = ((_ETHTOOL_STXCSUM, 0),), ((_ETHTOOL_STXCSUM, 1),)
FACED, UNFACED = ((_ETHTOOL_SGRO, 1), (_ETHTOOL_STXCSUM, 0)), ((_ETHTOOL_SGRO, 0), (_ETHTOOL_STXCSUM, 1))


class _Node:
    """What is to be done in one node; `create` is None if the node exists already."""

    __slots__ = (
        "addressing",
        "bridges",
        "create",
        "faces",
        "given",
        "guards",
        "late_sysctls",
        "name",
        "own",
        "ports",
        "vlans",
    )

    def __init__(self, name: str) -> None:
        self.name = name
        self.create: CreateNode | CreateMiddle | None = None
        self.own: list[tuple[AddLink, Interface, Interface]] = []
        self.given = False  # whether other nodes make links that end here
        self.bridges: list[AddBridge] = []
        self.ports: list[tuple[AddLink, Interface]] = []  # ends that must still be set up, or put into a bridge
        self.vlans: list[SetVlans] = []
        self.addressing: list[AddAddress | AddRoute] = []
        self.guards: list[GuardHost] = []
        self.faces: list[FaceProgram | SendSingly] = []
        self.late_sysctls: list[tuple[str, str]] = []


def build(changes: Iterable[Change], netns_path: Callable[[str], str]) -> None:
    """Do these steps, or undo them, in order, in the namespaces at `netns_path(node)`, which exist.

    CreateNode sets a new namespace's sysctls, and lo up. The calling thread stays in its own namespace. Raises
    NetlabError, with the step and the kernel's reason, if one fails; some of the others may have been done then.
    """
    messages = Messages()
    for undoes, together in groupby(changes, lambda change: isinstance(change, Undo)):
        if undoes:
            from netlab.network import inverses

            inverses.undo([change.step for change in together if isinstance(change, Undo)], messages, netns_path)
        else:
            _make([change for change in together if not isinstance(change, Undo)], messages, netns_path)


def _make(
    steps: Sequence[CreateNode | CreateMiddle | NetworkStep], messages: Messages, netns_path: Callable[[str], str]
) -> None:
    """Do these steps in the order that is fastest."""
    work = _by_node([step for step in steps if not isinstance(step, Impair)])
    given = [node for node in work if node.given]
    makers = [node for node in work if node.own or not node.given]
    for visit, concerned in ((_prepare, given), (_create, makers), (_finish, given)):
        visit_all(visit, concerned, messages, netns_path)
    visit_all(_carry, [node for node in work if node.own or node.given], messages, netns_path)
    if impaired := [step for step in steps if isinstance(step, Impair)]:
        from netlab.network import directions

        directions.set_all(impaired, netns_path)


def _by_node(steps: Sequence[_Made]) -> list[_Node]:
    """Return the work of each node. A link is made in the node that has fewer links, but never in the host.

    So the host's end of a link comes from another node. Such an end is still down, and it is guarded before it is up.
    """
    host = {step.node for step in steps if isinstance(step, GuardHost)}
    work = {name: _Node(name) for step in steps for name in _nodes_of(step)}
    links = Counter(name for step in steps if isinstance(step, AddLink) for name in _nodes_of(step))
    for step in steps:
        match step:
            case AddLink():
                is_near = step.b.node in host or (step.a.node not in host and links[step.a.node] <= links[step.b.node])
                near, far = (step.a, step.b) if is_near else (step.b, step.a)
                work[near.node].own.append((step, near, far))
                work[far.node].given = True
                work[far.node].ports.append((step, far))
                if near.bridge:
                    work[near.node].ports.append((step, near))
            case AddAddress() | AddRoute():
                work[step.node].addressing.append(step)
            case CreateNode() | CreateMiddle():
                work[step.node].create = step
            case AddBridge():
                work[step.node].bridges.append(step)
            case GuardHost():
                work[step.node].guards.append(step)
            case SetVlans():
                work[step.node].vlans.append(step)
            case FaceProgram() | SendSingly():
                work[step.node].faces.append(step)
            case _:
                assert_never(step)
    return list(work.values())


def _nodes_of(step: _Made) -> tuple[str, ...]:
    return (step.a.node, step.b.node) if isinstance(step, AddLink) else (step.node,)


def _prepare(visitor: Visitor, node: _Node) -> None:
    """Make a node ready for links that others make."""
    channel = visitor.enter(node.name)
    try:
        request(channel, _beginning(visitor, node))
    finally:
        channel.close()


def _create(visitor: Visitor, node: _Node) -> None:
    """Make a node's own links; and do everything else in the node if it gets no links from others."""
    channel = visitor.enter(node.name)
    far_ends: list[int] = []
    try:
        requests = [] if node.given else _beginning(visitor, node)
        for step, near, far in node.own:
            if len(far_ends) == LINKS_AT_ONCE:
                request(channel, requests)
                requests = []
                _close(far_ends)
            far_ends.append(visitor.open(far.node))
            requests.append((step, visitor.messages.veth(near, far, far_ends[-1])))
        request(channel, requests if node.given else requests + _end(visitor.messages, node))
        if not node.given:
            _settle(visitor, node, channel)
    finally:
        _close(far_ends)
        channel.close()


def _finish(visitor: Visitor, node: _Node) -> None:
    """Do what had to wait for links from others."""
    channel = visitor.enter(node.name)
    try:
        for guard in node.guards:
            visitor.sysctls.write_all(node.name, guard.sysctls)  # a missing sysctl is of a feature that is missing, too
        request(channel, _end(visitor.messages, node))
        _settle(visitor, node, channel)
    finally:
        channel.close()


def _carry(visitor: Visitor, node: _Node) -> None:
    """Let a node's ends of links carry packets, now that their other ends are up, too."""
    visitor.move(node.name)
    carriers.settle([*(end.name for _, end, _ in node.own), *(end.name for _, end in node.ports)])


def _beginning(visitor: Visitor, node: _Node) -> list[Request]:
    """Write the sysctls that exist without links; return the requests that come before the links."""
    if not node.create:
        return []
    missing = visitor.sysctls.write_all(node.name, node.create.sysctls)
    if missing:
        names = [end.name for _, end, _ in node.own] + [end.name for _, end in node.ports]
        names += [bridge.name for bridge in node.bridges]
        node.late_sysctls = [setting for setting in missing if sysctls.is_of(setting[0], names)]
        for name, _ in missing:
            if not sysctls.is_of(name, names):
                raise sysctls.no_such(name, node.name)
    return [(node.create, visitor.messages.up(_LO))]


def _end(messages: Messages, node: _Node) -> list[Request]:
    """Return the requests that come after the links: a bridge and its ports, addresses, routes."""
    index = {bridge.name: bridge.index for bridge in node.bridges}
    requests: list[Request] = [
        (step, messages.bridge(step.index, step.name, step.stp, step.filters)) for step in node.bridges
    ]
    requests += [(step, messages.alias(step.index, mark(step.lab))) for step in node.guards]
    for link, end in node.ports:
        if end.bridge and end.bridge not in index:
            index[end.bridge] = _index(link, end.bridge)
        requests.append((link, messages.up(end.index, index[end.bridge] if end.bridge else 0)))
    for port in node.vlans:
        bare = [(port, messages.vlan(port.index, port.vlan, tagged=False))] if port.vlan else []
        requests += [*bare, *((port, messages.vlan(port.index, vlan, tagged=True)) for vlan in port.vlans)]
    for step in node.addressing:
        match step:
            case AddAddress():
                requests.append((step, messages.address(step.index, step.address, step.peer)))
            case AddRoute():
                requests.append((step, messages.route(step)))
            case _:
                assert_never(step)
    return requests


def _index(link: AddLink, bridge: str) -> int:
    """Return the index of a bridge that exists already in the node that the thread has entered."""
    try:
        return socket.if_nametoindex(bridge)
    except OSError as error:
        raise failed(link, f"{bridge}: {error.strerror}") from error


def _settle(visitor: Visitor, node: _Node, channel: Channel) -> None:
    """Do what netlink cannot: offloads, and sysctls that exist only with the links."""
    for step in node.faces:
        offload(channel, step, step.interface, FACED if isinstance(step, FaceProgram) else SINGLY)
    if node.late_sysctls:
        for name, _ in visitor.sysctls.write_all(node.name, node.late_sysctls):
            raise sysctls.no_such(name, node.name)


def _close(descriptors: list[int]) -> None:
    while descriptors:
        os.close(descriptors.pop())
