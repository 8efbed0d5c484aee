"""VLANs of the ports of a switch: as the kernel tells them, and what of the planned ones is not there. Pure."""

import socket
import struct
from collections.abc import Container, Iterable, Iterator, Mapping

from netlab.kernel.netlink import attributes
from netlab.lab.node_drift import Problem, in_node
from netlab.plan.command_words import quoted
from netlab.record.model import InterfaceRecord

_QUESTION = struct.Struct("=IHHII BxHiII HHI")  # struct nlmsghdr; struct ifinfomsg; IFLA_EXT_MASK
_LINK = struct.Struct("=BxHiII")
_RTM_GETLINK, _REQUEST_ALL = 18, 0x301
_IFLA_EXT_MASK, _RTEXT_FILTER_BRVLAN = 29, 2
_IFLA_AF_SPEC, _IFLA_BRIDGE_VLAN_INFO = 26, 2
_VLAN_INFO = struct.Struct("=HH")  # struct bridge_vlan_info
_BARE, _TAGGED = 2 | 4, 0  # BRIDGE_VLAN_INFO_PVID and _UNTAGGED, and neither

Vlans = frozenset[tuple[int, int]]  # numbers, each with these flags
ALL = _QUESTION.pack(
    _QUESTION.size,
    _RTM_GETLINK,
    _REQUEST_ALL,
    0,
    0,
    socket.AF_BRIDGE,
    0,
    0,
    0,
    0,
    8,
    _IFLA_EXT_MASK,
    _RTEXT_FILTER_BRVLAN,
)  # the question for the VLANs of all ports


def read(answers: Iterable[bytes]) -> dict[int, Vlans]:
    """Return the VLANs of each port, by its index."""
    found: dict[int, Vlans] = {}
    for answer in answers:
        family, _, index, _, _ = _LINK.unpack_from(answer)
        about = dict(attributes(answer[_LINK.size :]))
        if family == socket.AF_BRIDGE and _IFLA_AF_SPEC in about:
            infos = (data for kind, data in attributes(about[_IFLA_AF_SPEC]) if kind == _IFLA_BRIDGE_VLAN_INFO)
            vlans = (_VLAN_INFO.unpack_from(data) for data in infos if len(data) >= _VLAN_INFO.size)
            found[index] = frozenset((number, flags & _BARE) for flags, number in vlans)
    return found


def problems(
    lab: str, node: str, interfaces: Mapping[str, InterfaceRecord], ports: Container[int], seen: Mapping[int, Vlans]
) -> Iterator[Problem]:
    """Yield what is gone of the VLANs of those that are `ports`, by index; other VLANs are somebody's own."""
    for name, port in interfaces.items():
        if port.index not in ports:
            continue
        bare = [(port.vlan, _BARE, " pvid untagged")] if port.vlan else []
        for number, flags, words in (*bare, *((number, _TAGGED, "") for number in port.vlans)):
            if (number, flags) not in seen.get(port.index, ()):
                frames = "frames without a tag" if words else "tagged frames"
                command = f"bridge vlan add dev {quoted(name)} vid {number}{words}"
                yield Problem(f"{node} {name}", f"{frames} are not in VLAN {number}", in_node(lab, node, command))
