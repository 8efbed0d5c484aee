"""Where fields of the kernel's own structs stand, and the numbers of its tracepoints, by its BTF.

To read the BTF takes 10 ms of a CPU, so what was found is kept in the cache. The kernel checks it: a program that reads
another field than it believes is refused, and the BTF is read again.
"""

import ctypes
import json
import os
import struct
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from netlab import paths
from netlab.errors import HostError
from netlab.kernel import files

_TYPE = struct.Struct("=III")  # struct btf_type: name, info, and size or another type
_MEMBER = struct.Struct("=III")  # struct btf_member: name, type, and where it is, in bits
_STRUCT, _UNION, _TYPEDEF = 4, 5, 8  # enum of BTF kinds
_OFFSET_BITS = 0xFFFFFF  # above it is the size of a bit field
_TRACEPOINT = "btf_trace_"
Numbers = Mapping[str, int]


def numbers(tracepoints: Sequence[str], fields: Sequence[str]) -> Numbers:
    """Return the number of each tracepoint's type, and the offset in bytes of each field, such as `net.ns.inum`.

    HostError if this kernel has no BTF, or lacks any of them.
    """
    return _kept(tracepoints, fields) or _keep(_found(tracepoints, fields))


def forget() -> None:
    """Remove what is kept, after the kernel has refused it."""
    with suppress(OSError):
        os.unlink(_path())


def _kept(tracepoints: Sequence[str], fields: Sequence[str]) -> Numbers | None:
    path = _path()
    try:
        if not path or files.problem(os.lstat(path)) or files.problem_around(path):
            return None
        known = files.load(path)
        if known["kernel"] != _kernel():
            return None
        return {name: int(known[name]) for name in (*tracepoints, *fields)}
    except (OSError, ValueError, TypeError, LookupError):
        return None


def _keep(found: Numbers) -> Numbers:
    """Keep what was found. A cache that cannot be written is no error."""
    path = _path()
    with suppress(OSError, HostError):
        if path and not files.problem_around(path):
            files.ensure_folder(os.path.dirname(path), files.FOR_OWNER)
            files.write(path, json.dumps({"kernel": _kernel(), **found}), 0o600)
    return found


def _path() -> str:
    """Return the file in the cache; "" if nothing is to be kept."""
    return os.path.join(paths.cache_folder(), "kernel-numbers.json") if paths.cache_folder() else ""


def _kernel() -> list[str]:
    return list(os.uname()[2:])


def _found(tracepoints: Sequence[str], fields: Sequence[str]) -> Numbers:
    with _types() as types:
        found = {name: types.named(f"{_TRACEPOINT}{name}", _TYPEDEF) for name in tracepoints}
        return {**found, **{path: types.offset(path) for path in fields}}


@contextmanager
def _types() -> Iterator["_Types"]:
    from netlab.programs import libbpf_calls

    library = libbpf_calls.library()
    handle = library.btf__load_vmlinux_btf()
    if not handle:
        raise HostError(f"this kernel, {os.uname().release}, tells nothing of its types (/sys/kernel/btf/vmlinux)")
    try:
        yield _Types(library, handle)
    finally:
        library.btf__free(handle)


class _Types:
    """The kernel's types, by libbpf."""

    def __init__(self, library: Any, handle: int) -> None:
        self._library = library
        self._handle = handle

    def named(self, name: str, kind: int) -> int:
        """Return the number of a type."""
        number = int(self._library.btf__find_by_name_kind(self._handle, name.encode(), kind))
        if number < 0:
            raise HostError(f"this kernel, {os.uname().release}, has no {name}")
        return number

    def offset(self, path: str) -> int:
        """Return where a field is: `STRUCT.FIELD`, or a field of such a field."""
        name, *fields = path.split(".")
        at, number = 0, self.named(name, _STRUCT)
        for field in fields:
            found = self._field(number, field)
            if found is None:
                raise HostError(f"this kernel, {os.uname().release}, has no {path}")
            at, number = at + found[0], found[1]
        return at

    def _field(self, number: int, name: str) -> tuple[int, int] | None:
        """Return the place and the type of a field, which may be in a struct or a union without a name."""
        for field, kind, bits in self._members(number):
            at = (bits & _OFFSET_BITS) // 8
            if field == name:
                return at, kind
            if not field and (inner := self._field(kind, name)):
                return at + inner[0], inner[1]
        return None

    def _members(self, number: int) -> Iterator[tuple[str, int, int]]:
        number = self._library.btf__resolve_type(self._handle, number)
        address = self._library.btf__type_by_id(self._handle, number)
        if number < 0 or not address:
            return
        _, info, _ = _TYPE.unpack(ctypes.string_at(address, _TYPE.size))
        if info >> 24 & 0x1F not in (_STRUCT, _UNION):
            return
        members = ctypes.string_at(address + _TYPE.size, (info & 0xFFFF) * _MEMBER.size)
        for name, kind, bits in _MEMBER.iter_unpack(members):
            yield self._library.btf__name_by_offset(self._handle, name).decode(), kind, bits
