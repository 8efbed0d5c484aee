"""What unquoted values mean."""

import pytest

from netlab.topology import document
from netlab.topology.document.scalars import resolve
from netlab.topology.document.tree import Item, Mapping, Scalar, plain


def root(text: str) -> Item:
    return document.parse(text, "lab.yml").root


def value(text: str) -> object:
    """Return what `text` means as the value of a key."""
    return plain(root(f"key: {text}"))["key"]  # type: ignore[index]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *(("true", True), ("True", True), ("TRUE", True), ("false", False), ("FALSE", False)),
        *(("0", 0), ("-0", 0), ("42", 42), ("+42", 42), ("-42", -42), ("0x1F", 31), ("-0x1f", -31)),
        *((".5", 0.5), ("1.", 1.0), ("-1.5", -1.5), ("1e3", 1000.0), ("1.5E-1", 0.15), ("00.5", 0.5)),
        *((".inf", float("inf")), ("-.INF", float("-inf")), ("1e999", float("inf"))),
    ],
)
def test_values_with_a_meaning(text: str, expected: object) -> None:
    """Truth and numbers are what YAML 1.2 makes of them."""
    assert (type(expected), expected) == (type(value(text)), value(text))


@pytest.mark.parametrize(
    "text",
    [
        *("yes", "no", "on", "off", "y", "n", "Yes", "NO", "nul", "truE", "none", "None"),
        *("0755", "00", "-01", "0o17", "0b1", "1_000", "0x", "0xg", "0x1_0", "1:30", "12:30:45", "190:20:30"),
        *(
            "2001-12-14",
            "10.0.0.1",
            "10.0.0.0/8",
            "fd00::1",
            "02:00:00:00:00:01",
            "1e",
            "e1",
            ".",
            "-",
            "+",
            "..",
            "-.e",
        ),
        *("+-5", "1.2.3", "5M", "0.1s", "infinity", "nan", "٣", "²", "9" * 41, "=", "lb:8080"),
    ],
)
def test_text(text: str) -> None:
    """What only looks like a number, a time or a boolean is text, as it was written."""
    assert text == resolve(text)
    assert text == value(f"'{text}'")


def test_quotes_make_text() -> None:
    """A quoted value is text, whatever it looks like."""
    assert ["5", "true", "null", ""] == value("""['5', "true", 'null', ""]""")


def test_the_written_form_is_kept() -> None:
    """A number keeps how it was written, for a role's command line."""
    read = root("{a: 0.10, b: 1e3, c: 0x10}")

    assert isinstance(read, Mapping)
    assert ["0.10", "1e3", "0x10"] == [item.text for _, item in read.pairs if isinstance(item, Scalar)]


@pytest.mark.parametrize("text", ["null", "Null", "NULL", "~", ""])
def test_nothing(text: str) -> None:
    """YAML 1.2 writes nothing in five ways."""
    assert value(text) is None
