"""What is drawn of a lab."""

from netlab.web import picture
from tests.unit.web.records import PARTB, record


def test_each_link_is_drawn_once_with_both_ends() -> None:
    drawn = picture.draw(PARTB, 1, is_live=True)

    assert ["client:eth0", "lb:eth1", "lb:eth2"] == [each["id"] for each in drawn["links"]]
    assert [("client", "lb"), ("lb", "worker1"), ("lb", "worker2")] == [
        (each["a"], each["b"]) for each in drawn["links"]
    ]
    assert ["program"] == next(each for each in drawn["nodes"] if each["name"] == "lb")["programs"]


def test_links_between_the_same_nodes_are_bent_apart() -> None:
    drawn = picture.draw(record([("a", "b"), ("a", "b"), ("b", "c")]), 1, is_live=True)

    assert [-0.5, 0.5, 0] == [each["bend"] for each in drawn["links"]]


def test_what_a_link_does_to_packets_is_said_whichever_end_sends_it() -> None:
    drawn = picture.draw(PARTB, 1, is_live=True, impaired={"lb:eth0": "delay 20ms"})

    assert ["delay 20ms", "", ""] == [each["impaired"] for each in drawn["links"]]


def test_many_nodes_are_drawn_small() -> None:
    few, many = (picture.draw(record([("hub", f"n{at}") for at in range(n)]), 1, is_live=True) for n in (20, 80))

    assert (False, True) == (few["compact"], many["compact"])


def test_the_palette_has_both_grounds() -> None:
    light, dark = picture.colours().split(".body--dark")

    assert "--nl-ground: #ffffff" in light
    assert "--nl-ground: #14181d" in dark
