"""A compiled file of programs as plain data: taken from what the compiler has made, and given to the kernel without it.

Source: what libbpf does with an object file (bpf_object__create_maps, bpf_object_load_prog). Instructions name a map by
its descriptor; here they name it by its name, until a map of that name is made.
"""

import ctypes
import os
import struct
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import NamedTuple

from netlab.programs import bpf

_MAP_CREATE, _PROG_LOAD, _BTF_LOAD, _BTF_BY_ID = 0, 5, 18, 19
_XDP = 6  # enum bpf_prog_type
_MAPS_OF_MAPS = (12, 13)  # array and hash
_DEVMAPS = (14, 25)  # array and hash: the kernel adds a flag of its own, which it does not accept
_RDONLY_PROG = 1 << 7
_NAME_BYTES = 15  # and a zero
_MAP_INFO = struct.Struct("=6I16s4x4x16x3I")  # shape, name, then the numbers of its BTF, of the key and of the value
_INSTRUCTION = struct.Struct("=BBhi")  # operation, registers, offset, immediate
_LOAD_64 = 0x18  # takes two instructions' room
_IS_MAP = 1  # in the place of the source register: the immediate is a map's descriptor


class MapShape(NamedTuple):
    """What to make a map from; `key_type` and `value_type` are numbers in the BTF, `inner` a map of the same file."""

    name: str
    kind: int
    key_size: int
    value_size: int
    entries: int
    flags: int
    key_type: int
    value_type: int
    inner: str = ""


class Code(NamedTuple):
    """A program: instructions, and the maps that are named at some of them, by position; `attach_type` or 0."""

    name: str
    instructions: bytes
    maps: Mapping[int, str]
    attach_type: int


class Compiled(NamedTuple):
    """All of a file; `btf` is the types of its maps, or empty."""

    license: bytes
    btf: bytes
    maps: tuple[MapShape, ...]
    programs: tuple[Code, ...]


class CannotBeTaken(Exception):  # noqa: N818 - nothing is wrong: the file has something that this cannot say
    """There is more to the file than maps and programs of the usual kinds."""


def shapes(maps: Mapping[str, int], inner: Mapping[str, str]) -> tuple[tuple[MapShape, ...], bytes]:
    """Return the shapes of maps, given by their descriptors, and their BTF; `inner` says what maps of maps hold."""
    found: list[MapShape] = []
    types: set[int] = set()
    for name, fd in maps.items():
        kind, _, key_size, value_size, entries, flags, _, types_id, key_type, value_type = _MAP_INFO.unpack_from(
            bpf.info(fd)
        )
        if kind in _MAPS_OF_MAPS and inner.get(name) not in maps:
            raise CannotBeTaken(f"of what kind the maps in {name} are")
        flags &= ~_RDONLY_PROG if kind in _DEVMAPS else ~0
        types |= {types_id} if types_id else set()
        shape = MapShape(name, kind, key_size, value_size, entries, flags, key_type, value_type, inner.get(name, ""))
        # what others hold is made before them
        found.insert(0 if name in inner.values() else len(found), shape)
    if len(types) > 1:
        raise CannotBeTaken("types of several files")
    return tuple(found), _btf(types.pop()) if types else b""


def code(name: str, instructions: bytes, maps: Mapping[str, int], attach_type: int) -> Code:
    """Return a program whose instructions name maps by these descriptors."""
    names = {fd: name for name, fd in maps.items()}
    named, position, last = {}, 0, len(instructions) // _INSTRUCTION.size
    while position < last:
        operation, registers, _, immediate = _INSTRUCTION.unpack_from(instructions, position * _INSTRUCTION.size)
        source = registers >> 4 if sys.byteorder == "little" else registers & 15
        if operation == _LOAD_64 and source:
            if source != _IS_MAP or immediate not in names:
                raise CannotBeTaken("something named that is no map of the file")
            named[position] = names[immediate]
        position += 2 if operation == _LOAD_64 else 1
    return Code(name, instructions, named, attach_type)


def load(
    what: Compiled, entry: str, prepare: Callable[[dict[str, int]], None]
) -> tuple[dict[str, int], dict[str, int]]:
    """Make the maps, then load the programs; return the descriptors of both by name, which are the caller's.

    `prepare` is given those of the maps before the first program is loaded. Raises OSError, with nothing left behind.
    """
    types = _load_btf(what.btf) if what.btf else 0
    maps: dict[str, int] = {}
    programs: dict[str, int] = {}
    with ExitStack() as made:
        try:
            for shape in what.maps:
                maps[shape.name] = _make_map(shape, types, maps)
                made.callback(os.close, maps[shape.name])
        finally:
            if types:
                os.close(types)
        prepare(maps)
        for each in what.programs:
            attach_type = each.attach_type if each.name != entry else 0
            programs[each.name] = _load_program(each._replace(attach_type=attach_type), what.license, maps)
            made.callback(os.close, programs[each.name])
        made.pop_all()
    return maps, programs


def _make_map(shape: MapShape, types: int, made: Mapping[str, int]) -> int:
    name = shape.name.encode()[:_NAME_BYTES]
    typed = types if shape.key_type or shape.value_type else 0
    attr = bpf.attributes(
        "5III16sIIII",
        *(shape.kind, shape.key_size, shape.value_size, shape.entries, shape.flags),
        *(made[shape.inner] if shape.inner else 0, 0, name, 0),
        *(typed, shape.key_type, shape.value_type),
    )
    return bpf.call(_MAP_CREATE, attr, f"make the map {shape.name}")


def _load_program(program: Code, terms: bytes, maps: Mapping[str, int]) -> int:
    text = bytearray(program.instructions)
    for position, name in program.maps.items():
        struct.pack_into("=i", text, position * _INSTRUCTION.size + 4, maps[name])
    held, license_text = ctypes.create_string_buffer(bytes(text), len(text)), ctypes.create_string_buffer(terms)
    attr = bpf.attributes(
        "IIQQIIQII16sII",
        *(_XDP, len(text) // _INSTRUCTION.size, ctypes.addressof(held), ctypes.addressof(license_text)),
        *(0, 0, 0),  # no log: a program that is refused is compiled anew, for its lines to be shown
        *(0, 0, program.name.encode()[:_NAME_BYTES], 0, program.attach_type),
    )
    return bpf.call(_PROG_LOAD, attr, f"load the program {program.name}")


def _load_btf(types: bytes) -> int:
    held = ctypes.create_string_buffer(types, len(types))
    attr = bpf.attributes("QQIII", ctypes.addressof(held), 0, len(types), 0, 0)
    return bpf.call(_BTF_LOAD, attr, "load types")


def _btf(number: int) -> bytes:
    """Return the BTF that the kernel has under a number, as it was given."""
    fd = bpf.call(_BTF_BY_ID, bpf.attributes("III", number, 0, 0), f"open the types {number}")
    try:
        return types_of(fd)
    finally:
        os.close(fd)


def types_of(fd: int) -> bytes:
    """Return the BTF behind a descriptor, as it was given to the kernel."""
    _, size = struct.unpack_from("=QI", bpf.info(fd))
    room = ctypes.create_string_buffer(size)
    bpf.info(fd, struct.pack("=QI", ctypes.addressof(room), size))
    return room.raw
