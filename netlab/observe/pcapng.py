"""The blocks of a pcapng file, as bytes: one section, its interfaces, packets with verdicts, and what was lost. Pure.

Source: draft-ietf-opsawg-pcapng. Times are nanoseconds since 1970.
"""

import struct
from collections.abc import Iterator

from netlab.topology.hooks import XDP

_SECTION, _INTERFACE, _STATISTICS, _PACKET = 0x0A0D0D0A, 1, 5, 6
_ORDER, _UNKNOWN_LENGTH = 0x1A2B3C4D, -1
_ETHERNET = 1  # LINKTYPE_ETHERNET
_END, _COMMENT = 0, 1  # options of all blocks
_APPLICATION = 4  # shb_userappl
_NAME, _ABOUT, _RESOLUTION, _FILTER = 2, 3, 9, 11  # if_name, if_description, if_tsresol, if_filter
_FLAGS, _PACKET_ID, _VERDICT = 2, 5, 7  # epb_…
_RECEIVED, _DROPPED = 4, 7  # isb_ifrecv; isb_osdrop: by the operating system, without room
_NANOSECONDS = bytes([9])
INBOUND, OUTBOUND = 1, 2  # of epb_flags
_BY_TC, _BY_XDP = 1, 2  # kinds of epb_verdict: Linux_eBPF_TC, Linux_eBPF_XDP
_LONGEST_OPTION = 0xFFFF

Option = tuple[int, bytes]


def section(comment: str) -> bytes:
    """Return the block that begins a file."""
    options = [(_COMMENT, comment.encode()), (_APPLICATION, b"netlab")]
    return _block(_SECTION, struct.pack("=IHHq", _ORDER, 1, 0, _UNKNOWN_LENGTH), options)


def interface(name: str, about: str, most_bytes: int, filter_text: str = "") -> bytes:
    """Return the block of an interface; the first one in the file has the number 0."""
    options = [(_NAME, name.encode()), (_ABOUT, about.encode()), (_RESOLUTION, _NANOSECONDS)]
    if filter_text:
        options.append((_FILTER, b"\0" + filter_text.encode()))
    return _block(_INTERFACE, struct.pack("=HHI", _ETHERNET, 0, most_bytes), options)


def packet(number: int, ns: int, data: bytes, length: int, flags: int, options: tuple[Option, ...] = ()) -> bytes:
    """Return the block of a packet at an interface, by its number; `length` is the packet's, who may be cut off."""
    head = struct.pack("=IIIII", number, ns >> 32, ns & 0xFFFFFFFF, len(data), length)
    return _block(_PACKET, head + _padded(data), [(_FLAGS, struct.pack("=I", flags)), *options])


def verdict(hook: str, code: int) -> Option:
    """Return the option with a program's verdict; `code` is the number that it has returned."""
    return _VERDICT, struct.pack("=BQ", _BY_XDP if hook == XDP else _BY_TC, code)


def same_packet(number: int) -> Option:
    """Return the option that says which packets are the same one."""
    return _PACKET_ID, struct.pack("=Q", number)


def comment(text: str) -> Option:
    """Return the option with a comment."""
    return _COMMENT, text.encode()


def statistics(number: int, ns: int, received: int, dropped: int, text: str = "") -> bytes:
    """Return the block that says how many packets an interface has seen, and how many of them were lost."""
    options = [(_RECEIVED, struct.pack("=Q", received)), (_DROPPED, struct.pack("=Q", dropped))]
    if text:
        options.append(comment(text))
    return _block(_STATISTICS, struct.pack("=III", number, ns >> 32, ns & 0xFFFFFFFF), options)


def _block(kind: int, body: bytes, options: list[Option]) -> bytes:
    whole = body + b"".join(_options(options))
    length = struct.pack("=I", len(whole) + 12)
    return b"".join((struct.pack("=I", kind), length, whole, length))


def _options(options: list[Option]) -> Iterator[bytes]:
    for code, value in options:
        kept = value[:_LONGEST_OPTION]
        yield struct.pack("=HH", code, len(kept))
        yield _padded(kept)
    yield struct.pack("=HH", _END, 0)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
