"""Notices requests that the balancer's own node sends: they take its loopback, where no XDP program sees them."""

import socket
from contextlib import suppress

from netlab.role import count

_ANY, _IPV4, _IPV6 = 0x0003, 0x0800, 0x86DD  # ETH_P_ALL, and what packets are of
_OUTGOING = 4  # of packet(7): each packet on the loopback is seen twice
_V4_HEADER, _V6_HEADER, _PORTS = 20, 40, 4
_MOST = 100  # packets at a time


class OwnRequests:
    """Requests of this node itself. Its kernel refuses them, as nobody listens at the service port."""

    def __init__(self, service_port: int) -> None:
        """Listen on the loopback; without the right to do so, nothing is noticed."""
        self._port, self._socket = service_port, None
        with suppress(OSError):
            # Of no protocol, it hears nothing yet; else `bind` would first wait until no CPU brings it anything.
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
            self._socket.setblocking(False)
            self._socket.bind(("lo", _ANY))

    def look(self) -> list[str]:
        """Return a line about those that have come since the last call, if any."""
        senders = self._senders(self._socket) if self._socket else []
        if not senders:
            return []
        how_many = f"{count(len(senders), 'request')} of this node itself, the last from {senders[-1]}"
        why = "the program sees what comes in by an interface, so ask from another node"
        return [f"refused: {how_many}; {why}"]

    def end(self) -> None:
        """Stop listening."""
        if self._socket:
            self._socket.close()

    def _senders(self, heard: socket.socket) -> list[str]:
        senders = []
        with suppress(OSError):
            for _ in range(_MOST):
                data, (_, protocol, kind, *_) = heard.recvfrom(_V6_HEADER + _PORTS)
                if kind != _OUTGOING and (sender := self._sender(protocol, data)):
                    senders.append(sender)
        return senders

    def _sender(self, protocol: int, data: bytes) -> str:
        """Return who has sent a request, as HOST:PORT; "" for any other packet."""
        if protocol == _IPV4 and len(data) >= _V4_HEADER:
            header, udp, host = (data[0] & 15) * 4, data[9] == socket.IPPROTO_UDP, data[12:16]
        elif protocol == _IPV6 and len(data) >= _V6_HEADER:
            header, udp, host = _V6_HEADER, data[6] == socket.IPPROTO_UDP, data[8:24]
        else:
            return ""
        ports = data[header : header + _PORTS]
        if not udp or len(ports) < _PORTS or int.from_bytes(ports[2:]) != self._port:
            return ""
        name = socket.inet_ntop(socket.AF_INET if protocol == _IPV4 else socket.AF_INET6, host)
        return f"{name if protocol == _IPV4 else f'[{name}]'}:{int.from_bytes(ports[:2])}"
