"""Makes objects as a compiler does, byte by byte."""

import struct
from collections.abc import Mapping

BPF = 247


def instruction(operation: int, registers: int = 0, value: int = 0) -> bytes:
    """Return one instruction."""
    return struct.pack("=BBhi", operation, registers, 0, value)


EXIT = instruction(0x95)


def returning(verdict: int) -> bytes:
    """Return a program that returns a number."""
    return instruction(0xB7, 0, verdict) + EXIT


def made(
    sections: Mapping[str, bytes],
    *,
    code: tuple[str, ...] = ("xdp",),
    machine: int = BPF,
    kind: int = 1,
    order: int = 1,
) -> bytes:
    """Return an object with these sections, of which those in `code` are programs."""
    names = b"\0" + b"".join(name.encode() + b"\0" for name in (*sections, ".shstrtab"))
    contents = {**sections, ".shstrtab": names}
    table, body, at = [bytes(64)], b"", 64
    for name, content in contents.items():
        flags = 4 if name in code else 0
        where = names.index(b"\0" + name.encode() + b"\0") + 1
        table.append(struct.pack("=IIQQQQIIQQ", where, 1, flags, 0, at, len(content), 0, 0, 1, 0))
        body, at = body + content, at + len(content)
    ident = b"\x7fELF" + bytes((2, order, 1)) + bytes(9)
    counts = (64, 0, 0, 64, len(table), len(table) - 1)
    head = struct.pack("=16sHHIQQQIHHHHHH", ident, kind, machine, 1, 0, 0, at, 0, *counts)
    return head + body + b"".join(table)
