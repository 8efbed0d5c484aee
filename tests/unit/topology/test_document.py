"""YAML text → tree: what values mean, where they stand, and files that are no topology."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from netlab.errors import TopologyError, UsageError
from netlab.topology import document
from netlab.topology.document.scalars import resolve
from netlab.topology.document.source import MAX_BYTES
from netlab.topology.document.tree import Item, Mapping, Scalar, Sequence, plain
from tests.checkout import ROOT


def root(text: str) -> Item:
    return document.parse(text, "lab.yml").root


def value(text: str) -> object:
    """Return what `text` means as the value of a key."""
    return plain(root(f"key: {text}"))["key"]  # type: ignore[index]


def messages(text: str) -> list[str]:
    with pytest.raises(TopologyError) as caught:
        document.parse(text, "lab.yml")
    return str(caught.value).split("\n")


def refused(path: str | os.PathLike[str]) -> str:
    """Return why a file is refused."""
    with pytest.raises(UsageError) as caught:
        document.load(str(path))
    return str(caught.value)


def test_every_value_knows_its_place() -> None:
    """Lines and columns count from 1, and columns in characters, not in bytes."""
    read = root('name: lab\nö: {b: [1, "x"],\n    c: }\n')

    assert isinstance(read, Mapping)
    key, inner = read.pairs[1]
    assert isinstance(inner, Mapping)
    (b, entries), (c, nothing) = inner.pairs
    assert isinstance(entries, Sequence)
    assert [(2, 1), (2, 4), (2, 5), (2, 8), (2, 9), (2, 12), (3, 5), (3, 8)] == [
        (item.line, item.column) for item in (key, inner, b, entries, *entries.items, c, nothing)
    ]


@pytest.mark.parametrize("text", ["null", "Null", "NULL", "~", ""])
def test_nothing(text: str) -> None:
    """YAML 1.2 writes nothing in five ways."""
    assert value(text) is None


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


def test_merge_keys() -> None:
    """What is written wins over what is merged, and the first mapping over the second."""
    read = plain(root("a: &a {k: 1, l: 1}\nb: &b {l: 2, m: 2}\nc: {<<: [*a, *b], k: 0}\nd: {<<: *b}\n"))

    assert {"k": 0, "l": 1, "m": 2} == read["c"]  # type: ignore[index]
    assert {"l": 2, "m": 2} == read["d"]  # type: ignore[index]


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    """Editors that write one do no harm."""
    path = tmp_path / "lab.yml"
    path.write_bytes(b"\xef\xbb\xbfname: lab\r\nnodes:\r\n  a:\r\n")

    assert {"name": "lab", "nodes": {"a": None}} == plain(document.load(str(path)).root)


def test_mistakes_before_a_syntax_error_are_reported_too() -> None:
    """A file that ends in the middle still shows what was wrong before."""
    assert ["lab.yml:2:1: a", "lab.yml:3:4"] == [line.split(": expected")[0] for line in messages("a: 1\na: 2\nb: [")][
        :2
    ] or (messages("a: 1\na: 2\nb: ["))


@pytest.mark.parametrize("aliases", [8, 9])
def test_aliases_count_as_written_out(aliases: int) -> None:
    """Up to 200,000 values may be meant, however few are written."""
    lines = ["a0: &a0 [" + "x, " * 9 + "]"]
    lines += [f"a{level}: &a{level} [" + f"*a{level - 1}, " * aliases + "]" for level in range(1, 6)]

    assert "expected at most 200,000 values" in messages("\n".join(lines))[0]


def test_wide_aliases_are_no_crime() -> None:
    """Many aliases of one small mapping are fine."""
    read = plain(root("a: &a {k: v}\nb: [" + "*a, " * 1000 + "]"))

    assert [{"k": "v"}] * 1000 == read["b"]  # type: ignore[index]


def test_depth_through_aliases_is_depth() -> None:
    """Nesting that is only reached through aliases is limited as well."""
    lines = ["a0: &a0 [x]"] + [f"a{level}: &a{level} [*a{level - 1}]" for level in range(1, 60)]

    assert "levels" in messages("\n".join(lines))[0]


def test_a_directory(tmp_path: Path) -> None:
    """A directory is named as what it is."""
    assert f"{tmp_path}: expected a topology, found a directory (name a regular file)" == refused(tmp_path)


def test_a_missing_file(tmp_path: Path) -> None:
    """A file that is not there is said to be missing."""
    assert "found no such file" in refused(tmp_path / "none.yml")


@pytest.mark.parametrize("name", ["partb", "partb.yml", "somewhere/partb.yml"])
def test_a_missing_file_that_netlab_has(name: str) -> None:
    """The path of a topology of netlab's own is shown to who names it without its folder."""
    assert f"(netlab's own is {ROOT}/topologies/partb.yml)" in refused(f"/nonexistent/{name}")


@pytest.mark.parametrize("path", ["", "a\0b", "x" * 5000, "/dev/null/lab.yml", "\udcff.yml"])
def test_paths_that_no_file_has(path: str) -> None:
    """A name that cannot be a file's is refused like a missing file."""
    assert "expected" in refused(path)


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/null", "/dev/tty", "/proc/self/mem", "/proc/self/ns/net"])
def test_special_files_do_not_hang(path: str) -> None:
    """Devices and what else is no file with text is refused at once."""
    if not os.path.exists(path):
        pytest.skip(f"no {path} here")
    with pytest.raises(UsageError):
        document.load(path)


def test_a_pipe_does_not_hang(tmp_path: Path) -> None:
    """Nobody will ever write to this pipe."""
    os.mkfifo(tmp_path / "pipe")

    assert "a device, pipe or socket" in refused(tmp_path / "pipe")


def test_a_socket(tmp_path: Path) -> None:
    """A socket cannot even be opened."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))

        assert "expected a topology that can be read" in refused(tmp_path / "socket")


def test_an_unreadable_file(tmp_path: Path) -> None:
    """A file that we may not read is said to be so."""
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    path = tmp_path / "lab.yml"
    path.touch(mode=0)

    assert "Permission denied" in refused(path)


@pytest.mark.parametrize("size", [MAX_BYTES, MAX_BYTES + 1])
def test_the_size_limit(size: int, tmp_path: Path) -> None:
    """A file of the greatest size is read, one more byte is too much."""
    path = tmp_path / "lab.yml"
    path.write_bytes(b"name: lab\n".ljust(size, b"#"))
    if size == MAX_BYTES:
        assert plain(document.load(str(path)).root) == {"name": "lab"}
        return

    assert "expected a topology of at most 1,048,576 bytes" in refused(path)


def test_a_huge_sparse_file_is_not_read_whole(tmp_path: Path) -> None:
    """A terabyte of nothing is refused as fast as a megabyte."""
    path = tmp_path / "lab.yml"
    with open(path, "wb") as file:
        file.truncate(1 << 40)

    assert "found a longer file" in refused(path)


def test_yaml_is_imported_only_to_read() -> None:
    """What only needs the tree does not wait for the YAML library."""
    code = "import sys, netlab.topology.document, netlab.topology.validate; sys.exit('yaml' in sys.modules)"

    assert 0 == subprocess.run([sys.executable, "-c", code], check=False, cwd=ROOT).returncode
