"""Which hosts hand frames from link to link by their program, although nobody has written `address: none`."""

from collections.abc import Iterator, Sequence

from netlab.topology.ip_arithmetic import Subnet
from netlab.topology.validate.findings import Name
from netlab.topology.validate.ip import parse_address
from netlab.topology.validate.links import WrittenLink
from netlab.topology.validate.nodes import Draft

_LEAST = 2  # links that can be joined


def joining(drafts: Sequence[Draft], links: Sequence[WrittenLink]) -> Iterator[str]:
    """Yield hosts with a program and no address of their own, all of whose links are written to be in one subnet.

    Nothing but a bridge has two links in one subnet, and the kernel would make none of them.
    """
    able = {draft.declared.name for draft in drafts if draft.programs and draft.declared.replicas == 0}
    if not able:
        return
    subnets: dict[str, list[set[Subnet]]] = {}
    for link in links:
        for own, other in (link.ends, link.ends[::-1]):
            if own.node.text in able:
                there = set() if own.addresses else _networks((*link.subnets, *other.addresses))
                subnets.setdefault(own.node.text, []).append(there)
    for node, its in subnets.items():
        if len(its) >= _LEAST and set.intersection(*its):
            yield node


def _networks(written: Sequence[Name]) -> set[Subnet]:
    """Return the networks of what is written, subnets and addresses; mistakes are told elsewhere."""
    addresses = (parse_address(name) for name in written)
    return {one.subnet() for one in addresses if one and one.length is not None and not one.subnet().is_host}
