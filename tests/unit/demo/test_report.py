"""A report is read as it was written: what comes from a lab is no Markdown."""

import pytest

from netlab.demo import report


@pytest.mark.parametrize(
    ("name", "link"),
    [("x.c", "[x.c](programs/x.c)"), ("a [1].c", r"[a \[1\].c](programs/a%20%5B1%5D.c)")],
)
def test_a_link_leads_to_the_file_whatever_its_name(name: str, link: str) -> None:
    assert link == report.link(name, f"programs/{name}")


def test_a_block_ends_where_it_should() -> None:
    """A role may print what would end it."""
    assert ["````text", "```", "x", "````"] == list(report.block(["```", "x"]))


@pytest.mark.parametrize(("text", "code"), [("a=1", "`a=1`"), ("a=`b`", "`` a=`b` ``")])
def test_code_ends_where_it_should(text: str, code: str) -> None:
    assert code == report._code(text)
