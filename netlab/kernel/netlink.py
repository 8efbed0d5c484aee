"""A socket to the kernel's routing netlink: messages go out in batches, and a refusal comes back with its position.

Only the last message of a batch asks for an answer, because the kernel reports errors unasked. So a node needs one
system call to send and one to receive.
"""

import os
import socket
import struct
from collections.abc import Iterator, Sequence
from contextlib import suppress

from netlab.named_tuple import NamedTuple

_HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence number, port
_NLMSG_ERROR = 2
_NLMSG_DONE = 3
_NLM_F_ACK = 4
_NLM_F_DUMP_INTR = 0x10
_NLM_F_CAPPED = 0x100
_NLM_F_ACK_TLVS = 0x200
_NLMSGERR_ATTR_MSG = 1
_NLA_TYPE_MASK = 0x3FFF  # above it are flags
_SOL_NETLINK = 270
_NETLINK_CAP_ACK = 10
_NETLINK_EXT_ACK = 11
_SO_RCVBUFFORCE = 33
BATCH_BYTES = 64 * 1024  # well below the default send buffer, 208 KiB
_RECEIVE_BYTES = 4 * 1024 * 1024  # an error takes about 1 KiB of it, and a batch holds some 800 messages
DEADLINE_S = 10
_DUMPS = 5  # at most, if something changes meanwhile; then the last answer is taken
_SIOCETHTOOL = 0x8946


class Refusal(NamedTuple):
    """The kernel's refusal of one message: its `position` in what was sent, errno, and the kernel's text."""

    position: int
    errno: int
    words: str


class Channel:
    """A netlink socket. It stays in the namespace that the calling thread was in when it was made."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
        try:
            self._socket.setsockopt(_SOL_NETLINK, _NETLINK_EXT_ACK, 1)
            self._socket.setsockopt(_SOL_NETLINK, _NETLINK_CAP_ACK, 1)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("@ll", DEADLINE_S, 0))
            with suppress(PermissionError):  # who is not root changes nothing, and needs no room for errors
                self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _RECEIVE_BYTES)
        except OSError:
            self._socket.close()
            raise

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def request(self, messages: Sequence[bytes]) -> Refusal | None:
        """Send the messages in order; return the kernel's first refusal, or None if all were done.

        The kernel goes on after a refusal, so later messages of the same batch may have been done. Raises OSError, and
        TimeoutError when no answer comes within 10 s.
        """
        first = 0
        while first < len(messages):
            last, size = first, len(messages[first])
            while last + 1 < len(messages) and size + len(messages[last + 1]) <= BATCH_BYTES:
                last += 1
                size += len(messages[last])
            refusal = self._batch(messages, first, last)
            if refusal:
                return refusal
            first = last + 1
        return None

    def ask(self, question: bytes) -> bytes:
        """Send a message, and return the kernel's one answer without its header; raises OSError."""
        self._socket.send(question)
        data = self._receive()
        length, kind, *_ = _HEADER.unpack_from(data)
        if kind == _NLMSG_ERROR:
            number = -struct.unpack_from("=i", data, _HEADER.size)[0]
            raise OSError(number, os.strerror(number))
        return data[_HEADER.size : length]

    def ask_all(self, question: bytes) -> list[bytes]:
        """Send a message that asks for everything of a kind; return the answers without headers; raises OSError.

        If something changes while the kernel answers, it is asked again, a few times.
        """
        for _ in range(_DUMPS):
            found, is_whole = self._dump(question)
            if is_whole:
                break
        return found

    def _dump(self, question: bytes) -> tuple[list[bytes], bool]:
        self._socket.send(question)
        found: list[bytes] = []
        is_whole = True
        while True:
            data = self._receive()
            offset = 0
            while offset < len(data):
                length, kind, flags, *_ = _HEADER.unpack_from(data, offset)
                is_whole = is_whole and not flags & _NLM_F_DUMP_INTR
                if kind == _NLMSG_DONE:
                    return found, is_whole
                if kind == _NLMSG_ERROR:
                    number = -struct.unpack_from("=i", data, offset + _HEADER.size)[0]
                    raise OSError(number, os.strerror(number))
                found.append(data[offset + _HEADER.size : offset + length])
                offset += (length + 3) & ~3

    def ethtool(self, interface: str, command: int, value: int = 0) -> int:
        """Set or get one value of an interface by ethtool's ioctl, and return the new value; raises OSError."""
        import fcntl
        from array import array

        pair = array("I", (command, value))  # the ioctl takes a name, and the address of this pair
        where = struct.pack("16sP16x", interface.encode(), pair.buffer_info()[0])
        fcntl.ioctl(self._socket.fileno(), _SIOCETHTOOL, where)
        return pair[1]

    def _batch(self, messages: Sequence[bytes], first: int, last: int) -> Refusal | None:
        """Send messages first to last at once; only the last one asks for an answer."""
        batch = bytearray().join(messages[first : last + 1])
        offset = 0
        for position in range(first, last + 1):
            struct.pack_into("=I", batch, offset + 8, position)
            if position < last:
                offset += len(messages[position])
        struct.pack_into("=H", batch, offset + 6, struct.unpack_from("=H", batch, offset + 6)[0] | _NLM_F_ACK)
        self._socket.send(batch)
        return self._answer(last)

    def _answer(self, last: int) -> Refusal | None:
        """Read up to the answer to message `last`; return the first refusal."""
        refusal = None
        while True:
            data = self._receive()
            offset = 0
            while offset < len(data):
                length, kind, flags, position, _ = _HEADER.unpack_from(data, offset)
                if kind == _NLMSG_ERROR:
                    refusal = refusal or _refusal(data[offset : offset + length], flags, position)
                    if position == last:
                        return refusal
                offset += (length + 3) & ~3

    def _receive(self) -> bytes:
        try:
            return self._socket.recv(BATCH_BYTES)
        except BlockingIOError:
            raise TimeoutError(f"the kernel gave no answer within {DEADLINE_S} s") from None


def attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the attributes in a row of them: type and content."""
    offset = 0
    while offset + 4 <= len(data):
        length, kind = struct.unpack_from("=HH", data, offset)
        yield kind & _NLA_TYPE_MASK, data[offset + 4 : offset + length]
        offset += max(4, (length + 3) & ~3)


def _refusal(message: bytes, flags: int, position: int) -> Refusal | None:
    """Read an error message; None if it is an acknowledgement, which is an error of 0."""
    (errno,) = struct.unpack_from("=i", message, 16)
    if not errno:
        return None
    words = ""
    if flags & _NLM_F_ACK_TLVS:
        # after the error number comes the message's own header, or the whole message
        offset = 36 if flags & _NLM_F_CAPPED else 20 + ((struct.unpack_from("=I", message, 20)[0] + 3) & ~3)
        words = dict(attributes(message[offset:])).get(_NLMSGERR_ATTR_MSG, b"").rstrip(b"\0").decode(errors="replace")
    return Refusal(position, -errno, words)
