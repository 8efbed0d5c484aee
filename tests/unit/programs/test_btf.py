"""Types are read from their bytes: what fields stand where, in structs of any program."""

import struct
from collections.abc import Sequence

import pytest

from netlab.programs import btf
from netlab.programs.btf import BadBtfError, MapTypes
from netlab.record.layouts import Field, Layouts, Struct

# enum in linux/btf.h
INT, PTR, ARRAY, STRUCT, UNION, ENUM, FWD, TYPEDEF, VOLATILE, CONST, RESTRICT, FUNC, FUNC_PROTO = range(1, 14)
VAR, DATASEC, FLOAT, ENUM64 = 14, 15, 16, 19
SIGNED = 1 << 24
FLAG = 1 << 31


class Types:
    """Types as a compiler writes them; each gets the next number, from 1 on."""

    def __init__(self, order: str = "=") -> None:
        self.order = order
        self.texts = b"\0"
        self.types = b""
        self.count = 0

    def text(self, text: str) -> int:
        at = len(self.texts)
        self.texts += text.encode() + b"\0"
        return at if text else 0

    def add(self, kind: int, name: str = "", members: int = 0, rest: int = 0, more: Sequence[int] = ()) -> int:
        """Add a type, and the numbers that follow it; `members` may have the FLAG."""
        self.count += 1
        self.types += struct.pack(f"{self.order}III{len(more)}I", self.text(name), kind << 24 | members, rest, *more)
        return self.count

    def integer(self, name: str, size: int, encoding: int = 0) -> int:
        return self.add(INT, name, 0, size, [encoding | size * 8])

    def array(self, element: int, length: int) -> int:
        return self.add(ARRAY, more=[element, element, length])

    def struct(self, name: str, size: int, *members: tuple[str, int, int], kind: int = STRUCT, flag: int = 0) -> int:
        """Add a struct; a member is its name, its type, and its place in bits, with the FLAG its width << 24 too."""
        more = [number for text, kind_of, at in members for number in (self.text(text), kind_of, at)]
        return self.add(kind, name, len(members) | flag, size, more)

    def enum(self, name: str, **values: int) -> int:
        more = [number for text, value in values.items() for number in (self.text(text), value % 2**32)]
        return self.add(ENUM, name, len(values), 4, more)

    def bytes(self) -> bytes:
        size = len(self.types)
        header = struct.pack(f"{self.order}HBBIIIII", 0xEB9F, 1, 0, 24, 0, size, size, len(self.texts))
        return header + self.types + self.texts


def value_of(types: Types, value: int, size: int = 8) -> Layouts:
    """Return the layouts of a map whose values are of a type."""
    return btf.layouts(types.bytes(), {"mine": MapTypes(0, value, 4, size)})


@pytest.mark.parametrize("order", ["<", ">"])
def test_fields_have_names_places_and_types(order: str) -> None:
    """In either byte order: numbers, their other names, arrays of arrays, bytes, and structs in structs."""
    types = Types(order)
    u32, u16 = types.integer("unsigned int", 4), types.integer("unsigned short", 2)
    text, s64 = types.integer("char", 1, SIGNED), types.integer("long long", 8, SIGNED)
    named = types.add(TYPEDEF, "__u32", rest=types.add(CONST, rest=u32))
    port = types.add(TYPEDEF, "port", rest=types.add(TYPEDEF, "__be16", rest=u16))
    rows = types.array(types.array(named, 3), 2)
    inner = types.struct("inner", 4, ("a", u16, 0), ("b", port, 16))
    outer = types.struct(
        "outer",
        64,
        *(("count", named, 0), ("port", port, 32), ("rows", rows, 64), ("text", types.array(text, 8), 256)),
        *(("inner", inner, 320), ("many", types.array(inner, 2), 352), ("last", s64, 448)),
    )

    found = value_of(types, outer)

    assert found.structs["struct outer"] == Struct(
        64,
        (
            Field("count", 0, 4, "unsigned", "__u32"),
            Field("port", 4, 2, "network", "__be16"),
            Field("rows", 8, 24, "unsigned", "__u32", (2, 3)),
            Field("text", 32, 8, "signed", "char", (8,)),
            Field("inner", 40, 4, "struct", "struct inner"),
            Field("many", 44, 8, "struct", "struct inner", (2,)),
            Field("last", 56, 8, "signed", "long long"),
        ),
    )
    assert found.structs["struct inner"].fields[1] == Field("b", 2, 2, "network", "__be16")
    assert found.maps["mine"].value == Field("value", 0, 64, "struct", "struct outer")
    assert found.maps["mine"].key == Field("key", 0, 4, "other", "")  # BTF says nothing of it


def test_nameless_parts_and_bit_fields_stand_where_they_are() -> None:
    """Those of a nameless union in a struct are its own, as in C; a bit field says which bits."""
    types = Types()
    u32 = types.integer("unsigned int", 4)
    inner = types.struct("", 4, ("low", u32, 3 << 24), ("high", u32, 3 | 9 << 24), flag=FLAG >> 0)
    either = types.struct("", 4, ("a", u32, 0), ("", inner, 0), kind=UNION)
    outer = types.struct("outer", 12, ("first", u32, 0), ("", either, 32), ("named", either, 64))

    found = value_of(types, outer).structs

    assert [field for field in found["struct outer"].fields if field.name != "named"] == [
        Field("first", 0, 4, "unsigned", "unsigned int"),
        Field("a", 4, 4, "unsigned", "unsigned int"),
        Field("low", 4, 4, "unsigned", "unsigned int", (), 0, 3),
        Field("high", 4, 4, "unsigned", "unsigned int", (), 3, 9),
    ]
    named = found["struct outer"].fields[-1]
    assert (named.offset, found[named.type].size) == (8, 4)


def test_a_section_has_its_global_variables_for_fields() -> None:
    """Those of functions have two names; the texts of bpf_printk() are left out."""
    types = Types()
    number = types.integer("int", 4, SIGNED)
    variables = [types.add(VAR, name, 0, number, [1]) for name in ("level", "f.once", "f.____fmt")]
    more = [part for at, each in enumerate(variables) for part in (each, 4 * at, 4)]
    section = types.add(DATASEC, ".data", len(variables), 12, more)
    found = value_of(types, section, 12)

    assert found.maps["mine"].value.type == "section .data"
    assert found.structs["section .data"] == Struct(
        12, (Field("level", 0, 4, "signed", "int"), Field("f.once", 4, 4, "signed", "int"))
    )


def test_what_cannot_be_said_has_its_size() -> None:
    """Pointers, in circles too, floats, and structs of which only the name is known."""
    types = Types()
    pointer, node, double, far, hidden = range(1, 6)
    types.add(PTR, rest=node)
    types.struct("node", 32, ("next", pointer, 0), ("weight", double, 64), ("far", far, 128))
    types.add(FLOAT, "double", rest=8)
    types.add(PTR, rest=hidden)
    types.add(FWD, "hidden")

    fields = value_of(types, node).structs["struct node"].fields

    assert [(field.name, field.size, field.kind, field.type) for field in fields] == [
        ("next", 8, "other", "pointer"),
        ("weight", 8, "other", "double"),
        ("far", 8, "other", "pointer"),
    ]


def test_enums_are_found_by_what_functions_take() -> None:
    """One that no map holds is in BTF where a function has a pointer to it, or to a union that holds it."""
    types = Types()
    reason = types.enum("reason", PASSED=0, DROPPED=7)
    other = types.enum("other", LOW=-2)
    union = types.struct("both", 4, ("other", other, 0), kind=UNION)
    unused = types.enum("unused", X=1)
    for number, kind in enumerate((reason, union)):
        proto = types.add(FUNC_PROTO, members=1, more=[types.text("unused"), types.add(PTR, rest=kind)])
        types.add(FUNC, f"f{number}", members=1, rest=proto)
    big = types.add(ENUM64, "big", 1 | FLAG, 8, [types.text("HUGE"), 0xFFFFFFFE, 0xFFFFFFFF])

    found = value_of(types, big)

    assert unused
    assert found.enums == {"reason": {"PASSED": 0, "DROPPED": 7}, "other": {"LOW": -2}, "big": {"HUGE": -2}}
    assert found.structs["union both"].fields[0].kind == "signed"


def function(types: Types, name: str, *takes: int) -> None:
    """Add a function that takes these."""
    proto = types.add(FUNC_PROTO, members=len(takes), more=[number for each in takes for number in (0, each)])
    types.add(FUNC, name, members=1, rest=proto)


def test_functions_are_found_by_what_they_take() -> None:
    """One pointer to a struct of a name, whatever other names that has, and nothing else."""
    types = Types()
    context, other = types.struct("context", 4), types.struct("other", 4)
    pointer = types.add(PTR, rest=context)
    function(types, "plain", pointer)
    function(types, "constant", types.add(PTR, rest=types.add(CONST, rest=context)))
    function(types, "renamed", types.add(TYPEDEF, "p", rest=types.add(PTR, rest=types.add(TYPEDEF, "c", rest=context))))
    function(types, "declared", types.add(PTR, rest=types.add(FWD, "context")))
    function(types, "nothing")
    function(types, "two", pointer, pointer)
    function(types, "value", context)
    function(types, "another", types.add(PTR, rest=other))
    function(types, "further", types.add(PTR, rest=pointer))

    assert btf.functions_of(types.bytes(), "context") == {"plain", "constant", "renamed", "declared"}


@pytest.mark.parametrize("damage", [b"", b"\x9f\xeb\x01\x00", bytes(64)])
def test_functions_of_damaged_types_are_refused(damage: bytes) -> None:
    with pytest.raises(BadBtfError):
        btf.functions_of(damage, "context")


def circle(types: Types) -> int:
    """Return a type that is another name for itself."""
    return types.add(TYPEDEF, "same", rest=types.count + 1)


def endless(types: Types) -> int:
    """Return an array of itself."""
    return types.add(ARRAY, more=[types.count + 1, 0, 2])


def nested(types: Types) -> int:
    """Return a struct that has itself as a nameless part."""
    return types.struct("outer", 8, ("", types.count + 1, 0))


@pytest.mark.parametrize("damage", [circle, endless, nested])
def test_types_without_an_end_are_refused(damage: object) -> None:
    """No compiler writes them; a reader must end all the same."""
    types = Types()
    assert callable(damage)
    number = damage(types)

    with pytest.raises(BadBtfError):
        value_of(types, number)


def test_a_name_that_would_disturb_a_terminal_is_refused() -> None:
    """An object may have any; `maps` would show it."""
    types = Types()
    number = types.struct("outer", 4, ("\x1b[2J", types.integer("int", 4), 0))

    with pytest.raises(BadBtfError, match="disturb a terminal"):
        value_of(types, number)


def test_damaged_bytes_are_refused() -> None:
    """Wherever they end, whatever a byte is: they are read, or refused by the one error, and nothing else."""
    types = Types()
    u32 = types.integer("unsigned int", 4)
    good = Types.bytes(types)
    types.struct("outer", 8, ("a", u32, 0), ("b", types.enum("e", A=0), 32))
    good = types.bytes()
    refused = 0
    for at in range(len(good)):
        for damaged in (good[:at], good[:at] + b"\xff" + good[at + 1 :], good[:at] + b"\x00" + good[at + 1 :]):
            try:
                btf.layouts(damaged, {"mine": MapTypes(u32, u32 + 2, 4, 8)})
            except BadBtfError:
                refused += 1

    assert refused > len(good)
