"""Written addresses, subnets and MACs → numbers, or a mistake."""

from netlab.named_tuple import NamedTuple
from netlab.topology.document.tree import show
from netlab.topology.ip_arithmetic import BITS, IPV4, IPV6, Subnet, parse, text
from netlab.topology.validate.findings import Findings, Name

EXAMPLES = {IPV4: "10.0.1.0/24", IPV6: "fd00:1::/64"}
# Addresses that no lab can give to its hosts.
RESERVED = tuple(
    (parse(network)[1], what)
    for network, what in (
        ("0.0.0.0/8", "this network"),
        ("127.0.0.0/8", "loopback"),
        ("224.0.0.0/3", "multicast and reserved addresses"),
        ("::/8", "reserved addresses"),
        ("fe80::/10", "link-local addresses, which the kernel sets itself"),
        ("ff00::/8", "multicast"),
    )
)
HEX = "0123456789abcdef"
MAC_BYTES = 6
PAIR = 2  # the addresses of a point-to-point link, which has no broadcast address (RFC 3021, RFC 6164)
LONGEST_LENGTH = 3  # digits


class Address(NamedTuple):
    """A written address; `length` is its prefix length, None if none is written."""

    family: int
    number: int
    length: int | None
    name: Name

    def subnet(self) -> Subnet:
        """Return the network with this prefix length."""
        length = BITS[self.family] if self.length is None else self.length
        rest = BITS[self.family] - length
        return Subnet(self.family, self.number >> rest << rest, length)

    def __str__(self) -> str:
        """Return the address as `ADDRESS` or `ADDRESS/LENGTH`, canonical."""
        length = "" if self.length is None else f"/{self.length}"
        return text(self.family, self.number) + length


def parse_address(name: Name) -> Address | None:
    """Return the written address, None if it is not one."""
    import socket

    word, slash, length = name.text.partition("/")
    family, kind = (IPV6, socket.AF_INET6) if ":" in word else (IPV4, socket.AF_INET)
    if slash and not (
        length.isascii() and length.isdigit() and len(length) <= LONGEST_LENGTH and int(length) <= BITS[family]
    ):
        return None
    try:
        number = int.from_bytes(socket.inet_pton(kind, word), "big")
    except (OSError, ValueError):  # ValueError: a character that no address has.
        return None
    return Address(family, number, int(length) if slash else None, name)


def read_address(findings: Findings, name: Name, example: str = "10.0.1.1/24 or fd00:1::1/64") -> Address | None:
    """Return the written address; None, after adding the mistake, if it is not one."""
    address = parse_address(name)
    if address is None:
        findings.add(name.place, f"expected an address such as {example}, found {show(name.text)}")
    return address


def read_subnet(findings: Findings, name: Name, what: str = "a subnet") -> Subnet | None:
    """Return the written subnet; None, after adding the mistake, if it is not one."""
    address = parse_address(name)
    if address is None:
        found = show(name.text)
        findings.add(name.place, f"expected {what} such as {EXAMPLES[IPV4]} or {EXAMPLES[IPV6]}, found {found}")
    elif address.length is None:
        hint = "such as " + text(address.family, address.number) + EXAMPLES[address.family][-3:]
        findings.add(name.place, f"expected {what} with a prefix length, found {show(name.text)}", hint)
    elif address.subnet().base != address.number:
        message = f"expected {what}, found {show(name.text)}, an address in one"
        findings.add(name.place, message, f"did you mean {address.subnet()}?")
    else:
        return address.subnet()
    return None


def check_usable(findings: Findings, name: Name, subnet: Subnet) -> bool:
    """Return whether hosts may have the addresses of the subnet; add the mistake if not."""
    for reserved, what in RESERVED:
        if reserved.family == subnet.family and reserved.base <= subnet.last and subnet.base <= reserved.last:
            findings.add(name.place, f"expected addresses for hosts, found {show(name.text)}, in {reserved}: {what}")
            return False
    return True


def capacity(subnet: Subnet) -> int:
    """Return how many hosts fit into the subnet."""
    size = subnet.last - subnet.base + 1
    if size <= PAIR:
        return size
    return size - 2 if subnet.family == IPV4 else size - 1


def check_host(findings: Findings, address: Address, subnet: Subnet) -> None:
    """Add a mistake if the address means the whole subnet."""
    if subnet.last - subnet.base < PAIR:
        return
    if address.number == subnet.base:
        which = "the address of the subnet" if address.family == IPV4 else "the anycast address of the subnet's routers"
        findings.add(address.name.place, f"expected the address of a host, found {address}, {which}")
    elif address.family == IPV4 and address.number == subnet.last:
        findings.add(address.name.place, f"expected the address of a host, found {address}, the broadcast address")


def read_mac(findings: Findings, name: Name) -> str:
    """Return the MAC in lower case with colons, "" after adding the mistake."""
    mac = name.text.lower().replace("-", ":")
    parts = mac.split(":")
    if len(parts) != MAC_BYTES or any(part.strip(HEX) or len(part) != len("ff") for part in parts):
        findings.add(name.place, f"expected a MAC such as 02:00:00:00:00:01, found {show(name.text)}")
    elif int(parts[0], 16) & 1:
        hint = f"such as {int(parts[0], 16) & 0xFE | 2:02x}{mac[2:]}"
        findings.add(name.place, f"expected the MAC of one host, found {mac}, a group's (its first byte is odd)", hint)
    elif not mac.strip("0:"):
        findings.add(name.place, f"expected a MAC that is not all zeros, found {mac}")
    else:
        return mac
    return ""
