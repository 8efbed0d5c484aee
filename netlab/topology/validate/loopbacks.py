"""`loopback:`: addresses of `lo`, which stay whatever becomes of links."""

from collections.abc import Sequence

from netlab.topology.ip_arithmetic import BITS
from netlab.topology.validate.addresses import Addressing
from netlab.topology.validate.findings import Findings, Name
from netlab.topology.validate.ip import Address, check_usable, read_address

Loopbacks = list[tuple[str, ...]]  # of each replica


def read(findings: Findings, addressing: Addressing, written: Sequence[Name], members: int) -> Loopbacks:
    """Return the addresses of each of so many replicas: those of the first one, counted up; add mistakes."""
    found: Loopbacks = [() for _ in range(members)]
    for name in written:
        address = read_address(findings, name, "10.255.0.1/32 or fd00:ff::1/128")
        if not address or not check_usable(findings, name, address.subnet()):
            continue
        for number in range(members):
            one = _counted(address, number)
            if one.number >> BITS[one.family]:
                findings.add(name.place, f"expected an address with room for {members} replicas, found {address}")
                break
            addressing.take(one if number == 0 else one._replace(name=Name(name.text, name.place)))
            found[number] = (*found[number], str(one))
    return found


def _counted(address: Address, number: int) -> Address:
    """Return the address of a replica; without a prefix length it is one alone."""
    length = BITS[address.family] if address.length is None else address.length
    return address._replace(number=address.number + number, length=length)
