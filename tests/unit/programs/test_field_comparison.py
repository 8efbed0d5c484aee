"""Builds are compared field by field: what the one has written must mean the same to the other."""

import pytest

from netlab.programs import field_comparison
from netlab.record.layouts import NETWORK, NONE, OTHER, SIGNED, STRUCT, UNSIGNED, Field, Layouts, MapLayout, Struct

KEY = Field("key", 0, 4, UNSIGNED, "unsigned int")
VALUE = Field("value", 0, 24, STRUCT, "struct mine")
A, B = Field("a", 0, 4, UNSIGNED, "__u32"), Field("b", 4, 2, NETWORK, "__be16")
MANY = Field("many", 8, 8, UNSIGNED, "__u16", (4,))
LOW = Field("low", 16, 4, UNSIGNED, "unsigned int", (), 0, 3)


def build(*fields: Field, key: Field = KEY, value: Field = VALUE, **more: Struct) -> Layouts:
    """Return a build with a map whose values have these fields, and further structs."""
    structs = {f"struct {name}": one for name, one in more.items()}
    return Layouts({"m": MapLayout(key, value)}, {"struct mine": Struct(24, fields), **structs}, {})


OLD = build(A, B, MANY, LOW)
CHANGES = {
    "nothing": ((A, B, MANY, LOW), []),
    "the order": ((LOW, MANY, B, A), []),
    "the name of a type": ((A._replace(type="u32"), B, MANY, LOW), []),
    "a field where none was": ((A, B, Field("c", 6, 2, UNSIGNED, "__u16"), MANY, LOW), []),
    "moved": ((A._replace(offset=20), B, MANY, LOW), ["field a at byte 20 instead of 0"]),
    "renamed": ((A._replace(name="z"), B, MANY, LOW), ["field z instead of a, at byte 0"]),
    "gone": ((A, B, MANY), ["field low is gone, which was unsigned int:3 at byte 16, bit 0"]),
    "swapped": (
        (A._replace(offset=4), B._replace(offset=0), MANY, LOW),
        ["field a at byte 4 instead of 0", "field b at byte 0 instead of 4"],
    ),
    "signed": ((A._replace(kind=SIGNED, type="int"), B, MANY, LOW), ["field a of type int instead of __u32"]),
    "byte order": (
        (A, B._replace(kind=UNSIGNED, type="__u16"), MANY, LOW),
        ["field b of type __u16 instead of __be16"],
    ),
    "size": ((A, B, MANY._replace(size=4, counts=(2,)), LOW), ["field many of type __u16[2] instead of __u16[4]"]),
    "bits": ((A, B, MANY, LOW._replace(bits=4)), ["field low of type unsigned int:4 instead of unsigned int:3"]),
    "first bit": ((A, B, MANY, LOW._replace(first_bit=1)), ["field low at byte 16, bit 1 instead of 16, bit 0"]),
    "a pointer": ((A, B, MANY._replace(kind=OTHER), LOW), ["field many of type __u16[4] instead of __u16[4]"]),
}


@pytest.mark.parametrize("name", CHANGES)
def test_fields_must_stand_where_they_stood_and_mean_the_same(name: str) -> None:
    fields, expected = CHANGES[name]

    assert field_comparison.differences("m", OLD, build(*fields)) == expected


def test_structs_in_structs_are_followed_to_their_fields() -> None:
    """By whatever name they go; the path leads to the field."""
    inner, outer = Struct(4, (A,)), Field("in", 0, 4, STRUCT, "struct inner")
    before = build(outer, inner=inner)
    same = build(outer._replace(type="struct other"), other=inner)
    moved = build(outer, inner=Struct(4, (A._replace(name="z"),)))
    no_struct = build(outer._replace(kind=UNSIGNED, type="__u32"))

    assert field_comparison.differences("m", before, same) == []
    assert field_comparison.differences("m", before, moved) == ["field in.z instead of in.a, at byte 0"]
    assert field_comparison.differences("m", before, no_struct) == ["field in of type __u32 instead of struct inner"]


def test_keys_and_values_that_are_no_structs_are_compared_as_a_whole() -> None:
    """Where they have another size, which is said elsewhere, no more is said."""
    number = Field("value", 0, 8, UNSIGNED, "__u64")
    before = build(value=number)
    signed = build(value=number._replace(kind=SIGNED, type="long long"), key=KEY._replace(kind=NETWORK, type="__be32"))
    smaller = build(value=number._replace(size=4, type="__u32"))

    assert field_comparison.differences("m", before, signed) == [
        "keys of type __be32 instead of unsigned int",
        "values of type long long instead of __u64",
    ]
    assert field_comparison.differences("m", before, smaller) == []


def test_keys_have_fields_too() -> None:
    key = Field("key", 0, 24, STRUCT, "struct mine")

    assert field_comparison.differences("m", build(A, key=key, value=KEY), build(B, key=key, value=KEY)) == [
        "key's field a is gone, which was __u32 at byte 0"
    ]


def test_a_build_that_does_not_tell_has_no_differences() -> None:
    assert field_comparison.differences("m", NONE, OLD) == field_comparison.differences("m", OLD, NONE) == []
