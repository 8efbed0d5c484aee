"""The network of a lab: links, bridges, addresses, routes and offloads, made in namespaces that exist.

What makes this fast: no link is ever moved, which would wait 14 ms for every CPU, but made inside one node with its
other end named by a descriptor; every index is the plan's, so nothing is looked up; and a node's messages go out
together.

A node's links are its own or come from the other side, made by the node with fewer of them. So the work is done in
three rounds, each for all the nodes it concerns:

    prepare   nodes that get links from others: sysctls and lo, which must stand before the first link does
    create    nodes that own links or are alone: (prepare), their links; and the rest when no link comes from others
    finish    nodes that got links from others: those come up and into their bridge, then addresses and routes
"""

import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from netlab.errors import NetlabError
from netlab.kernel import sysctls
from netlab.kernel.netlink import Channel
from netlab.kernel.syscalls import in_threads, setns
from netlab.network.messages import Messages
from netlab.plan.steps import AddAddress, AddBridge, AddLink, AddRoute, CreateNode, FaceProgram, Interface

NetworkStep = AddBridge | AddLink | AddAddress | AddRoute | FaceProgram

THREADS_FROM = 100  # nodes; the kernel makes one link at a time, so a second thread saves only a tenth, from here on
LINKS_AT_ONCE = 100  # the descriptors a thread holds for the other ends
_LO = 1
_ETHTOOL_STXCSUM = 0x17
_ETHTOOL_SGRO = 0x2C

_Request = tuple[CreateNode | NetworkStep, bytes]


class _Node:
    """What is to be done in one node."""

    __slots__ = ("addressing", "bridges", "create", "faces", "given", "late_sysctls", "own", "ports")

    def __init__(self, create: CreateNode) -> None:
        self.create = create
        self.own: list[tuple[AddLink, Interface, Interface]] = []
        self.given = False  # whether others make links that end here
        self.bridges: list[AddBridge] = []
        self.ports: list[tuple[AddLink, Interface]] = []  # ends that are yet to come up, or to go into a bridge
        self.addressing: list[AddAddress | AddRoute] = []
        self.faces: list[FaceProgram] = []
        self.late_sysctls: list[tuple[str, str]] = []


def build(nodes: Sequence[CreateNode], steps: Sequence[NetworkStep], netns_path: Callable[[str], str]) -> None:
    """Do these steps in the namespaces at `netns_path(node)`, whose nodes have neither links nor addresses yet.

    The calling thread stays in its own namespace. Raises NetlabError, with the step and the kernel's reason, when
    one fails; what stands then goes with the namespaces.
    """
    work = _by_node(nodes, steps)
    messages = Messages()
    given = [node for node in work if node.given]
    makers = [node for node in work if node.own or not node.given]
    for visit, concerned in ((_Builder.prepare, given), (_Builder.create, makers), (_Builder.finish, given)):
        if concerned:
            count = 2 if len(concerned) >= THREADS_FROM else 1
            in_threads(count, partial(_visit_all, visit, messages, netns_path), concerned)


def _visit_all(
    visit: "Callable[[_Builder, _Node], None]",
    messages: Messages,
    netns_path: Callable[[str], str],
    nodes: Iterator[_Node],
) -> None:
    """Do what one thread does."""
    builder = _Builder(messages, netns_path)
    try:
        for node in nodes:
            visit(builder, node)
    finally:
        builder.close()


def _by_node(nodes: Sequence[CreateNode], steps: Sequence[NetworkStep]) -> list[_Node]:
    """Return what each node has to do; a link belongs to the end whose node has fewer links."""
    work = {create.node: _Node(create) for create in nodes}
    count = dict.fromkeys(work, 0)
    for step in steps:
        if isinstance(step, AddLink):
            count[step.a.node] += 1
            count[step.b.node] += 1
    for step in steps:
        if isinstance(step, AddLink):
            near, far = (step.a, step.b) if count[step.a.node] <= count[step.b.node] else (step.b, step.a)
            work[near.node].own.append((step, near, far))
            work[far.node].given = True
            work[far.node].ports.append((step, far))
            if near.bridge:
                work[near.node].ports.append((step, near))
        elif isinstance(step, AddBridge):
            work[step.node].bridges.append(step)
        elif isinstance(step, FaceProgram):
            work[step.node].faces.append(step)
        else:
            work[step.node].addressing.append(step)
    return list(work.values())


class _Builder:
    """The three visits to a node, for one thread of `in_threads`; each leaves the thread in the node."""

    def __init__(self, messages: Messages, netns_path: Callable[[str], str]) -> None:
        self._messages = messages
        self._netns_path = netns_path
        self._sysctls = sysctls.Sysctls()

    def close(self) -> None:
        """Let go of what the thread holds."""
        self._sysctls.close()

    def prepare(self, node: _Node) -> None:
        """Make a node ready for the links that others make."""
        channel = self._enter(node)
        try:
            _request(channel, self._beginning(node))
        finally:
            channel.close()

    def create(self, node: _Node) -> None:
        """Make a node's own links, and all of the node when no others end in it."""
        channel = self._enter(node)
        far_ends: list[int] = []
        try:
            requests = [] if node.given else self._beginning(node)
            for step, near, far in node.own:
                if len(far_ends) == LINKS_AT_ONCE:
                    _request(channel, requests)
                    requests = []
                    _close(far_ends)
                far_ends.append(self._open(far.node))
                requests.append((step, self._messages.veth(near, far, far_ends[-1])))
            _request(channel, requests if node.given else requests + self._end(node))
            if not node.given:
                self._settle(node, channel)
        finally:
            _close(far_ends)
            channel.close()

    def finish(self, node: _Node) -> None:
        """Do what had to wait for the links from others."""
        channel = self._enter(node)
        try:
            _request(channel, self._end(node))
            self._settle(node, channel)
        finally:
            channel.close()

    def _enter(self, node: _Node) -> Channel:
        """Move the calling thread into the node, and return a channel to it."""
        descriptor = self._open(node.create.node)
        try:
            setns(descriptor)
            return Channel()
        except OSError as error:
            raise NetlabError(f"cannot enter the namespace of node {node.create.node}: {error}") from error
        finally:
            os.close(descriptor)

    def _open(self, node: str) -> int:
        path = self._netns_path(node)
        try:
            return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise NetlabError(f"cannot open the namespace of node {node}: {error}") from error

    def _beginning(self, node: _Node) -> list[_Request]:
        """Write the sysctls, as far as they exist without the links; return what stands before the links."""
        missing = self._sysctls.write_all(node.create.node, node.create.sysctls)
        if missing:
            names = [end.name for _, end, _ in node.own] + [end.name for _, end in node.ports]
            names += [bridge.name for bridge in node.bridges]
            node.late_sysctls = [setting for setting in missing if sysctls.is_of(setting[0], names)]
            for name, _ in missing:
                if not sysctls.is_of(name, names):
                    raise sysctls.no_such(name, node.create.node)
        return [(node.create, self._messages.up(_LO))]

    def _end(self, node: _Node) -> list[_Request]:
        """Return what stands on the links: a bridge and its ports, addresses, routes."""
        messages = self._messages
        index = {bridge.name: bridge.index for bridge in node.bridges}
        requests: list[_Request] = [(step, messages.bridge(step.index, step.name)) for step in node.bridges]
        for link, end in node.ports:
            requests.append((link, messages.up(end.index, index[end.bridge] if end.bridge else 0)))
        for step in node.addressing:
            if isinstance(step, AddAddress):
                requests.append((step, messages.address(step.index, step.address)))
            else:
                requests.append((step, messages.route(step.to, step.via)))
        return requests

    def _settle(self, node: _Node, channel: Channel) -> None:
        """Do what is not said by netlink: the offloads, and sysctls that came to exist with the links."""
        for step in node.faces:
            for command, value in ((_ETHTOOL_SGRO, 1), (_ETHTOOL_STXCSUM, 0)):
                try:
                    channel.ethtool(step.interface, command, value)
                except OSError as error:
                    raise _failed(step, os.strerror(error.errno or 0)) from error
        if node.late_sysctls:
            for name, _ in self._sysctls.write_all(node.create.node, node.late_sysctls):
                raise sysctls.no_such(name, node.create.node)


def _request(channel: Channel, requests: Sequence[_Request]) -> None:
    """Have the kernel do these; NetlabError names the step that it refuses."""
    try:
        refusal = channel.request([message for _, message in requests])
    except OSError as error:
        raise _failed(requests[0][0], str(error)) from error
    if refusal:
        words = f" ({refusal.words})" if refusal.words else ""
        raise _failed(requests[refusal.position][0], f"{os.strerror(refusal.errno)}{words}")


def _failed(step: CreateNode | NetworkStep, reason: str) -> NetlabError:
    return NetlabError(f"cannot `{'; '.join(str(step).splitlines())}`: {reason}")


def _close(descriptors: list[int]) -> None:
    while descriptors:
        os.close(descriptors.pop())
