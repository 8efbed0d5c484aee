"""Reads pcapng as the draft has it, strictly: by other code than netlab writes it by."""

import struct
from collections.abc import Iterator
from typing import NamedTuple

SECTION, INTERFACE, STATISTICS, PACKET = 0x0A0D0D0A, 1, 5, 6


class Block(NamedTuple):
    """A block: its type, its fixed part, and its options by code."""

    kind: int
    body: bytes
    options: dict[int, bytes]


class Packet(NamedTuple):
    """A packet: interface, time, bytes, length, direction; kind and number of the verdict, packet id, comment."""

    interface: str
    ns: int
    data: bytes
    length: int
    direction: int
    verdict: tuple[int, int] | None
    packet_id: int | None
    comment: str


class Capture(NamedTuple):
    """A file of one section; `lost` by interface, as its statistics say, and their comments."""

    comment: str
    interfaces: list[str]
    packets: list[Packet]
    lost: dict[str, int]
    notes: dict[str, str]


def read(data: bytes) -> Capture:
    """Return what is in a file; it has to be whole."""
    first, *others = blocks(data)
    assert (SECTION, (0x1A2B3C4D, 1, 0, -1)) == (first.kind, struct.unpack("=IHHq", first.body))
    found = Capture(first.options[1].decode(), [], [], {}, {})
    for block in others:
        if block.kind == INTERFACE:
            assert (1, 0) == struct.unpack_from("=HH", block.body)
            assert b"\t" == block.options[9]
            found.interfaces.append(block.options[2].decode())
        elif block.kind == PACKET:
            found.packets.append(packet(found, block))
        else:
            assert block.kind == STATISTICS
            name = found.interfaces[struct.unpack_from("=I", block.body)[0]]
            found.lost[name] = struct.unpack("=Q", block.options[7])[0]
            found.notes[name] = block.options.get(1, b"").decode()
    return found


def packet(capture: Capture, block: Block) -> Packet:
    """Return the packet of a block."""
    number, high, low, caught, length = struct.unpack_from("=IIIII", block.body)
    options = block.options
    return Packet(
        capture.interfaces[number],
        high << 32 | low,
        block.body[20 : 20 + caught],
        length,
        struct.unpack("=I", options[2])[0] & 3,
        struct.unpack("=BQ", options[7]) if 7 in options else None,
        struct.unpack("=Q", options[5])[0] if 5 in options else None,
        options.get(1, b"").decode(),
    )


def blocks(data: bytes) -> Iterator[Block]:
    """Yield the blocks of a file."""
    at = 0
    while at < len(data):
        kind, length = struct.unpack_from("=II", data, at)
        assert length % 4 == 0
        assert data[at + length - 4 : at + length] == struct.pack("=I", length)
        body = data[at + 8 : at + length - 4]
        fixed = {SECTION: 16, INTERFACE: 8, STATISTICS: 12}.get(kind)
        if fixed is None:
            (caught,) = struct.unpack_from("=I", body, 12)
            fixed = 20 + caught + -caught % 4
        yield Block(kind, body[:fixed], options(body[fixed:]))
        at += length
    assert at == len(data)


def options(data: bytes) -> dict[int, bytes]:
    """Return options by their codes; the last one must be their end."""
    found: dict[int, bytes] = {}
    at = 0
    while True:
        code, length = struct.unpack_from("=HH", data, at)
        if not code:
            assert (at + 4, length) == (len(data), 0)
            return found
        found[code] = data[at + 4 : at + 4 + length]
        at += 4 + length + -length % 4
