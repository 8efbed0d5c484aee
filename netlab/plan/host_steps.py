"""The steps that join a lab to this host's own namespace, and open a way through it. `steps` has all others. Pure.

Names and indexes of interfaces on the host are made of the lab's name: no other lab has them, and `down` finds them.
"""

from collections.abc import Iterator

from netlab.named_tuple import NamedTuple
from netlab.paths import is_label
from netlab.plan.command_words import namespace
from netlab.plan.equality import compared_by_kind
from netlab.topology.ip_arithmetic import IPV4, IPV6

_WAY, _NO_WAY = "nl-", "nh-"  # begin names of interfaces on the host: of labs with a way outside, of others
_LONGEST = 8  # of a lab's name that is part of an interface's name
_FIRST_INDEX, _LABS, _LINKS = 1 << 30, 1 << 20, 1 << 10  # the host's own interfaces count up from 1
FORWARDING = {IPV4: "net.ipv4.ip_forward", IPV6: "net.ipv6.conf.all.forwarding"}


def interface_name(lab: str, number: int, *, is_way: bool) -> str:
    """Return the name of a lab's interface on the host: at most 15 characters, and no other lab has it.

    With `is_way` the host forwards packets that come in there.
    """
    return f"{_WAY if is_way else _NO_WAY}{_stem(lab)}-{number}"


def interface_index(lab: str, number: int) -> int:
    """Return the interface's index, from a range so large that two labs hardly ever choose the same one."""
    return _FIRST_INDEX + int.from_bytes(_digest(lab)[:3], "big") % _LABS * _LINKS + number


def may_be_a_labs(name: str) -> bool:
    """Say whether an interface has a name as labs give to theirs on the host."""
    return name.startswith((_WAY, _NO_WAY))


def is_interface_of(name: str, lab: str) -> bool:
    """Say whether an interface on the host has a name of this lab's."""
    stem, _, number = name[len(_WAY) :].rpartition("-")
    return name.startswith((_WAY, _NO_WAY)) and stem == _stem(lab) and number.isascii() and number.isdigit()


def _stem(lab: str) -> str:
    """Return the part that all interface names of a lab share: its name, or capitals instead of a long name."""
    if len(lab) <= _LONGEST:
        return lab
    from base64 import b32encode

    return b32encode(_digest(lab)[:5]).decode()


def _digest(lab: str) -> bytes:
    from hashlib import sha256  # here, as most labs need none of it

    return sha256(lab.encode()).digest()


def table_name(lab: str) -> str:
    """Return the name of the lab's table of nftables, in which a hyphen would have to be quoted."""
    return f"netlab_{lab.replace('-', '_')}"


def lab_of_table(name: str) -> str:
    """Return the lab that has this table; "" for a table that is no lab's."""
    lab = name.removeprefix("netlab_").replace("_", "-")
    return lab if name.startswith("netlab_") and is_label(lab) else ""


@compared_by_kind
class JoinHost(NamedTuple):
    """This host's own namespace gets the name of a node."""

    node: str
    lab: str = ""

    def __str__(self) -> str:
        """Return the equivalent `ip` line."""
        return f"ip netns attach {namespace(self.lab, self.node)} $$"

    def undone(self) -> str:
        """Return the line that takes the name away."""
        return f"ip netns del {namespace(self.lab, self.node)}"


@compared_by_kind
class GuardHost(NamedTuple):
    """An interface of the lab on the host, where no router of the lab may change the host's own routes.

    With `forwards` the host forwards IPv4 packets that come in there. The alias shows whose the interface is.
    """

    node: str
    interface: str
    index: int  # type: ignore[assignment]  # it hides tuple.index, which nobody calls
    forwards: bool = False
    lab: str = ""

    @property
    def sysctls(self) -> tuple[tuple[str, str], ...]:
        """The sysctls that are written before the interface is up; those that this host lacks are left out."""
        return (
            (f"net.ipv6.conf.{self.interface}.accept_ra", "0"),
            (f"net.ipv6.conf.{self.interface}.accept_redirects", "0"),
            (f"net.ipv6.conf.{self.interface}.keep_addr_on_down", "1"),
            (f"net.ipv4.conf.{self.interface}.forwarding", str(int(self.forwards))),
        )

    def __str__(self) -> str:
        """Return the equivalent `ip` and `sysctl` lines."""
        name = namespace(self.lab, self.node)
        values = " ".join(f"{key}={value}" for key, value in self.sysctls)
        alias = f"ip -n {name} link set {self.interface} alias netlab.{self.lab}.$(stat -Lc %i /proc/self/ns/pid)"
        return f"{alias}\nip netns exec {name} sysctl -qw {values}"

    def undone(self) -> str:
        """Return a shell comment: the guard is gone with the interface."""
        return f"# netlab: {namespace(self.lab, self.node)} {self.interface} goes with its link"


@compared_by_kind
class OpenInternet(NamedTuple):
    """Lets a lab reach the outside: the host forwards, and translates the lab's addresses to its own.

    `families` are those in which the host itself has a default route.
    """

    node: str
    interfaces: tuple[str, ...]
    families: tuple[int, ...]
    lab: str = ""

    @property
    def sysctls(self) -> tuple[tuple[str, str], ...]:
        """The sysctls that make the host forward."""
        return tuple((FORWARDING[family], "1") for family in self.families)

    def __str__(self) -> str:
        """Return the equivalent `nft` and `sysctl` lines. `up` may add rules to the host's own firewall, too."""
        values = " ".join(f"{key}={value}" for key, value in self.sysctls)
        return f"nft -f - <<'EOF'\n{ruleset(self)}EOF\nsysctl -qw {values}"

    def undone(self) -> str:
        """Return the line that removes the table; the sysctls may be another lab's, too."""
        return f"nft delete table inet {table_name(self.lab)}"


class Closed(NamedTuple):
    """A family of which the host forwarded nothing before labs, but what came in at `ways`, which are interfaces."""

    family: int
    ways: tuple[str, ...] = ()


def ruleset(step: OpenInternet, closed: tuple[Closed, ...] = (), resolver: str = "", at: str = "") -> str:
    """Return the lab's table, in the language of nft.

    `closed` are the families in which the host did not forward before: it still forwards nothing but the lab's packets,
    and what it forwarded from single interfaces. `resolver` is a name server on the host's loopback: queries to the
    host's address `at` are redirected to it. No other packet of the lab reaches the host's loopback.
    """
    ours = "{ " + ", ".join(f'"{name}"' for name in step.interfaces) + " }"
    names = {IPV4: "ipv4", IPV6: "ipv6"}

    def chains() -> Iterator[str]:
        yield "chain outward {"
        yield "  type nat hook postrouting priority srcnat; policy accept;"
        yield f"  iifname {ours} oifname != {ours} masquerade"
        yield "}"
        yield "chain inward {"
        yield "  type filter hook forward priority filter; policy accept;"
        yield f"  iifname != {ours} oifname {ours} ct state != {{ established, related }} drop"
        for family, ways in closed:
            known = " iifname != { " + ", ".join(f'"{name}"' for name in ways) + " }" if ways else ""
            yield f'  meta nfproto {names[family]} iifname != "{_WAY}*" oifname != "{_WAY}*"{known} drop'
        yield "}"
        if resolver:
            yield "chain names {"
            yield "  type nat hook prerouting priority dstnat; policy accept;"
            for protocol in ("udp", "tcp"):
                yield f"  iifname {ours} ip daddr {at} {protocol} dport 53 dnat ip to {resolver}"
            yield "}"
            yield "chain loopback {"  # route_localnet lets these in; before the chain names, which needs it
            yield "  type filter hook prerouting priority raw; policy accept;"
            for side in ("daddr", "saddr"):
                yield f"  iifname {ours} ip {side} 127.0.0.0/8 drop"
            yield "}"

    lines = "".join(f"  {line}\n" for line in chains())
    return f"table inet {table_name(step.lab)} {{\n{lines}}}\n"


def rule_count(step_rules: str) -> int:
    """Return how many rules a text of `ruleset` has."""
    return sum(line.startswith("    ") and " hook " not in line for line in step_rules.splitlines())
