"""Compares a node with the lab's record, and finds what is not as planned. Pure.

A problem is something planned that is missing or changed. Something added to a node (an address, a route, a link, a
qdisc) is no problem. `snapshot` reads nodes. `drift` looks at the rest of a lab.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

from netlab.lab import route_drift
from netlab.lab.route_drift import Route
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

    `programs` are the kernel's numbers of the attached programs, by mode, 0 for none. `options` are a bridge's.
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


class Inside(NamedTuple):
    """What was read in a node.

    `addresses` are (interface's index, address as a number, its network). `routes` are those of the main table.
    `sysctls` are those that are planned and can be read. `faces` says, for each interface that faces a program, whether
    GRO is on, and whether checksums are offloaded. `udp_rcvbuf_errors` counts datagrams that were dropped because their
    socket's buffer was full.
    """

    links: tuple[Link, ...]
    addresses: frozenset[tuple[int, int, Subnet]]
    routes: frozenset[Route]
    sysctls: Mapping[str, str]
    faces: Mapping[str, tuple[bool, bool]]
    udp_rcvbuf_errors: int = 0


class Pins(NamedTuple):
    """What is pinned of a program: numbers of functions by name, names of maps, numbers of a new build's functions.

    `entry` is the one that is attached. `expected` is what was pinned when the lab was built. They are "" and () if the
    lab does not know.
    """

    programs: Mapping[str, int]
    maps: frozenset[str] = frozenset()
    coming: frozenset[int] = frozenset()
    entry: str = ""
    expected: tuple[str, ...] = ()

    @property
    def gone(self) -> list[str]:
        """Those that were pinned and are gone, such as maps/NAME."""
        there = {*(f"programs/{name}" for name in self.programs), *(f"maps/{name}" for name in self.maps)}
        return [name for name in self.expected if name not in there]

    @property
    def is_whole(self) -> bool:
        """Whether everything is there that was pinned when the lab was built."""
        return bool(self.expected) and not self.gone


NO_PINS = Pins({})


def anew(lab: str) -> str:
    """Return the command that builds the lab anew, for problems that nothing smaller mends."""
    return f"netlab down {lab}, then up"


def in_node(lab: str, node: str, command: str) -> str:
    """Return the command line that runs a command in a node."""
    return f"netlab exec --lab {lab} {node} {command}"


def node_problems(lab: str, node: str, about: NodeRecord, seen: Inside) -> Iterator[Problem]:
    """Yield what is not as planned in a node, except for its programs; `about` is the node's part of the record."""
    yield from _Node(lab, node, about, seen).problems()


def program_problems(
    lab: str, node: str, about: NodeRecord, seen: Inside, own: Mapping[str, Pins], passing: Pins
) -> Iterator[Problem]:
    """Yield which programs are not attached as planned: the node's own, and those that pass, for neighbours.

    `own` are, in the order of the record, the keys of the node's programs and what is pinned of them.
    """
    planned = [
        (name, program.name, program.mode, key, pins)
        for program, (key, pins) in zip(about.programs, own.items(), strict=True)
        for name in program.interfaces
    ]
    planned += [(name, "pass", "native", "", passing) for name, port in about.interfaces.items() if port.passes]
    links = {link.name: link for link in seen.links}
    for name, called, mode, key, pins in planned:
        if name in links and (what := _attachment(links[name].programs, called, mode, pins)):
            others = any(number for other, number in links[name].programs.items() if other != mode)
            renewable = key and pins.is_whole and not others
            mend = f"netlab reload --lab {lab} {key}, with its source as it is now" if renewable else anew(lab)
            yield Problem(f"{node} {name}", what, mend)


def pin_problems(lab: str, where: str, pins: Pins) -> Iterator[Problem]:
    """Yield what is no longer pinned of a program, by its key, or of the one that only passes, by its node."""
    if pins.coming:  # a reload is moving them at this moment
        return
    for name in pins.gone:
        kind, _, plain = name.partition("/")
        yield Problem(where, f"the pin of the {kind.removesuffix('s')} {plain} is gone", anew(lab))


def _attachment(attached: Mapping[str, int], called: str, mode: str, pins: Pins) -> str:
    """Return what is wrong with the program of an interface: "" for nothing."""
    number = attached[mode]
    if not number:
        others = "".join(f", but one in {other} mode" for other, there in attached.items() if there and other != mode)
        return f"no XDP program is attached in {mode} mode{others}; planned is {called}"
    known = {pins.programs[pins.entry]} if pins.entry in pins.programs else set()
    if known and number not in known | pins.coming:
        return f"another XDP program (number {number}) is attached in the place of {called}"
    return ""


class _Node:
    """One node: its part of the record, and what was read in it."""

    def __init__(self, lab: str, node: str, about: NodeRecord, seen: Inside) -> None:
        self.lab, self.node, self.about, self.seen = lab, node, about, seen
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
            else:
                gone += [parse(address)[1] for address in port.addresses]
                names.add(name)
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
        if not link.is_up:
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
        for name, value in self.about.sysctls.items():
            found = self.seen.sysctls.get(name)
            if found is not None and not _same(found, value) and self._is_changed(name, value):
                command = self._command(CreateNode(self.node, ((name, value),), self.lab))
                yield self._problem("", f"its sysctl {name} is {found}, planned is {value}", command)

    def _is_changed(self, name: str, value: str) -> bool:
        """Say whether a sysctl that does not have its planned value was changed after `up`.

        A node that forwards although it need not is no problem. One sysctl may set another: those with the same leaf
        (net.ipv4.conf.all.forwarding, net.ipv4.ip_forward) are reported only if all have the same planned value.
        """
        leaf = _leaf(name)
        alike = {other for each, other in self.about.sysctls.items() if _leaf(each) == leaf}
        return len(alike) == 1 and not (leaf[1] == "forwarding" and value == "0")

    def _command(self, step: AddAddress | AddRoute | FaceProgram | CreateNode) -> str:
        """Return the command of a step as a user types it inside the node; for CreateNode, its sysctls."""
        line = str(step).splitlines()[-1]
        where = namespace(self.lab, self.node)
        return line.replace(f"ip -n {where}", "ip", 1).replace(f"ip netns exec {where} ", "", 1)


def _set(interface: str, change: str) -> str:
    """Return the command that changes an interface, as a user types it inside the node."""
    import shlex

    return f"ip link set {shlex.quote(interface)} {change}"


def _leaf(name: str) -> tuple[str, str]:
    """Return a sysctl's family (net.ipv4) and its last part; another sysctl with the same two may set it."""
    parts = name.replace("/", ".").split(".")
    return ".".join(parts[:2]), "forwarding" if parts[-1] == "ip_forward" else parts[-1]


def _same(found: str, planned: str) -> bool:
    """Say whether two texts are the same value of a sysctl: numbers and addresses can be written in several ways."""
    return [*map(_meaning, found.split())] == [*map(_meaning, planned.split())]


def _meaning(word: str) -> object:
    try:
        return parse(word) if ":" in word else int(word, 0)
    except (OSError, ValueError):
        return word
