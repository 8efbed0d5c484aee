"""What a lab is meant to be: its record as frozen types. `lab.json` has all of it, `status.json` a part.

`status.json` lacks the fields that have a default here: only root, and the group of whoever built the lab, may see
these. The types are named tuples and not dataclasses, for the reason in topology/model.
"""

from collections.abc import Iterator, Mapping
from typing import Annotated, NamedTuple

from netlab import paths
from netlab.record.shapes import Count, Rule

_DEFAULT, _LO = "default", "lo"
_MOST_CORES = 1 << 16
_MOST_INDEX = (1 << 31) - 1
_LONGEST_INTERFACE = 15
_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
_NAMES, _SYSCTLS = frozenset(_LETTERS + "._-"), frozenset(_LETTERS + "._-/")
_HEX = frozenset("0123456789abcdefABCDEF")
_BYTES = frozenset(map(str, range(256)))
_IPV6_WORDS = 8
_MAC_LENGTH = len("02:00:00:00:00:01")


def is_host(text: str) -> bool:
    """Say whether a text is an IP address, like inet_pton(3), but without modules that are slow to load."""
    if ":" not in text:
        parts = text.split(".")
        return len(parts) == len("abcd") and _BYTES.issuperset(parts)
    start, gap, end = text.partition("::")
    words = [word for part in (start, end) if part for word in part.split(":")]
    if words and "." in words[-1] and text.endswith(words[-1]):  # the last 32 bits may be an IPv4 address
        words[-1:] = ["0", "0"] if is_host(words[-1]) else [""]
    is_long = len(words) == _IPV6_WORDS if not gap else len(words) < _IPV6_WORDS
    return is_long and all(0 < len(word) <= len("ffff") and _HEX.issuperset(word) for word in words)


def is_address(text: str) -> bool:
    """Say whether a text is an IP address with its prefix length."""
    address, _, length = text.partition("/")
    is_length = length.isascii() and length.isdigit() and len(length) <= len("128")
    return is_length and int(length) <= (128 if ":" in address else 32) and is_host(address)


def _is_network(text: str) -> bool:
    return text == _DEFAULT or is_address(text)


def _is_mac(text: str) -> bool:
    return len(text) == _MAC_LENGTH and text[2::3] == ":::::" and _HEX.issuperset(text.replace(":", ""))


def _is_interface(text: str) -> bool:
    return 0 < len(text) <= _LONGEST_INTERFACE and _NAMES.issuperset(text) and text[0] not in ".-"


def _is_sysctl(text: str) -> bool:
    """Say whether this is the name of a network sysctl, and leads nowhere else (kernel/sysctls)."""
    parts = text.split(".")
    return text.startswith("net.") and all(part.strip("/") for part in parts) and _SYSCTLS.issuperset(text)


def _one_of(*words: str) -> Rule:
    return Rule(" or ".join(words), words.__contains__)


Kind = Annotated[str, _one_of("host", "switch")]
Mode = Annotated[str, _one_of("native", "generic")]
RuntimeName = Annotated[str, _one_of("netns", "docker")]
Label = Annotated[str, Rule("a name of letters a-z, digits and inner hyphens", paths.is_label)]
Name = Annotated[str, Rule("a name of letters, digits, and inner hyphens and underscores", paths.is_name)]
InterfaceName = Annotated[str, Rule("the name of a network interface", _is_interface)]
Host = Annotated[str, Rule("an IP address", is_host)]
Address = Annotated[str, Rule("an IP address with its prefix length", is_address)]
NextHop = Annotated[str, Rule("an IP address, or nothing", lambda text: not text or is_host(text))]
ReadyKind = Annotated[str, _one_of("", "line", "port", "file", "command", "http")]
RestartWhen = Annotated[str, _one_of("no", "on-failure", "always")]
RouteKind = Annotated[str, _one_of("", "unreachable", "blackhole", "prohibit")]
RouteMetric = Annotated[int, Rule("the metric of a route", lambda metric: 0 <= metric < 1 << 32)]
RouteIndex = Annotated[int, Rule("the index of a network interface, or 0", lambda index: 0 <= index <= _MOST_INDEX)]
Network = Annotated[str, Rule(f"an IP network or {_DEFAULT!r}", _is_network)]
Mac = Annotated[str, Rule("a MAC such as 02:00:00:00:00:01", _is_mac)]
Sysctl = Annotated[str, Rule("a dotted name such as net.ipv4.tcp_ecn", _is_sysctl)]
Index = Annotated[int, Rule("the index of a network interface", lambda index: 0 < index <= _MOST_INDEX)]
Cores = Annotated[float, Rule("a number of cores", lambda cores: 0 <= cores <= _MOST_CORES)]


class LimitsRecord(NamedTuple):
    """What a node may use: `cpu` in cores, `memory` in bytes; 0 is no limit."""

    cpu: Cores = 0.0
    memory: Count = 0


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
    the other end of each address that is point-to-point.
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


class BridgeRecord(NamedTuple):
    """The bridge of a switch."""

    name: InterfaceName
    index: Index  # type: ignore[assignment]


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
    path: str = ""
    function: str = ""
    mode: Mode = "native"
    define: Mapping[str, str | int] = {}
    pins: str = ""


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
    """A node. `env` is for root, and in a file of its own.

    `maps` is what the file writes into maps of its programs, as JSON: entries by the name of the map. `setup` are
    commands, not yet wrapped.
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

    `clock_offset_ns` is wall-clock time minus CLOCK_MONOTONIC; with it all verbs show the same times.
    """

    lab: Label
    topology: str
    runtime: RuntimeName
    folder: str
    nodes: Mapping[Name, NodeRecord]
    description: str = ""
    clock_offset_ns: int = 0

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
        """Whether the lab has a supervisor, as far as is known: others than root do not see `setup`."""
        return any(about.programs or about.processes or about.setup for about in self.nodes.values())

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
