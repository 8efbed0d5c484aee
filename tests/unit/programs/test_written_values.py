"""What people write becomes the bytes of a type, or is refused; what is shown can be written back."""

import sys
from pathlib import Path
from typing import Any

import pytest

from netlab.programs.lab_names import LabNames
from netlab.programs.shown_values import Shower, line
from netlab.programs.written_values import Misfit, Writer
from netlab.record.layouts import NETWORK, OTHER, SIGNED, STRUCT, UNSIGNED, Field, Layouts, Struct
from netlab.topology.document.composer import compose
from netlab.topology.document.tree import Item
from tests.unit.described import described

FLOW = Struct(
    8,
    (
        Field("saddr", 0, 4, NETWORK, "__be32"),
        Field("port", 4, 2, NETWORK, "__be16"),
        Field("low", 6, 2, UNSIGNED, "__u16", (), 0, 3),
        Field("high", 6, 2, UNSIGNED, "__u16", (), 3, 5),
    ),
)
ENTRY = Struct(
    48,
    (
        Field("count", 0, 8, UNSIGNED, "__u64"),
        Field("state", 8, 4, UNSIGNED, "enum state"),
        Field("comm", 12, 8, SIGNED, "char", (8,)),
        Field("mac", 20, 6, UNSIGNED, "__u8", (6,)),
        Field("pairs", 26, 4, UNSIGNED, "__u8", (2, 2)),
        Field("six", 32, 16, STRUCT, "struct in6_addr"),
    ),
)
KNOWN = Layouts(
    {},
    {
        "struct flow": FLOW,
        "struct entry": ENTRY,
        "struct in6_addr": Struct(16, (Field("bytes", 0, 16, UNSIGNED, "__u8", (16,)),)),
        "union either": Struct(4, (Field("a", 0, 4, UNSIGNED, "int"), Field("b", 0, 1, UNSIGNED, "char"))),
    },
    {"state": {"IDLE": 0, "BUSY": 7}},
)
LAB = """
name: x
nodes: {client: {}, lb: {}, worker: {replicas: 2}}
links: [[client, lb], [lb, worker]]
"""


@pytest.fixture
def names(tmp_path: Path) -> LabNames:
    return LabNames(described(LAB, tmp_path), "lb")


def item(text: str) -> Item:
    return compose(text, [])


def native(number: int, size: int) -> bytes:
    return number.to_bytes(size, sys.byteorder, signed=number < 0)


U32, INT, U16, U64 = (
    Field("", 0, 4, UNSIGNED, "__u32"),
    Field("", 0, 4, SIGNED, "int"),
    Field("", 0, 2, UNSIGNED, "__u16"),
    Field("", 0, 8, UNSIGNED, "__u64"),
)
COMM, MAC = Field("", 0, 8, SIGNED, "char", (8,)), Field("", 0, 6, UNSIGNED, "__u8", (6,))
IN6, PREFIX = Field("", 0, 16, STRUCT, "struct in6_addr"), Field("", 0, 8, UNSIGNED, "__u8", (8,))


@pytest.mark.parametrize(
    ("field", "text", "expected"),
    [
        (U32, "5", native(5, 4)),
        (U32, "0x10", native(16, 4)),
        (INT, "-2", native(-2, 4)),
        (U32, "true", native(1, 4)),
        (U32, "10.1.2.3", bytes((10, 1, 2, 3))),  # as it is in a packet
        (U32, "client", bytes((10, 0, 0, 1))),
        (U32, "worker2", bytes((10, 0, 2, 2))),
        (U32, "client.eth0", native(16, 4)),
        (U32, "eth1", native(17, 4)),
        (U64, "lb.eth2", native(18, 8)),
        (Field("", 0, 2, NETWORK, "__be16"), "80", b"\0P"),
        (Field("", 0, 4, UNSIGNED, "enum state"), "BUSY", native(7, 4)),
        (COMM, "hello", b"hello\0\0\0"),
        (COMM, "client", b"client\0\0"),  # a text, not an address
        (MAC, "02:00:00:00:00:07", bytes((2, 0, 0, 0, 0, 7))),
        (MAC, "client", bytes.fromhex("026e00000000")),
        (MAC, "lb.eth1", bytes.fromhex("026e00000100")),
        (MAC, "[1, 2]", b"\1\2\0\0\0\0"),
        (IN6, '"fd00::9"', b"\xfd" + bytes(14) + b"\x09"),
        (IN6, "client", b"\xfd" + bytes(14) + b"\1"),
        (Field("", 0, 3, UNSIGNED, "", (3,)), "0x0102ff", b"\1\2\xff"),
        (Field("", 0, 4, UNSIGNED, ""), "7", native(7, 4)),
        (Field("", 0, 8, OTHER, "pointer"), "0x0102030405060708", bytes(range(1, 9))),
        (
            Field("", 0, 8, STRUCT, "struct flow"),
            "{saddr: 1.2.3.4, port: 80, low: 5, high: 31}",
            bytes((1, 2, 3, 4, 0, 80)) + b"\xfd\0",
        ),
        (Field("", 0, 8, STRUCT, "struct flow"), '"{saddr: client}"', bytes((10, 0, 0, 1, 0, 0, 0, 0))),
    ],
)
def test_what_is_written(names: LabNames, field: Field, text: str, expected: bytes) -> None:
    assert Writer(KNOWN, names).value(field, item(text), "") == expected


@pytest.mark.parametrize(
    ("field", "text", "message"),
    [
        (U32, "-1", "expected a number from 0 to 4294967295 for __u32, found -1"),
        (U32, "4294967296", "expected a number from 0 to 4294967295 for __u32, found 4294967296"),
        (INT, "2147483648", "expected a number from -2147483648 to 2147483647 for int, found 2147483648"),
        (U32, "nobody", "expected a number from 0 to 4294967295 for __u32, found 'nobody'"),
        (U32, "lb", "expected one address, found 'lb' (lb has 10.0.0.2, 10.0.1.1, 10.0.2.1)"),
        (U16, "client.eth0", "expected a number from 0 to 65535 for __u16, found 'client.eth0'"),
        (U16, "10.0.0.1", "expected a number from 0 to 65535 for __u16, found '10.0.0.1'"),
        (MAC, "lb", "expected one MAC, found 'lb' (lb has several interfaces: name one, such as lb.eth0)"),
        (MAC, "[1, 2, 3, 4, 5, 6, 7]", "expected a list of at most 6 values, found a list (this one has 7)"),
        (MAC, "[256]", "expected a number from 0 to 255 for __u8, found 256"),
        (COMM, "much too long", "expected a text of at most 8 bytes, found 'much too long' (this one has 13)"),
        (
            Field("", 0, 4, UNSIGNED, "enum state"),
            "BUSSY",
            "expected a number from 0 to 4294967295 for enum state, found 'BUSSY' (did you mean 'BUSY'?)",
        ),
        (
            Field("", 0, 8, STRUCT, "struct flow"),
            "{sadr: 1}",
            "expected a field of struct flow, found 'sadr' (did you mean 'saddr'?)",
        ),
        (
            Field("", 0, 8, STRUCT, "struct flow"),
            "5",
            "expected a mapping for struct flow, found 5 (its fields: saddr, port, low, high)",
        ),
        (Field("", 0, 8, STRUCT, "struct flow"), "{low: 8}", "expected a number from 0 to 7 for __u16, found 8"),
        (
            Field("", 0, 4, STRUCT, "union either"),
            "{a: 1, b: 2}",
            "expected one field of union either, found a mapping (its fields share their bytes)",
        ),
        (
            Field("", 0, 3, UNSIGNED, ""),
            "five",
            "expected 0x and 6 hexadecimal digits, or a number, found 'five' (the program has no BTF for this type)",
        ),
    ],
)
def test_what_is_refused(names: LabNames, field: Field, text: str, message: str) -> None:
    with pytest.raises(Misfit) as caught:
        Writer(KNOWN, names).value(field, item(text), "")

    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10.0.0.0/8", native(8, 4) + bytes((10, 0, 0, 0))),
        ("10.1.2.3", native(32, 4) + bytes((10, 1, 2, 3))),
        ("client", native(32, 4) + bytes((10, 0, 0, 1))),
        ("client/24", native(24, 4) + bytes((10, 0, 0, 1))),
    ],
)
def test_keys_of_tries_are_networks(names: LabNames, text: str, expected: bytes) -> None:
    data = Writer(KNOWN, names).prefix(PREFIX, item(text), "")

    assert data == expected
    assert Shower(KNOWN, names).prefix(PREFIX, data).split("/")[0] == ".".join(map(str, expected[4:]))


@pytest.mark.parametrize("text", ["10.0.0.0/33", "hello", "10.0.0.0/", "10.0.0.0/-1", "'fd00::/16'"])
def test_what_is_no_network_is_refused(names: LabNames, text: str) -> None:
    with pytest.raises(Misfit, match=r"expected a network such as 10\.0\.0\.0/8, found"):
        Writer(KNOWN, names).prefix(PREFIX, item(text), "")


def test_what_is_shown_can_be_written_back(names: LabNames) -> None:
    field = Field("value", 0, 48, STRUCT, "struct entry")
    text = "{count: 9, state: BUSY, comm: 'a, b', mac: lb.eth1, pairs: [[1, 2], [3]], six: fd00::7}"
    data = Writer(KNOWN, names).value(field, item(text), "")

    shown = Shower(KNOWN, names).value(field, data)

    assert shown == {
        "count": 9,
        "state": "BUSY",
        "comm": "a, b",
        "mac": "02:6e:00:00:01:00",
        "pairs": [[1, 2], [3, 0]],
        "six": "fd00::7",
    }
    assert Writer(KNOWN, names).value(field, item(line(shown)), "") == data


@pytest.mark.parametrize(
    ("field", "data", "expected"),
    [
        (U32, native(7, 4), 7),
        (INT, native(-7, 4), -7),
        (Field("saddr", 0, 4, UNSIGNED, "__u32"), bytes((1, 2, 3, 4)), "1.2.3.4"),
        (Field("reads", 0, 4, UNSIGNED, "__u32"), native(3, 4), 3),
        (Field("x", 0, 4, NETWORK, "__be32"), bytes((1, 2, 3, 4)), "1.2.3.4"),
        (COMM, b"ab\0\0\0\0\0\0", "ab"),
        (COMM, b"a\0b\0\0\0\0\0", "0x6100620000000000"),
        (COMM, b"\xff\0\0\0\0\0\0\0", "0xff00000000000000"),
        (Field("", 0, 4, UNSIGNED, "enum state"), native(7, 4), "BUSY"),
        (Field("", 0, 4, UNSIGNED, "enum state"), native(8, 4), 8),
        (Field("", 0, 4, UNSIGNED, ""), bytes((1, 2, 3, 4)), "0x01020304"),
        (U32, b"\1\2", "0x0102"),
    ],
)
def test_what_is_shown(names: LabNames, field: Field, data: bytes, expected: Any) -> None:
    assert Shower(KNOWN, names).value(field, data) == expected


def test_a_key_in_a_subnet_of_the_lab_is_an_address(names: LabNames) -> None:
    """Many programs have addresses as plain numbers."""
    shower = Shower(KNOWN, names)

    assert shower.key(U32, bytes((10, 0, 1, 77))) == "10.0.1.77"
    assert shower.key(U32, bytes((9, 0, 1, 77))) == int.from_bytes(bytes((9, 0, 1, 77)), sys.byteorder)
    assert shower.key(U32, bytes((9, 0, 1, 77)), is_address=True) == "9.0.1.77"
    assert shower.value(U32, bytes((10, 0, 1, 77))) == int.from_bytes(bytes((10, 0, 1, 77)), sys.byteorder)


def test_a_devmap_takes_what_leads_out_of_the_node(names: LabNames) -> None:
    """An index means something in its own namespace only: one at the other end of a link stands for this end."""
    assert [names.device(each) for each in ("eth1", "lb.eth1", "worker1.eth0", "client.eth0")] == [17, 17, 17, 16]
    with pytest.raises(ValueError, match="an interface of lb"):
        names.device("client")
