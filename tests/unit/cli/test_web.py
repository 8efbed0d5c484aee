"""`netlab web` on a plain installation."""

import importlib.util

import pytest

from netlab.cli import arguments
from netlab.cli.web import show
from netlab.errors import HostError


def test_missing_libraries_are_named_with_what_installs_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "nicegui" else name)

    with pytest.raises(HostError, match=r"netlab web needs nicegui.*-m pip install 'netns-lab\[web\]'"):
        show(arguments.parse(["web"]), print)  # type: ignore[arg-type]  # of this verb
