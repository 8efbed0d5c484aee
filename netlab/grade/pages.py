"""The reports: for each submission and for all, in Markdown and as HTML pages that need no other file. Pure."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from urllib.parse import quote

from netlab import __version__
from netlab.demo import report
from netlab.grade.exercise import Exercise
from netlab.grade.result import FULL, OTHER_LAB, VERDICTS, Play, Result
from netlab.topology.document.tree import printable
from netlab.words import count

MARKS = {"met": "✓", "failed": "✗", "unjudged": "–"}
_STYLE = """
:root { color-scheme: light dark; --line: #8886; --good: #0a7d5a; --bad: #c2410c; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; margin: 1rem 0; }
th, td { border-bottom: 1px solid var(--line); padding: .3rem .5rem; text-align: left; vertical-align: top; }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
pre { overflow-x: auto; border: 1px solid var(--line); padding: .6rem; font-size: .85rem; }
.met, .full { color: var(--good); } .failed, .lost { color: var(--bad); }
"""
Block = tuple[str, str, object]


def amount(points: float) -> str:
    """Return points as people write them."""
    return f"{points:g}"


def of_one(exercise: Exercise, result: Result) -> Iterator[Block]:
    """Yield the blocks of the report on a submission."""
    yield "title", f"{result.name}: {result.verdict}", None
    yield "text", f"{exercise.title}. {amount(result.points)} of {amount(result.of)} points. {_made()}", None
    if result.problem:
        yield "code", result.problem, None
    if result.left_out:
        yield "text", f"Not taken, as only regular files are: {', '.join(result.left_out)}.", None
    for play in result.plays:
        yield from _of_play(exercise, play)


def of_all(exercise: Exercise, results: Sequence[Result], seed: int) -> Iterator[Block]:
    """Yield the blocks of the report on all submissions; the name of each leads to its own."""
    full = sum(result.verdict == FULL for result in results)
    yield "title", f"{exercise.title}: {count(len(results), 'submission')}, {full} full", None
    yield "text", f"Exercise {exercise.name}, seed {seed}. {_made()}", None
    head = ("submission", "verdict", "points", "of", "why")
    rows = [(each.name, each.verdict, amount(each.points), amount(each.of), why(exercise, each)) for each in results]
    yield "table", "links", (head, rows)
    found = {verdict: sum(each.verdict == verdict for each in results) for verdict in reversed(VERDICTS)}
    yield "table", "", (("verdict", "submissions"), [(each, str(number)) for each, number in found.items() if number])
    missed = {claim: sum(_misses(each, claim) for each in results if each.plays) for claim in exercise.points}
    often = sorted((claim for claim in missed if missed[claim]), key=lambda claim: -missed[claim])
    if often:
        yield "heading", "What was missed", None
        yield "table", "", (("claim", "submissions that miss it"), [(claim, str(missed[claim])) for claim in often])


def why(exercise: Exercise, result: Result) -> str:
    """Return in one line why points are missing; "" if none are."""
    if result.verdict == FULL:
        return ""
    failed = [claim for play in result.plays for claim in play.claims if claim["id"] == OTHER_LAB]
    if failed:
        return printable(failed[0]["figures"])
    missed = dict.fromkeys(claim["id"] for play in result.plays for claim in play.missed(exercise.points))
    problem = result.problem.removeprefix("netlab: ").strip().partition("\n")[0]
    return ", ".join(missed) or printable(problem)


def _misses(result: Result, claim: str) -> bool:
    return any(each["id"] == claim and each["verdict"] != "met" for play in result.plays for each in play.claims)


def _of_play(exercise: Exercise, play: Play) -> Iterator[Block]:
    how = ", alone" if play.alone else ""
    yield "heading", f"Play {play.number}: {play.verdict} ({play.seconds:.1f} s{how})", None
    if play.drawn:
        yield "text", "With " + ", ".join(f"{name} {value}" for name, value in play.drawn.items()) + ".", None
    if play.claims:
        rows = [
            (
                MARKS[each["verdict"]],
                each["id"],
                amount(exercise.points.get(each["id"], 0)),
                each["text"],
                each["figures"],
            )
            for each in play.claims
        ]
        yield "table", "claims", (("", "claim", "points", "what it says", "figures"), rows)
    if play.tail and play.verdict != FULL:
        yield "text", "The last lines of client, kernel and servers:", None
        yield "code", "\n".join(play.tail), None


def _made() -> str:
    return f"Graded on {time.strftime('%Y-%m-%d at %H:%M')} by netlab {__version__}."


# ---- how it is written -----------------------------------------------------------------------------------------------


def markdown(blocks: Iterable[Block]) -> str:
    """Return blocks as Markdown."""
    lines: list[str] = []
    for kind, text, more in blocks:
        match kind:
            case "title":
                lines += [f"# {report.plain(text)}", ""]
            case "heading":
                lines += [f"## {report.plain(text)}", ""]
            case "code":
                lines += [*report.block(text.splitlines()), ""]
            case "table":
                head, rows = _table(more)
                cells = (
                    [report.link(row[0], f"submissions/{row[0]}/report.md"), *row[1:]] if text == "links" else row
                    for row in rows
                )
                lines += [*report.table(head, (_plain_cells(row, text) for row in cells)), ""]
            case _:
                lines += [report.plain(text), ""]
    return "\n".join(lines)


def _plain_cells(row: Sequence[str], kind: str) -> list[str]:
    """Return cells without signs of Markdown; the first of links is one already."""
    return [cell if kind == "links" and at == 0 else report.plain(cell) for at, cell in enumerate(row)]


def html(blocks: Iterable[Block]) -> str:
    """Return blocks as a page of HTML that needs nothing else."""
    blocks = list(blocks)
    title = escape(next(text for kind, text, _ in blocks if kind == "title"))
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title>'
    body = "\n".join(_html(*block) for block in blocks)
    return (
        f'<!doctype html>\n<html lang="en"><head>{head}<style>{_STYLE}</style></head>\n<body>\n{body}\n</body></html>\n'
    )


def _html(kind: str, text: str, more: object) -> str:
    match kind:
        case "title":
            return f"<h1>{escape(text)}</h1>"
        case "heading":
            return f"<h2>{escape(text)}</h2>"
        case "code":
            return f"<pre>{escape(text)}</pre>"
        case "table":
            head, rows = _table(more)
            top = "".join(f"<th>{escape(cell)}</th>" for cell in head)
            return f"<table><tr>{top}</tr>\n" + "\n".join(_html_row(text, row) for row in rows) + "</table>"
    return f"<p>{escape(text)}</p>"


def _html_row(kind: str, row: Sequence[str]) -> str:
    classes = {**{mark: name for name, mark in MARKS.items()}, **dict.fromkeys(VERDICTS, "lost"), FULL: "full"}
    cells = []
    for at, cell in enumerate(row):
        shown = escape(cell)
        if kind == "links" and at == 0:
            shown = f'<a href="submissions/{escape(quote(cell))}/report.html">{shown}</a>'
        name = classes.get(cell, "number" if cell.replace(".", "", 1).isdecimal() else "")
        cells.append(f'<td class="{name}">{shown}</td>' if name else f"<td>{shown}</td>")
    return f"<tr>{''.join(cells)}</tr>"


def _table(more: object) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    if not isinstance(more, tuple):
        raise TypeError("a table has a head and rows")
    head, rows = more
    return head, rows


def as_csv_rows(exercise: Exercise, results: Sequence[Result]) -> Iterator[list[str]]:
    """Yield a row of titles, and one for each submission: verdict, points, and the points of each claim."""
    claims = list(exercise.points)
    yield ["submission", "verdict", "points", "of", "seconds", *claims, "why"]
    for result in results:
        each = [amount(_earned(exercise, result, claim)) for claim in claims]
        about = [result.name, result.verdict, amount(result.points), amount(result.of), f"{result.seconds:.1f}"]
        yield [*about, *each, why(exercise, result)]


def _earned(exercise: Exercise, result: Result, claim: str) -> float:
    is_met = bool(result.plays) and all(
        any(each["id"] == claim and each["verdict"] == "met" for each in play.claims) for play in result.plays
    )
    return exercise.points[claim] if is_met else 0.0


def as_data(exercise: Exercise, results: Sequence[Result], seed: int) -> Mapping[str, object]:
    """Return all of it as JSON has it."""
    return {
        "version": 1,
        "exercise": exercise.name,
        "seed": seed,
        "points": dict(exercise.points),
        "submissions": [result.as_data() for result in results],
    }
