"""Which link is meant by what a person types."""

import pytest

from netlab.errors import UsageError
from netlab.lab import named_links
from netlab.lab.named_links import Link
from netlab.record.impaired import Direction


def link(number: int, a: str, b: str) -> Link:
    """Return a link of two ends, each NODE:INTERFACE."""
    first, second = (tuple(end.split(":")) for end in (a, b))
    names = f"l{number}a", f"l{number}b"
    there = Direction((first[0], first[1]), (second[0], second[1]), *names, None, None)
    return there, Direction(there.receiver, there.sender, *names[::-1], None, None)


LINKS = [
    link(1, "a:eth0", "b:eth0"),
    link(2, "b:eth1", "a:eth1"),
    link(3, "a-b:up", "c:eth0"),
    link(4, "a:x", "b-c:eth0"),
]
DIRECTIONS = [each for one in LINKS for each in one]


@pytest.mark.parametrize(
    ("words", "number"),
    [
        (["a:eth0"], 1),
        (["b:eth1"], 2),
        (["a:eth1", "b"], 2),
        (["b", "a:eth0"], 1),
        (["a:eth0-b"], 1),
        (["c-a-b"], 3),
        (["a-b:up"], 3),
        (["c", "a-b"], 3),
        (["a", "b-c"], 4),
    ],
)
def test_one_link_is_meant(words: list[str], number: int) -> None:
    assert number == named_links.find(DIRECTIONS, words)[0].number


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ([], "which link? there are a-b, b-a, a-b-c"),
        (["a-b"], "a-b means several links: choose one of a:eth0, b:eth1"),
        (["a", "b"], "a b means several links: choose one of a:eth0, b:eth1"),
        (["a-b-c"], "a-b-c means several links: choose one of a-b:up, a:x"),
        (["b", "c"], "no link is called 'b c'; there are a-b, b-a, a-b-c"),
        (["a:eth9"], "no link is called 'a:eth9'; there are a-b, b-a, a-b-c"),
    ],
)
def test_it_is_told_which_there_are(words: list[str], why: str) -> None:
    with pytest.raises(UsageError) as caught:
        named_links.find(DIRECTIONS, words)

    assert str(caught.value) == why


def test_a_lab_without_links() -> None:
    with pytest.raises(UsageError, match="this lab has no link"):
        named_links.find([], ["a-b"])


def test_the_only_link_needs_no_name() -> None:
    assert named_links.find(DIRECTIONS[:2], []) == LINKS[0]


def test_a_side_is_an_end() -> None:
    assert [LINKS[0][1]] == named_links.side(LINKS[0], "b")
    assert [LINKS[0][0]] == named_links.side(LINKS[0], "a:eth0")
    with pytest.raises(UsageError, match="c is at no end of a-b: expected a or b"):
        named_links.side(LINKS[0], "c")
