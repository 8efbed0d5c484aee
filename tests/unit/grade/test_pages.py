"""Reports say what became of a submission, and nothing that was handed in can become markup."""

from html.parser import HTMLParser

from netlab.grade import exercise, pages
from netlab.grade.result import Play, Result

EVIL = "<script>alert(1)</script>|[x](y)"
EXERCISE = exercise.read("parta")


def graded(verdict: str = "claims fail", problem: str = EVIL) -> Result:
    claim = {"id": "parta.rest", "verdict": "failed", "holds": False, "timed": False, "text": "rest", "figures": EVIL}
    play = Play(1, {"port": "9000"}, "claims-fail", problem, [claim], 2.0, [EVIL, "```"])
    return Result("eve", "", verdict, problem, 3.0, 11.0, [play], 2.0, (EVIL,))


class Tags(HTMLParser):
    """Collects the names of a page's elements."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        self.links += [value or "" for name, value in attrs if name in ("href", "src")]


def test_a_page_needs_no_other_file_and_runs_nothing() -> None:
    tags = Tags()
    tags.feed(pages.html(pages.of_one(EXERCISE, graded())))

    assert not tags.links
    assert not tags.seen & {"script", "link", "img", "a"}
    assert {"h1", "table", "pre"} <= tags.seen


def test_the_page_of_all_leads_to_each() -> None:
    tags = Tags()
    tags.feed(pages.html(pages.of_all(EXERCISE, [graded()], 7)))

    assert ["submissions/eve/report.html"] == tags.links


def test_markdown_shows_what_was_printed_as_it_was() -> None:
    text = pages.markdown(pages.of_one(EXERCISE, graded()))

    assert text.startswith("# eve: claims fail\n")
    assert f"````text\n{EVIL}\n```\n````" in text
    assert "| ✗ | parta.rest | 1 | rest | \\<script\\>" in text


def test_all_submissions_are_in_one_table_with_what_was_missed() -> None:
    text = pages.markdown(pages.of_all(EXERCISE, [graded(), graded("full", "")], 7))

    assert "2 submissions, 1 full" in text
    assert "| [eve](submissions/eve/report.md) | claims fail | 3 | 11 | parta.rest |" in text
    assert "| parta.rest | 2 |" in text


def test_a_row_of_csv_has_the_points_of_each_claim() -> None:
    head, row = pages.as_csv_rows(EXERCISE, [graded()])

    assert "0" == dict(zip(head, row, strict=True))["parta.rest"]
    assert len(head) == len(row)
