"""Which functions of a program take what, by the types that the compiler has written down (BTF).

Source: include/uapi/linux/btf.h, and the kernel's Documentation/bpf/btf.rst.
"""

import os
import struct
from typing import NamedTuple

from netlab.programs import compiled

_HEADER = struct.Struct("=HBBIIIII")  # magic, version, flags, its own length, then offset and length of types and texts
_TYPE = struct.Struct("=III")  # name, kind and number of members, size or another type
_PARAMETER = struct.Struct("=II")  # name, type
_INT, _PTR, _ARRAY, _STRUCT, _UNION, _ENUM, _FWD, _TYPEDEF, _VOLATILE, _CONST, _RESTRICT = range(1, 12)
_FUNC, _FUNC_PROTO, _VAR, _DATASEC, _, _DECL_TAG, _TYPE_TAG, _ENUM64 = range(12, 20)
# bytes that follow a type, and that follow for each of its members
_MORE = {
    **dict.fromkeys((_INT, _VAR, _DECL_TAG), (4, 0)),
    **dict.fromkeys((_ENUM, _FUNC_PROTO), (0, 8)),
    **dict.fromkeys((_STRUCT, _UNION, _DATASEC, _ENUM64), (0, 12)),
    _ARRAY: (12, 0),
}
_SAME = (_TYPEDEF, _VOLATILE, _CONST, _RESTRICT, _TYPE_TAG)  # other names for another type


class _Type(NamedTuple):
    name: str
    kind: int
    members: int
    other: int
    more: bytes


def taking(context: str) -> set[str] | None:
    """Return the functions that take one parameter, a pointer to the struct `context`, of what was compiled here.

    None where the kernel has got no types of it.
    """
    found: set[str] = set()
    known = [fd for fd in map(int, os.listdir("/proc/self/fd")) if _is_types(fd)]
    for fd in known:
        found |= _taking(_types(compiled.types_of(fd)), context)
    return found if known else None


def _is_types(fd: int) -> bool:
    try:
        return os.readlink(f"/proc/self/fd/{fd}") == "anon_inode:btf"
    except OSError:  # the one that lists them
        return False


def _types(data: bytes) -> list[_Type]:
    """Return all types by number; 0 is void."""
    _, _, _, length, type_at, type_size, text_at, _ = _HEADER.unpack_from(data)
    texts, at, end = length + text_at, length + type_at, length + type_at + type_size
    found = [_Type("", 0, 0, 0, b"")]
    while at < end:
        name, about, other = _TYPE.unpack_from(data, at)
        kind, members = about >> 24 & 31, about & 0xFFFF
        once, each = _MORE.get(kind, (0, 0))
        at += _TYPE.size
        more, text = data[at : at + once + each * members], texts + name
        found.append(_Type(data[text : data.index(b"\0", text)].decode(), kind, members, other, more))
        at += len(more)
    return found


def _taking(types: list[_Type], context: str) -> set[str]:
    def bare(number: int) -> _Type:
        while types[number].kind in _SAME:
            number = types[number].other
        return types[number]

    found = set()
    for function in types:
        prototype = types[function.other] if function.kind == _FUNC else None
        if prototype and prototype.members == 1:
            pointer = bare(_PARAMETER.unpack(prototype.more)[1])
            pointed = bare(pointer.other) if pointer.kind == _PTR else None
            if pointed and (pointed.kind, pointed.name) in ((_STRUCT, context), (_FWD, context)):
                found.add(function.name)
    return found
