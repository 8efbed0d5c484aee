"""Compares written subnets, addresses and MACs: segment by segment, then all together."""

from netlab.topology.document.tree import show
from netlab.topology.ip_arithmetic import IPV6, LOWEST_IPV6_MTU, Subnet
from netlab.topology.model import Endpoint, Link
from netlab.topology.validate.findings import Findings, Name, Place
from netlab.topology.validate.ip import Address, capacity, check_host, check_usable, read_address, read_mac, read_subnet
from netlab.topology.validate.links import End, Wire, WrittenLink
from netlab.topology.validate.names import Names

WrittenSubnet = tuple[Subnet, Name]


class Segment:
    """One broadcast domain: the number of its hosts, and what is written about it, with places.

    Its subnet of a family is the one written on any of its links, or else the network of its first written address with
    a prefix length; `links` has the link where it is written.
    """

    def __init__(self) -> None:
        self.hosts = 0
        self.open = False  # whether a mistake hides which subnets there are
        self.subnets: dict[int, WrittenSubnet] = {}  # by family
        self.links: dict[int, WrittenLink] = {}  # by family
        self.addresses: dict[tuple[int, int], Name] = {}  # by family and number
        self.macs: dict[str, Name] = {}


class Addressing:
    """Reads everything that is written about addresses. The keys of `segments` are the numbers on the wires."""

    def __init__(self, findings: Findings, names: Names, wires: list[Wire]) -> None:
        self._findings = findings
        self._names = names
        self.wires = wires
        self._link_subnets: dict[Place, tuple[WrittenSubnet, ...]] = {}
        self._addresses: dict[tuple[int, int], tuple[Address, ...]] = {}  # by wire and side
        self._macs: dict[tuple[int, int], str] = {}  # by wire and side
        self.segments: dict[int, Segment] = {}
        for number, wire in enumerate(wires):
            self._read_wire(number, wire)
        for (number, _), addresses in self._addresses.items():
            self._imply_subnets(wires[number], addresses)
        for (number, _), addresses in self._addresses.items():
            self._check_addresses(self.segments[wires[number].segment], addresses)
        self._check_sizes()
        self._check_overlaps()
        self._check_mtus()

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

    def _endpoint(self, number: int, side: int, wire: Wire) -> Endpoint:
        interface = wire.link.ends[side].interface
        addresses = self.written(number, side)
        mac = self._macs.get((number, side), "")
        with_length = (self._with_length(self.segments[wire.segment], address) for address in addresses)
        return Endpoint(wire.nodes[side], interface.text if interface else "", tuple(with_length), mac)

    @staticmethod
    def _with_length(segment: Segment, address: Address) -> str:
        subnet, _ = segment.subnets[address.family]
        return str(address._replace(length=subnet.length))

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
            segment.hosts += not switch
            if end.addresses:
                self._addresses[number, side] = self._read_addresses(end, node if switch else "")
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
        if known != subnet:
            message = f"expected {known}, which line {first.place.line} gives to the same switches, found {subnet}"
            self._findings.add(name.place, message)

    def _read_addresses(self, end: End, switch: str) -> tuple[Address, ...]:
        """Return the addresses of one end, IPv4 first, at most one of each family."""
        if switch:
            message = f"expected no address on {switch}, a switch, found {show(end.addresses[0].text)}"
            self._findings.add(end.addresses[0].place, message)
            return ()
        good: dict[int, Address] = {}
        for name in end.addresses:
            address = read_address(self._findings, name)
            if address and address.family in good:
                found = f"found a second IPv{address.family} one, {show(name.text)}"
                self._findings.add(name.place, f"expected one IPv4 and one IPv6 address, {found}")
            elif address:
                good[address.family] = address
        return tuple(good[family] for family in sorted(good))

    def _read_mac(self, segment: Segment, name: Name) -> str:
        mac = read_mac(self._findings, name)
        if mac and (first := segment.macs.setdefault(mac, name)) is not name:
            line = first.place.line
            self._findings.add(name.place, f"expected a MAC of its own, found {mac}, which line {line} has too")
        return mac

    # --- checking ---

    def _imply_subnets(self, wire: Wire, addresses: tuple[Address, ...]) -> None:
        """If no subnet is written, take the network of an address as its segment's subnet."""
        segment = self.segments[wire.segment]
        for address in addresses:
            if address.length is not None and address.family not in segment.subnets:
                segment.subnets[address.family] = (address.subnet(), address.name)
                segment.links[address.family] = wire.link
                check_usable(self._findings, address.name, address.subnet())

    def _check_addresses(self, segment: Segment, addresses: tuple[Address, ...]) -> None:
        for address in addresses:
            place = address.name.place
            subnet, origin = segment.subnets.get(address.family, (None, address.name))
            if subnet:
                self._check_inside(address, subnet, origin)
            elif not segment.open:
                self._findings.add(place, f"expected a prefix length, as the link has no subnet, found {address}")
            first = segment.addresses.setdefault((address.family, address.number), address.name)
            if first is not address.name:
                line = first.place.line
                self._findings.add(place, f"expected an address of its own, found {address}, which line {line} has too")

    def _check_inside(self, address: Address, subnet: Subnet, origin: Name) -> None:
        where = f"{subnet}, the subnet of line {origin.place.line}"
        if not subnet.base <= address.number <= subnet.last:
            self._findings.add(address.name.place, f"expected an address in {where}, found {address}")
        elif address.length not in (None, subnet.length):
            message = f"expected the prefix length of {where}, found /{address.length}"
            self._findings.add(address.name.place, message, "leave the prefix length out")
        else:
            check_host(self._findings, address, subnet)

    def _check_sizes(self) -> None:
        for segment in self.segments.values():
            for subnet, name in segment.subnets.values():
                if segment.hosts > capacity(subnet):
                    message = (
                        f"expected room for {segment.hosts} hosts, found {subnet} with room for {capacity(subnet)}"
                    )
                    self._findings.add(name.place, message)

    def _check_overlaps(self) -> None:
        """Add the mistakes of subnets that overlap. They are sorted, so each is compared with one before it."""
        found = [
            (subnet.family, subnet.base, subnet.last, str(subnet), name, segment.links[family])
            for segment in self.segments.values()
            for family, (subnet, name) in segment.subnets.items()
            if family in segment.links
        ]
        found.sort(key=lambda entry: entry[:3])
        widest = None
        for entry in found:
            if widest and entry[0] == widest[0] and entry[1] <= widest[2]:
                self._overlap(widest[3:], entry[3:])
            if not widest or entry[0] != widest[0] or entry[2] > widest[2]:
                widest = entry

    def _overlap(self, one: tuple[str, Name, WrittenLink], other: tuple[str, Name, WrittenLink]) -> None:
        first, second = sorted((one, other), key=lambda entry: entry[1].place)
        if first[2] is second[2]:
            message = f"expected a subnet of its own for each replica's link, found {first[0]} for all"
            self._findings.add(first[1].place, message, "leave it out, or put a switch between them")
            return
        message = f"expected subnets that share no address, found {second[0]}, which overlaps {first[0]}"
        self._findings.add(second[1].place, f"{message} on line {first[1].place.line}")

    def _check_mtus(self) -> None:
        """Add the mistakes of IPv6 on links that are too narrow for it."""
        for wire in self.wires:
            link, subnets = wire.link, self.segments[wire.segment].subnets
            if 0 < link.mtu < LOWEST_IPV6_MTU and IPV6 in subnets and link.mtu_place:
                message = f"expected an mtu of at least {LOWEST_IPV6_MTU} for the IPv6 subnet {subnets[IPV6][0]}"
                self._findings.add(link.mtu_place, f"{message}, found {link.mtu}")
