"""`links:`: what is written, and the resulting wires: one for each replica, with interface names and segments."""

from netlab.named_tuple import NamedTuple
from netlab.topology.document.tree import Item, Mapping, Scalar, Sequence, show
from netlab.topology.ip_arithmetic import FAMILIES, IPV4, IPV6
from netlab.topology.link_names import Ends
from netlab.topology.model import MAX_INTERFACE_NAME
from netlab.topology.validate import directions
from netlab.topology.validate.directions import KEYS as IMPAIRMENTS
from netlab.topology.validate.directions import Written
from netlab.topology.validate.findings import Findings, Name, Place, place
from netlab.topology.validate.ip import read_address, read_mac, read_subnet
from netlab.topology.validate.names import Names
from netlab.topology.validate.rules import DIGITS, Fields, choice, integer, name, one_or_more
from netlab.topology.validate.settings import LETTERS
from netlab.topology.validate.switches import KEYS as VLAN_KEYS
from netlab.topology.validate.switches import Switches, WrittenVlans, read_vlans

LINK_KEYS = ("endpoints", "subnet", "addresses", "mtu", *IMPAIRMENTS)
END_KEYS = ("node", "interface", "address", "peer", "mac", *VLAN_KEYS, *IMPAIRMENTS)
MAX_WIRES = 16_384
BOTH = 2  # ends of a link
MTU = integer(68, 65_535)
PEERS = one_or_more(name, "the address of the other end, or a list of an IPv4 and an IPv6 one")
SUBNETS = one_or_more(name, "a subnet, or a list of subnets")
ADDRESSES = one_or_more(name, "an address, or a list of addresses")
NO_ADDRESS = "none"
AUTOMATIC = {"auto": FAMILIES, "ipv4": (IPV4,), "ipv6": (IPV6,), NO_ADDRESS: ()}  # families of automatic addresses
BRIDGE = "br0"  # every switch has an interface of this name already
TAKEN_INTERFACES = ("lo", "all", "default")  # the last two are names below /proc/sys/net


class End(NamedTuple):
    """One end of a link, as written."""

    node: Name
    interface: Name | None = None
    addresses: tuple[Name, ...] = ()
    mac: Name | None = None
    peers: tuple[Name, ...] = ()
    is_bare: bool = False  # it shall have no address
    vlans: WrittenVlans | None = None
    sends: Written | None = None  # what happens to packets that it sends


class WrittenLink(NamedTuple):
    """A link, as written; `mtu` 0 is the default, and so is `automatic` None."""

    place: Place
    ends: tuple[End, End]
    subnets: tuple[Name, ...] = ()
    mtu: int = 0
    mtu_place: Place | None = None
    automatic: tuple[int, ...] | None = None
    sends: Written | None = None  # what happens to packets that either end sends


class Wire(NamedTuple):
    """A link between two nodes; links that are joined by switches have the same `segment`.

    `copy` is its number, from 0, among those that are made of one in the file.
    """

    link: WrittenLink
    nodes: tuple[str, str]
    segment: int
    copy: int = 0


Interfaces = dict[str, dict[str, Wire]]


def read_links(findings: Findings, item: Item, path: str) -> tuple[WrittenLink, ...] | None:
    """Read `links:`."""
    if not isinstance(item, Sequence):
        findings.wrong(item, path, "a list of links, such as - [client, server]")
        return None
    links = (_read_link(findings, child, f"{path}.{index}") for index, child in enumerate(item.items))
    return tuple(link for link in links if link is not None)


def _read_link(findings: Findings, item: Item, path: str) -> WrittenLink | None:
    where = place(item, path)
    if isinstance(item, Sequence):
        ends = _read_ends(findings, item, path)
        return WrittenLink(where, ends) if ends else None
    fields = Fields(findings, item, path, LINK_KEYS, "a link, a list of two nodes or a mapping with endpoints")
    if not isinstance(item, Mapping):
        return None
    ends = fields.require("endpoints", _read_ends, None)
    subnets = fields.read("subnet", SUBNETS, ())
    mtu, mtu_place = fields.read("mtu", MTU, 0), fields.value_place("mtu")
    automatic = fields.read("addresses", read_automatic, None)
    sends = directions.read(fields)
    if not ends:
        return None
    directions.check(findings, sends, [end.sends for end in ends])
    return WrittenLink(where, ends, subnets, mtu, mtu_place, automatic, sends)


def read_automatic(findings: Findings, item: Item, path: str) -> tuple[int, ...] | None:
    """Read `addresses:`, the families of which there are automatic addresses."""
    written = choice(*AUTOMATIC)(findings, item, path)
    return None if written is None else AUTOMATIC[written]


def _read_ends(findings: Findings, item: Item, path: str) -> tuple[End, End] | None:
    expected = "a list of two nodes"
    if not isinstance(item, Sequence):
        findings.wrong(item, path, expected)
        return None
    if len(item.items) != BOTH:
        findings.add(place(item, path), f"expected {expected}, found {len(item.items)}")
        return None
    a, b = (_read_end(findings, child, f"{path}.{index}") for index, child in enumerate(item.items))
    return (a, b) if a and b else None


def _read_end(findings: Findings, item: Item, path: str) -> End | None:
    if isinstance(item, Scalar):
        node = name(findings, item, path)
        return End(node) if node else None
    fields = Fields(findings, item, path, END_KEYS, "a node, or a mapping with node")
    if not isinstance(item, Mapping):
        return None
    node = fields.require("node", name, None)
    interface = fields.read("interface", _interface, None)
    addresses = fields.read("address", ADDRESSES, ())
    is_bare = [address.text for address in addresses] == [NO_ADDRESS]
    mac, peers = fields.read("mac", name, None), fields.read("peer", PEERS, ())
    vlans, sends = read_vlans(fields), directions.read(fields)
    return End(node, interface, () if is_bare else addresses, mac, peers, is_bare, vlans, sends) if node else None


def _interface(findings: Findings, item: Item, path: str) -> Name | None:
    """Take the name of a network interface, by the rules of the kernel and of /proc/sys."""
    written = name(findings, item, path)
    if written is None:
        return None
    text = written.text
    if len(text) > MAX_INTERFACE_NAME or text.strip(LETTERS + DIGITS + "._-") or text[0] in ".-":
        expected = f"an interface name of at most {MAX_INTERFACE_NAME} letters, digits, '.', '_' and '-'"
        findings.wrong(item, path, expected)
        return None
    if text in TAKEN_INTERFACES:
        findings.wrong(item, path, "an interface name of your own", "the kernel uses this one itself")
        return None
    return written


# --- wires ------------------------------------------------------------------------------------------------------------


def connect(findings: Findings, names: Names, links: tuple[WrittenLink, ...]) -> list[Wire]:
    """Return the wires of all links, without those that are mistakes."""
    wires: list[Wire] = []
    joined = Switches(findings, names, links)
    for link in links:
        pairs = _pairs(findings, names, link)
        if not pairs:
            _check_words(findings, link)
        if len(wires) + len(pairs) > MAX_WIRES:
            findings.add(link.place, f"expected at most {MAX_WIRES:,} links, found more")
            break
        single = link if len(pairs) <= 1 else _without_single(findings, link, len(pairs))
        for copy, pair in enumerate(pairs):
            joined.join(link, pair)
            wires.append(Wire(single, pair, 0, copy))
    joined.check_ports()
    return [one._replace(segment=joined.segment(number, one)) for number, one in enumerate(wires)]


def _pairs(findings: Findings, names: Names, link: WrittenLink) -> list[tuple[str, str]]:
    """Return the nodes that a link connects, a pair for each replica."""
    a, b = (end.node for end in link.ends)
    sides = names.find(a), names.find(b)
    if not all(sides):
        return []
    many = [end for end in (a, b) if names.is_replicated(end.text)]
    if len(many) == BOTH:
        message = f"expected one replicated node at most, found {show(a.text)} and {show(b.text)}"
        findings.add(link.place, message, "link each with a switch, or name single replicas")
        return []
    pairs = [(one, other) for one in sides[0] for other in sides[1]]
    if any(one == other for one, other in pairs):
        both = b.text if names.is_replicated(a.text) else a.text
        findings.add(link.place, f"expected two different nodes, found {show(both)} at both ends")
        return []
    return pairs


def _check_words(findings: Findings, link: WrittenLink) -> None:
    """Add the mistakes in addresses, MACs and subnets of a link that becomes no wire; nobody else reads them."""
    for end in link.ends:
        for address in end.addresses:
            read_address(findings, address)
        if end.mac:
            read_mac(findings, end.mac)
        for peer in end.peers:
            read_address(findings, peer)
    for subnet in link.subnets:
        read_subnet(findings, subnet)


def _without_single(findings: Findings, link: WrittenLink, count: int) -> WrittenLink:
    """Return a link of several replicas without what only one link can have; that is a mistake."""
    for end in link.ends:
        for written in (*end.addresses, *end.peers, *((end.mac,) if end.mac else ())):
            message = f"expected nothing that only one link can have, found {show(written.text)} for {count} links"
            findings.add(written.place, message, "leave it out, or link single replicas")
    a, b = (end._replace(addresses=(), peers=(), mac=None) for end in link.ends)
    return link._replace(ends=(a, b))


# --- interface names --------------------------------------------------------------------------------------------------


def name_interfaces(findings: Findings, names: Names, wires: list[Wire]) -> Interfaces:
    """Return the wires of each node by the name of their interface there.

    The K-th link of a node is ethK, from 0, unless a name is written. A written name must not be another link's,
    whether written or chosen: a topology that says eth1 should get exactly that eth1.
    """
    interfaces: Interfaces = {}
    places: dict[tuple[str, str], Name | None] = {}
    for one in wires:
        for node, end in zip(one.nodes, one.link.ends, strict=True):
            own = interfaces.setdefault(node, {})
            written = end.interface
            text = written.text if written else f"eth{len(own)}"
            if written and text == BRIDGE and names.is_switch(node):
                findings.add(written.place, f"expected an interface name of its own, found {BRIDGE}, the bridge's")
            if text not in own:
                places[node, text] = written
            else:
                earlier = places[node, text]
                if written:
                    _clash(findings, node, written, one.link, own[text].link, chosen=not earlier)
                elif earlier:
                    _clash(findings, node, earlier, own[text].link, one.link, chosen=True)
                text = f"{text} {len(own)}"  # Keep the count, under a name that none can have.
            own[text] = one
    return interfaces


def ends(wires: list[Wire], interfaces: Interfaces) -> list[Ends]:
    """Return the ends of all links, in their order: that of each node's interfaces."""
    names = {node: iter(own) for node, own in interfaces.items()}
    return [Ends(a, next(names[a]), b, next(names[b])) for a, b in (wire.nodes for wire in wires)]


def _clash(
    findings: Findings, node: str, written: Name, link: WrittenLink, other: WrittenLink, *, chosen: bool
) -> None:
    """Add the mistake that another link has the name written in `link`, too, whether written or `chosen`."""
    message = f"expected interface names of their own, found {written.text} twice on {node}"
    if other is link:
        findings.add(written.place, message, "leave it out, so that each replica's link gets one of its own")
        return
    hint = "unless written, the K-th link of a node is ethK, from 0" if chosen else ""
    findings.add(written.place, f"{message} (also the link on line {other.place.line})", hint)
