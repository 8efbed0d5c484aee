"""`netlab top` without what it needs."""

import importlib.util

import pytest

from netlab.cli import main, top


def test_without_textual_it_says_how_to_install_that(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(top, "is_interactive", lambda: True)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    code = main.main(["top"])
    said = capsys.readouterr().err

    assert (3, True) == (code, "-m pip install 'textual>=" in said), said
