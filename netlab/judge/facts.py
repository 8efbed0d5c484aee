"""What the judge must know of a lab before it looks at packets: who is who, which ports, how many threads. Pure.

It comes from the topology: from `demo:` where something is said there, otherwise from the options of roles, otherwise
from what the exercise says.
"""

from collections.abc import Iterable, Iterator, Mapping
from ipaddress import ip_interface

from netlab.errors import UsageError
from netlab.judge.packets import TCP, UDP, Packet
from netlab.named_tuple import NamedTuple
from netlab.record.model import InterfaceRecord, LabRecord
from netlab.topology.hooks import XDP
from netlab.topology.model import Node, Process, Topology

THREADS, SERVICE_PORT, COMPLETION_PORT, SERVER_PORT = 5, 8080, 9090, 9000  # of the exercise


class Place(NamedTuple):
    """An interface of a node, and what belongs to it."""

    node: str
    interface: str
    mac: str
    addresses: tuple[str, ...]


class Balancing(NamedTuple):
    """The facts of a lab with a balancer.

    `threads` are those of each worker, by its name; `queue` is how many requests may wait, 0 if nothing is promised.
    `reports` says that more than requests goes to workers.
    """

    client: str
    balancer: str
    threads: Mapping[str, int]
    places: Mapping[str, tuple[Place, ...]]  # the interfaces of client, balancer and workers, by node
    service_port: int
    worker_port: int
    completion_port: int
    queue: int = 0
    reports: bool = False
    patterns: tuple[tuple[str, str], ...] = ()  # of lines, by what they are about

    def addresses(self, node: str) -> set[str]:
        """Return the addresses of a node."""
        return {address for place in self.places[node] for address in place.addresses}

    def concerns(self, packet: Packet) -> bool:
        """Say whether the judge wants to see a packet."""
        return packet.protocol == UDP

    def watched(self) -> list[tuple[str, str]]:
        """Return the interfaces to be watched: where no judged program is in front of the watcher."""
        return [(node, place.interface) for node in (self.client, *self.threads) for place in self.places[node]]


class Dropping(NamedTuple):
    """The facts of a lab with a server whose program drops segments."""

    client: str
    server: str
    places: Mapping[str, tuple[Place, ...]]
    port: int
    judges_all: bool = False  # the handshake, too

    def addresses(self, node: str) -> set[str]:
        """Return the addresses of a node."""
        return {address for place in self.places[node] for address in place.addresses}

    def concerns(self, packet: Packet) -> bool:
        """Say whether the judge wants to see a packet."""
        return packet.protocol == TCP and self.port in (packet.source_port, packet.target_port)

    def watched(self) -> list[tuple[str, str]]:
        """Return the interfaces to be watched: before the program, at the client, and behind it, at the server."""
        return [(node, place.interface) for node in (self.client, self.server) for place in self.places[node]]


def balancing(topology: Topology, lab: LabRecord) -> Balancing:
    """Return the facts of part B; UsageError, with the key of `demo:` that says it, if one cannot be found."""
    said = topology.judged
    nodes = {node.name: node for node in topology.nodes}
    balancer = said.balancer or _with_a_program(nodes.values(), "balancer")
    workers = said.workers or _workers(nodes, balancer)
    client = said.client or _client(nodes, {balancer, *workers})
    options = {name: _options(nodes[name]) for name in (client, balancer, *workers)}
    first = options[workers[0]]
    service_port = said.service_port or _port(options[client].get("target"), SERVICE_PORT)
    return Balancing(
        client=client,
        balancer=balancer,
        threads={name: said.threads or _number(options[name].get("threads"), THREADS) for name in workers},
        places=_places(lab, (client, balancer, *workers)),
        service_port=service_port,
        worker_port=said.worker_port or _number(first.get("port"), service_port),
        completion_port=said.completion_port or _port(first.get("balancer"), COMPLETION_PORT),
        queue=said.queue,
        reports="report" in first,
        patterns=said.prints,
    )


def dropping(topology: Topology, lab: LabRecord) -> Dropping:
    """Return the facts of part A; UsageError, with the key of `demo:` that says it, if one cannot be found."""
    said = topology.judged
    nodes = {node.name: node for node in topology.nodes}
    server = said.server or _with_a_program(nodes.values(), "server")
    client = said.client or _client(nodes, {server})
    port = said.port or _number(_options(nodes[server]).get("port"), 0)
    port = port or _port(_options(nodes[client]).get("target"), SERVER_PORT)
    define = dict(pair for program in nodes[server].programs for pair in program.define)
    judges_all = str(define.get("JUDGE_ALL", 0)) not in ("0", "")
    return Dropping(client, server, _places(lab, (client, server)), port, judges_all)


def _with_a_program(nodes: Iterable[Node], key: str) -> str:
    found = [node.name for node in nodes if any(each.hook == XDP for each in node.programs)]
    if len(found) != 1:
        raise UsageError(_unclear(key, "one node with a program", found))
    return found[0]


def _workers(nodes: Mapping[str, Node], balancer: str) -> tuple[str, ...]:
    """Return who works: who has an option `threads`, or sends completions; otherwise the replicas of one node."""
    hosts = [node for node in nodes.values() if node.kind == "node" and node.name != balancer]
    able = tuple(node.name for node in hosts if _options(node).keys() & {"threads", "balancer"})
    replicated = {node.replica_of for node in hosts if node.replica_of}
    if not able and len(replicated) == 1:
        able = tuple(node.name for node in hosts if node.replica_of)
    if not able:
        raise UsageError(_unclear("workers", "nodes whose processes have the option threads, or replicas", []))
    return able


def _client(nodes: Mapping[str, Node], others: set[str]) -> str:
    """Return who asks: a node called client, or who has an option `target`, or the only host that is left."""
    hosts = [node for node in nodes.values() if node.kind == "node" and node.name not in others]
    with_target = [node.name for node in hosts if "target" in _options(node)]
    named = [node.name for node in hosts if node.name == "client"]
    for found in (named, with_target, [node.name for node in hosts if node.processes], [node.name for node in hosts]):
        if len(found) == 1:
            return found[0]
    raise UsageError(_unclear("client", "one node that sends", [node.name for node in hosts]))


def _unclear(key: str, expected: str, found: list[str]) -> str:
    names = ", ".join(found) or "none"
    return (
        f"the demo must know the {key}: expected {expected}, found {names} (say it in the topology: demo: {{{key}: …}})"
    )


def _options(node: Node) -> dict[str, str]:
    """Return what a node's roles are given, each option's first value."""
    return {key: next(iter(values), "") for process in _judged_processes(node) for key, values in process.args}


def _judged_processes(node: Node) -> Iterator[Process]:
    return (process for process in node.processes if process.role)


def _number(text: str | None, otherwise: int) -> int:
    return int(text) if text is not None and text.isdecimal() else otherwise


def _port(endpoint: str | None, otherwise: int) -> int:
    """Return the port of HOST:PORT."""
    return _number(endpoint.rpartition(":")[2] if endpoint else None, otherwise)


def _places(lab: LabRecord, names: Iterable[str]) -> dict[str, tuple[Place, ...]]:
    return {name: tuple(_place(name, *each) for each in lab.nodes[name].interfaces.items()) for name in names}


def _place(node: str, interface: str, about: InterfaceRecord) -> Place:
    return Place(node, interface, about.mac, tuple(str(ip_interface(each).ip) for each in about.addresses))
