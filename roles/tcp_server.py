"""Accepts TCP connections, and prints the data of each segment as it arrives, also what TCP keeps back behind a hole.

An ordinary server prints what `recv` gives it: bytes in order. If a segment is lost on the way, `recv` gives the bytes
before it, and nothing of what arrives after it. So this server also listens on packet sockets, where the kernel shows
each segment that has passed the interface's XDP program, and prints those:

    connection #1 from 10.0.0.1:40001
    segment on #1: seq 2957312281, "b" (1 byte)
    end of file on #1: TCP delivered 0 bytes in order: ""

The last line says what `recv` has given in all. A segment of no open connection is `on none`. Segments that came too
fast to be seen are counted in a line of their own. At SIGTERM it says `stopped: 1 connection, 5 segments`.
"""

import ctypes
import os
import selectors
import signal
import socket
import struct
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

from netlab import options
from netlab.role import beginning, count, place, ready, say, shown

STAYS = True  # until it is told to end
CAPABILITIES = ["NET_ADMIN"]  # to see segments that the kernel drops
OPTIONS: options.Options = {
    "port": {"type": "port", "default": 9000, "help": "the TCP port to listen on"},
}
ETH_P_IP, ETH_P_IPV6 = 0x0800, 0x86DD
ETHERNET_HEADER, IPV6_HEADER = 14, 40  # bytes
SOL_PACKET, PACKET_STATISTICS, PACKET_VNET_HDR, PACKET_HOST = 263, 6, 15, 0  # linux/if_packet.h
SO_ATTACH_FILTER, SO_RCVBUFFORCE = 26, 33
VNET_HEADER = struct.Struct("=BBHHHH")  # struct virtio_net_hdr; the fourth is the size of segments that were merged
TCP_HEADER = struct.Struct("!HHIIBBHHH")  # ports, sequence number, acknowledgement, data offset, flags, …
LONGEST = 1 << 17
BUFFER = 8 << 20  # bytes of segments that may wait for us
KEPT = 256  # bytes that `recv` gave, to be shown in the end
ACCEPT_S = 0.02  # the segment that opens a connection may be seen a moment before the connection is
KEEPALIVE = ((socket.TCP_KEEPIDLE, 30), (socket.TCP_KEEPINTVL, 5), (socket.TCP_KEEPCNT, 3))  # seconds, seconds, probes


def filter_for(port: int) -> bytes:
    """Return the kernel's filter (classic BPF, linux/filter.h) for TCP to a port, in Ethernet frames.

    So we do not have to read the other packets of this node.
    """
    tcp, ip, match, reject = socket.IPPROTO_TCP, ETHERNET_HEADER, 14, 15

    def jump(at: int, code: int, value: int, yes: int, no: int) -> tuple[int, int, int, int]:
        return code, yes - at - 1, no - at - 1, value

    program = (
        (0x30, 0, 0, ip),  # the first byte …
        (0x74, 0, 0, 4),  # … has the version of IP in its upper half
        jump(2, 0x15, 4, 3, 10),
        (0x30, 0, 0, ip + 9),  # IPv4: the protocol
        jump(4, 0x15, tcp, 5, reject),
        (0x28, 0, 0, ip + 6),
        jump(6, 0x45, 0x1FFF, reject, 7),  # a fragment without ports
        (0xB1, 0, 0, ip),  # X: the header's length
        (0x48, 0, 0, ip + 2),  # the destination port behind it
        jump(9, 0x15, port, match, reject),
        (0x30, 0, 0, ip + 6),  # IPv6: the next header
        jump(11, 0x15, tcp, 12, reject),
        (0x28, 0, 0, ip + IPV6_HEADER + 2),
        jump(13, 0x15, port, match, reject),
        (0x06, 0, 0, 1 << 18),
        (0x06, 0, 0, 0),
    )
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in program)


class Segment(NamedTuple):
    """Data that one TCP segment has brought: from which client, and the sequence number of its first byte."""

    client: tuple[str, int]
    seq: int
    data: bytes


class Wiretap:
    """Packet sockets that show this node's incoming TCP segments to one port."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.sockets = [self._open(protocol, filter_for(port)) for protocol in (ETH_P_IP, ETH_P_IPV6)]

    @staticmethod
    def _open(protocol: int, instructions: bytes) -> socket.socket:
        tap = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(protocol))
        program = ctypes.create_string_buffer(instructions)
        about = struct.pack("@HP", len(instructions) // 8, ctypes.addressof(program))
        tap.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, about)
        tap.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
        tap.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER)
        tap.setblocking(False)
        return tap

    def read(self, tap: socket.socket) -> Iterator[Segment]:
        """Yield the segments with data that wait on one of the sockets."""
        with suppress(BlockingIOError):
            while True:
                packet, address = tap.recvfrom(LONGEST)
                if address[2] == PACKET_HOST:
                    yield from segments(packet, self.port)

    def missed(self) -> int:
        """Return how many segments found no room since the last call."""
        sizes = (tap.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8) for tap in self.sockets)
        return sum(struct.unpack("=II", both)[1] for both in sizes)


def segments(packet: bytes, to: int) -> Iterator[Segment]:
    """Yield what a packet, behind its virtio_net_hdr, brings to a port; the kernel may have merged several segments."""
    size = VNET_HEADER.unpack_from(packet)[3]
    ip = packet[VNET_HEADER.size + ETHERNET_HEADER :]
    if ip[0] >> 4 == 4:
        begin, end = (ip[0] & 15) * 4, int.from_bytes(ip[2:4])
        host = socket.inet_ntop(socket.AF_INET, ip[12:16])
    else:
        begin, end = IPV6_HEADER, IPV6_HEADER + int.from_bytes(ip[4:6])
        host = socket.inet_ntop(socket.AF_INET6, ip[8:24])
    if len(ip) < begin + TCP_HEADER.size:
        return
    port, own, seq, _, offset, flags, *_ = TCP_HEADER.unpack_from(ip, begin)
    header = (offset >> 4) * 4
    if own != to or header < TCP_HEADER.size:  # it came before the filter was there, or TCP will drop it
        return
    data = ip[begin + header : end]
    seq += flags >> 1 & 1  # a SYN has a number of its own, before the data's
    for at in range(0, len(data), size or len(data) or 1):
        yield Segment((host, port), (seq + at) % (1 << 32), data[at : at + size] if size else data)


class Connection:
    """An accepted connection, and what TCP has delivered on it."""

    def __init__(self, number: int, client: tuple[str, int], accepted: socket.socket) -> None:
        self.number = number
        self.client = client
        self.socket = accepted
        self.delivered = 0
        self.beginning = b""

    def read(self) -> bool:
        """Take what TCP delivers, and say whether the connection is still open."""
        try:
            data = self.socket.recv(LONGEST)
        except OSError as error:
            say(f"connection #{self.number} is broken: {error.strerror}")
            return False
        self.delivered += len(data)
        self.beginning = (self.beginning + data)[:KEPT]
        if not data:
            name, text = f"#{self.number}", shown(self.beginning)
            line = f"end of file on {name}: TCP delivered {count(self.delivered, 'byte')} in order: {text}"
            say(line, "EndOfFile", connection=name, bytes=self.delivered, data=beginning(self.beginning))
        return bool(data)


class Server:
    """The listening socket, the connections, and the segments seen beside them."""

    def __init__(self, port: int) -> None:
        try:
            self.tap = Wiretap(port)
        except PermissionError:
            sys.exit("tcp_server: seeing segments needs the rights to packet sockets (CAP_NET_RAW, CAP_NET_ADMIN)")
        dual = socket.has_dualstack_ipv6()
        try:
            self.listener = socket.create_server(
                ("", port), family=socket.AF_INET6 if dual else socket.AF_INET, dualstack_ipv6=dual, backlog=128
            )
        except OSError as error:
            sys.exit(f"tcp_server: cannot listen on port {port}: {os.strerror(error.errno or 0)}")
        self.listener.setblocking(False)
        self.selector = selectors.DefaultSelector()
        self.connections: dict[tuple[str, int], Connection] = {}  # by the client's address
        self.accepted = self.seen = 0

    def serve(self) -> None:
        """Serve for ever."""
        for one in (*self.tap.sockets, self.listener):
            self.selector.register(one, selectors.EVENT_READ)
        while True:
            ready = {key.fileobj: key.data for key, _ in self.selector.select()}
            self.accept()  # before the segments: most of them belong to a connection
            for tap in self.tap.sockets:
                if tap in ready:
                    self.show(tap)
            for connection in filter(None, ready.values()):
                self.read(connection)

    def accept(self) -> None:
        """Accept every connection that waits."""
        with suppress(BlockingIOError):
            while True:
                try:
                    accepted, address = self.listener.accept()
                except ConnectionAbortedError:  # gone again already
                    continue
                accepted.setblocking(False)
                accepted.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)  # or a vanished one would stay
                for option, value in KEEPALIVE:
                    accepted.setsockopt(socket.IPPROTO_TCP, option, value)
                client = (address[0].removeprefix("::ffff:"), address[1])
                self.accepted += 1
                self.connections[client] = Connection(self.accepted, client, accepted)
                self.selector.register(accepted, selectors.EVENT_READ, self.connections[client])
                name, where = f"#{self.accepted}", place(client)
                say(f"connection {name} from {where}", "Accepted", connection=name, client=where)

    def show(self, tap: socket.socket) -> None:
        """Print the segments that wait."""
        for segment in self.tap.read(tap):
            if segment.client not in self.connections:
                with selectors.DefaultSelector() as patience:
                    patience.register(self.listener, selectors.EVENT_READ)
                    patience.select(ACCEPT_S)
                self.accept()
            connection = self.connections.get(segment.client)
            where = f"#{connection.number}" if connection else "none"
            self.seen += 1
            size = len(segment.data)
            line = f"segment on {where}: seq {segment.seq}, {shown(segment.data)} ({count(size, 'byte')})"
            say(line, "Arrived", connection=where, seq=segment.seq, data=beginning(segment.data), bytes=size)
        if missed := self.tap.missed():
            say(f"{count(missed, 'segment')} not seen: too many at once", "Lost", amount=missed)

    def read(self, connection: Connection) -> None:
        """Read from a connection; what came on it before its end has been shown."""
        if not connection.read():
            self.selector.unregister(connection.socket)
            connection.socket.close()
            if self.connections.get(connection.client) is connection:  # the client may have used its port again
                del self.connections[connection.client]


def main() -> None:
    """Serve until the signal to end."""
    chosen = options.parse(OPTIONS, __doc__.partition("\n")[0])
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    server = Server(chosen.port)
    ready()
    try:
        server.serve()
    except KeyboardInterrupt:
        say(f"stopped: {count(server.accepted, 'connection')}, {count(server.seen, 'segment')}")


if __name__ == "__main__":
    main()
