"""What links do to packets, on disk: nothing is lost on the way, and damage is told."""

from pathlib import Path

import pytest

from netlab.errors import NetlabError
from netlab.plan.description import describe
from netlab.plan.planner import plan
from netlab.record import impaired
from netlab.record.impaired import Links
from netlab.record.model import LabRecord
from netlab.topology.impairment import PLAIN, Choice, Impairment
from netlab.topology.model import Endpoint, Link, Node, Topology

MUCH = Impairment(1, 2, Choice("every", every=3), Choice("numbers", numbers=(4, 5)), rate=6, queue_bytes=7, seed=8)


@pytest.fixture
def record(tmp_path: Path) -> LabRecord:
    """A lab with an impaired link of a and b, and a plain one, whose first end is b's."""
    links = (Link(Endpoint("a", sends=MUCH), Endpoint("b", sends=PLAIN)), Link(Endpoint("b"), Endpoint("a")))
    return describe(plan(Topology("lab", "", (Node("a"), Node("b")), links)), str(tmp_path))


@pytest.mark.parametrize("does", [PLAIN, MUCH])
def test_an_impairment_is_read_as_it_was_written(does: Impairment) -> None:
    assert does == impaired.parsed(impaired.text(does))


def test_directions_are_those_of_the_file(record: LabRecord) -> None:
    """Of each link the first end's is first, also if its node is not."""
    found = impaired.directions(record, None)

    assert [("a", "eth0"), ("b", "eth0"), ("b", "eth1"), ("a", "eth1")] == [each.sender for each in found]
    assert ["l1a", "l1b", "l2a", "l2b"] == [each.source for each in found]
    assert found[0].sends == MUCH == found[0].planned
    assert found[1].sends == PLAIN._replace(seed=found[1].sends.seed if found[1].sends else 0)
    assert [None, None] == [each.sends for each in found[2:]]


def test_what_was_set_goes_before_what_is_planned(record: LabRecord) -> None:
    links = Links({"a eth0": PLAIN, "a eth1": MUCH}, {"2": "{}"})
    impaired.write(record, links)
    found = impaired.directions(record, impaired.read(record))

    assert links == impaired.read(record)
    assert [PLAIN, MUCH] == [each.sends for each in found if each.sender[0] == "a"]


def test_nothing_was_set(record: LabRecord) -> None:
    assert impaired.read(record) is None
    assert impaired.has_middle(record)


@pytest.mark.parametrize("text", ["", "[]", '{"sends": {"a eth0": {"delay_ns": "x"}}}', '{"sent": {}}'])
def test_damage_is_told(record: LabRecord, text: str) -> None:
    Path(record.folder, "links.json").write_text(text, encoding="utf-8")

    with pytest.raises(NetlabError, match=r"links\.json, which says what links do to packets, is damaged"):
        impaired.read(record)
