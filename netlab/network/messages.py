"""Routing netlink messages in bytes, encoded by pyroute2; pure, and without sequence numbers.

Two things here are for speed; both were measured. First, `import pyroute2` imports all of the package, also asyncio:
150 ms, more than a small lab takes. The modules of the three message classes alone take 25 ms, and 17 ms without
logging, traceback and pkgutil, which they import and do not use. Second, pyroute2 takes 40 to 250 µs to encode a
message, and a thousand nodes need eight thousand messages. So messages that differ only in the bytes of some values are
encoded once, as a template for these values.
"""

import socket
import sys
from collections.abc import Callable
from typing import Any

from netlab.named_tuple import NamedTuple
from netlab.network.message_classes import Classes, pyroute2_classes
from netlab.plan.steps import AddRoute, Interface
from netlab.plan.switch_steps import FORWARD_DELAY, HELLO, MAX_AGE

_RTM_NEWLINK, _RTM_DELLINK, _RTM_SETLINK = 16, 17, 19
_AF_BRIDGE = 7
_PVID, _UNTAGGED = 2, 4  # BRIDGE_VLAN_INFO_*
_RTM_NEWADDR, _RTM_DELADDR = 20, 21
_RTM_NEWROUTE, _RTM_DELROUTE = 24, 25
_NLM_F_REQUEST = 1
_NLM_F_EXCL_CREATE = 0x600
_IFF_UP = 1
_IFA_F_NODAD = 2  # without it an IPv6 address cannot be used for the first second
_RT_TABLE_MAIN = 254
_RTPROT_BOOT = 3  # as `ip route add` does
_RTN_KINDS = {"": 1, "blackhole": 6, "unreachable": 7, "prohibit": 8}
_RT_SCOPE_UNIVERSE, _RT_SCOPE_LINK = 0, 253
_FAMILIES = {4: socket.AF_INET, 16: socket.AF_INET6}  # by the length of an address

_Message = Any  # a message of pyroute2, which has no type hints
_Wire = Callable[[bytes], Any]  # bytes as they are in a message → the value that pyroute2 takes for them


class Messages:
    """The encoder; all threads share one. Addresses and names are text, as in the plan."""

    def __init__(self) -> None:
        self._classes = pyroute2_classes()
        self._templates: dict[tuple[object, ...], bytes] = {}

    def veth(self, near: Interface, far: Interface, namespace: int) -> bytes:
        """Return the message for a veth pair: `near`, up, in the namespace it is sent in; `far` in `namespace`.

        The far end cannot be created up: a veth refuses to be opened before it knows its peer.
        """
        ends = [(_u32(end.index), end.name.encode(), _mac(end.mac), _u32(end.mtu)) for end in (near, far)]
        return self._encode(_VETH, (), *ends[0], *ends[1], _u32(namespace))

    def bridge(self, index: int, name: str, stp: bool = False, filters: bool = False) -> bytes:
        """Return the message for a bridge, up; without a spanning tree it forwards from the first frame on."""
        return self._encode(_BRIDGE, (int(stp), int(filters)), _u32(index), name.encode())

    def vlan(self, index: int, vlan: int, *, tagged: bool) -> bytes:
        """Return the message that puts a port into a VLAN: for tagged frames, or for frames without a tag."""
        return self._encode(_VLAN, (_RTM_SETLINK, vlan, int(tagged)), _u32(index))

    def no_vlan(self, index: int, vlan: int) -> bytes:
        """Return the message that takes a port out of a VLAN."""
        return self._encode(_VLAN, (_RTM_DELLINK, vlan, True), _u32(index))

    def up(self, index: int, bridge: int = 0) -> bytes:
        """Return the message that sets an interface up, as a port of the bridge with that index if there is one."""
        return self._encode(_PORT, (), _u32(index), _u32(bridge)) if bridge else self._encode(_UP, (), _u32(index))

    def port(self, index: int, bridge: int) -> bytes:
        """Return the message that makes an interface a port of the bridge with that index, be it up or down."""
        return self._encode(_MOVED, (), _u32(index), _u32(bridge))

    def alias(self, index: int, text: str) -> bytes:
        """Return the message that sets an interface's alias, by which people and `down` know whose it is."""
        return self._by_pyroute2(_ALIAS, (), (_u32(index), text.encode()))  # too long for a template

    def address(self, index: int, address: str, peer: str = "") -> bytes:
        """Return the message that gives an interface an address, such as 10.0.1.1/24, and the other end's as peer."""
        return self._addressed(_RTM_NEWADDR, index, address, peer)

    def route(self, route: AddRoute) -> bytes:
        """Return the message that adds a route."""
        return self._routed(_RTM_NEWROUTE, route)

    def no_link(self, index: int) -> bytes:
        """Return the message that removes an interface; if it is one end of a veth pair, the other end goes, too."""
        return self._encode(_NO_LINK, (), _u32(index))

    def no_address(self, index: int, address: str, peer: str = "") -> bytes:
        """Return the message that removes an address from an interface."""
        return self._addressed(_RTM_DELADDR, index, address, peer)

    def no_route(self, route: AddRoute) -> bytes:
        """Return the message that removes a route."""
        return self._routed(_RTM_DELROUTE, route)

    def _addressed(self, kind: int, index: int, address: str, peer: str) -> bytes:
        text, _, prefix = address.partition("/")
        if peer:
            return self._encode(_WITH_PEER, (kind, int(prefix)), _u32(index), _address(text), _address(peer))
        return self._encode(_ADDRESS, (kind, int(prefix)), _u32(index), _address(text))

    def _routed(self, kind: int, route: AddRoute) -> bytes:
        about: tuple[int, ...] = (kind, _RTN_KINDS[route.kind], route.metric, route.index)
        if route.to == "default":
            return self._encode(_DEFAULT, about, _address(route.via))
        text, _, prefix = route.to.partition("/")
        network = _address(text)
        about = (*about, int(prefix or 8 * len(network)))
        if not route.via:
            return self._encode(_ON_LINK, about, network)
        return self._encode(_ROUTE, about, network, _address(route.via))

    def _encode(self, shape: "_Shape", constants: tuple[int, ...], *wire: bytes) -> bytes:
        """Return the message of this shape with these values, made from a template if possible."""
        key = (shape, constants, *map(len, wire))
        template = self._templates.get(key)
        if template is None:
            template = self._templates[key] = self._template(shape, constants, wire)
        return template % wire if template else self._by_pyroute2(shape, constants, wire)

    def _template(self, shape: "_Shape", constants: tuple[int, ...], wire: tuple[bytes, ...]) -> bytes:
        """Return the message with a `%b` for each value, or b"" if the place of a value is not certain.

        The places are found by encoding values whose bytes occur nowhere else.
        """
        printable, plain = iter(range(0x7E, 0x60, -1)), iter(range(0x20, 0x60))  # all below 0x80: an index is signed
        marks = []
        for convert, value in zip(shape.values, wire, strict=True):
            marks.append(bytes(next(printable if convert is bytes.decode else plain) for _ in value))
        rest = self._by_pyroute2(shape, constants, tuple(marks))
        if any(rest.count(mark) != 1 for mark in marks):
            return b""
        pieces = []
        for mark in marks:
            piece, found, rest = rest.partition(mark)
            if not found:  # the marks are in another order than the values
                return b""
            pieces.append(piece.replace(b"%", b"%%"))
        return b"%b".join([*pieces, rest.replace(b"%", b"%%")])

    def _by_pyroute2(self, shape: "_Shape", constants: tuple[int, ...], wire: tuple[bytes, ...]) -> bytes:
        values = [convert(value) for convert, value in zip(shape.values, wire, strict=True)]
        message = shape.build(self._classes, *constants, *values)
        message.encode()
        return bytes(message.data)


class _Shape(NamedTuple):
    """How one kind of message is built: the function, and how each of its values is converted, in their order."""

    build: Callable[..., _Message]
    values: tuple[_Wire, ...]


def _u32(value: int) -> bytes:
    return value.to_bytes(4, sys.byteorder)


def _mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


def _address(text: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)


def _number(wire: bytes) -> int:
    return int.from_bytes(wire, sys.byteorder)


def _colons(wire: bytes) -> str:
    return wire.hex(":")


def _host(wire: bytes) -> str:
    return socket.inet_ntop(_FAMILIES[len(wire)], wire)


def _link(classes: Classes, flags: int, index: int, attributes: list[tuple[str, object]]) -> _Message:
    message = classes.link()
    message["header"] = {"type": _RTM_NEWLINK, "flags": _NLM_F_REQUEST | flags}
    message["index"] = index
    message["flags"] = message["change"] = _IFF_UP
    message["attrs"] = attributes
    return message


def _up(classes: Classes, index: int) -> _Message:
    return _link(classes, 0, index, [])


def _port(classes: Classes, index: int, bridge: int) -> _Message:
    return _link(classes, 0, index, [("IFLA_MASTER", bridge)])


def _moved(classes: Classes, index: int, bridge: int) -> _Message:
    message = _port(classes, index, bridge)
    message["flags"] = message["change"] = 0
    return message


def _alias(classes: Classes, index: int, text: str) -> _Message:
    message = _link(classes, 0, index, [("IFLA_IFALIAS", text)])
    message["flags"] = message["change"] = 0
    return message


def _no_link(classes: Classes, index: int) -> _Message:
    message = classes.link()
    message["header"] = {"type": _RTM_DELLINK, "flags": _NLM_F_REQUEST}
    message["index"] = index
    return message


def _made(classes: Classes, index: int, name: str, extra: list[tuple[str, object]], kind: str, data: Any) -> _Message:
    info = {"attrs": [("IFLA_INFO_KIND", kind), ("IFLA_INFO_DATA", {"attrs": data})]}
    return _link(classes, _NLM_F_EXCL_CREATE, index, [("IFLA_IFNAME", name), *extra, ("IFLA_LINKINFO", info)])


def _bridge(classes: Classes, stp: int, filters: int, index: int, name: str) -> _Message:
    delays = [("IFLA_BR_FORWARD_DELAY", FORWARD_DELAY), ("IFLA_BR_HELLO_TIME", HELLO), ("IFLA_BR_MAX_AGE", MAX_AGE)]
    settings = delays if stp else [("IFLA_BR_FORWARD_DELAY", 0)]
    settings += [("IFLA_BR_STP_STATE", stp), ("IFLA_BR_MCAST_SNOOPING", 0)]
    settings += [("IFLA_BR_VLAN_FILTERING", 1), ("IFLA_BR_VLAN_DEFAULT_PVID", 0)] if filters else []
    return _made(classes, index, name, [], "bridge", settings)


def _vlan(classes: Classes, kind: int, vlan: int, tagged: int, index: int) -> _Message:
    message = classes.link()
    message["header"] = {"type": kind, "flags": _NLM_F_REQUEST}
    message["family"] = _AF_BRIDGE
    message["index"] = index
    about = {"flags": 0 if tagged else _PVID | _UNTAGGED, "vid": vlan}
    message["attrs"] = [("IFLA_AF_SPEC", {"attrs": [("IFLA_BRIDGE_VLAN_INFO", about)]})]
    return message


def _veth(
    classes: Classes, index: int, name: str, mac: str, mtu: int,
    far_index: int, far_name: str, far_mac: str, far_mtu: int, namespace: int,
) -> _Message:  # fmt: skip
    far_attributes = [
        ("IFLA_IFNAME", far_name),
        ("IFLA_ADDRESS", far_mac),
        ("IFLA_MTU", far_mtu),
        ("IFLA_NET_NS_FD", namespace),
    ]
    far = {"index": far_index, "attrs": far_attributes}
    near = [("IFLA_ADDRESS", mac), ("IFLA_MTU", mtu)]
    return _made(classes, index, name, near, "veth", [("VETH_INFO_PEER", far)])


def _completed(message: _Message, kind: int, attributes: list[tuple[str, object]]) -> _Message:
    creates = kind in (_RTM_NEWADDR, _RTM_NEWROUTE)
    message["header"] = {"type": kind, "flags": _NLM_F_REQUEST | (_NLM_F_EXCL_CREATE if creates else 0)}
    message["attrs"] = attributes
    return message


def _addressed(classes: Classes, kind: int, prefix: int, index: int, address: str, peer: str = "") -> _Message:
    message = classes.address()
    message["family"] = socket.AF_INET6 if ":" in address else socket.AF_INET
    message["prefixlen"] = prefix
    message["flags"] = _IFA_F_NODAD if ":" in address else 0
    message["index"] = index
    return _completed(message, kind, [("IFA_LOCAL", address), *([("IFA_ADDRESS", peer)] if peer else [])])


def _routed(classes: Classes, kind: int, way: int, metric: int, index: int, prefix: int, to: str, via: str) -> _Message:
    message = classes.route()
    message["family"] = socket.AF_INET6 if ":" in (via or to) else socket.AF_INET
    message["dst_len"] = prefix
    message["table"] = _RT_TABLE_MAIN
    message["proto"] = _RTPROT_BOOT
    message["type"] = way
    message["scope"] = _RT_SCOPE_UNIVERSE if via or way != _RTN_KINDS[""] else _RT_SCOPE_LINK
    attributes = {"RTA_DST": to if prefix else "", "RTA_GATEWAY": via, "RTA_OIF": index, "RTA_PRIORITY": metric}
    return _completed(message, kind, [(name, value) for name, value in attributes.items() if value])


def _default_route(classes: Classes, kind: int, way: int, metric: int, index: int, via: str) -> _Message:
    return _routed(classes, kind, way, metric, index, 0, "", via)


def _on_link(classes: Classes, kind: int, way: int, metric: int, index: int, prefix: int, to: str) -> _Message:
    return _routed(classes, kind, way, metric, index, prefix, to, "")


_END = (_number, bytes.decode, _colons, _number)
_VETH = _Shape(_veth, (*_END, *_END, _number))
_BRIDGE = _Shape(_bridge, (_number, bytes.decode))
_VLAN = _Shape(_vlan, (_number,))
_UP = _Shape(_up, (_number,))
_ALIAS = _Shape(_alias, (_number, bytes.decode))
_PORT = _Shape(_port, (_number, _number))
_MOVED = _Shape(_moved, (_number, _number))
_NO_LINK = _Shape(_no_link, (_number,))
_ADDRESS = _Shape(_addressed, (_number, _host))
_WITH_PEER = _Shape(_addressed, (_number, _host, _host))
_ROUTE = _Shape(_routed, (_host, _host))
_DEFAULT = _Shape(_default_route, (_host,))
_ON_LINK = _Shape(_on_link, (_host,))
