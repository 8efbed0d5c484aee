"""Plan → a file for Docker Compose, as far as Compose can express a lab, and a list of what it cannot. Pure.

A segment becomes a network of the engine. Its bridge needs an address of its own: the highest free one. Hosts become
services. Compose has no key for routes, so a service sets its routes itself before it becomes its role or command.
"""

import os
from collections.abc import Callable

from netlab import assets
from netlab.kernel import sysctls
from netlab.paths import label_of
from netlab.plan import compose_commands, compose_routes
from netlab.plan.addresses import Layout, layout
from netlab.plan.attach_program import AttachProgram
from netlab.plan.compose_order import start_order
from netlab.plan.planner import Plan
from netlab.plan.steps import AddRoute, CreateNode, Interface, StartRole
from netlab.topology.ip_arithmetic import FAMILIES, IPV4, IPV6, parse, text
from netlab.topology.model import DEFAULT_MTU, Node

IMAGE = "netlab-node:latest"
_KEYS = {IPV4: "ipv4_address", IPV6: "ipv6_address"}
_HIGHEST_GATEWAY = 0xFFFE  # above the first address: .254 of a /24, and no more than four digits in IPv6


def compose(plan: Plan) -> tuple[dict[str, object], list[str]]:
    """Return a compose file as plain data, and sentences on what of the lab is not in it."""
    about = _Lab(plan)
    data = {
        "services": {node.name: about.service(node) for node in plan.topology.nodes if node.kind == "node"},
        "networks": {about.names[number]: about.network(number) for number in about.names},
    }
    return {key: _literal(value) for key, value in data.items()}, about.notes()


class _Lab:
    """A plan, in the form that a compose file needs."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.layout: Layout = layout(plan.topology, plan.surroundings.taken)
        self.names = _network_names(plan, self.layout)
        self.gateways: dict[int, dict[int, int]] = {}
        for number in self.names:
            self.gateways[number] = self._gateways(number)
        self.processes: dict[str, list[StartRole]] = {node.name: [] for node in plan.topology.nodes}
        for step in plan.steps:
            if isinstance(step, StartRole):
                self.processes[step.node].append(step)
        self.after, self.circular = start_order(plan.topology.nodes)
        self.sysctls = {step.node: step.sysctls for step in plan.steps if isinstance(step, CreateNode)}
        self.routes = [step for step in plan.steps if isinstance(step, AddRoute)]
        self.ends: dict[str, list[int]] = {node.name: [] for node in plan.topology.nodes}
        for number, interface in enumerate(plan.interfaces):
            if not self.layout.ends[number].joined:
                self.ends[interface.node].append(number)

    def network(self, number: int) -> dict[str, object]:
        """Return one network: the subnets of a segment."""
        subnets = self.layout.subnets[number]
        pools = [
            {"subnet": str(subnets[family]), "gateway": text(family, gateway)}
            for family, gateway in self.gateways[number].items()
        ]
        mtu = min(self.plan.interfaces[end].mtu for end in self.layout.segments[number].ends)
        # A node that forwards packets from another network is a router of the lab; the engine must not masquerade them.
        options = {"com.docker.network.bridge.enable_ip_masquerade": "false"}
        if mtu != DEFAULT_MTU:
            options["com.docker.network.driver.mtu"] = str(mtu)
        made: dict[str, object] = {"driver": "bridge", "driver_opts": options, "ipam": {"config": pools}}
        return {**made, "enable_ipv6": True} if IPV6 in self.gateways[number] else made

    def service(self, node: Node) -> dict[str, object]:
        """Return one node."""
        said = {
            "image": node.image or IMAGE,
            "hostname": label_of(node.name),
            "init": True,
            "command": compose_commands.command(node, self._routes(node), self._running(node)),
            "working_dir": self._folder(node),
            "volumes": [
                {"type": "bind", "source": folder, "target": folder, "read_only": True}
                for folder in self._folders(node)
            ],
            "depends_on": self.after[node.name],
            "environment": {"NETLAB_LAB": self.plan.topology.name, "NETLAB_NODE": node.name, **self._variables(node)},
            "networks": self._networks(node),
            "network_mode": "" if self.ends[node.name] else "none",
            "mac_address": self.plan.interfaces[self.ends[node.name][0]].mac if len(self.ends[node.name]) == 1 else "",
            "extra_hosts": self._hosts(node),
            "sysctls": {
                name: value for name, value in self.sysctls[node.name] if not self._is_of_interface(name, node)
            },
            "cap_add": ["NET_ADMIN"] if self._routes(node) or node.setup or self._running(node) else [],
            "cpus": node.limits.cpu,
            "mem_limit": node.limits.memory,
            "memswap_limit": node.limits.memory,
            "pids_limit": node.limits.pids,
        }
        return {key: value for key, value in said.items() if value}

    def notes(self) -> list[str]:
        """Return what is not in the file, one sentence each."""
        nodes = self.plan.topology.nodes
        several = [node.name for node in nodes if node.kind == "node" and len(self.ends[node.name]) > 1]
        replicas = dict.fromkeys(node.replica_of for node in nodes if node.replica_of)
        without = [
            f"{self.names[number]} ({self.layout.subnets[number][family]})"
            for number, there in self.gateways.items()
            for family in FAMILIES
            if family in self.layout.subnets[number] and family not in there
        ]
        images = dict.fromkeys(node.image for node in nodes if node.image)
        tuned = [node.name for node in nodes if any(self._is_of_interface(name, node) for name, _ in node.sysctls)]
        twice = [
            name
            for name in several
            if len({self.layout.segment_of[end] for end in self.ends[name]}) < len(self.ends[name])
        ]
        lists = {
            "programs are not attached, and roles on their nodes do not start": self._with_programs(),
            "switches are the engine's own bridges": [node.name for node in nodes if node.kind == "switch"],
            "this is the host itself, and no service": [node.name for node in nodes if node.kind == "host"],
            "names and MACs of the interfaces are the engine's choice on nodes with several links": several,
            "only the first link to a switch is there": twice,
            "sysctls of single interfaces are left out": tuned,
            "each name has one address, and the name of all replicas only resolves for neighbours": list(replicas),
            "these do not start by themselves: docker-compose exec starts them": self._by_hand(),
            "the processes of these start at once, whatever they come after": self._with_several(),
            "these do not start again by themselves": self._with(lambda step: step.restart.when != "no"),
            "what shows that these are ready is not looked for": self._with(lambda step: bool(step.ready)),
            "these are set up before their own processes, and not before those of others": self._set_up(hosts=True),
            "the setup of switches is left out": self._set_up(hosts=False),
            "these start in any order, as they wait for processes of each other": self.circular,
            "files and folders of their own are not given to these": [node.name for node in nodes if any(node.own)],
            "routes to what is on a link, or through link-local addresses, are left out": compose_routes.left_out(
                self.routes
            ),
            "what these links do to packets is left out": [
                f"{link.a.node}-{link.b.node}" for link in self.plan.topology.links if link.a.sends
            ],
            "these have the engine's default route, though no automatic ones": compose_routes.not_automatic(nodes),
            "only the first address of each family is there": self._with_further(),
            "addresses are the engine's choice where it finds none for itself": without,
            "these images need python3 for roles, and ip for routes": list(images),
        }
        found = [f"{sentence}: {', '.join(names)}" for sentence, names in lists.items() if names]
        if any(self.after.values()):
            found.append("what a node comes after has been started when it starts, but need not be READY")
        if self.plan.topology.faults:
            found.append("nothing plays its faults")
        return [*found, "links are bridges, with the engine's own address on each; there are no traces and no counters"]

    # What a service consists of.

    def _running(self, node: Node) -> list[StartRole]:
        """Return the processes that start with the container."""
        return [
            step for step in self.processes[node.name] if step.autostart and not (step.awaits_ready and node.programs)
        ]

    def _folders(self, node: Node) -> list[str]:
        """Return the folders of this machine that a node's processes are looked for in."""
        roles = [os.path.dirname(step.argv[1]) for step in self._running(node) if step.awaits_ready]
        return [
            each for each in dict.fromkeys([*roles, self._folder(node)]) if each not in ("", assets.folder("roles"))
        ]

    def _folder(self, node: Node) -> str:
        """Return the folder that a command starts in, the topology's."""
        has_commands = node.setup or any(not step.awaits_ready for step in self._running(node))
        return os.path.dirname(self.plan.topology.path) if has_commands else ""

    def _variables(self, node: Node) -> dict[str, str]:
        """Return the variables of a container; of several processes each has its own in its command."""
        has_roles = any(step.awaits_ready for step in self._running(node))
        only = self.processes[node.name][0].env if len(self.processes[node.name]) == 1 else node.env
        return {**({"PYTHONUNBUFFERED": "1"} if has_roles else {}), **dict(only)}

    def _routes(self, node: Node) -> list[str]:
        """Return the commands that set a node's loopback addresses, and its routes as far as the file has next hops."""
        reached = [
            self.layout.subnets[number][family]
            for number in (self.layout.segment_of[end] for end in self.ends[node.name])
            for family in self.gateways[number]
        ]
        routes = compose_routes.commands((step for step in self.routes if step.node == node.name), reached)
        return [*compose_routes.loopbacks(node), *routes]

    def _networks(self, node: Node) -> dict[str, dict[str, object]]:
        """Return the networks that a node is on, each once, and its addresses there."""
        found: dict[str, dict[str, object]] = {}
        for end in self.ends[node.name]:
            number = self.layout.segment_of[end]
            said: dict[str, object] = {_KEYS[kind]: _bare(address) for kind, address in self._own(end).items()}
            found.setdefault(self.names[number], said | ({"aliases": [node.replica_of]} if node.replica_of else {}))
        return found

    def _hosts(self, node: Node) -> dict[str, str]:
        """Return one address for each other node: on a network that both are on, if there is one."""
        own = {self.layout.segment_of[end] for end in self.ends[node.name]}
        found = {}
        for other, ends in self.ends.items():
            near_first = sorted(ends, key=lambda end: self.layout.segment_of[end] not in own)
            addresses = [address for end in near_first for address in self._said(end)]
            if other != node.name and addresses:
                found[other] = addresses[0]
        return found

    def _said(self, end: int) -> list[str]:
        """Return the addresses of an end that are in the file, IPv4 first."""
        return [_bare(address) for address in self._own(end).values()]

    def _own(self, end: int) -> dict[int, str]:
        """Return the addresses of an end that the engine can give it, by family: those in its network."""
        number, own = self.layout.segment_of[end], self.layout.addresses[end]
        networks = {family: self.layout.subnets[number][family] for family in self.gateways[number] if family in own}
        return {kind: own[kind] for kind, subnet in networks.items() if subnet.covers(parse(_bare(own[kind]))[1])}

    def _gateways(self, number: int) -> dict[int, int]:
        """Return a free address for the engine's bridge in each family in which the segment has one.

        The engine takes no subnet twice, so the second of two segments that share one has none there.
        """
        taken = {self.layout.subnets[other][family] for other, there in self.gateways.items() for family in there}
        words = [word for end in self.layout.segments[number].ends for word in self.layout.addresses[end].values()]
        hosts = {(subnet.family, address) for address, subnet in map(parse, words)}
        found = {}
        for family, subnet in sorted(self.layout.subnets[number].items()):
            if subnet in taken:
                continue
            own = {address for kind, address in hosts if kind == family}
            highest = min(subnet.last - 1, subnet.base + _HIGHEST_GATEWAY)
            if free := next((each for each in range(highest, subnet.base, -1) if each not in own), 0):
                found[family] = free
        return found

    # What nodes have in common.

    def _with_programs(self) -> list[str]:
        return [step.key for step in self.plan.steps if isinstance(step, AttachProgram) and not step.for_peer]

    def _by_hand(self) -> list[str]:
        return self._with(lambda step: not step.autostart)

    def _with(self, holds: Callable[[StartRole], bool]) -> list[str]:
        return [step.key for its in self.processes.values() for step in its if holds(step)]

    def _set_up(self, hosts: bool) -> list[str]:
        return [node.name for node in self.plan.topology.nodes if node.setup and (node.kind != "switch") == hosts]

    def _with_several(self) -> list[str]:
        return [node.name for node in self.plan.topology.nodes if len(self._running(node)) > 1]

    def _with_further(self) -> list[str]:
        return [name for name, ends in self.ends.items() if any(self.layout.further[end] for end in ends)]

    def _is_of_interface(self, name: str, node: Node) -> bool:
        return sysctls.is_of(name, (self.plan.interfaces[end].name for end in self.ends[node.name]))


def _network_names(plan: Plan, where: Layout) -> dict[int, str]:
    """Return a name for each segment with hosts: its switch's, or those of its two nodes."""
    found: dict[int, str] = {}
    for number, segment in enumerate(where.segments):
        first: Interface = plan.interfaces[2 * segment.links[0]]
        name = (first.node if first.bridge else first.peer) if segment.switched else f"{first.node}-{first.peer}"
        if segment.ends:
            while name in found.values():
                name += f"-{number}"
            found[number] = name
    return found


def _bare(address: str) -> str:
    """Return an address without its prefix length."""
    return address.partition("/")[0]


def _literal(value: object) -> object:
    """Return plain data in which no dollar sign names a variable of Compose."""
    if isinstance(value, dict):
        return {key: _literal(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_literal(each) for each in value]
    return value.replace("$", "$$") if isinstance(value, str) else value
