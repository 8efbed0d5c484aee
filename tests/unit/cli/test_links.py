"""Links as a person reads them."""

import pytest

from netlab.cli import links, tables
from netlab.observe.link_stats import DirectionStats, LinkCounts, LinkStats

ENDS = ("a", "eth0"), ("b", "eth0")
COUNTED = LinkCounts(9, 3, 0, 0, 0, 0, 0, 0)
LOSSY = LinkStats("a-b", False, tuple(DirectionStats(*each, "loss 5%", None, COUNTED) for each in (ENDS, ENDS[::-1])))
TITLES = ["LINK", "FROM", "TO", "STATE", "DOES"]


def titles(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().out.splitlines()[0].replace("DELAYED NOW", "DELAYED").split()


def test_counts_that_are_zero_everywhere_are_spared_first(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In `stats` they are left out; on a narrow terminal, too."""
    every = [*TITLES, "CARRIED", "LOST", "DOUBLED", "CORRUPTED", "OVERTOOK", "DELAYED", "DROPPED"]
    links.show([LOSSY])
    assert every == titles(capsys)
    links.show([LOSSY], with_zeros=False)
    assert [*TITLES, "CARRIED", "LOST"] == titles(capsys)
    monkeypatch.setattr(tables, "width", lambda **_: 50)
    links.show([LOSSY])
    assert [*TITLES, "CARRIED", "LOST"] == titles(capsys)


def test_a_link_that_leads_through_no_middle_has_no_counts(capsys: pytest.CaptureFixture[str]) -> None:
    plain = tuple(DirectionStats(*each, "nothing") for each in (ENDS, ENDS[::-1]))
    links.show([LinkStats("a-b", True, plain)])

    assert ["LINK  FROM    TO      STATE  DOES", "a-b   a:eth0  b:eth0  down   nothing"] == (
        capsys.readouterr().out.splitlines()[:2]
    )
