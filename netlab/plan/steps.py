"""The steps of a plan: what each one changes, its inverse, and the shell commands that would do the same. Pure.

`str(step)` is the only text of a step: `up --dry-run` prints it, messages contain it, golden tests compare it. From
CreateNode to FaceProgram every line can be run by hand as root, in order. The steps after these need netlab (programs
are a comment) or occupy a terminal (roles). A step has the lab's name only for this text.

Steps are compared by kind and values. `inverse(step)` undoes one; `inverses(steps)` undo several, the last one first.
"""

from netlab.named_tuple import NamedTuple
from netlab.paths import label_of, process_key
from netlab.plan import starting
from netlab.plan.attach_program import AttachProgram
from netlab.plan.command_words import namespace, quoted
from netlab.plan.equality import compared_by_kind
from netlab.plan.file_steps import GiveFiles
from netlab.plan.fill_maps import FillMaps
from netlab.plan.host_steps import GuardHost, JoinHost, OpenInternet
from netlab.plan.middle_steps import CreateMiddle, Impair, SendSingly
from netlab.plan.setup_steps import RunSetup
from netlab.plan.switch_steps import FORWARD_DELAY, HELLO, MAX_AGE, SetVlans
from netlab.topology.model import Ready, Restart

BRIDGE = "br0"
LO, LO_INDEX = "lo", 1  # in every namespace


class Interface(NamedTuple):
    """One end of a link, with everything chosen.

    `index` is its ifindex in its node's namespace. `addresses` have prefix lengths, the first IPv4 one before the first
    IPv6 one, and further ones behind. `bridge` is the bridge that it is a port of ("" on a host). `peer` and
    `peer_interface` are the other end. `peers` are point-to-point addresses, each with its other end.
    """

    node: str
    name: str
    index: int  # type: ignore[assignment]  # it hides tuple.index, which nobody calls
    mac: str
    mtu: int
    addresses: tuple[str, ...]
    bridge: str
    peer: str
    peer_interface: str
    peers: tuple[tuple[str, str], ...] = ()


@compared_by_kind
class CreateNode(NamedTuple):
    """A network namespace, or a container made of `image`, with the same name.

    `sysctls` are dotted names below /proc/sys. They are written before any link exists.
    """

    node: str
    sysctls: tuple[tuple[str, str], ...] = ()
    lab: str = ""
    image: str = ""

    def __str__(self) -> str:
        """Return the equivalent `ip`, `docker` and `sysctl` lines."""
        name = namespace(self.lab, self.node)
        lines = [f"ip netns add {name}", f"ip -n {name} link set lo up"]
        if self.image:
            how = f"--name {name} --hostname {label_of(self.node)} --network none --init --cap-add NET_ADMIN"
            ipv6 = "".join(f" --sysctl net.ipv6.conf.{which}.disable_ipv6=0" for which in ("all", "default"))
            first = f"$(docker inspect --format '{{{{.State.Pid}}}}' {name})"
            lines = [
                f"docker run --detach {how}{ipv6} --entrypoint sleep {quoted(self.image)} infinity",
                f"ip netns attach {name} {first}",
            ]
        if self.sysctls:
            values = " ".join(quoted(f"{key}={value}") for key, value in self.sysctls)
            lines.append(f"ip netns exec {name} sysctl -qw {values}")
        return "\n".join(lines)

    def undone(self) -> str:
        """Return the lines that remove the node."""
        name = namespace(self.lab, self.node)
        return f"ip netns del {name}" + (f"\ndocker rm --force {name}" if self.image else "")


@compared_by_kind
class AddBridge(NamedTuple):
    """A bridge device in a switch node's namespace, up.

    With `stp` it keeps loops out by a spanning tree, which takes 4 s, the shortest time that the kernel allows. With
    `filters` it tells VLANs apart, and each port has those of its SetVlans.
    """

    node: str
    name: str
    index: int  # type: ignore[assignment]  # it hides tuple.index, which nobody calls
    lab: str = ""
    stp: bool = False
    filters: bool = False

    def __str__(self) -> str:
        """Return the equivalent `ip` line."""
        made = f"ip link add {self.name} netns {namespace(self.lab, self.node)} index {self.index} up type bridge"
        tree = f" stp_state 1 forward_delay {FORWARD_DELAY} hello_time {HELLO} max_age {MAX_AGE}" if self.stp else ""
        return made + tree + (" vlan_filtering 1 vlan_default_pvid 0" if self.filters else "")

    def undone(self) -> str:
        """Return the line that removes the bridge."""
        return f"ip -n {namespace(self.lab, self.node)} link del {self.name}"


@compared_by_kind
class AddLink(NamedTuple):
    """A veth pair; both ends are in their final namespaces with names, indexes, MACs, MTU and bridge set, and up."""

    a: Interface
    b: Interface
    lab: str = ""

    def __str__(self) -> str:
        """Return the equivalent `ip` lines."""
        pair = f"ip link add {self._made(self.a)} type veth peer name {self._made(self.b)}"
        # Neither end can be created up: a veth refuses to be opened before it has its peer.
        return "\n".join((pair, self._raised(self.a), self._raised(self.b)))

    def undone(self) -> str:
        """Return the line that removes the pair: the other end goes with this one."""
        return f"ip -n {namespace(self.lab, self.a.node)} link del {quoted(self.a.name)}"

    def _made(self, end: Interface) -> str:
        where = f"{quoted(end.name)} netns {namespace(self.lab, end.node)} index {end.index}"
        return f"{where} address {end.mac} mtu {end.mtu}"

    def _raised(self, end: Interface) -> str:
        master = f" master {end.bridge}" if end.bridge else ""
        return f"ip -n {namespace(self.lab, end.node)} link set {quoted(end.name)}{master} up"


@compared_by_kind
class AddAddress(NamedTuple):
    """An address with its prefix length on an interface; with a `peer` that address alone is on the link."""

    node: str
    interface: str
    index: int  # type: ignore[assignment]  # it hides tuple.index, which nobody calls
    address: str
    lab: str = ""
    peer: str = ""

    def __str__(self) -> str:
        """Return the equivalent `ip` line."""
        # With duplicate detection an IPv6 address would be unusable for a second.
        return self._line("add") + (" nodad" if ":" in self.address else "")

    def undone(self) -> str:
        """Return the line that removes the address."""
        return self._line("del")

    def _line(self, verb: str) -> str:
        address, _, length = self.address.partition("/")
        said = f"{address} peer {self.peer}/{length}" if self.peer else self.address
        return f"ip -n {namespace(self.lab, self.node)} addr {verb} {said} dev {quoted(self.interface)}"


@compared_by_kind
class AddRoute(NamedTuple):
    """A route: `to` is a network or `default`; `via` the next hop's address.

    Without a next hop, `to` is a network that is on the link of `interface`, or one of a `kind` (blackhole, prohibit,
    unreachable). `index` is that of the interface.
    """

    node: str
    to: str
    via: str = ""
    metric: int = 0
    interface: str = ""
    kind: str = ""
    index: int = 0  # type: ignore[assignment]  # it hides tuple.index, which nobody calls
    lab: str = ""

    def __str__(self) -> str:
        """Return the equivalent `ip` line."""
        return self._line("add")

    def undone(self) -> str:
        """Return the line that removes the route."""
        return self._line("del")

    def _line(self, verb: str) -> str:
        family = " -6" if ":" in (self.via or self.to) else ""
        kind = f"{self.kind} " if self.kind else ""
        via = f" via {self.via}" if self.via else ""
        where = f" dev {quoted(self.interface)}" if self.interface else ""
        metric = f" metric {self.metric}" if self.metric else ""
        return f"ip -n {namespace(self.lab, self.node)}{family} route {verb} {kind}{self.to}{via}{where}{metric}"


@compared_by_kind
class FaceProgram(NamedTuple):
    """Prepares one end of a link for an XDP program at the other end: GRO on, and TX checksum offload off.

    With GRO, frames that the program redirects into the link arrive. Without the offload, frames reach the program with
    their checksum computed. The program need not be attached yet.
    """

    node: str
    interface: str
    lab: str = ""

    def __str__(self) -> str:
        """Return the equivalent `ethtool` line."""
        return self._line("gro on tx off")

    def undone(self) -> str:
        """Return the line that sets the offloads as on a new link."""
        return self._line("gro off tx on")

    def _line(self, offloads: str) -> str:
        name = namespace(self.lab, self.node)
        return f"ip netns exec {name} ethtool -K {quoted(self.interface)} {offloads}"


@compared_by_kind
class StartRole(NamedTuple):
    """A process of a node: a role, or a command; `name` is its own, the node's if empty.

    `after` are the keys of those that are started before; with `awaits_ready` the process is a role, which says READY
    when it is, unless something else shows that it is `ready`. One that is not `autostart` is recorded, so that it can
    be started later. `env` is what the file says. `container` says that it is started in one.
    """

    node: str
    argv: tuple[str, ...]
    after: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    awaits_ready: bool = True
    autostart: bool = True
    lab: str = ""
    container: bool = False
    name: str = ""
    ready: Ready | None = None
    restart: Restart = Restart()

    @property
    def key(self) -> str:
        """The key of the process in the lab."""
        return process_key(self.node, self.name or self.node)

    def __str__(self) -> str:
        """Return the line that would start it by hand; a comment if it does not start by itself."""
        variables = tuple(f"{name}={value}" for name, value in self.env)
        words = (*(("env",) if variables else ()), *variables, *self.argv)
        command = " ".join(quoted(word) for word in words)
        notes = [self.key] if "/" in self.key else []
        notes += [f"after {' '.join(self.after)}"] if self.after else []
        notes += [*starting.ready_words(self.ready), *starting.restart_words(self.restart)]
        about = f"  # {', '.join(notes)}" if notes else ""
        enter = "docker exec" if self.container else "ip netns exec"
        line = f"{enter} {namespace(self.lab, self.node)} {command}{about}"
        return line if self.autostart else "# not started: " + line.replace("\n", "\n# ")

    def undone(self) -> str:
        """Return a shell comment: only the lab's supervisor knows the process's id."""
        which = "process" if self.key == self.node else f"process {self.name}"
        return f"# netlab: end the {which} of {namespace(self.lab, self.node)}"


_OfHost = JoinHost | GuardHost | OpenInternet
_OfMiddle = CreateMiddle | SendSingly | Impair
_OfNetwork = (
    CreateNode | GiveFiles | AddBridge | AddLink | SetVlans | AddAddress | AddRoute | FaceProgram | _OfHost | _OfMiddle
)
Step = _OfNetwork | FillMaps | AttachProgram | RunSetup | StartRole
