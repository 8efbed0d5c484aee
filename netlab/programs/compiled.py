"""A compiled file of programs as plain data, which can be loaded without the compiler.

Source: what libbpf does with an object file (bpf_object__create_maps, bpf_object_load_prog). Instructions name a map by
its descriptor; here they name it by its name, until a map of that name is made.
"""

import os
import struct
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack

from netlab.kernel import syscalls
from netlab.named_tuple import NamedTuple
from netlab.programs import bpf

_DEVMAPS = (bpf.DEVMAP, bpf.DEVMAP_HASH)  # the kernel adds a flag to them that it does not accept from a caller
_INSTRUCTION = struct.Struct("=BBhi")  # operation, registers, offset, immediate
_LOAD_64 = 0x18  # takes two instructions' room
_IS_MAP = 1  # in the place of the source register: the immediate is a map's descriptor
_HELPER = (0x85, 0)  # the operation and the registers of a call of the helper whose number is the immediate
_PRINTING = (6, 177)  # bpf_trace_printk, bpf_trace_vprintk


class MapShape(NamedTuple):
    """How to make a map; `key_type` and `value_type` are numbers in the BTF, `inner` names a map of the same file."""

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
    """A program: its instructions, and the names of maps by the position of the instruction that uses the map."""

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


class CannotBeTaken(Exception):  # noqa: N818 - it is no error: such a file is compiled each time
    """The file has something that `Compiled` cannot express."""


def shapes(maps: Mapping[str, int], inner: Mapping[str, str]) -> tuple[tuple[MapShape, ...], bytes]:
    """Return the shapes of maps and their BTF; `maps` has their descriptors, `inner` what maps of maps contain."""
    found: list[MapShape] = []
    types: set[int] = set()
    for name, fd in maps.items():
        about = bpf.map_info(fd)
        if about.type in bpf.MAPS_OF_MAPS and inner.get(name) not in maps:
            raise CannotBeTaken(f"of what kind the maps in {name} are")
        flags = about.flags & ~(bpf.RDONLY_PROG if about.type in _DEVMAPS else 0)
        types |= {about.btf} if about.btf else set()
        sizes = about.key_size, about.value_size, about.max_entries
        shape = MapShape(name, about.type, *sizes, flags, about.key_type, about.value_type, inner.get(name, ""))
        # an inner map must be made before the map that contains it
        found.insert(0 if name in inner.values() else len(found), shape)
    if len(types) > 1:
        raise CannotBeTaken("types of several files")
    return tuple(found), bpf.btf(types.pop()) if types else b""


def code(name: str, instructions: bytes, maps: Mapping[str, int], attach_type: int) -> Code:
    """Return a program; in `instructions`, maps are still named by their descriptors."""
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


def prints(what: Compiled) -> bool:
    """Say whether one of the programs may print into the kernel's trace."""
    return any(
        (operation, registers) == _HELPER and number in _PRINTING
        for program in what.programs
        for operation, registers, _, number in _INSTRUCTION.iter_unpack(program.instructions)
    )


def load(
    what: Compiled, entry: str, kind: int, prepare: Callable[[dict[str, int]], None]
) -> tuple[dict[str, int], dict[str, int]]:
    """Make the maps, then load the programs, which are all of one kind (enum bpf_prog_type).

    Return the descriptors of both by name, which are the caller's.

    `prepare` is given those of the maps before the first program is loaded. Raises OSError, with nothing left behind.
    """
    types = bpf.load_btf(what.btf) if what.btf else 0
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

        def load_each(given: Iterator[Code]) -> None:
            for each in given:
                attach_type = each.attach_type if each.name != entry else 0
                programs[each.name] = _load_program(each._replace(attach_type=attach_type), kind, what.license, maps)
                made.callback(os.close, programs[each.name])

        # the kernel verifies them beside each other; the one that takes longest begins first
        by_size = sorted(what.programs, key=lambda each: len(each.instructions), reverse=True)
        syscalls.in_threads(min(len(by_size), os.cpu_count() or 1), load_each, by_size)
        made.pop_all()
    return maps, {each.name: programs[each.name] for each in what.programs}


def _make_map(shape: MapShape, types: int, made: Mapping[str, int]) -> int:
    return bpf.create_map(
        shape.kind,
        (shape.key_size, shape.value_size, shape.entries),
        f"make the map {shape.name}",
        flags=shape.flags,
        inner=made[shape.inner] if shape.inner else 0,
        name=shape.name,
        types=(types if shape.key_type or shape.value_type else 0, shape.key_type, shape.value_type),
    )


def _load_program(program: Code, kind: int, terms: bytes, maps: Mapping[str, int]) -> int:
    """Load a program. One that is refused is compiled anew, for its lines to be shown: no log is needed here."""
    text, what = with_maps(program, maps), f"load the program {program.name}"
    return bpf.load_program(text, what, terms, program.name, program.attach_type, kind=kind)


def with_maps(program: Code, maps: Mapping[str, int]) -> bytes:
    """Return the instructions of a program with the descriptors of its maps."""
    text = bytearray(program.instructions)
    for position, name in program.maps.items():
        struct.pack_into("=i", text, position * _INSTRUCTION.size + 4, maps[name])
    return bytes(text)
