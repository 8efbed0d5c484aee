"""Sends bytes over a TCP connection, each in a segment of its own, whose numbers rise by one although some are lost.

An ordinary socket cannot do that: TCP sends a lost segment again, with the same sequence number, and nothing new before
that has arrived (`--mode stream` shows it). So this client connects like any other, then freezes its socket
(TCP_REPAIR, as in checkpoint and restore) and sends each byte by a raw socket, as a segment of the same connection:

    connected to 10.0.0.2:9000 from 10.0.0.1:40001: initial sequence number 2957312279
    byte #1 "a": seq 2957312280, at 0.000 s
    byte #2 "b": seq 2957312281, at 0.010 s
    sent 10 bytes in 0.090 s
    FIN: seq 2957312280, the first byte that the server has not got
    closed: the server has acknowledged the FIN, and sent its own

The end of a stream is where its first hole is: a FIN behind the hole would never be heard. When a SYN is not answered,
as may be when every segment is judged by its number, it tries again with another number.
"""

import select
import signal
import socket
import struct
import sys
import time
from argparse import Namespace
from collections.abc import Callable, Iterator
from typing import NamedTuple, NoReturn

from netlab import options
from netlab.role import count, decimal, place, say, shown

OPTIONS: options.Options = {
    "target": {"type": "endpoint", "required": True, "help": "the server, as NODE:PORT"},
    "count": {"type": "integer", "default": 10, "minimum": 0, "help": "bytes to send"},
    "delay": {"type": "number", "default": 0.1, "minimum": 0, "help": "seconds from one byte to the next"},
    "text": {"type": "text", "default": "abcdefghijklmnopqrstuvwxyz", "help": "what to send, again and again"},
    "mode": {
        "type": "text",
        "choices": ["segments", "stream"],
        "default": "segments",
        "help": "segments of one byte with numbers that never repeat, or an ordinary socket",
    },
    "isn": {
        "type": "integer",
        "minimum": 0,
        "maximum": 0xFFFFFFFF,
        "help": "the initial sequence number, one more at each attempt to connect; the kernel chooses without",
    },
    "patience": {"type": "number", "default": 5, "minimum": 0, "help": "seconds to wait for an acknowledgement"},
}
SYN_S = 0.5  # for an answer to the SYN: before TCP itself sends it again, after a second
ATTEMPTS = 30  # at connecting; with even odds for each, all fail once in a billion
FIN_S = 0.25  # for an answer to the FIN
SETTLE_S = 0.05  # for the last acknowledgement, which TCP may delay
FIN, RST, PSH, ACK = 1, 4, 8, 16
TCP_REPAIR, TCP_REPAIR_QUEUE, TCP_QUEUE_SEQ = 19, 20, 21  # linux/tcp.h, as those below
RECEIVE_QUEUE, SEND_QUEUE = 1, 2
REPAIR_ON, REPAIR_OFF_SILENTLY = 1, -1
# Ports, sequence number, acknowledgement, data offset, flags, window, checksum, urgent pointer.
HEADER = struct.Struct("!HHIIBBHHH")
WINDOW = 502  # units that the handshake agreed on; nobody sends us data
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


# --- a connection in our own hands ------------------------------------------------------------------------------------


def freeze(connection: socket.socket) -> tuple[int, int]:
    """Make the kernel send nothing more on a socket by itself; return the next numbers to send and to receive."""
    connection.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, REPAIR_ON)
    numbers = []
    for queue in (SEND_QUEUE, RECEIVE_QUEUE):
        connection.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR_QUEUE, queue)
        numbers.append(connection.getsockopt(socket.IPPROTO_TCP, TCP_QUEUE_SEQ) % NUMBERS)
    return numbers[0], numbers[1]


def begin_with(connection: socket.socket, isn: int) -> None:
    """Let a socket that is not connected yet do so with this number."""
    connection.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, REPAIR_ON)
    connection.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR_QUEUE, SEND_QUEUE)
    connection.setsockopt(socket.IPPROTO_TCP, TCP_QUEUE_SEQ, struct.pack("=I", isn))
    connection.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, REPAIR_OFF_SILENTLY)


def connect(family: int, address: tuple[str, int], isn: int | None) -> socket.socket:
    """Return a connected socket; a SYN that is not answered is followed by one with another number."""
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
            say(f"attempt {attempt}: the SYN with sequence number {number} is not answered; trying another number")
        else:
            return connection
    complain(f"cannot connect to {place(address)}: none of {ATTEMPTS} SYNs was answered")


class Answer(NamedTuple):
    """A segment that the server has sent."""

    seq: int
    acknowledged: int
    flags: int
    bytes: int


class Frozen:
    """A connection whose segments we write and read ourselves.

    They carry no timestamps, although both ends have agreed on them: Linux accepts that (tcp_validate_incoming).
    """

    def __init__(self, connection: socket.socket, raw: socket.socket) -> None:
        self.raw = raw
        self.ours, self.theirs = connection.getsockname()[:2], connection.getpeername()[:2]
        raw.connect((self.theirs[0], 0))
        self.pseudo_header = b"".join(
            socket.inet_pton(connection.family, host) for host in (self.ours[0], self.theirs[0])
        )
        self.next, self.expected = freeze(connection)
        self.acknowledged = self.next  # the server has all before this number
        self.answered_fin = False  # by one of the server's own
        self.reset = False

    def send(self, seq: int, flags: int, data: bytes = b"") -> None:
        """Send a segment."""
        about = (self.ours[1], self.theirs[1], seq % NUMBERS, self.expected, HEADER.size // 4 << 4, flags, WINDOW)
        bare = HEADER.pack(*about, 0, 0) + data
        words = self.pseudo_header + struct.pack("!II", len(bare), socket.IPPROTO_TCP) + bare
        self.raw.send(HEADER.pack(*about, checksum(words), 0) + data)

    def listen(self, until: float) -> bool:
        """Take in what the server sends, up to a moment or to its FIN or RST; say whether it was one of those."""
        while not (self.answered_fin or self.reset) and (left := until - time.monotonic()) > 0:
            if select.select([self.raw], [], [], left)[0]:
                for answer in self.answers(self.raw.recv(1 << 16)):
                    self.take(answer)
        return self.answered_fin or self.reset

    def answers(self, packet: bytes) -> Iterator[Answer]:
        """Yield the packet's segment if it belongs to this connection; an IPv4 one comes with its IP header."""
        segment = packet[(packet[0] & 15) * 4 :] if self.raw.family == socket.AF_INET else packet
        if len(segment) >= HEADER.size:
            source, target, seq, acknowledged, offset, flags, *_ = HEADER.unpack_from(segment)
            if (source, target) == (self.theirs[1], self.ours[1]):
                yield Answer(seq, acknowledged, flags, len(segment) - (offset >> 4) * 4)

    def take(self, answer: Answer) -> None:
        """Learn from an answer how far the server has got, and whether it has ended."""
        self.reset |= bool(answer.flags & RST)
        if answer.flags & ACK and later(answer.acknowledged, self.acknowledged):
            self.acknowledged = answer.acknowledged
        if answer.flags & FIN and answer.seq + answer.bytes == self.expected:
            self.expected = (self.expected + answer.bytes + 1) % NUMBERS
            self.answered_fin = True

    def close(self, patience_s: float) -> bool:
        """End the stream where its first hole is, and say whether the server has ended it too."""
        self.listen(time.monotonic() + SETTLE_S)
        end = time.monotonic() + patience_s
        is_early = False
        while time.monotonic() < end:
            hole = self.acknowledged
            if is_early:  # the FIN's number is still the hole's, its segment's is that of a byte which is there already
                say(f"FIN: seq {hole} is not answered; now in a segment that begins with seq {(hole - 1) % NUMBERS}")
                self.send(hole - 1, FIN | ACK, b"\0")
            else:
                say(f"FIN: seq {hole}, the first that the server has not got")
                self.send(hole, FIN | ACK)
            if self.listen(min(time.monotonic() + FIN_S, end)):
                break
            is_early = self.acknowledged == hole and not is_early
        self.send(self.acknowledged, ACK if self.answered_fin else RST | ACK)
        return self.answered_fin


def checksum(data: bytes) -> int:
    """Return the checksum of the internet protocols (RFC 1071)."""
    words = struct.unpack(f"!{(len(data) + 1) // 2}H", data + b"\0" * (len(data) % 2))
    total: int = sum(words)
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def send_segments(chosen: Namespace, family: int, address: tuple[str, int]) -> bool:
    """Send each byte in a segment of its own; say whether the connection was opened and closed in good order."""
    try:
        raw = socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_TCP)
        connection = connect(family, address, chosen.isn)
        frozen = Frozen(connection, raw)
    except PermissionError:
        complain("sending segments needs the rights to raw sockets (CAP_NET_RAW) and TCP_REPAIR (CAP_NET_ADMIN)")
    isn = (frozen.next - 1) % NUMBERS
    say(f"connected to {place(frozen.theirs)} from {place(frozen.ours)}: initial sequence number {isn}")
    begun = time.monotonic()
    sent = 0
    try:
        for data in paced(chosen, begun, frozen.listen):
            now = decimal(round(time.monotonic() - begun, 3))
            say(f"byte #{sent + 1} {shown(data)}: seq {frozen.next}, at {now} s")
            frozen.send(frozen.next, PSH | ACK, data)
            frozen.next = (frozen.next + 1) % NUMBERS
            sent += 1
    except KeyboardInterrupt:
        pass
    say(f"sent {count(sent, 'byte')} in {time.monotonic() - begun:.3f} s")
    if frozen.reset:
        say("the server has reset the connection")
    closed = not frozen.reset and frozen.close(chosen.patience)
    connection.close()  # in silence: it is frozen
    if closed:
        say("closed: the server has acknowledged the FIN, and sent its own")
    elif not frozen.reset:
        say(f"not closed in {decimal(chosen.patience)} s: the FIN is not answered; sent RST")
    return closed and sent == chosen.count


def paced(chosen: Namespace, begun: float, wait: Callable[[float], bool]) -> Iterator[bytes]:
    """Yield the bytes to send, each when its time has come; `wait` waits until then, and says whether to stop."""
    text = chosen.text.encode() or b"\0"
    for number in range(chosen.count):
        if wait(begun + number * chosen.delay):
            return
        yield text[number % len(text) :][:1]


# --- an ordinary socket -----------------------------------------------------------------------------------------------


class Progress(NamedTuple):
    """What TCP says of a connection: bytes acknowledged, segments sent again, and its congestion window in segments."""

    acknowledged: int
    again: int
    window: int


def progress(connection: socket.socket) -> Progress:
    """Read struct tcp_info (linux/tcp.h)."""
    info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 128)
    window, again = struct.unpack_from("=I", info, 80)[0], struct.unpack_from("=I", info, 100)[0]
    return Progress(struct.unpack_from("=Q", info, 120)[0] - 1, again, window)  # the SYN counts as a byte there


def send_stream(chosen: Namespace, family: int, address: tuple[str, int]) -> bool:
    """Send the same by TCP's own means; say whether all of it was acknowledged."""
    connection = connect(family, address, chosen.isn)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # a segment for each byte, as far as it goes
    connection.settimeout(chosen.patience or None)
    ours, theirs = connection.getsockname()[:2], connection.getpeername()[:2]
    say(f"connected to {place(theirs)} from {place(ours)}")
    begun = time.monotonic()
    sent = 0
    end = ""
    try:
        for data in paced(chosen, begun, sleep_until):
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
    done = progress(connection)
    got = min(max(done.acknowledged, 0), sent)
    say(
        f"{end}TCP: {got} of {count(sent, 'byte')} acknowledged, {count(done.again, 'retransmission')}, "
        f"congestion window {count(done.window, 'segment')}"
    )
    if end:
        # End by an RST, and try no more.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("=II", 1, 0))
    connection.close()
    return not end and sent == chosen.count


def sleep_until(moment: float) -> bool:
    """Sleep; there is no reason to stop."""
    time.sleep(max(0.0, moment - time.monotonic()))
    return False


def main() -> int:
    """Send everything; return the exit code."""
    chosen = options.parse(OPTIONS, __doc__.partition("\n")[0])
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    family, address = resolve(chosen.target)
    say("READY")
    how = send_stream if chosen.mode == "stream" else send_segments
    try:
        return 0 if how(chosen, family, address) else 1
    except OSError as error:
        complain(f"{place(address)}: {error.strerror}")
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
