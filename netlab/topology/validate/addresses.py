"""Compares written subnets, addresses and MACs: segment by segment, then all together."""

from netlab.topology.bridged import Port
from netlab.topology.document.tree import show
from netlab.topology.ip_arithmetic import BITS, FAMILIES
from netlab.topology.model import Endpoint, Link
from netlab.topology.validate import directions, segments
from netlab.topology.validate.findings import Findings, Name, Place
from netlab.topology.validate.ip import Address, check_host, check_usable, read_address, read_mac, read_subnet
from netlab.topology.validate.links import End, Wire, WrittenLink
from netlab.topology.validate.names import Names
from netlab.topology.validate.segments import Segment, WrittenSubnet


class Addressing:
    """Reads everything that is written about addresses. The keys of `segments` are the numbers on the wires.

    `automatic` are the families of automatic addresses at links that say nothing of them.
    """

    def __init__(self, findings: Findings, names: Names, wires: list[Wire], automatic: tuple[int, ...]) -> None:
        self._findings = findings
        self._names = names
        self._automatic = automatic
        self.wires = wires
        self._link_subnets: dict[Place, tuple[WrittenSubnet, ...]] = {}
        self._addresses: dict[tuple[int, int], tuple[Address, ...]] = {}  # by wire and side
        self._peers: dict[tuple[int, int], tuple[Address, ...]] = {}  # by wire and side
        self._macs: dict[tuple[int, int], str] = {}  # by wire and side
        self._taken: dict[tuple[int, int], Name] = {}  # addresses, by family and number
        self.segments: dict[int, Segment] = {}
        for number, wire in enumerate(wires):
            self._read_wire(number, wire)
        for (number, _), addresses in self._addresses.items():
            self._imply_subnets(wires[number], addresses)
        for (number, _), addresses in self._addresses.items():
            self._check_addresses(self.segments[wires[number].segment], addresses)
        segments.check(findings, self.segments.values(), wires, self.segments)

    def links(self) -> tuple[Link, ...]:
        """Return the links of the topology."""
        return tuple(
            Link(
                self._endpoint(number, 0, wire),
                self._endpoint(number, 1, wire),
                tuple(str(subnet) for subnet, _ in self._link_subnets.get(wire.link.place, ())),
                wire.link.mtu,
            )
            for number, wire in enumerate(self.wires)
        )

    def written(self, number: int, side: int) -> tuple[Address, ...]:
        """Return what is written at one end (0 or 1) of a wire."""
        return self._addresses.get((number, side), ())

    def peers(self, number: int, side: int) -> tuple[Address, ...]:
        """Return the other ends of the point-to-point addresses at one end of a wire."""
        return self._peers.get((number, side), ())

    def take(self, address: Address) -> None:
        """Note that an address is somebody's; add the mistake if it is another one's, too."""
        first = self._taken.setdefault((address.family, address.number), address.name)
        if first is not address.name:
            line = first.place.line
            message = f"expected an address of its own, found {address}, which line {line} has too"
            self._findings.add(address.name.place, message)

    def _endpoint(self, number: int, side: int, wire: Wire) -> Endpoint:
        end, node = wire.link.ends[side], wire.nodes[side]
        is_joined = self._is_joined(node, end)
        return Endpoint(
            node,
            end.interface.text if end.interface else "",
            tuple(self._with_length(self.segments[wire.segment], one) for one in self.written(number, side)),
            self._macs.get((number, side), ""),
            tuple(str(peer) for peer in self.peers(number, side)),
            () if end.is_bare or self._names.joins(node) else self._families(wire),
            is_joined,
            end.vlans.port if end.vlans else Port(),
            directions.sends(wire.link.sends, [each.sends for each in wire.link.ends], side, wire.copy),
        )

    def _families(self, wire: Wire) -> tuple[int, ...]:
        """Return the families of automatic addresses at a link; a written subnet is for such addresses."""
        if wire.link.automatic is not None:
            return wire.link.automatic
        on_links = self.segments[wire.segment].on_links
        return tuple(family for family in FAMILIES if family in self._automatic or family in on_links)

    def _is_joined(self, node: str, end: End) -> bool:
        return self._names.joins(node) and not end.addresses

    @staticmethod
    def _with_length(segment: Segment, address: Address) -> str:
        if address.length is not None:
            return str(address)
        return str(address._replace(length=segment.subnets[address.family][0].length))

    # --- reading ---

    def _read_wire(self, number: int, wire: Wire) -> None:
        segment = self.segments.get(wire.segment)
        if segment is None:
            segment = self.segments[wire.segment] = Segment()
        if wire.link.subnets:
            subnets = self._subnets_of(wire.link)
            segment.open |= len(subnets) < len(wire.link.subnets)
            for written in subnets:
                self._agree(segment, written, wire.link)
        for side, (node, end) in enumerate(zip(wire.nodes, wire.link.ends, strict=True)):
            switch = self._names.is_switch(node)
            is_bare = end.is_bare or self._is_joined(node, end)
            segment.hosts += not switch and not is_bare
            segment.is_bridged |= is_bare
            if end.addresses:
                self._addresses[number, side] = self._read_addresses(end, node if switch else "")
            if end.peers:
                self._peers[number, side] = self._read_peers(number, side, end)
            if end.mac:
                self._macs[number, side] = self._read_mac(segment, end.mac)

    def _subnets_of(self, link: WrittenLink) -> tuple[WrittenSubnet, ...]:
        """Return a link's subnets, at most one of each family; a link with many replicas is read once."""
        if link.place not in self._link_subnets:
            good: dict[int, WrittenSubnet] = {}
            for name in link.subnets:
                subnet = read_subnet(self._findings, name)
                if subnet and subnet.family in good:
                    found = f"found a second IPv{subnet.family} one, {show(name.text)}"
                    self._findings.add(name.place, f"expected one IPv4 and one IPv6 subnet, {found}")
                elif subnet and check_usable(self._findings, name, subnet):
                    good[subnet.family] = (subnet, name)
            self._link_subnets[link.place] = tuple(good[family] for family in sorted(good))
        return self._link_subnets[link.place]

    def _agree(self, segment: Segment, written: WrittenSubnet, link: WrittenLink) -> None:
        """Note the subnet of a segment; add a mistake if there is a second, different one."""
        subnet, name = written
        known, first = segment.subnets.setdefault(subnet.family, written)
        segment.links.setdefault(subnet.family, link)
        segment.on_links.add(subnet.family)
        if known != subnet:
            message = f"expected {known}, which line {first.place.line} gives to the same switches, found {subnet}"
            self._findings.add(name.place, message)

    def _read_addresses(self, end: End, switch: str) -> tuple[Address, ...]:
        """Return the addresses of one end, IPv4 first. One with a peer, and no length, is one alone."""
        if switch:
            message = f"expected no address on {switch}, a switch, found {show(end.addresses[0].text)}"
            self._findings.add(end.addresses[0].place, message)
            return ()
        found = [read_address(self._findings, name) for name in end.addresses]
        return tuple(sorted(filter(None, found), key=lambda address: address.family))

    def _read_peers(self, number: int, side: int, end: End) -> tuple[Address, ...]:
        """Return the peers of one end, at most one of each family; their addresses are whole ones from here on."""
        own = {address.family: address for address in reversed(self.written(number, side))}
        good: dict[int, Address] = {}
        for name in end.peers:
            peer = read_address(self._findings, name, "10.0.1.2 or fd00:1::2")
            if not peer:
                continue
            mine, bits = own.get(peer.family), BITS[peer.family]
            if peer.length is not None:
                self._findings.add(name.place, f"expected an address without a prefix length, found {peer}")
            elif not mine or peer.family in good:
                message = f"expected a peer for each first address of this end, found {peer}"
                self._findings.add(name.place, message, "" if mine else f"it has no IPv{peer.family} address")
            elif mine.length not in (None, bits):
                message = f"expected an address of one host beside peer, found {mine}"
                self._findings.add(mine.name.place, message, f"its prefix length is /{bits}, or is left out")
            elif mine.number == peer.number:
                self._findings.add(name.place, f"expected the address of the other end, found {peer}, this end's own")
            elif check_usable(self._findings, name, peer.subnet()):
                good[peer.family] = peer
        whole = (
            one._replace(length=BITS[one.family]) if one is own[one.family] and one.family in good else one
            for one in self.written(number, side)
        )
        self._addresses[number, side] = tuple(whole)
        return tuple(good[family] for family in sorted(good))

    def _read_mac(self, segment: Segment, name: Name) -> str:
        mac = read_mac(self._findings, name)
        if mac and (first := segment.macs.setdefault(mac, name)) is not name:
            line = first.place.line
            self._findings.add(name.place, f"expected a MAC of its own, found {mac}, which line {line} has too")
        return mac

    # --- checking ---

    def _imply_subnets(self, wire: Wire, addresses: tuple[Address, ...]) -> None:
        """If no subnet is written, take the widest network of a first address as its segment's subnet."""
        segment = self.segments[wire.segment]
        for address in addresses:
            if address.length is None or not check_usable(self._findings, address.name, address.subnet()):
                continue
            known, _ = segment.subnets.get(address.family, (None, None))
            subnet = address.subnet()
            is_wider = known and address.family not in segment.on_links and subnet.covers(known)
            if subnet.is_host:
                continue
            if _is_first(address, addresses) and (not known or is_wider):
                segment.subnets[address.family] = (subnet, address.name)
                segment.links[address.family] = wire.link
            elif not _is_first(address, addresses):
                segment.further.append((subnet, address.name, wire.link))

    def _check_addresses(self, segment: Segment, addresses: tuple[Address, ...]) -> None:
        for address in addresses:
            place = address.name.place
            subnet, _ = segment.subnets.get(address.family, (None, None))
            if address.length is not None and not (subnet and _is_first(address, addresses)):
                check_host(self._findings, address, address.subnet())
            elif subnet:
                self._check_inside(segment, address, is_first=_is_first(address, addresses))
            elif not segment.open:
                self._findings.add(place, f"expected a prefix length, as the link has no subnet, found {address}")
            self.take(address)

    def _check_inside(self, segment: Segment, address: Address, *, is_first: bool) -> None:
        subnet, origin = segment.subnets[address.family]
        where = f"{subnet}, the subnet of line {origin.place.line}"
        own = subnet if address.length is None else address.subnet()
        if own.is_host and address.length is not None:
            return  # It is in no network, and says so.
        if not subnet.base <= address.number <= subnet.last:
            hint = "" if address.length or is_first else "a second address of another network has its prefix length"
            self._findings.add(address.name.place, f"expected an address in {where}, found {address}", hint)
        elif address.family in segment.on_links and own != subnet:
            message = f"expected the prefix length of {where}, found /{address.length}"
            self._findings.add(address.name.place, message, "leave the prefix length out")
        else:
            check_host(self._findings, address, own)


def _is_first(address: Address, addresses: tuple[Address, ...]) -> bool:
    """Say whether it is the first one of its family at its end."""
    return next(one for one in addresses if one.family == address.family) is address
