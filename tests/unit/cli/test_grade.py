"""The table of `netlab grade`."""

import pytest

from netlab.cli import grade
from netlab.grade import exercise
from netlab.grade.result import UNBUILT, unplayed


def test_a_long_name_is_cut_in_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    """As long commands are in that of `status`."""
    parta = exercise.read("parta")
    grade._table(parta, [unplayed("n" * 200, "", UNBUILT, "why", parta.points)], 7)

    title, row, _ = capsys.readouterr().out.splitlines()
    assert title.startswith("SUBMISSION".ljust(42) + "VERDICT")
    assert row.startswith("n" * 39 + "…  ")
