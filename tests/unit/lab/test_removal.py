"""What is left of labs whose record has gone: told by their names, and never taken for gone where nobody can know."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from netlab import paths
from netlab.errors import HostError, NetlabError
from netlab.lab import bring_up, removal


@pytest.fixture
def vanishing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine where another `down` removes what is called `gone.…` as soon as somebody looks at it."""

    def looked_at(path: str) -> None:
        if os.path.basename(path).startswith("gone."):
            os.unlink(path)

    def readlink(path: str, real: Callable[..., Any] = os.readlink) -> str:
        looked_at(path)
        return str(real(path))

    def stat(path: str, real: Callable[..., Any] = os.stat, **how: Any) -> os.stat_result:
        if isinstance(path, str):
            looked_at(path)
        found: os.stat_result = real(path, **how)
        return found

    monkeypatch.setattr(os, "readlink", readlink)
    monkeypatch.setattr(os, "stat", stat)


@pytest.mark.usefixtures("vanishing")
def test_names_that_another_down_removes_meanwhile_are_no_error(tmp_path: Path) -> None:
    """They are gone, as they were to be; the others are found."""
    for name, lab in (("gone.a", "gone"), ("gone.b", "gone"), ("left.a", "left")):
        (tmp_path / name).symlink_to(f"{paths.LABS}/{lab}/netns/a")

    assert {"left"} == set(removal._named_in(str(tmp_path)))  # as all verbs without a lab's name do


@pytest.mark.usefixtures("vanishing")
def test_namespaces_that_go_meanwhile_hide_no_others(tmp_path: Path) -> None:
    """A lab that is being removed has fewer of them each time."""
    folder = tmp_path / paths.NETNS
    folder.mkdir()
    for name in ("a", "gone.b", "z"):
        (folder / name).touch()

    assert 2 == len(removal.namespaces(str(tmp_path)))


def test_all_labs_go_but_those_that_cannot(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that fails does not keep the others; in the end it is named, with its reason."""
    errors = {"first": HostError("no engine"), "third": OSError(28, "disk full")}
    asked: list[str] = []
    said: list[str] = []

    def down(lab: str, _: bring_up.Say) -> None:
        asked.append(lab)
        if lab in errors:
            raise errors[lab]

    monkeypatch.setattr(bring_up, "down", down)
    monkeypatch.setattr(
        "netlab.lab.removal.labs_with_leftovers", lambda containers: ["first", "second", "third", "fourth"]
    )

    with pytest.raises(NetlabError, match="not removed, for the reasons above: first, third") as raised:
        bring_up.down_all(said.append)

    assert 1 == raised.value.exit_code
    assert ["first", "second", "third", "fourth"] == asked
    assert ["no engine" in said[0], "disk full" in said[1]] == [True, True]
