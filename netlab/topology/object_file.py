"""A ready BPF object, as any compiler writes it: its sections, as far as they are told without a loader.

Source: elf(5), and Documentation/bpf/instruction-set.rst in the kernel. Bytes in, facts out.
"""

import struct
import sys
from collections.abc import Iterator, Mapping

from netlab.named_tuple import NamedTuple

MAGIC = b"\x7fELF"
_HEADER = struct.Struct("=16sHHIQQQIHHHHHH")
_SECTION = struct.Struct("=IIQQQQIIQQ")
_CLASS_64, _ORDERS = 2, {1: "little", 2: "big"}
_RELOCATABLE, _BPF = 1, 247
_MACHINES = {3: "x86", 40: "ARM", 62: "x86-64", 183: "ARM64", 243: "RISC-V"}
_NO_BITS, _EXECUTABLE = 8, 4
_LONGEST_NAME = 255  # bytes, so that many names that overlap take little memory, too
_INSTRUCTION = struct.Struct("=BBhi")
_MOVES = (0xB7, 0xB4)  # of an immediate number into a register, of 64 and of 32 bits
_RECKONS = (0x07, 0x04, 0x17, 0x14, 0x47, 0x44, 0xA7, 0xA4)  # adds, subtracts, ors and xors an immediate number
_TRANSMIT = 3  # XDP_TX
_VARIABLES = (".rodata", ".data")  # begin the names of sections with initial values
_WORD = struct.Struct("=I")


class BadObjectError(ValueError):
    """These bytes are no BPF object; the message says what they are instead."""


class Section(NamedTuple):
    """A section: its content, and whether it has instructions."""

    content: bytes
    is_code: bool


def is_object(data: bytes) -> bool:
    """Say whether this is an object rather than a source."""
    return data.startswith(MAGIC)


def sections(data: bytes) -> Mapping[str, Section]:
    """Return the sections of an object by name; BadObjectError if it is damaged, or for another machine."""
    header = _header(data)
    at, entry, count, names_at = header
    if entry != _SECTION.size or not count or at + entry * count > len(data):
        raise BadObjectError(f"an object that is cut off or damaged: no table of sections in its {len(data):,} bytes")
    table = [_SECTION.unpack_from(data, at + entry * number) for number in range(count)]
    for _, kind, _, _, begin, size, *_ in table:
        if kind != _NO_BITS and begin + size > len(data):
            raise BadObjectError(f"an object that is cut off: {begin + size:,} bytes expected, {len(data):,} found")
    together = sum(size for _, kind, _, _, _, size, *_ in table if kind != _NO_BITS)
    if together > len(data):  # each is copied: many that overlap would take more memory than there is
        raise BadObjectError(f"an object that is damaged: its sections have {together:,} bytes, more than the file")
    if names_at >= count:
        raise BadObjectError("an object that is damaged: its sections have no names")
    names = data[table[names_at][4] :][: table[names_at][5]]
    return {_text(names, each[0]): _section(data, each) for each in table}


def _header(data: bytes) -> tuple[int, int, int, int]:
    """Return where the table of sections is, its entries' size and number, and which of them has their names."""
    if not is_object(data):
        raise BadObjectError("no object: expected what clang -c -target bpf writes" if data else "empty")
    if len(data) < _HEADER.size:
        raise BadObjectError(f"an object that is cut off after {len(data)} bytes")
    ident, kind, machine, _, _, _, at, _, _, _, _, entry, count, names_at = _HEADER.unpack_from(data)
    if ident[4] != _CLASS_64 or _ORDERS.get(ident[5]) != sys.byteorder:
        raise BadObjectError(f"an object that is not of 64 bits in {sys.byteorder}-endian order")
    if machine != _BPF:
        found = _MACHINES.get(machine, f"machine {machine}")
        raise BadObjectError(f"an object for {found} rather than BPF: compile it by clang -O2 -g -target bpf -c")
    if kind != _RELOCATABLE:
        raise BadObjectError("an object that was linked: expected what clang -c writes")
    return at, entry, count, names_at


def _section(data: bytes, entry: tuple[int, ...]) -> Section:
    _, kind, flags, _, begin, size, *_ = entry
    return Section(data[begin : begin + size] if kind != _NO_BITS else b"", bool(flags & _EXECUTABLE))


def _text(names: bytes, at: int) -> str:
    return names[at : at + _LONGEST_NAME].partition(b"\0")[0].decode(errors="replace")


def may_transmit(data: bytes) -> bool:
    """Say whether a program of an object may return XDP_TX: whether its number gets into a register, or a variable.

    What comes out of other maps is not seen, nor a variable of less than four bytes. BadObjectError as above.
    """
    return any(
        _transmits(each.content) if each.is_code else name.startswith(_VARIABLES) and _has_its_number(each.content)
        for name, each in sections(data).items()
    )


def _has_its_number(content: bytes) -> bool:
    """Say whether one of the words of a section, as variables are aligned, is the number."""
    whole = len(content) - len(content) % _WORD.size
    return any(word == _TRANSMIT for (word,) in _WORD.iter_unpack(content[:whole]))


def _transmits(code: bytes) -> bool:
    """Say whether instructions move the number, or make one of two by a number that is added to the verdict."""
    whole = len(code) - len(code) % _INSTRUCTION.size
    return any(
        (operation in _MOVES and value == _TRANSMIT) or (operation in _RECKONS and not registers & 15)
        for operation, registers, _, value in _INSTRUCTION.iter_unpack(code[:whole])
    )


def words(data: bytes) -> Iterator[str]:
    """Yield the names in an object: of functions, maps, types and fields."""
    for name, each in sections(data).items():
        if name in {".strtab", ".BTF"}:
            yield from (text.decode(errors="replace") for text in each.content.split(b"\0") if text)
