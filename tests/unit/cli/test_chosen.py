"""The way to root: what is passed through sudo, and how."""

import os
import sys
from typing import NoReturn

import pytest

from netlab.cli import arguments, chosen
from netlab.kernel import umask


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What a user without root has executed."""
    found: list[list[str]] = []

    def execute(_: str, argv: list[str]) -> NoReturn:
        found.append(argv)
        raise SystemExit

    for name in chosen.KEPT:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(os, "execvp", execute)
    monkeypatch.setattr(umask, "give_back", lambda: None)
    monkeypatch.setattr(sys, "argv", ["/bin/true", "down", "--lab", "x"])
    return found


def elevated() -> None:
    with pytest.raises(SystemExit):
        chosen.elevate(arguments.parse(["down", "--lab", "x"]))


@pytest.mark.parametrize("no_colour", [False, True])
def test_a_rule_for_netlab_is_met_without_variables_of_its_own(
    called: list[list[str]], monkeypatch: pytest.MonkeyPatch, no_colour: bool
) -> None:
    """Many have NO_COLOR set for all programs, and may run netlab but not env."""
    if no_colour:
        monkeypatch.setenv("NO_COLOR", "1")
    elevated()

    assert [["sudo", "--", "/bin/true", "down", "--lab", "x"]] == called


def test_all_variables_are_passed_where_one_is_needed(called: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("NETLAB_CACHE", "/c")
    elevated()

    assert [["sudo", "--", "env", "NETLAB_CACHE=/c", "NO_COLOR=1", "/bin/true", "down", "--lab", "x"]] == called
