"""What a lab is meant to be: its record as frozen types. `lab.json` has all of it, `status.json` a part.

`status.json` lacks the fields that have a default here: only root, and the group of whoever built the lab, may see
these. The types are named tuples and not dataclasses, for the reason in topology/model.
"""

from collections.abc import Iterator, Mapping

from netlab import paths
from netlab.named_tuple import NamedTuple
from netlab.record.checks import CheckRecord
from netlab.record.faults import FaultRecord
from netlab.record.rules import (
    Address,
    Cores,
    Dialect,
    Hook,
    Host,
    Index,
    InterfaceName,
    Kind,
    Label,
    Mac,
    Mode,
    Name,
    Network,
    NextHop,
    ReadyKind,
    RestartWhen,
    RouteIndex,
    RouteKind,
    RouteMetric,
    RuntimeName,
    Sysctl,
    Vlan,
)
from netlab.record.shapes import Count

_LO = "lo"


class LimitsRecord(NamedTuple):
    """What a node may use: `cpu` in cores, `memory` in bytes, so many processes and threads; 0 is no limit."""

    cpu: Cores = 0.0
    memory: Count = 0
    pids: Count = 0


class OwnFileRecord(NamedTuple):
    """A file of a node's own: see topology.model.OwnFile. `digest` is SHA-256 of its content, which is not here."""

    path: str
    mode: Count
    owner: str
    source: str
    digest: str


class OwnFolderRecord(NamedTuple):
    """A folder of a node's own: see topology.model.OwnFolder."""

    path: str
    keeps: bool
    mode: Count
    owner: str


class InterfaceRecord(NamedTuple):
    """One of a node's interfaces; `addresses` have their prefix lengths.

    `bridge` is the bridge that it is a port of, "" for none. `faces` says that the other end carries a program.
    `passes` says that this end carries the program that only passes. `peers` has
    the other end of each address that is point-to-point. `vlan` and `vlans` are what plan.steps.SetVlans says.
    `middle` is what the interface beside this one is called in the middle, once the link is led through it. `sends` is
    what the link does to packets that this end sends, as JSON; "" if the topology leads the link through no middle.
    """

    addresses: tuple[Address, ...]
    index: Index = 0  # type: ignore[assignment]  # it hides tuple.index, which nobody calls
    mac: Mac = ""
    mtu: Count = 0
    peer: str = ""
    peer_interface: str = ""
    bridge: str = ""
    faces: bool = False
    passes: bool = False
    peers: Mapping[Address, Host] = {}
    vlan: Vlan = 0
    vlans: tuple[Vlan, ...] = ()
    middle: str = ""
    sends: str = ""


class BridgeRecord(NamedTuple):
    """The bridge of a switch; `stp` and `filters` are what plan.steps.AddBridge says."""

    name: InterfaceName
    index: Index  # type: ignore[assignment]
    stp: bool = False
    filters: bool = False

    def options(self) -> frozenset[str]:
        """Return the bridge's options that are on, as `ip` calls them."""
        return frozenset({"stp_state"} if self.stp else ()) | frozenset({"vlan_filtering"} if self.filters else ())


class RouteRecord(NamedTuple):
    """A route: a network, or `default`, and the next hop; the rest as in plan.steps.AddRoute."""

    to: Network
    via: NextHop
    metric: RouteMetric = 0
    interface: str = ""
    kind: RouteKind = ""
    index: RouteIndex = 0  # type: ignore[assignment]  # it hides tuple.index, which nobody calls


class ProgramRecord(NamedTuple):
    """A program on interfaces of a node: see topology.model.Program. `pins` is the folder of its pins."""

    name: str
    interfaces: tuple[InterfaceName, ...]
    hook: Hook
    path: str = ""
    function: str = ""
    mode: Mode = "native"
    define: Mapping[str, str | int] = {}
    pins: str = ""
    dialect: Dialect = ""
    include: tuple[str, ...] = ()
    cflags: tuple[str, ...] = ()
    map_sizes: Mapping[str, Count] = {}
    event_types: Mapping[str, str] = {}
    unfollowed: tuple[str, ...] = ()

    @property
    def where(self) -> str:
        """The hook in a word for messages; of XDP its mode, as it has two."""
        return self.mode or self.hook


class ReadyRecord(NamedTuple):
    """What shows that a process is ready: see topology.model.Ready."""

    kind: ReadyKind
    what: str
    argv: tuple[str, ...]
    within: float


class RestartRecord(NamedTuple):
    """When a process starts again by itself: see topology.model.Restart."""

    when: RestartWhen = "no"
    at_most: Count = 0


class ProcessRecord(NamedTuple):
    """What runs in a node: a role ("" for none) or a command, not yet wrapped, and whether it is waited for.

    `name`, `stays` and `may_exit` are what topology.model.Process says; `after` are keys (paths.process_key).
    `env`, its own over the node's, is root's, and has a file of its own.
    """

    name: Name
    role: str
    argv: tuple[str, ...]
    autostart: bool
    stays: bool
    may_exit: bool
    after: tuple[str, ...] = ()
    awaits_ready: bool = False
    env: Mapping[str, str] = {}
    ready: ReadyRecord | None = None
    restart: RestartRecord = RestartRecord()


class NodeRecord(NamedTuple):
    """A node: an ordinary one, a switch, or this host itself. `env` is for root, and in a file of its own.

    `maps` is what the file writes into maps of its programs, as JSON: entries by the name of the map. `setup` are
    commands, not yet wrapped. `internet` says that the lab reaches the outside through this host.
    """

    kind: Kind
    limits: LimitsRecord
    interfaces: Mapping[InterfaceName, InterfaceRecord]
    programs: tuple[ProgramRecord, ...]
    processes: tuple[ProcessRecord, ...]
    replica_of: str = ""
    env: Mapping[str, str] = {}
    image: str = ""
    capabilities: tuple[str, ...] = ()
    bridge: BridgeRecord | None = None
    routes: tuple[RouteRecord, ...] = ()
    sysctls: Mapping[Sysctl, str] = {}
    maps: Mapping[str, str] = {}
    loopback: tuple[Address, ...] = ()
    files: tuple[OwnFileRecord, ...] = ()
    private: tuple[OwnFolderRecord, ...] = ()
    internet: bool = False
    setup: tuple[tuple[str, ...], ...] = ()

    @property
    def has_own_files(self) -> bool:
        """Whether the node sees something else than the host in some places."""
        return bool(self.files or self.private)

    def own_paths(self) -> list[str]:
        """Return the paths of what the node has of the file system for itself."""
        return [*(each.path for each in self.files), *(each.path for each in self.private)]

    def all_addresses(self) -> dict[str, tuple[str, ...]]:
        """Return what is planned, by interface."""
        planned = {name: port.addresses for name, port in self.interfaces.items()}
        return {**planned, _LO: self.loopback} if self.loopback else planned

    @property
    def process(self) -> ProcessRecord | None:
        """The only process, if there is one and no other."""
        return self.processes[0] if len(self.processes) == 1 else None


class LabRecord(NamedTuple):
    """A lab; `topology` is its file, "" for none; `folder` is the lab's own.

    `avoided` are networks of this host, which the lab was planned beside; `outside` the families of its way out.
    `faults` are its time line, `checks` what `netlab test` looks at.
    `untrusted` says that nobody vouches for what runs in it, which is therefore confined (ADR 36).
    `clock_offset_ns` is wall-clock time minus CLOCK_MONOTONIC; with it all verbs show the same times.
    """

    lab: Label
    topology: str
    runtime: RuntimeName
    folder: str
    nodes: Mapping[Name, NodeRecord]
    description: str = ""
    clock_offset_ns: int = 0
    avoided: tuple[Network, ...] = ()
    outside: tuple[int, ...] = ()
    faults: tuple[FaultRecord, ...] = ()
    checks: tuple[CheckRecord, ...] = ()
    untrusted: bool = False

    def processes(self) -> Iterator[tuple[str, ProcessRecord]]:
        """Yield all processes with their keys (paths.process_key), in the order of the file."""
        return (
            (paths.process_key(name, process.name), process)
            for name, node in self.nodes.items()
            for process in node.processes
        )

    def logs(self) -> Iterator[str]:
        """Yield what has a log: all processes by their keys, and by their names nodes that were set up."""
        for name in self.nodes:
            yield from self.logs_of(name)

    def logs_of(self, node: str) -> list[str]:
        """Return what of a node has a log; what its setup prints is first, in the log of the node's own name."""
        about = self.nodes[node]
        keys = (paths.process_key(node, process.name) for process in about.processes)
        return list(dict.fromkeys((*((node,) if about.setup else ()), *keys)))

    @property
    def has_supervisor(self) -> bool:
        """Whether `up` gave the lab a supervisor, as far as is known: others than root do not see all of it."""
        return self.has_work or self.has_middle

    @property
    def has_work(self) -> bool:
        """Whether the supervisor has more to do than to look after the middle of links."""
        return any(about.programs or about.processes or about.setup for about in self.nodes.values())

    @property
    def has_middle(self) -> bool:
        """Whether the topology leads any link through the middle; `links` tells whether one was led there since."""
        return any(port.sends for about in self.nodes.values() for port in about.interfaces.values())

    def programs(self) -> Iterator[tuple[str, ProgramRecord]]:
        """Yield all programs with their keys (paths.program_key), in the order of the file."""
        return (each for name in self.nodes for each in self.programs_of(name))

    def programs_of(self, node: str) -> Iterator[tuple[str, ProgramRecord]]:
        """Yield the programs of a node with their keys."""
        there = self.nodes[node].programs
        return ((paths.program_key(node, each.name, is_only=len(there) == 1), each) for each in there)

    def variables(self, node: str) -> dict[str, str]:
        """Return the variables that every process of a node has, besides those of its caller."""
        return {
            "NETLAB_LAB": self.lab,
            "NETLAB_NODE": node,
            "NETLAB_NODE_FILE": f"{self.folder}/{paths.RECORD}",
            **self.nodes[node].env,
        }
