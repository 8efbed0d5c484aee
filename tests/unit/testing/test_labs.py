"""The command `netlab`, as tests run it."""

from pathlib import Path

import pytest

from netlab import paths
from netlab.testing import labs


@pytest.fixture
def stand_in(tmp_path: Path) -> Path:
    """A folder in which another `netlab` runs: it writes down its words, and prints the text in `says`."""
    (tmp_path / "netlab").mkdir()
    (tmp_path / "netlab" / "__init__.py").write_text("")
    (tmp_path / "netlab" / "__main__.py").write_text(
        "import sys\nprint(*sys.argv[1:], file=open('asked', 'a'))\nprint(open('says').read())\n"
    )
    (tmp_path / "says").write_text("")
    return tmp_path


def test_what_was_printed_is_text() -> None:
    assert labs.netlab("--version").stdout.startswith("netlab ")


def test_another_exit_code_is_told_with_what_was_said() -> None:
    with pytest.raises(AssertionError, match=r"netlab validate nosuch\.yml: exit 2\n.*nosuch\.yml"):
        labs.netlab("validate", "nosuch.yml")


def test_an_exit_code_may_be_expected(tmp_path: Path) -> None:
    assert "nosuch.yml" in labs.netlab("validate", "nosuch.yml", code=2, cwd=tmp_path).stderr


def test_a_lab_that_was_there_before_stays(stand_in: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody else works with it."""
    (stand_in / "labs" / "theirs").mkdir(parents=True)
    monkeypatch.setattr(paths, "LABS", str(stand_in / "labs"))
    with pytest.raises(AssertionError, match="a lab named theirs already"), labs.lab("x", name="theirs", cwd=stand_in):
        pass
    with labs.lab("x.yml", name="ours", cwd=stand_in):
        pass

    assert ["up x.yml", "down"] == (stand_in / "asked").read_text().splitlines()


@pytest.mark.parametrize("verb", ["exec", "run", "shell", "logs", "trace", "demo"])
def test_a_traceback_of_a_nodes_own_command_is_no_fault_of_netlab(stand_in: Path, verb: str) -> None:
    (stand_in / "says").write_text("Traceback (most recent call last):")

    assert labs.netlab(verb, "a", cwd=stand_in).stdout.startswith("Traceback")


def test_a_traceback_of_any_other_command_is_reported(stand_in: Path) -> None:
    (stand_in / "says").write_text("Traceback (most recent call last):")

    with pytest.raises(AssertionError, match=r"netlab status: exit 0\nTraceback"):
        labs.netlab("status", cwd=stand_in)
