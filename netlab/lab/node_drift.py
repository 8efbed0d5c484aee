"""Compares a node with the lab's record, and finds what is not as planned. Pure.

A problem is something planned that is missing or changed. Something added to a node (an address, a route, a link, a
qdisc) is no problem. `snapshot` reads nodes. `drift` looks at the rest of a lab.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping

from netlab.lab import route_drift, sysctl_drift
from netlab.lab.route_drift import Route
from netlab.named_tuple import NamedTuple
from netlab.plan.command_words import namespace
from netlab.plan.steps import LO_INDEX as LO
from netlab.plan.steps import AddAddress, AddRoute, CreateNode, FaceProgram
from netlab.record.model import BridgeRecord, InterfaceRecord, NodeRecord
from netlab.topology.ip_arithmetic import Subnet, parse

NO_PEERS: Mapping[str, str] = {}


class Problem(NamedTuple):
    """Something of a lab that is not as planned: where, what, and what mends it.

    `where` is a node, or a node and its interface; it is "" for the lab as a whole.
    """

    where: str
    what: str
    mend: str

    def __str__(self) -> str:
        """Return it as a line for people."""
        return f"{self.where or 'the lab'}: {self.said}"

    @property
    def said(self) -> str:
        """What is wrong and what mends it, without where."""
        return f"{self.what}; what mends it: {self.mend}"


class Link(NamedTuple):
    """An interface as it is: `master` is the index of the bridge that it is a port of, 0 for none, `state` is there.

    `programs` are the kernel's numbers of the attached XDP programs, by mode, 0 for none. `options` are a bridge's.
    """

    name: str
    index: int  # type: ignore[assignment]  # it hides tuple.index, which nobody calls
    mac: str
    mtu: int
    is_up: bool
    master: int
    programs: Mapping[str, int]
    state: str = ""
    options: frozenset[str] = frozenset()
    has_carrier: bool = True


class Inside(NamedTuple):
    """What was read in a node.

    `addresses` are (interface's index, address as a number, its network). `routes` are those of the main table.
    `sysctls` are those that are planned and can be read. `faces` says, for each interface that faces a program, whether
    GRO is on, and whether checksums are offloaded. `udp_rcvbuf_errors` counts datagrams that were dropped because their
    socket's buffer was full. `vlans` are those of a switch's ports. `tc` are the kernel's numbers of the programs at tc
    hooks for which one is planned, by interface and hook.
    """

    links: tuple[Link, ...]
    addresses: frozenset[tuple[int, int, Subnet]]
    routes: frozenset[Route]
    sysctls: Mapping[str, str]
    faces: Mapping[str, tuple[bool, bool]]
    udp_rcvbuf_errors: int = 0
    vlans: Mapping[int, frozenset[tuple[int, int]]] = {}
    tc: Mapping[tuple[str, str], tuple[int, ...]] = {}


def anew(lab: str) -> str:
    """Return the command that builds the lab anew, for problems that nothing smaller mends."""
    return f"netlab down {lab}, then up"


def in_node(lab: str, node: str, command: str) -> str:
    """Return the command line that runs a command in a node."""
    return f"netlab exec --lab {lab} {node} {command}"


def node_problems(
    lab: str, node: str, about: NodeRecord, seen: Inside, down: Collection[str] = ()
) -> Iterator[Problem]:
    """Yield what is not as planned in a node but for its programs (`program_drift`); `about` is its record.

    `down` are interfaces that were set down.
    """
    yield from _Node(lab, node, about, seen, down).problems()


class _Node:
    """One node: its part of the record, and what was read in it."""

    def __init__(self, lab: str, node: str, about: NodeRecord, seen: Inside, down: Collection[str]) -> None:
        self.lab, self.node, self.about, self.seen, self.down = lab, node, about, seen, down
        self.by_name = {link.name: link for link in seen.links}
        self.by_index = {link.index: link for link in seen.links}

    def problems(self) -> Iterator[Problem]:
        """Yield all problems, beginning with devices."""
        lo = self.by_index.get(LO) if self.about.kind != "host" else None
        if lo and not lo.is_up:
            yield self._problem(lo.name, "the interface is down", _set(lo.name, "up"))
        if lo:
            yield from self._addresses(lo.name, LO, self.about.loopback)
        gone: list[Subnet] = []
        names = set()
        if self.about.bridge:
            yield from self._bridge(self.about.bridge)
        for name, port in self.about.interfaces.items():
            link = self.by_name.get(name)
            if link and link.index == port.index:
                yield from self._interface(name, port, link)
            if name in self.down or not link or link.index != port.index:  # the kernel has removed its routes
                gone += [parse(address)[1] for address in port.addresses]
                names.add(name)
            if not link or link.index != port.index:
                yield self._gone(name, port.index, bool(link))
        yield from self._routes(gone, names)
        yield from self._sysctls()

    def _problem(self, interface: str, what: str, command: str = "") -> Problem:
        where = f"{self.node} {interface}".rstrip()
        return Problem(where, what, in_node(self.lab, self.node, command) if command else anew(self.lab))

    def _gone(self, name: str, index: int, there: bool) -> Problem:
        """Say how an interface is gone. An index belongs to one interface for ever, but a name can move to another."""
        if there:
            return self._problem(name, "the interface is gone, and another one has its name")
        now = self.by_index.get(index)
        return self._problem(name, f"the interface is called {now.name} now" if now else "the interface is gone")

    def _bridge(self, bridge: BridgeRecord) -> Iterator[Problem]:
        name, link = bridge.name, self.by_name.get(bridge.name)
        if not link or link.index != bridge.index:
            yield self._gone(name, bridge.index, bool(link))
            return
        if not link.is_up:
            yield self._problem(name, "the bridge is down", _set(name, "up"))
        for option in bridge.options() - link.options:
            yield self._problem(name, f"its {option} is off", _set(name, f"type bridge {option} 1"))

    def _interface(self, name: str, port: InterfaceRecord, link: Link) -> Iterator[Problem]:
        if name in self.down and link.is_up:
            yield self._problem(name, "the link is up, and was set down", _set(name, "down"))
        elif not link.is_up and name not in self.down:
            yield self._problem(name, "the link is down", _set(name, "up"))
        if link.mtu != port.mtu:
            what = f"its MTU is {link.mtu}, planned is {port.mtu}"
            yield self._problem(name, what, _set(name, f"mtu {port.mtu}"))
        if link.mac != port.mac.lower():
            what = f"its MAC is {link.mac}, planned is {port.mac}"
            yield self._problem(name, what, _set(name, f"address {port.mac}"))
        bridge = self.about.bridge
        if port.bridge and bridge and link.master != bridge.index and bridge.index in self.by_index:
            what = f"it is no port of {port.bridge} any more"
            yield self._problem(name, what, _set(name, f"master {port.bridge}"))
        yield from self._addresses(name, port.index, port.addresses, port.peers)
        if name in self.seen.faces and self.seen.faces[name] != (True, False):
            gro, checksums = self.seen.faces[name]
            wrong = [*(() if gro else ("GRO is off",)), *(("TX checksum offload is on",) if checksums else ())]
            what = f"{' and '.join(wrong)}, which loses or spoils frames of the program at the other end"
            yield self._problem(name, what, self._command(FaceProgram(self.node, name, self.lab)))

    def _addresses(
        self, name: str, index: int, planned: Iterable[str], peers: Mapping[str, str] = NO_PEERS
    ) -> Iterator[Problem]:
        for address in planned:
            if (index, *parse(address)) not in self.seen.addresses:
                step = AddAddress(self.node, name, index, address, self.lab, peers.get(address, ""))
                yield self._problem(name, f"its address {address} is gone", self._command(step))

    def _routes(self, gone: list[Subnet], without: Collection[str]) -> Iterator[Problem]:
        """Yield routes that are gone, except those whose interface is gone.

        A routing daemon's route to the same network does not replace a planned one: it has another metric.
        """
        for route in self.about.routes:
            if route_drift.planned(route) in self.seen.routes or route.interface in without:
                continue
            if route.via and any(subnet.covers(parse(route.via)[1]) for subnet in gone):
                continue
            step = AddRoute(self.node, *route, self.lab)
            yield self._problem("", f"its {route_drift.called(route)} is gone", self._command(step))

    def _sysctls(self) -> Iterator[Problem]:
        for name, found, value in sysctl_drift.changed(self.about.sysctls, self.seen.sysctls):
            command = self._command(CreateNode(self.node, ((name, value),), self.lab))
            yield self._problem("", f"its sysctl {name} is {found}, planned is {value}", command)

    def _command(self, step: AddAddress | AddRoute | FaceProgram | CreateNode) -> str:
        """Return the command of a step as a user types it inside the node; for CreateNode, its sysctls."""
        line = str(step).splitlines()[-1]
        where = namespace(self.lab, self.node)
        return line.replace(f"ip -n {where}", "ip", 1).replace(f"ip netns exec {where} ", "", 1)


def _set(interface: str, change: str) -> str:
    """Return the command that changes an interface, as a user types it inside the node."""
    import shlex

    return f"ip link set {shlex.quote(interface)} {change}"
