"""The requests that netlab sends itself."""

from itertools import islice

import pytest

from netlab.demo import scenes, sending
from netlab.demo.extras import Script


@pytest.mark.parametrize(("sleep", "number"), [((0.2, 0.5), 300), ((0.7, 1.0), 5000), ((0.5, 0.5), 1)])
def test_no_two_ask_for_the_same(sleep: tuple[float, float], number: int) -> None:
    found = list(islice(sending.distinct(sleep, {b"0.300"}), number))

    assert len(set(found)) == number
    assert "0.300" not in found
    assert all(sleep[0] <= float(each) <= sleep[1] for each in found)


def test_they_are_short_as_long_as_there_are_short_ones() -> None:
    found = list(islice(sending.distinct((0.2, 0.5), ()), 302))

    assert [len(each) for each in found] == [5] * 301 + [6]


def test_a_script_has_a_rest_before_its_last_ones() -> None:
    found = Script(3, 0.1, (0.2, 0.5), late=2, rest_s=3.0).cues([])

    assert [each.at_s for each in found] == pytest.approx([0.0, 0.1, 0.2, 3.3, 3.4])


def test_netlabs_client_is_told_the_same_as_netlab_sends() -> None:
    for name in ("partb-low", "partb-high"):
        scene = scenes.find(name)
        assert scene.script is not None
        assert (scene.sends["count"], scene.sends["late"]) == (scene.script.requests, scene.script.late)
