"""A ring of memory in which the kernel leaves the packets of one interface, read without system calls.

Source: Documentation/networking/packet_mmap.rst (TPACKET_V2), linux/if_packet.h.
"""

import mmap
import socket
import struct

_SOL_PACKET, _RX_RING, _VERSION, _IGNORE_OUTGOING = 263, 5, 10, 23
_V2 = 1
_EVERYTHING = 3  # ETH_P_ALL
_BLOCK = 1 << 18
_FOR_US = 1  # TP_STATUS_USER
_MAC_AT = 6  # of struct tpacket2_hdr, in halves of a word: where the frame begins
RING_BYTES = 1 << 24


class Ring:
    """The packets that come in at an interface of this process's namespace, by its index."""

    def __init__(self, interface: str, most_bytes: int) -> None:
        """Bind to an interface; packets of more than `most_bytes` are cut off. Raises OSError."""
        self.slot_bytes = max(2048, 1 << (most_bytes + 128 - 1).bit_length())
        slots = RING_BYTES // self.slot_bytes
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        try:
            self.socket.setsockopt(_SOL_PACKET, _VERSION, _V2)
            self.socket.setsockopt(_SOL_PACKET, _IGNORE_OUTGOING, 1)
            block = max(_BLOCK, self.slot_bytes)
            sizes = struct.pack("=IIII", block, RING_BYTES // block, self.slot_bytes, slots)
            self.socket.setsockopt(_SOL_PACKET, _RX_RING, sizes)
            self._memory = mmap.mmap(self.socket.fileno(), RING_BYTES)
            self.socket.bind((interface, _EVERYTHING))
        except BaseException:
            self.socket.close()
            raise
        self._words = memoryview(self._memory).cast("I")
        self._halves = memoryview(self._memory).cast("H")
        self._slots, self._step = slots, self.slot_bytes // 4
        self._next = 0

    def close(self) -> None:
        """Give the memory back."""
        self._words.release()
        self._halves.release()
        self._memory.close()
        self.socket.close()

    def next(self) -> tuple[bytes, int] | None:
        """Return what has come next: a packet, and how many bytes it had before it was cut off; None for nothing."""
        at = self._next * self._step
        words = self._words
        if not words[at] & _FOR_US:
            return None
        begin = 4 * at + self._halves[2 * at + _MAC_AT]
        packet, length = self._memory[begin : begin + words[at + 2]], words[at + 1]
        words[at] = 0
        self._next = (self._next + 1) % self._slots
        return packet, length

    def problem(self) -> int:
        """Return the error that the socket has met, 0 for none."""
        return self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
