"""A play as a picture."""

from netlab.demo import picture
from tests.unit.demo.test_parta import recorded


def test_the_picture_has_arrows_for_packets_and_words_for_verdicts() -> None:
    drawn = picture.draw(recorded()).splitlines()

    assert drawn[0].split() == ["client", "server"]
    assert (
        sum("►" in line for line in drawn) == 16
    )  # ten bytes, a FIN, and what there is room for of the next connection
    assert sum("even: dropped" in line for line in drawn) == 7
    assert sum("arrives" in line for line in drawn) == 7
    lifelines = {line.index("│") for line in drawn[1:]}
    assert len(lifelines) == 1


def test_who_is_no_node_is_not_in_the_picture() -> None:
    """A balancer of one's own, which netlab does not know, may print the names that it likes."""
    printed = [
        ("client", "out", 'request #1 to 10.0.0.1:5000: "0.5" (3 bytes)'),
        ("server", "trace", "forward #1 to nobody, free 0"),
        ("server", "trace", "queue #2, depth 1"),
    ]
    lines = [
        {"monotonic_ns": at, "node": node, "stream": how, "text": text} for at, (node, how, text) in enumerate(printed)
    ]

    drawn = picture.draw(recorded(lambda _: lines)).splitlines()

    assert ["server"] == drawn[0].split()
    assert ["#2 waits, depth 1" in line for line in drawn[1:]] == [True]


def test_a_picture_of_nothing_is_empty() -> None:
    assert picture.draw(recorded(lambda _: [])) == ""
