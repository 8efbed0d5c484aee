"""Sends bytes over a TCP connection, each in a segment of its own: the numbers rise by one, even if some are lost.

An ordinary socket cannot do that: TCP sends a lost segment again, with the same sequence number, and nothing new before
that has arrived (`--mode stream` shows it). So this client connects like any other, then freezes its socket
(TCP_REPAIR, as in checkpoint and restore) and sends each byte by a raw socket, as a segment of the same connection:

    connected to 10.0.0.2:9000 from 10.0.0.1:40001: initial sequence number 2957312279
    byte #1 "a": seq 2957312280, at 0 s
    byte #2 "b": seq 2957312281, at 0.01 s
    sent 10 bytes in 0.090 s
    FIN: seq 2957312280, the first that the server has not got
    closed: the server has acknowledged the FIN, and sent its own

The server's TCP reads the stream up to the first lost byte, so the FIN has the number of that byte: behind it, the FIN
would never be read. If a SYN is not answered, as its number may be even, the client tries again with another number.
"""

import select
import signal
import socket
import struct
import sys
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import NoReturn

from netlab import options
from netlab.role import beginning, count, decimal, place, ready, say, shown

CAPABILITIES = ["NET_ADMIN"]  # to repair a connection (TCP_REPAIR)
OPTIONS: options.Options = {
    "target": {"type": "endpoint", "required": True, "help": "the server, as NODE:PORT"},
    "count": {"type": "integer", "default": 10, "minimum": 0, "help": "bytes to send"},
    "delay": {"type": "number", "default": 0.1, "minimum": 0, "help": "seconds from one byte to the next"},
    "connections": {"type": "integer", "default": 1, "minimum": 1, "help": "one after the other, each with all bytes"},
    "text": {"type": "text", "default": "abcdefghijklmnopqrstuvwxyz", "help": "what to send, again and again"},
    "mode": {"type": "text", "choices": ["segments", "stream"], "default": "segments", "help": "stream: by TCP itself"},
    # One more at each attempt to connect; without it the kernel chooses. 0 would mean "none" to the kernel.
    "isn": {"type": "integer", "minimum": 1, "maximum": 0xFFFFFFFF, "help": "the initial sequence number"},
    "patience": {"type": "number", "default": 5, "minimum": 0.1, "help": "seconds to wait for an acknowledgement"},
}
SYN_S = 0.5  # for an answer to the SYN: before TCP itself sends it again, after a second
ATTEMPTS = 30  # to connect; if each fails half of the time, all fail once in a billion
FIN_S = 0.25  # for an answer to the FIN
SETTLE_S = 0.05  # for the last acknowledgement, which TCP may delay
STOPPING = (signal.SIGINT, signal.SIGTERM)
STOPPED = 130  # the exit code after one of those
FIN, RST, PSH, ACK = 1, 4, 8, 16
TCP_REPAIR, TCP_REPAIR_QUEUE, TCP_QUEUE_SEQ = 19, 20, 21  # linux/tcp.h, as those below
RECEIVE_QUEUE, SEND_QUEUE, REPAIR_ON, REPAIR_OFF_SILENTLY = 1, 2, 1, -1
# Ports, sequence number, acknowledgement, data offset, flags, window, checksum, urgent pointer.
HEADER = struct.Struct("!HHIIBBHHH")
WINDOW = 502  # in the units that the handshake agreed on; any would do, as nobody sends us data
NUMBERS = 1 << 32


def complain(text: str) -> NoReturn:
    """End the client with a message."""
    sys.exit(f"tcp_client: {text}")


def resolve(target: options.Endpoint) -> tuple[int, tuple[str, int]]:
    """Return the family and the address of the target, IPv4 if it has such an address."""
    try:
        found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        complain(f"cannot find {target.host}: {getattr(error, 'strerror', None) or error}")
    family, _, _, _, address = min(found, key=lambda each: each[0] != socket.AF_INET)
    return family, (str(address[0]), int(address[1]))


def later(number: int, than: int) -> bool:
    """Whether a sequence number comes after another; they wrap (RFC 9293, 3.4)."""
    return 0 < (number - than) % NUMBERS < NUMBERS // 2


def freeze(connection: socket.socket) -> tuple[int, int]:
    """Stop the kernel from sending on a socket by itself; return the next numbers to send and to receive."""
    connection.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, REPAIR_ON)
    numbers = []
    for queue in (SEND_QUEUE, RECEIVE_QUEUE):
        connection.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR_QUEUE, queue)
        numbers.append(connection.getsockopt(socket.IPPROTO_TCP, TCP_QUEUE_SEQ) % NUMBERS)
    return numbers[0], numbers[1]


def begin_with(connection: socket.socket, isn: int) -> None:
    """Set the initial sequence number of a socket that is not connected yet."""
    connection.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, REPAIR_ON)
    connection.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR_QUEUE, SEND_QUEUE)
    connection.setsockopt(socket.IPPROTO_TCP, TCP_QUEUE_SEQ, struct.pack("=I", isn))
    connection.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, REPAIR_OFF_SILENTLY)


def connect(family: int, address: tuple[str, int], isn: int | None) -> socket.socket:
    """Return a connected socket; after a SYN without an answer, try one with another number."""
    for attempt in range(1, ATTEMPTS + 1):
        connection = socket.socket(family, socket.SOCK_STREAM)
        if isn is not None:
            begin_with(connection, (isn + attempt - 1) % NUMBERS)
        connection.settimeout(SYN_S)
        try:
            connection.connect(address)
        except TimeoutError:
            number = (freeze(connection)[0] - 1) % NUMBERS
            connection.close()
            line = f"attempt {attempt}: the SYN with sequence number {number} is not answered; trying another number"
            say(line, "Unanswered", attempt=attempt, seq=number)
        else:
            return connection
    complain(f"cannot connect to {place(address)}: none of {ATTEMPTS} SYNs was answered")


class Frozen:
    """A connection whose segments we write and read ourselves, without timestamps, which Linux accepts."""

    def __init__(self, connection: socket.socket, raw: socket.socket) -> None:
        self.raw = raw
        self.ours, self.theirs = connection.getsockname()[:2], connection.getpeername()[:2]
        raw.connect((self.theirs[0], 0))
        self.hosts = b"".join(socket.inet_pton(raw.family, host) for host, _ in (self.ours, self.theirs))
        self.next, self.expected = freeze(connection)
        self.acknowledged = self.next  # the server has all before this number
        self.fin: int | None = None  # the number of ours
        self.ended = self.reset = False  # by the server's FIN or RST

    def send(self, seq: int, flags: int, data: bytes = b"") -> None:
        """Send a segment."""
        about = (self.ours[1], self.theirs[1], seq % NUMBERS, self.expected, HEADER.size // 4 << 4, flags, WINDOW)
        bare = HEADER.pack(*about, 0, 0) + data
        words = self.hosts + struct.pack("!II", len(bare), socket.IPPROTO_TCP) + bare
        self.raw.send(HEADER.pack(*about, checksum(words), 0) + data)

    def is_over(self) -> bool:
        """Whether the server has ended the connection and, if we have sent a FIN, acknowledged that."""
        return self.reset or (self.ended and (self.fin is None or later(self.acknowledged, self.fin)))

    def listen(self, until: float) -> bool:
        """Take in what the server sends, up to a moment or to the connection's end; say whether it was the end."""
        while not self.is_over() and (left := until - time.monotonic()) > 0:
            if select.select([self.raw], [], [], left)[0]:
                self.take(self.raw.recv(1 << 16))
        return self.is_over()

    def take(self, packet: bytes) -> None:
        """Learn from a packet of this connection how far the server has got, and whether it has ended."""
        header = (packet[0] & 15) * 4 if self.raw.family == socket.AF_INET else 0  # an IPv6 packet comes without
        segment = packet[header:]
        if len(segment) < HEADER.size:
            return
        source, target, seq, acknowledged, offset, flags, *_ = HEADER.unpack_from(segment)
        if (source, target) != (self.theirs[1], self.ours[1]):
            return
        self.reset |= bool(flags & RST)
        if flags & ACK and later(acknowledged, self.acknowledged):
            self.acknowledged = acknowledged
        if seq == self.expected:
            self.ended |= bool(flags & FIN)
            self.expected = (seq + len(segment) - (offset >> 4) * 4 + (flags & FIN)) % NUMBERS

    def close(self, patience_s: float) -> bool:
        """End the stream where its first hole is, print how that went, and tell whether the server has ended it too."""
        self.listen(time.monotonic() + SETTLE_S)
        self.fin = self.acknowledged
        end, is_early = time.monotonic() + patience_s, False
        while not self.reset and time.monotonic() < end:
            hole = self.acknowledged
            if is_early:  # the FIN's number is still the hole's, its segment's is that of a byte which is there already
                say(f"FIN: seq {hole} is not answered; now in a segment that begins with seq {(hole - 1) % NUMBERS}")
                self.send(hole - 1, FIN | ACK, b"\0")
            else:
                say(f"FIN: seq {hole}, the first that the server has not got", "Fin", seq=hole)
                self.send(hole, FIN | ACK)
            if self.listen(min(time.monotonic() + FIN_S, end)):
                break
            is_early = self.acknowledged == hole and not is_early
        closed = self.is_over() and not self.reset
        if not self.reset:
            self.send(self.acknowledged, ACK if closed else RST | ACK)
        if closed:
            say("closed: the server has acknowledged the FIN, and sent its own", "Closed")
        elif self.reset:
            say("the server has reset the connection")
        else:
            say(f"not closed in {decimal(patience_s)} s: the FIN is not answered; sent RST")
        return closed


def checksum(data: bytes) -> int:
    """Return the checksum of the internet protocols (RFC 1071) of data that is not all zeros."""
    words: tuple[int, ...] = struct.unpack(f"!{(len(data) + 1) // 2}H", data + b"\0" * (len(data) % 2))
    return -sum(words) % 0xFFFF  # in ones' complement the carries come in again: a sum modulo 0xFFFF


def send_segments(chosen: SimpleNamespace, family: int, address: tuple[str, int]) -> int:
    """Send each byte in a segment of its own, close in good order also when stopped, and return the exit code."""
    try:
        raw = socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_TCP)
        connection = connect(family, address, chosen.isn)
        frozen = Frozen(connection, raw)
    except PermissionError:
        complain("sending segments needs the rights to raw sockets (CAP_NET_RAW) and TCP_REPAIR (CAP_NET_ADMIN)")
    isn = (frozen.next - 1) % NUMBERS
    server, client = place(frozen.theirs), place(frozen.ours)
    line = f"connected to {server} from {client}: initial sequence number {isn}"
    say(line, "Connected", server=server, client=client, isn=isn)
    begun, sent, stopped = time.monotonic(), 0, False
    try:
        for data in paced(chosen, begun, frozen.listen):
            at = round(time.monotonic() - begun, 3)
            line = f"byte #{sent + 1} {shown(data)}: seq {frozen.next}, at {decimal(at)} s"
            say(line, "Byte", number=sent + 1, data=beginning(data), seq=frozen.next, seconds=at)
            frozen.send(frozen.next, PSH | ACK, data)
            frozen.next = (frozen.next + 1) % NUMBERS
            sent += 1
    except KeyboardInterrupt:
        stopped = True
    seconds = round(time.monotonic() - begun, 3)
    say(f"sent {count(sent, 'byte')} in {seconds:.3f} s", "SentBytes", bytes=sent, seconds=seconds)
    if frozen.ended:
        say("the server has ended the connection")
    closed = frozen.close(chosen.patience)
    connection.close()  # in silence: it is frozen
    return STOPPED if stopped else int(not closed or sent < chosen.count)


def paced(chosen: SimpleNamespace, begun: float, wait: Callable[[float], bool | None]) -> Iterator[bytes]:
    """Yield the bytes to send, each when its time has come; `wait` waits until then, and says whether to stop."""
    text = chosen.text.encode() or b"\0"
    for number in range(chosen.count):
        if wait(begun + number * chosen.delay):
            return
        signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)  # a byte that is printed is also sent
        yield text[number % len(text) :][:1]
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)


def progress(connection: socket.socket, sent: int) -> str:
    """Return what TCP says of a connection on which we have sent so many bytes (struct tcp_info, linux/tcp.h)."""
    info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 128)
    window, again, acknowledged = struct.unpack_from("=80xI16xI16xQ", info)
    got = min(max(acknowledged - 1, 0), sent)  # the SYN counts as a byte there, and the FIN too
    return (
        f"TCP: {got} of {count(sent, 'byte')} acknowledged, {count(again, 'retransmission')}, "
        f"congestion window {count(window, 'segment')}"
    )


def send_stream(chosen: SimpleNamespace, family: int, address: tuple[str, int]) -> int:
    """Send the same by TCP's own means; return the exit code, which says whether all of it was acknowledged."""
    connection = connect(family, address, chosen.isn)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # a segment for each byte, as far as it goes
    connection.settimeout(chosen.patience)
    say(f"connected to {place(connection.getpeername())} from {place(connection.getsockname())}")
    begun, sent, end = time.monotonic(), 0, ""
    try:
        for data in paced(chosen, begun, lambda moment: time.sleep(max(0.0, moment - time.monotonic()))):
            say(f"byte #{sent + 1} {shown(data)}: given to TCP at {decimal(round(time.monotonic() - begun, 3))} s")
            connection.send(data)
            sent += 1
        say(f"gave {count(sent, 'byte')} to TCP in {time.monotonic() - begun:.3f} s")
        connection.shutdown(socket.SHUT_WR)
        connection.recv(1)  # the server's end of file: everything has arrived
    except TimeoutError:
        end = f"not acknowledged within {decimal(chosen.patience)} s; "
    except OSError as error:
        end = f"{error.strerror}; "
    except KeyboardInterrupt:
        end = "stopped; "
    say(end + progress(connection, sent))
    if end:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("=II", 1, 0))  # end by an RST
    connection.close()
    return STOPPED if end == "stopped; " else int(bool(end))


def connections(chosen: SimpleNamespace) -> Iterator[SimpleNamespace]:
    """Yield what was chosen, for each connection with an initial number one higher than that of the last."""
    for number in range(chosen.connections):
        yield SimpleNamespace(**{**vars(chosen), "isn": chosen.isn and (chosen.isn + number) % NUMBERS})


def main() -> int:
    """Send everything; return the exit code."""
    chosen = options.parse(OPTIONS, __doc__.partition("\n")[0])
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    family, address = resolve(chosen.target)
    ready()
    send = send_stream if chosen.mode == "stream" else send_segments
    try:
        codes = (send(each, family, address) for each in connections(chosen))
        return next((code for code in codes if code), 0)
    except OSError as error:
        complain(f"{place(address)}: {error.strerror}")
    except KeyboardInterrupt:
        return STOPPED


if __name__ == "__main__":
    sys.exit(main())
