"""Whether a command can be run here."""

import os
from pathlib import Path

import pytest

from netlab.kernel import commands


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        ("sh", ""),
        ("/bin/sh", ""),
        ("nosuch", "no such command"),
        ("./no", "no such command"),
        ("./x", "cannot be executed"),
    ],
)
def test_commands(command: str, problem: str, tmp_path: Path) -> None:
    """They are looked for as a shell does."""
    (tmp_path / "x").write_text("")

    assert commands.problem(command, {"PATH": os.environ["PATH"]}, str(tmp_path)) == problem
