"""What switches join: the segments that links become, loops, ports, and VLANs."""

from typing import TYPE_CHECKING

from netlab.named_tuple import NamedTuple
from netlab.topology.bridged import Domain, Joined, Port, common, domains
from netlab.topology.validate.findings import Findings, Place
from netlab.topology.validate.names import Names
from netlab.topology.validate.rules import Fields, integer, one_or_more

if TYPE_CHECKING:
    from netlab.topology.validate.links import End, Wire, WrittenLink

KEYS = ("vlan", "vlans")
MAX_PORTS = 1023  # of a Linux bridge
VLAN = integer(1, 4094, "a VLAN, a whole number")
VLANS = one_or_more(VLAN, "a VLAN, or a list of VLANs")
_BOTH = 2


class WrittenVlans(NamedTuple):
    """The VLANs of an end, as written."""

    port: Port
    place: Place


def read_vlans(fields: Fields) -> WrittenVlans | None:
    """Read `vlan:` and `vlans:` of an end; None if neither is written."""
    if not any(key in fields for key in KEYS):
        return None
    vlan, vlans = fields.read("vlan", VLAN, 0), fields.read("vlans", VLANS, ())
    place = fields.key_place("vlans" if "vlans" in fields else "vlan")
    twice = [each for at, each in enumerate(vlans) if each == vlan or each in vlans[:at]]
    if twice:
        message = f"expected each VLAN of a port once, with a tag or without, found {twice[0]} twice"
        fields.findings.add(place, message)
    return WrittenVlans(Port(vlan, tuple(dict.fromkeys(vlans))), place)


def check_ends(findings: Findings, names: Names, links: "tuple[WrittenLink, ...]") -> None:
    """Add the mistakes of VLANs where no switch tells them apart."""
    for link in links:
        for end in link.ends:
            declared = names.declared.get(end.node.text)
            if not end.vlans or not declared or declared.switch is None:
                continue
            if not declared.switch:
                message = f"expected no VLAN at an end on {end.node.text}, which is no switch, found one"
                findings.add(end.vlans.place, message, "write it at the switch's end of the link")
            elif declared.filters is False:
                message = f"expected no VLAN on {end.node.text}, which has vlan_filtering: false, found one"
                findings.add(end.vlans.place, message)


def filtering(names: Names, links: "tuple[WrittenLink, ...]") -> set[str]:
    """Return the names in `nodes:` of switches that tell VLANs apart: they say so, or one of their ports does."""
    said = {one.name for one in names.declared.values() if one.switch and one.filters}
    for link in links:
        for end in link.ends:
            declared = names.declared.get(end.node.text)
            if end.vlans and declared and declared.switch and declared.filters is not False:
                said.add(declared.name)
    return said


class Switches:
    """The domains that are joined by links, and the number of links of each switch; also nodes that hand frames on."""

    def __init__(self, findings: Findings, names: Names, links: "tuple[WrittenLink, ...]") -> None:
        self._findings = findings
        self._names = names
        self._filtering = filtering(names, links)
        self._all, self._without_stp = Joined(), Joined()
        self._numbers: dict[Domain, int] = {}
        self._ports: dict[str, int] = {}
        self._last: dict[str, WrittenLink] = {}

    def join(self, link: "WrittenLink", pair: tuple[str, str]) -> None:
        """Note a link; add a mistake if it closes a loop."""
        switches = [node for node, end in zip(pair, link.ends, strict=True) if self._is_joined(node, end)]
        for switch in filter(self._names.is_switch, switches):
            self._ports[switch] = self._ports.get(switch, 0) + 1
            self._last[switch] = link
        if len(switches) < _BOTH:
            return
        is_plain = not any(self._names.declared[switch].stp for switch in switches)
        for one, other in common(*self._domains(link, pair)):
            self._all.join(one, other)
            is_new = self._without_stp.join(one, other) if is_plain else True
            if not is_new and all(map(self._names.is_switch, switches)):
                message = f"expected switches without a loop, found one through {pair[0]} and {pair[1]}"
                self._findings.add(
                    link.place, message, "frames would circle for ever: stp: true on one of them ends that"
                )

    def _domains(self, link: "WrittenLink", pair: tuple[str, str]) -> list[dict[int, Domain]]:
        """Return the domains that each end of a link is a port of; none for a host's."""
        ports = [end.vlans.port if end.vlans else Port() for end in link.ends]
        return [
            domains(
                node,
                ports[side],
                filters=self._names.declared[node].name in self._filtering,
                tags=ports[1 - side].vlans,
            )
            if self._is_joined(node, link.ends[side])
            else {}
            for side, node in enumerate(pair)
        ]

    def _is_joined(self, node: str, end: "End") -> bool:
        """Say whether the links of a node at such ends are one network."""
        is_single = self._names.members.get(node) == (node,)
        return is_single and (self._names.is_switch(node) or (self._names.joins(node) and not end.addresses))

    def check_ports(self) -> None:
        """Add a mistake for each switch with more links than a bridge has ports."""
        for switch, count in self._ports.items():
            if count > MAX_PORTS:
                message = f"expected at most {MAX_PORTS:,} links of one switch, found {count:,} of {switch}"
                self._findings.add(self._last[switch].place, message, "put several switches in a row")

    def segment(self, number: int, one: "Wire") -> int:
        """Return the segment of wire `number`: a number below 0 for that of its switches, else its own."""
        if not any(self._is_joined(node, end) for node, end in zip(one.nodes, one.link.ends, strict=True)):
            return number
        its = self._domains(one.link, one.nodes)
        found = [first for first, _ in common(*its)] if all(its) else [each[0] for each in its if 0 in each]
        if not found:
            return number
        leader = self._all.leader(found[0])
        return -1 - self._numbers.setdefault(leader, len(self._numbers))
