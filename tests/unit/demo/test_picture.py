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


def test_a_picture_of_nothing_is_empty() -> None:
    assert picture.draw(recorded(lambda _: [])) == ""
