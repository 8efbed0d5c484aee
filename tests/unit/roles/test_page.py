"""docs/roles.md, the code that reads lines, and the code that prints them say the same."""

import re
from pathlib import Path

import pytest

from netlab.demo.wordings import WORDINGS, parse
from netlab.supervise.logs import LogLine
from tests.checkout import ROOT
from tests.roles_page import PAGE, example, made, tables

PRINTED = {
    "out": [*Path(ROOT, "roles").glob("*.py")],
    "trace": [*Path(ROOT, "bpf").rglob("*.[ch]")],
    "note": [*Path(ROOT, "netlab", "supervise").glob("*.py")],
    "lost": [*Path(ROOT, "netlab", "supervise").glob("*.py")],
}


def test_the_page_is_as_the_code_has_it() -> None:
    """If not: python -m tests.roles_page."""
    page = PAGE.read_text(encoding="utf-8")

    assert made(page) == page
    assert all(len(lines) > 2 for lines in tables().values())


@pytest.mark.parametrize(("stream", "wording", "event"), WORDINGS)
def test_a_line_as_on_the_page_is_understood(stream: str, wording: str, event: type) -> None:
    assert isinstance(parse(LogLine(1, "n", stream, example(wording))), event)


@pytest.mark.parametrize(("stream", "wording"), [each[:2] for each in WORDINGS])
def test_every_word_of_it_is_in_what_prints_it(stream: str, wording: str) -> None:
    """netlab's own roles and programs, which may put a line together from parts."""
    sources = "\n".join(path.read_text(encoding="utf-8") for path in PRINTED[stream])
    words = {word for word in re.findall(r"[A-Za-z]+", re.sub(r"\{\w\}|s\?", " ", wording)) if len(word) > 1}

    assert words
    assert not {word for word in words if not re.search(rf"\b{word}", sources)}
