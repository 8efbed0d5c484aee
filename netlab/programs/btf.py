"""The types of a program in BTF, and the layouts that readers of its maps need.

Bytes in, layouts out: this module does not call the kernel. Source: include/uapi/linux/btf.h, and the kernel's
Documentation/bpf/btf.rst. A user's program may have any type. For a type that is not understood, only the size is
returned.
"""

import struct
from collections.abc import Collection, Iterator, Mapping

from netlab.named_tuple import NamedTuple
from netlab.record.layouts import NETWORK, OTHER, SIGNED, STRUCT, UNSIGNED, Field, Layouts, MapLayout, Struct

_MAGIC = 0xEB9F
_HEADER = "HBBIIIII"  # magic, version, flags, its own length, then offset and length of types and of strings
_TYPE = "III"  # name, info, and size or another type
# enum in linux/btf.h
_INT, _PTR, _ARRAY, _STRUCT, _UNION, _ENUM, _FWD, _TYPEDEF, _VOLATILE, _CONST, _RESTRICT = range(1, 12)
_FUNC, _FUNC_PROTO, _VAR, _DATASEC, _FLOAT, _DECL_TAG, _TYPE_TAG, _ENUM64 = range(12, 20)
# How many bytes follow a type: fixed ones, and those for each member.
_MORE = {
    **dict.fromkeys((_INT, _VAR, _DECL_TAG), (4, 0)),
    **dict.fromkeys((_ENUM, _FUNC_PROTO), (0, 8)),
    **dict.fromkeys((_STRUCT, _UNION, _DATASEC, _ENUM64), (0, 12)),
    _ARRAY: (12, 0),
}
_SAME = {_TYPEDEF, _VOLATILE, _CONST, _RESTRICT, _TYPE_TAG}  # other names for another type
_INT_SIGNED = 1
_IN_NETWORK_ORDER = {f"__be{bits}" for bits in (16, 32, 64)}
_POINTER_BYTES, _DESCRIPTOR_BYTES = 8, 4
EVENT_OF = "event_of_"  # begins the names of functions that show what events a map has, and that nobody runs
_FORMAT = ".____fmt"  # ends the names of what bpf_printk() is to print
# BTF whose types nest deeper, or that has more fields, counts as damaged.
_DEEPEST = 64
_MOST = 50_000


class MapTypes(NamedTuple):
    """The numbers of the types of a map's keys and values, 0 for none, and their sizes."""

    key: int
    value: int
    key_size: int
    value_size: int


class BadBtfError(ValueError):
    """These bytes are not BTF, or BTF that this module does not understand."""


class _Type(NamedTuple):
    name: int
    kind: int
    members: int
    flag: bool
    rest: int  # size in bytes, or the number of another type
    more: int  # the offset of what follows it


def layouts(data: bytes, maps: Mapping[str, MapTypes], of_events: Collection[str] = ()) -> Layouts:
    """Return the layouts of maps, of functions' parameters, and of all types in them; BadBtfError if damaged.

    In the maps `of_events`, values are events. Their type is what the map's declaration calls its value, or what a
    function `event_of_MAP` points to. If there are such maps, all structs are returned: any may be one of an event.
    """
    try:
        reader = _Reader(data)
        typed = {name: each for name, each in maps.items() if each.value and name not in of_events}
        found = {name: reader.map_layout(types) for name, types in typed.items()}
        reader.add_parameters()
        if of_events:
            found.update((name, each) for name, each in reader.event_types() if name in of_events)
            reader.add_structs()
    except BadBtfError:
        raise
    except (struct.error, IndexError, ValueError, RecursionError) as error:
        raise BadBtfError(f"damaged types: {error}") from error
    return Layouts(found, reader.structs, reader.enums)


def functions_of(data: bytes, context: str) -> set[str]:
    """Return the functions whose only parameter is a pointer to a struct of this name; BadBtfError if damaged."""
    try:
        return set(_Reader(data).functions_of(context))
    except BadBtfError:
        raise
    except (struct.error, IndexError, ValueError) as error:
        raise BadBtfError(f"damaged types: {error}") from error


class _Reader:
    """Reads types when they are needed. `structs` and `enums` are those that were found so far."""

    def __init__(self, data: bytes) -> None:
        self._order = "<" if data[:2] == _MAGIC.to_bytes(2, "little") else ">"
        magic, version, _, length, type_at, type_size, text_at, text_size = self._at(data, _HEADER, 0)
        if (magic, version) != (_MAGIC, 1):
            raise BadBtfError(f"no BTF of version 1: {data[:4].hex()}")
        self._data = data
        self._texts = data[length + text_at : length + text_at + text_size]
        self.structs: dict[str, Struct] = {}
        self.enums: dict[str, dict[str, int]] = {}
        self._names: dict[int, str] = {}  # of structs that were found
        self._fields = 0  # so far
        self._types = self._scan(length + type_at, length + type_at + type_size)

    def _at(self, data: bytes, form: str, at: int) -> tuple[int, ...]:
        return struct.unpack_from(self._order + form, data, at)

    def _scan(self, at: int, end: int) -> list[_Type]:
        """Return all types, by number; the size of each depends on its kind. Number 0 is void."""
        found = [_Type(0, 0, 0, flag=False, rest=0, more=0)]
        read = struct.Struct(self._order + _TYPE)
        while at < end:
            name, info, rest = read.unpack_from(self._data, at)
            kind, count = info >> 24 & 31, info & 0xFFFF
            if not _INT <= kind <= _ENUM64:
                raise BadBtfError(f"a type of kind {kind}")
            at += read.size
            found.append(_Type(name, kind, count, bool(info >> 31), rest, at))
            once, each = _MORE.get(kind, (0, 0))
            at += once + each * count
        return found

    def _text(self, at: int) -> str:
        text = self._texts[at : self._texts.index(b"\0", at)].decode()
        if not text.isprintable():
            raise BadBtfError("a name with characters that could disturb a terminal")
        return text

    def map_layout(self, types: MapTypes) -> MapLayout:
        """Return the types of a map's keys and values."""
        key = self._field("key", types.key, 0) if types.key else Field("key", 0, types.key_size, OTHER, "")
        return MapLayout(key, self._field("value", types.value, 0))

    def add_parameters(self) -> None:
        """Read the types of functions' parameters, and those they point to, also if no map has them."""
        for function in self._types:
            if function.kind == _FUNC:
                each = self._types[function.rest]
                for parameter in range(each.members):
                    _, number = self._at(self._data, "II", each.more + 8 * parameter)
                    bare = self._types[self._bare(number)[0]]
                    self._field("", bare.rest if bare.kind == _PTR else number, 0)

    def event_types(self) -> Iterator[tuple[str, MapLayout]]:
        """Yield names of maps, and the types of the events in them, as far as the file says them."""
        for each in self._types:
            name, number = "", 0
            if each.kind == _VAR:
                name, number = self._text(each.name), self._declared(self._types[self._bare(each.rest)[0]])
            elif each.kind == _FUNC and (function := self._text(each.name)).startswith(EVENT_OF):
                name = function.removeprefix(EVENT_OF)
                takes = self._types[each.rest]
                number = self._at(self._data, "II", takes.more)[1] if takes.members else 0
            bare = self._types[self._bare(number)[0]]
            event = self._field("value", bare.rest, 0) if bare.kind == _PTR else None
            if event and (event.kind == STRUCT or event.size != _DESCRIPTOR_BYTES):  # else of a slot in a perf array
                yield name, MapLayout(Field("key", 0, 0, OTHER, ""), event)

    def _declared(self, each: _Type) -> int:
        """Return the number of a pointer to the type of values, of a struct that declares a map; else 0."""
        if each.kind != _STRUCT:
            return 0
        members = [self._at(self._data, "III", each.more + 12 * member)[:2] for member in range(each.members)]
        numbers = {self._text(text): number for text, number in members}
        return numbers.get("value", 0) if "type" in numbers else 0

    def add_structs(self) -> None:
        """Find all structs that have names."""
        for number, each in enumerate(self._types):
            if each.kind == _STRUCT and each.name and self._text(each.name):
                self._struct(each, number, "")
            elif each.kind == _TYPEDEF:
                self._field("", number, 0)

    def functions_of(self, context: str) -> Iterator[str]:
        """Yield the names of functions whose only parameter is a pointer to a struct of this name."""
        for function in self._types:
            each = self._types[function.rest] if function.kind == _FUNC else None
            if each and each.members == 1:
                _, number = self._at(self._data, "II", each.more)
                pointer = self._types[self._bare(number)[0]]
                pointed = self._types[self._bare(pointer.rest)[0]] if pointer.kind == _PTR else None
                if pointed and pointed.kind in (_STRUCT, _FWD) and self._text(pointed.name) == context:
                    yield self._text(function.name)

    def _bare(self, number: int) -> tuple[int, str]:
        """Return the number of a type behind its typedefs and qualifiers, and the first typedef's name."""
        name = ""
        for _ in range(_DEEPEST):
            each = self._types[number]
            if each.kind not in _SAME:
                return number, name
            if each.kind == _TYPEDEF:
                name = name if name in _IN_NETWORK_ORDER else self._text(each.name)
            number = each.rest
        raise BadBtfError("types that name each other")

    def _field(self, name: str, number: int, offset: int) -> Field:
        """Return a field of this type."""
        counts: list[int] = []
        number, alias = self._bare(number)
        while (each := self._types[number]).kind == _ARRAY:
            element, _, count = self._at(self._data, "III", each.more)
            counts.append(count)
            if len(counts) > _DEEPEST:
                raise BadBtfError("arrays that hold each other")
            number, inner = self._bare(element)
            alias = inner
        size, kind, text = self._element(each, number, alias)
        for count in counts:
            size *= count
        return Field(name, offset, size, kind, text, tuple(counts))

    def _element(self, each: _Type, number: int, alias: str) -> tuple[int, str, str]:
        """Return size, kind and name of a type that is not an array."""
        match each.kind:
            case kind if kind in (_STRUCT, _UNION, _DATASEC):
                return each.rest, STRUCT, self._struct(each, number, alias)
            case kind if kind == _INT:
                (encoding,) = self._at(self._data, "I", each.more)
                sign = SIGNED if encoding >> 24 & _INT_SIGNED else UNSIGNED
                return each.rest, NETWORK if alias in _IN_NETWORK_ORDER else sign, alias or self._text(each.name)
            case kind if kind in (_ENUM, _ENUM64):
                name, is_signed = self._enum(each, alias)
                return each.rest, SIGNED if is_signed else UNSIGNED, name
            case kind if kind == _PTR:
                return _POINTER_BYTES, OTHER, alias or "pointer"
            case kind if kind == _FLOAT:
                return each.rest, OTHER, alias or self._text(each.name)
        return 0, OTHER, alias or self._text(each.name)

    def _enum(self, each: _Type, alias: str) -> tuple[str, bool]:
        """Note an enum; return its name, and whether it has negative numbers."""
        form, step = ("Ii", 8) if each.kind == _ENUM else ("III", 12)
        values: dict[str, int] = {}
        for member in range(each.members):
            text, value, *high = self._at(self._data, form, each.more + step * member)
            value |= high[0] << 32 if high else 0
            values[self._text(text)] = value - (1 << 64) if each.flag and value >> 63 > 0 else value
        name = self._text(each.name) or alias
        if name:
            self.enums.setdefault(name, values)
        return f"enum {name}".rstrip(), any(value < 0 for value in values.values())

    def _struct(self, each: _Type, number: int, alias: str) -> str:
        """Note a struct or union, and return its name."""
        if number in self._names:
            return self._names[number]
        word = {_STRUCT: "struct", _UNION: "union", _DATASEC: "section"}[each.kind]
        name = f"{word} {self._text(each.name) or alias or number}"
        name = f"{name}#{number}" if name in self.structs else name
        self._names[number] = name
        self.structs[name] = Struct(each.rest, ())  # this reserves the name: the members may refer to this struct
        members = self._variables(each) if each.kind == _DATASEC else self._members(each, 0)
        self.structs[name] = Struct(each.rest, tuple(members))
        return name

    def _variables(self, each: _Type) -> list[Field]:
        """Return the global variables of a section, without the texts of bpf_printk()."""
        self._fields += each.members
        if self._fields > _MOST:
            raise BadBtfError("too many variables")
        found: list[Field] = []
        for member in range(each.members):
            number, offset, _ = self._at(self._data, "III", each.more + 12 * member)
            variable = self._types[number]
            if variable.kind != _VAR:
                raise BadBtfError("a section that holds something else than variables")
            if not (name := self._text(variable.name)).endswith(_FORMAT):
                found.append(self._field(name, variable.rest, offset))
        return found

    def _members(self, each: _Type, base: int, depth: int = 0) -> list[Field]:
        """Return the fields of a struct, with those of nameless structs in it; `base` is the struct's own offset."""
        found: list[Field] = []
        self._fields += each.members
        if depth > _DEEPEST or self._fields > _MOST:
            raise BadBtfError("structs that hold each other, or too many")
        for member in range(each.members):
            text, number, where = self._at(self._data, "III", each.more + 12 * member)
            first_bit, bits = (where & 0xFFFFFF, where >> 24) if each.flag else (where, 0)
            name, offset = self._text(text), base + first_bit // 8
            bare = self._types[self._bare(number)[0]]
            if not name and bare.kind in (_STRUCT, _UNION):
                found += self._members(bare, offset, depth + 1)
            elif name:
                field = self._field(name, number, offset)
                found.append(field._replace(first_bit=first_bit % 8, bits=bits) if bits else field)
        return found
