"""The topology as netlab understands it: frozen, complete, and free of I/O.

These are named tuples and not dataclasses, because importing `dataclasses` costs about a tenth of the time that `up`
takes for a small lab (docs/adr/0002-start-fast.md).

Everything is in the order of the file. Replicas are already expanded.
"""

from typing import TYPE_CHECKING

from netlab.named_tuple import NamedTuple

if TYPE_CHECKING:
    from netlab.topology.document import tree
    from netlab.topology.impairment import Impairment

from netlab.topology.bridged import Port
from netlab.topology.checks import Check
from netlab.topology.faults import Fault
from netlab.topology.hooks import XDP
from netlab.topology.ip_arithmetic import FAMILIES

DEFAULT_MTU = 1500
OBJECT = ".o"  # ends the name of a program that is compiled already
NODE_IMAGE = "netlab-node:latest"  # the image of containers whose node names none; `make image` builds it
MAX_INTERFACE_NAME = 15  # IFNAMSIZ - 1
ROUTE_KINDS = ("unreachable", "blackhole", "prohibit")  # of routes without a next hop
# What can show that a process is ready.
LINE, PORT, FILE, COMMAND, HTTP = "line", "port", "file", "command", "http"
Scalar = str | int | float | bool


class Program(NamedTuple):
    """A program on a node, at one of the hooks of its interfaces (topology.hooks).

    `name` is what the file calls it, or else `function`, or else the name of its file without the ending; no other
    program of the node has it. `path` is the absolute path of its C file, or of a ready object. `function` is the
    entry, or its section, or "" for the only candidate in the file. `mode` is that of an XDP program, "" at other
    hooks. `interfaces` are those it is attached to, or () for all of the node's. `transmits` says that it may return
    XDP_TX, for which the other ends of its links need more than for other verdicts.

    `dialect` is "" where the file itself tells it. `include` are absolute paths of folders with headers, and `cflags`
    more options, for the compiler. `map_sizes` are how many entries maps have, where the topology says so, and
    `event_types` of which struct the events are in ring buffers and perf event arrays; netlab does not read these maps
    if they are `unfollowed`.
    """

    name: str
    path: str
    function: str = ""
    mode: str = "native"  # native | generic
    define: tuple[tuple[str, str | int], ...] = ()
    interfaces: tuple[str, ...] = ()
    transmits: bool = False
    dialect: str = ""  # bcc | libbpf
    include: tuple[str, ...] = ()
    cflags: tuple[str, ...] = ()
    map_sizes: tuple[tuple[str, int], ...] = ()
    hook: str = XDP

    @property
    def where(self) -> str:
        """The hook in a word for messages; of XDP its mode, as it has two."""
        return self.mode or self.hook

    event_types: tuple[tuple[str, str], ...] = ()
    unfollowed: tuple[str, ...] = ()


class Route(NamedTuple):
    """A static route: `to` is a network such as `10.9.0.0/16` or `default`.

    `via` is an address of a neighbour, or the neighbour's name. It is "" for a route to what is on the link of
    `interface`, and for one of a `kind` (ROUTE_KINDS) that takes packets no further. A `default` without an address is
    one of each family. Of several routes to one network the kernel takes that with the lowest `metric`.
    """

    to: str
    via: str = ""
    interface: str = ""
    kind: str = ""
    metric: int = 0


class Limits(NamedTuple):
    """What a node may use: `cpu` in cores, `memory` in bytes, so many processes and threads; 0 is no limit."""

    cpu: float = 0.0
    memory: int = 0
    pids: int = 0


class Ready(NamedTuple):
    """What shows that a process is ready: a line it prints, a port, a file, a command that succeeds, a page.

    `kind` is one of these, or "" for the READY of a role. `what` is the text or regular expression of the line; a port
    as 80/tcp; a path; a URL; the command as text, with its `argv`. `within` is how many seconds it has, 0 if unsaid.
    """

    kind: str = ""
    what: str = ""
    argv: tuple[str, ...] = ()
    within: float = 0.0


class Restart(NamedTuple):
    """When a process starts again by itself after its end, and at most how often in a row."""

    when: str = "no"  # no | on-failure | always
    at_most: int = 5


class Process(NamedTuple):
    """What runs in a node: a role, or a command. Its name is the node's where it was written as the only one.

    `role_path` is the absolute path of the role's Python file. `args` are the role's options in order, each with its
    values as text: a list in the file is several values, a mere `true` none, and `false` leaves the option out.
    `stays` says that the role ends only when it is told to; `may_exit` that the process may end at any time and with
    any exit code. `command` is an argv instead of a role. `after` are the keys of processes (paths.process_key),
    replicas already expanded. `env` is its own, over the node's. `ready` is None where the kind of process says it: a
    role prints READY, a command is ready once it is started.
    """

    name: str
    role: str = ""
    role_path: str = ""
    args: tuple[tuple[str, tuple[str, ...]], ...] = ()
    stays: bool = False
    command: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    autostart: bool = True
    may_exit: bool = False
    env: tuple[tuple[str, str], ...] = ()
    ready: Ready | None = None
    restart: Restart = Restart()


class SetupCommand(NamedTuple):
    """A command that prepares a node before any process starts: its argv, and the line of the file where it is."""

    argv: tuple[str, ...]
    line: int = 0


class OwnFile(NamedTuple):
    """A file of a node's own: the absolute path that the node sees it at, its content, its permissions.

    `owner` is USER or USER:GROUP, by name or number, "" for root. `source` is the absolute path of the file that it was
    read from, "" for text.
    """

    path: str
    content: bytes
    mode: int = 0o644
    owner: str = ""
    source: str = ""


class OwnFolder(NamedTuple):
    """A folder of a node's own, by its absolute path: empty, or with `keeps` over what the host has there.

    `mode` 0 and `owner` "" are those of the host's folder, or 755 and root if it has none.
    """

    path: str
    keeps: bool = False
    mode: int = 0
    owner: str = ""


class OwnFiles(NamedTuple):
    """What a node's processes see in the place of the host's files; with any of it, the host name is the node's."""

    files: tuple[OwnFile, ...] = ()
    folders: tuple[OwnFolder, ...] = ()


class MapEntries(NamedTuple):
    """What is written into a map before anything runs in the node: its name, its path in the file, and the entries.

    Of what type they must be only the loaded program says. So they are kept as they are written, with their places.
    `max_entries` is how many the map can have, 0 for as many as the program says. `event` is the struct of the events
    in it, if the file says it; `follow` says that netlab reads them.
    """

    name: "tree.Scalar"
    path: str
    content: "tree.Mapping | tree.Sequence"
    max_entries: int = 0
    event: "tree.Scalar | None" = None
    follow: bool = True


class Node(NamedTuple):
    """A node of the lab: an ordinary one, a switch, or this host itself.

    `replica_of` is the name in the file that this node was expanded from, or "". `automatic_routes` says that the plan
    adds routes to those in `routes`. `loopback` are addresses of `lo`, with their prefix length. `capabilities` are
    names without CAP_, for the Docker runtime. `internet` says that the lab reaches the outside through this host.
    Of a switch, `stp` says that it keeps loops out by a spanning tree, `filters` that it tells VLANs apart.
    """

    name: str
    kind: str = "node"  # node | switch | host
    replica_of: str = ""
    processes: tuple[Process, ...] = ()
    programs: tuple[Program, ...] = ()
    routes: tuple[Route, ...] = ()
    sysctls: tuple[tuple[str, str], ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    limits: Limits = Limits()
    image: str = ""
    capabilities: tuple[str, ...] = ()
    maps: tuple[MapEntries, ...] = ()
    automatic_routes: bool = True
    loopback: tuple[str, ...] = ()
    own: OwnFiles = OwnFiles()
    internet: bool = False
    stp: bool = False
    filters: bool = False
    setup: tuple[SetupCommand, ...] = ()


class Endpoint(NamedTuple):
    """One end of a link, as written; the plan chooses what is empty.

    `addresses` have their prefix length (`10.0.1.1/24`), IPv4 first. `peers` are the other ends of point-to-point
    addresses, for the first address of their family. `automatic` are the families of which the plan gives it an address
    if none is written. A `joined` end has no address, and its node hands on what arrives there: the links of its joined
    ends are one network, as those of a switch are. `port` has the VLANs of an end at a switch that tells them apart.
    """

    node: str
    interface: str = ""
    addresses: tuple[str, ...] = ()
    mac: str = ""
    peers: tuple[str, ...] = ()
    automatic: tuple[int, ...] = FAMILIES
    joined: bool = False
    port: Port = Port()
    sends: "Impairment | None" = None


class Link(NamedTuple):
    """A veth pair; `subnets` as written, at most one IPv4 and one IPv6; `mtu` 0 is the default."""

    a: Endpoint
    b: Endpoint
    subnets: tuple[str, ...] = ()
    mtu: int = 0


class Judged(NamedTuple):
    """What `netlab demo` is told of a lab, where processes' options do not say it; "", () and 0 are: not said.

    `workers` are nodes, replicas already expanded. `threads` are those of each worker. `queue` is how many requests may
    wait. `prints` has patterns of lines, by what they say (docs/judge.md).
    """

    client: str = ""
    balancer: str = ""
    server: str = ""
    workers: tuple[str, ...] = ()
    threads: int = 0
    service_port: int = 0
    worker_port: int = 0
    completion_port: int = 0
    port: int = 0
    queue: int = 0
    prints: tuple[tuple[str, str], ...] = ()


class Topology(NamedTuple):
    """A validated topology. `path` is the absolute path of its file, "" if there is none."""

    name: str
    path: str
    nodes: tuple[Node, ...]
    links: tuple[Link, ...]
    description: str = ""
    message: str = ""
    runtime: str = "netns"  # netns | docker
    judged: Judged = Judged()
    faults: tuple[Fault, ...] = ()
    checks: tuple[Check, ...] = ()
