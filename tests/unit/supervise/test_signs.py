"""Which lines show that a process is ready."""

from typing import Any

import pytest

from netlab.supervise import signs


def of(kind: str, what: str = "") -> signs.Sign:
    start: dict[str, Any] = {"awaits_ready": True, "ready": (kind, what, (), 1.5)}
    return signs.of(start)


@pytest.mark.parametrize(
    ("sign", "stream", "text", "expected"),
    [
        (signs.of({"awaits_ready": True}), b"out", b"READY", True),
        (signs.of({"awaits_ready": True}), b"err", b"READY", False),
        (signs.of({"awaits_ready": True}), b"out", b"READY now", False),
        (signs.of({"awaits_ready": False}), b"out", b"READY", False),
        (of("port", "80/tcp"), b"out", b"80/tcp", False),
        (of("line", "up (all)"), b"err", b"it is up (all) now", True),
        (of("line", r"port \d+$"), b"out", b"at port 80", True),
        (of("line", r"port \d+$"), b"out", b"at port 80, and more", False),
        (of("line", "é"), b"out", b"\xff\xc3\xa9", True),
    ],
)
def test_a_line_is_the_sign_by_its_text_or_as_an_expression(
    sign: signs.Sign, stream: bytes, text: bytes, expected: bool
) -> None:
    assert expected == sign.shown_by(stream, text)


def test_a_pattern_that_takes_too_long_is_given_up_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signs, "_SEARCH_CPU_S", 0.02)
    sign = of("line", "(a+)+$")

    assert "it has printed no line with '(a+)+$'" == sign.missing()
    assert not sign.shown_by(b"out", b"a" * 60 + b"b")
    assert "the pattern '(a+)+$' takes too long on its lines: write a simpler one" == sign.missing()
    assert not sign.shown_by(b"out", b"a")


def test_what_the_supervisor_looks_for_itself() -> None:
    found = {kind: of(kind, "x").is_looked_for for kind in ("line", "port", "file", "command", "http")}

    assert {"line": False, "port": True, "file": True, "command": True, "http": True} == found
    assert not signs.of({"awaits_ready": True}).is_looked_for
    assert 1.5 == of("port").within
