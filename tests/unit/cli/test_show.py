"""What a person reads of a lab's counts."""

import pytest

from netlab.balancer.counters import Count
from netlab.cli import show
from netlab.observe.stats import LabStats, ProgramStats

COUNTED = LabStats("one", {}, {"a": ProgramStats({"PASS_X": Count(0, 0), "DROP_X": Count(3, 180)})})


@pytest.mark.parametrize("name", ["[lab1]", "[/old]", ":smile:[bold]x[/]"])
def test_what_looks_like_markup_is_a_name(capsys: pytest.CaptureFixture[str], name: str) -> None:
    """Whatever has come from a file is shown letter by letter."""
    show.stats(LabStats("one", {}, {"a": ProgramStats({name: Count(1, 2)})}))

    assert 1 == capsys.readouterr().out.count(name)


def test_zeros_are_left_out_unless_they_are_wanted(capsys: pytest.CaptureFixture[str]) -> None:
    show.stats(COUNTED)
    short = capsys.readouterr().out.splitlines()
    show.stats(COUNTED, with_zeros=True)
    whole = capsys.readouterr().out.splitlines()

    assert ["a:", "REASON  PACKETS  BYTES", "DROP_X        3    180"] == short
    assert [*short[:2], "PASS_X        0      0", short[2]] == whole


def test_a_program_that_has_met_no_packet_is_told_so(capsys: pytest.CaptureFixture[str]) -> None:
    show.stats(LabStats("one", {}, {"a": ProgramStats({"PASS_X": Count(0, 0)})}))

    assert "a: no packet so far" in capsys.readouterr().out


@pytest.mark.parametrize(("errors", "said"), [(0, ""), (1, "a: 1 datagram dropped, as"), (312, "a: 312 datagrams")])
def test_full_buffers_are_told_by_node(capsys: pytest.CaptureFixture[str], errors: int, said: str) -> None:
    """Also of a lab without programs; nothing of a node where none was full."""
    show.stats(LabStats("one", {}, {}, {"a": errors}))
    shown = capsys.readouterr().out

    assert said in shown
    assert bool(said) == ("UdpRcvbufErrors" in shown)
