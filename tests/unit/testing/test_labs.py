"""The command `netlab`, as tests run it."""

from pathlib import Path

import pytest

from netlab.testing import labs


def test_what_was_printed_is_text() -> None:
    assert labs.netlab("--version").stdout.startswith("netlab ")


def test_another_exit_code_is_told_with_what_was_said() -> None:
    with pytest.raises(AssertionError, match=r"netlab validate nosuch\.yml: exit 2\n.*nosuch\.yml"):
        labs.netlab("validate", "nosuch.yml")


def test_an_exit_code_may_be_expected(tmp_path: Path) -> None:
    assert "nosuch.yml" in labs.netlab("validate", "nosuch.yml", code=2, cwd=tmp_path).stderr
