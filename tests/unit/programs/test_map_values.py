"""Values are read and written by the names of their fields, wherever a build has them."""

import json
import os
from pathlib import Path

import pytest

from netlab.errors import NetlabError
from netlab.programs import map_values
from netlab.programs.map_values import Fields, Types
from netlab.record import layouts
from netlab.record.layouts import NETWORK, NONE, OTHER, SIGNED, STRUCT, UNSIGNED, Field, Layouts, MapLayout, Struct

MINE = Struct(
    40,
    (
        Field("count", 4, 4, UNSIGNED, "__u32"),
        Field("change", 8, 2, SIGNED, "short"),
        Field("port", 10, 2, NETWORK, "__be16"),
        Field("rows", 12, 12, UNSIGNED, "__u16", (2, 3)),
        Field("name", 24, 8, SIGNED, "char", (8,)),
        Field("inner", 32, 4, STRUCT, "struct inner"),
        Field("next", 36, 4, OTHER, "pointer"),
        Field("low", 0, 4, UNSIGNED, "unsigned int", (), 0, 3),
    ),
)
KNOWN = Layouts(
    {"m": MapLayout(Field("key", 0, 4, SIGNED, "int"), Field("value", 0, 40, STRUCT, "struct mine"))},
    {"struct mine": MINE, "struct inner": Struct(4, (Field("a", 0, 4, UNSIGNED, "__u32"),))},
    {"reason": {"PASSED": 0, "DROPPED": 1}},
)


@pytest.fixture
def fields() -> Fields:
    return Types(KNOWN).struct("mine")


def test_fields_are_written_and_read_by_name(fields: Fields) -> None:
    """Numbers of either sign and order, arrays, bytes; what is not given is zero, and shorter ones are filled up."""
    value = fields.of(fields.pack(count=7, change=-2, port=8080, rows=(1, 2), name=b"left", inner=b"\1\0\0\0"))

    assert (value["count"], value["change"], value["port"]) == (7, -2, 8080)
    assert value["rows"] == (1, 2, 0, 0, 0, 0)
    assert (value["name"], value["inner"], value["next"]) == (b"left\0\0\0\0", b"\1\0\0\0", bytes(4))
    assert value.data[10:12] == (8080).to_bytes(2)
    assert len(value.data) == 40


def test_other_fields_stay_as_they_are(fields: Fields) -> None:
    before = bytes(range(40))
    after = fields.put(before, count=0x91929394)

    assert after[fields.slice("count")] in (b"\x94\x93\x92\x91", b"\x91\x92\x93\x94")
    assert [at for at in range(40) if after[at] != before[at]] == list(range(4, 8))


def test_many_are_read_at_once(fields: Fields) -> None:
    """In the order in which they are asked for; one that needs more than that is refused."""
    data = b"".join(fields.pack(count=number, change=-number, rows=(number,)) for number in range(3))

    assert list(fields.rows(data, "count", "change")) == [(number, -number) for number in range(3)]
    assert list(fields.rows(data, "change", "count")) == [(-number, number) for number in range(3)]
    assert list(fields.rows(data, "change")) == [(-number,) for number in range(3)]
    for name in ("port", "rows"):
        with pytest.raises(ValueError, match=f"{name} of struct mine is no number in the host's byte order"):
            fields.rows(data, name)


def test_what_is_too_large_is_refused(fields: Fields) -> None:
    with pytest.raises(ValueError, match="name has 8 bytes, not 9"):
        fields.pack(name=b"too large")


def test_what_a_program_has_not_got_is_named(fields: Fields) -> None:
    types = Types(KNOWN)
    for ask, message in (
        (lambda: fields.field("depth"), "struct mine has no field depth, which netlab needs; it has count, change"),
        (lambda: types.struct("state"), "the program has no struct state, which netlab needs"),
        (lambda: types.enum("policy"), "the program has no `enum policy`"),
        (lambda: fields.get(bytes(40), "low"), "low of struct mine is a bit field"),
    ):
        with pytest.raises(NetlabError, match=message):
            ask()


def test_a_file_is_read_once_until_another_takes_its_place(tmp_path: Path) -> None:
    path = str(tmp_path / "layouts" / "one.json")
    os.mkdir(tmp_path / "layouts")
    layouts.write(path, KNOWN)
    first = map_values.types(path)
    assert map_values.types(path) is first
    assert first.layouts == KNOWN
    assert first.value("m").size == 40

    layouts.write(path, NONE)
    assert map_values.types(path).layouts == NONE


def test_a_file_that_is_missing_or_damaged_says_so(tmp_path: Path) -> None:
    """With where, what and what to do."""
    path = tmp_path / "one.json"
    with pytest.raises(NetlabError, match=r"one\.json, which says how .* is not there: netlab down, and netlab up"):
        map_values.types(str(path))

    path.write_text(json.dumps({"maps": {}, "structs": {"struct a": {"size": -1, "fields": []}}, "enums": {}}))
    with pytest.raises(NetlabError, match=r"is damaged \(structs\.struct a\.size: expected a whole number from 0 on"):
        map_values.types(str(path))
