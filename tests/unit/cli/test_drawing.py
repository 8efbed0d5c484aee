"""`netlab graph` of what is neither a file nor a lab."""

import pytest

from netlab.cli import main


def test_what_is_neither_a_file_nor_a_lab_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    code = main.main(["graph", "nolab"])
    said = capsys.readouterr().err

    assert (2, True) == (code, "nolab: expected a topology, or a lab that is up (" in said), said
