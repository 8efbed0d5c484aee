"""Packet sockets: all frames of an interface, with the kernel's wall-clock times and VLAN tags.

Source: packet(7), linux/if_packet.h.
"""

import os
import socket
import struct
from array import array

from netlab.kernel import syscalls

SNAPLEN = 1 << 18  # what Wireshark takes; the longest frame that the kernel makes by default is 64 KiB
_MACS = 12  # bytes of an Ethernet header before the VLAN tag
_BUFFER_BYTES = 32 << 20  # for a link: some 80,000 small frames that wait for the reader

_ETH_P_ALL = 3
_SO_ATTACH_FILTER, _SO_RCVBUFFORCE, _SO_TIMESTAMPNS = 26, 33, 35  # asm-generic/socket.h
_SOL_PACKET, _PACKET_STATISTICS, _PACKET_AUXDATA = 263, 6, 8
_OUTGOING = 4  # PACKET_OUTGOING
_VLAN_VALID, _VLAN_TPID_VALID = 1 << 4, 1 << 6
_CHECKSUM_NOT_READY = 1 << 3
_AUXILIARY = (_SOL_PACKET, _PACKET_AUXDATA)
_AUXDATA = struct.Struct("=III4xHH")  # struct tpacket_auxdata: status, len, snaplen, (mac, net), vlan_tci, vlan_tpid
_STATISTICS = struct.Struct("=II")  # frames for the socket, and those of them without room
_TIMESPEC = struct.Struct("@ll")
_PACKET_TYPE = 0xFFFFF004  # SKF_AD_OFF + SKF_AD_PKTTYPE
RETURN_ALL = struct.pack("=HBBI", 0x06, 0, 0, 0xFFFFFFFF)
RETURN_NOTHING = struct.pack("=HBBI", 0x06, 0, 0, 0)  # one struct sock_filter: BPF_RET | BPF_K, 0 bytes
ANCILLARY_BYTES = socket.CMSG_SPACE(_TIMESPEC.size) + socket.CMSG_SPACE(_AUXDATA.size)


def packet_socket(namespace: str, interface: str, takes: bytes = b"") -> socket.socket:
    """Return a socket for all frames of an interface, in a namespace that the calling thread enters for good.

    `takes` is a filter for it from the first frame on: see `restrict`. It has protocol 0 at first: with any other it
    would get frames of all interfaces until it is bound to one.
    """
    descriptor = os.open(namespace, os.O_RDONLY | os.O_CLOEXEC)
    try:
        syscalls.setns(descriptor)
    finally:
        os.close(descriptor)
    made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    try:
        made.setblocking(False)
        made.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        made.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER_BYTES)
        made.setsockopt(_SOL_PACKET, _PACKET_AUXDATA, 1)
        if takes:
            restrict(made, takes)
        made.bind((interface, _ETH_P_ALL))
    except BaseException:
        made.close()
        raise
    return made


def restrict(opened: socket.socket, instructions: bytes) -> None:
    """Let only frames into a socket that a filter takes: instructions of classic BPF."""
    held = array("Q", instructions)
    program = struct.pack("@HP", len(held), held.buffer_info()[0])
    opened.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)


def one_way(leaving: bool) -> bytes:
    """Return what begins a filter that takes only frames that leave, or only those that arrive."""
    load = struct.pack("=HBBI", 0x20, 0, 0, _PACKET_TYPE)  # BPF_LD | BPF_W | BPF_ABS
    skips = (1, 0) if leaving else (0, 1)  # instructions, if it leaves and if not: the one that returns nothing
    return load + struct.pack("=HBBI", 0x15, *skips, _OUTGOING) + RETURN_NOTHING


def newly_lost(opened: socket.socket) -> int:
    """Return how many frames had no room in a socket since the last question."""
    return int(_STATISTICS.unpack(opened.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, _STATISTICS.size))[1])


def leaves(sender: tuple[str, int, int, int, bytes]) -> bool:
    """Say, by the address that came with a frame, whether it leaves by the interface."""
    return sender[2] == _OUTGOING


def whole(frame: memoryview, length: int, ancillary: list[tuple[int, int, bytes]]) -> tuple[bytes, int]:
    """Return a frame, and the length that it has, with the VLAN tag that the kernel has put aside."""
    for level, kind, data in ancillary:
        if (level, kind) == (_SOL_PACKET, _PACKET_AUXDATA):
            status, _, _, tci, tpid = _AUXDATA.unpack(data)
            if status & _VLAN_VALID:
                tag = struct.pack("!HH", tpid if status & _VLAN_TPID_VALID else 0x8100, tci)
                return b"".join((frame[:_MACS], tag, frame[_MACS:])), length + len(tag)
    return bytes(frame), length


def time_of(ancillary: list[tuple[int, int, bytes]]) -> tuple[int, int]:
    """Return when a frame was seen, in seconds and nanoseconds of the wall clock; zeros if the kernel did not say."""
    times = (data for level, kind, data in ancillary if (level, kind) == (socket.SOL_SOCKET, _SO_TIMESTAMPNS))
    return _TIMESPEC.unpack(next(times, bytes(_TIMESPEC.size)))


def is_unfinished(ancillary: list[tuple[int, int, bytes]]) -> bool:
    """Say whether the kernel has still to compute a frame's checksum."""
    statuses = (_AUXDATA.unpack(data)[0] for level, kind, data in ancillary if (level, kind) == _AUXILIARY)
    return any(status & _CHECKSUM_NOT_READY for status in statuses)
