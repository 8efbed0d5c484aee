"""Reads and writes the bytes of maps' values by the names of fields, with a program's layouts.

A field is a whole number, or a tuple of them if it is an array. It is bytes if it is a struct, an array of single
bytes, or not a whole number. Numbers in network byte order are numbers like any other.
"""

import os
import struct
from collections.abc import Iterator, Mapping
from math import prod
from operator import itemgetter
from typing import Any

from netlab.errors import NetlabError
from netlab.named_tuple import NamedTuple
from netlab.record import layouts
from netlab.record.layouts import NETWORK, SIGNED, STRUCT, UNSIGNED, Field, Layouts

_LETTERS = {1: "B", 2: "H", 4: "I", 8: "Q"}
_NUMBERS = {UNSIGNED, SIGNED, NETWORK}


class _Place(NamedTuple):
    """The place of a field, and how it is packed: as `count` values, or as a single one (0)."""

    offset: int
    form: struct.Struct
    values: int


class Value:
    """A value of a struct, whose fields are read by name: `value["depth"]`."""

    def __init__(self, fields: "Fields", data: bytes) -> None:
        self.data = data
        self._fields = fields

    def __getitem__(self, name: str) -> Any:
        return self._fields.get(self.data, name)


class Fields:
    """A struct of a program."""

    def __init__(self, name: str, of: layouts.Struct) -> None:
        self.name = name
        self.size = of.size
        self._fields = {field.name: field for field in of.fields}
        self._places: dict[str, _Place] = {}
        self._rows: dict[tuple[str, ...], struct.Struct] = {}

    def field(self, name: str) -> Field:
        """Return a field; NetlabError if the program has none of this name."""
        if name not in self._fields:
            there = ", ".join(self._fields)
            raise NetlabError(f"the program's {self.name} has no field {name}, which netlab needs; it has {there}")
        return self._fields[name]

    def slice(self, name: str) -> slice:
        """Return the place of a field's bytes."""
        field = self.field(name)
        return slice(field.offset, field.offset + field.size)

    def get(self, value: bytes, name: str) -> Any:
        """Return a field of a value."""
        offset, form, count = self._places.get(name) or self._place(name)
        found = form.unpack_from(value, offset)
        return found if count else found[0]

    def of(self, data: bytes) -> Value:
        """Return these bytes as a value."""
        return Value(self, data)

    def pack(self, **fields: Any) -> bytes:
        """Return a value with these fields, and zeros in all others."""
        return self.put(bytes(self.size), **fields)

    def put(self, value: bytes, **fields: Any) -> bytes:
        """Return a value with these fields replaced; shorter bytes are followed by zeros.

        A tuple for an array may be shorter, too; struct.error if a number does not fit.
        """
        room = bytearray(value)
        for name, one in fields.items():
            offset, form, count = self._places.get(name) or self._place(name)
            if isinstance(one, bytes):
                field = self.field(name)
                if len(one) > field.size:
                    raise ValueError(f"{self.name}: {name} has {field.size} bytes, not {len(one)}")
                room[offset : offset + field.size] = one.ljust(field.size, b"\0")
            elif count:
                form.pack_into(room, offset, *one, *[0] * (count - len(one)))
            else:
                form.pack_into(room, offset, one)
        return bytes(room)

    def rows(self, data: bytes, *names: str) -> Iterator[tuple[Any, ...]]:
        """Yield these fields of each struct; `data` is a sequence of structs.

        No field may be in network byte order, or an array. This is much faster than one call for each struct.
        """
        ordered = sorted(names, key=lambda name: self.field(name).offset)
        form = self._rows.get(names) or self._row(ordered)
        self._rows[names] = form
        rows = form.iter_unpack(data)
        return rows if ordered == list(names) else map(itemgetter(*map(ordered.index, names)), rows)

    def _row(self, ordered: list[str]) -> struct.Struct:
        text, at = "=", 0
        for name in ordered:
            field, place = self.field(name), self._place(name)
            if field.kind == NETWORK or place.values:
                raise ValueError(f"{name} of {self.name} is no number in the host's byte order")
            text += f"{field.offset - at}x{place.form.format[1:]}"
            at = field.offset + field.size
        return struct.Struct(f"{text}{self.size - at}x")

    def _place(self, name: str) -> _Place:
        """Return the place of a field, and how it is packed."""
        field = self.field(name)
        if field.bits:
            raise NetlabError(f"{name} of {self.name} is a bit field, which is not read")
        count = prod(field.counts)
        width = field.size // count if count else 0
        is_bytes = field.kind not in _NUMBERS or width not in _LETTERS or (width == 1 and bool(field.counts))
        if is_bytes:
            form = struct.Struct(f"={field.size}s")
        else:
            letter = _LETTERS[width].lower() if field.kind == SIGNED else _LETTERS[width]
            form = struct.Struct(f"{'>' if field.kind == NETWORK else '='}{count if field.counts else ''}{letter}")
        place = _Place(field.offset, form, 0 if is_bytes or not field.counts else count)
        self._places[name] = place
        return place


class Types:
    """The types of a program, by name."""

    def __init__(self, known: Layouts) -> None:
        self.layouts = known
        self._structs: dict[str, Fields] = {}

    def struct(self, name: str) -> Fields:
        """Return a struct; NetlabError if the program has none of this name."""
        found = self._structs.get(name)
        if not found:
            full = f"struct {name}"
            if full not in self.layouts.structs:
                raise NetlabError(f"the program has no {full}, which netlab needs")
            found = self._structs[name] = Fields(full, self.layouts.structs[full])
        return found

    def value(self, name: str) -> Fields:
        """Return the struct of a map's values; NetlabError if they are not structs."""
        field = self.layouts.maps[name].value
        if field.kind != STRUCT or field.counts:
            raise NetlabError(f"the values of the program's map {name} are no structs")
        return self.struct(field.type.removeprefix("struct "))

    def enum(self, name: str) -> Mapping[str, int]:
        """Return the numbers of an enum by their names; NetlabError if the program has none of this name."""
        if name not in self.layouts.enums:
            raise NetlabError(f"the program has no `enum {name}`")
        return self.layouts.enums[name]


_known: dict[str, tuple[tuple[int, int], Types]] = {}  # by the path of the file: which file it was, and its types


def types(path: str) -> Types:
    """Return the types in a file; it is read again only if another file has replaced it.

    NetlabError if it is missing or damaged.
    """
    try:
        about = os.stat(path)
    except OSError:
        return Types(layouts.read(path))  # this raises the error that says what is wrong
    which = (about.st_ino, about.st_mtime_ns)
    known = _known.get(path)
    if not known or known[0] != which:
        known = _known[path] = (which, Types(layouts.read(path)))
    return known[1]
