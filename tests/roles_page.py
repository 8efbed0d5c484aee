"""The tables of docs/roles.md that are made from the code: python -m tests.roles_page writes them.

A table begins behind `<!-- made: NAME -->` and ends at `<!-- end -->`.
"""

import re
from collections.abc import Iterator
from inspect import getdoc
from pathlib import Path

from netlab import options
from netlab.demo.wordings import WORDINGS
from tests.checkout import ROOT

PAGE = Path(ROOT, "docs", "roles.md")
STREAMS = {"out": "a role", "trace": "a program", "note": "netlab, in a log", "lost": "netlab, in the trace"}
PLACES = {"N": "5", "F": "0.25", "S": '"0.25"', "A": "10.0.0.1:40001", "W": "worker1", "T": "why"}


def example(wording: str) -> str:
    """Return a wording with values in its places, as a role or program may print it."""
    return re.sub(r"\{([NFSAWT])\}", lambda found: PLACES[found[1]], wording).replace("s?", "s")


def tables() -> dict[str, list[str]]:
    """Return the lines of each table by its name."""
    keys = [f"| `{key}` | {meaning} |" for key, meaning in options.KEYS.items()]
    types = [f"| `{kind}` | {meaning} |" for kind, meaning in options.EXPECTED.items()]
    return {
        "keys": ["| key | what it says |", "|---|---|", *keys],
        "types": ["| type | a value is |", "|---|---|", *types],
        "lines": ["| printed by | line | event | what it says |", "|---|---|---|---|", *_lines()],
    }


def _lines() -> Iterator[str]:
    for stream, wording, event in WORDINGS:
        meaning = (getdoc(event) or "").partition("\n")[0]
        names = iter([*event._fields, *"…………"])
        shown = re.sub(r"\{[NFSAWT]\}", lambda _: "{" + next(names) + "}", wording)  # noqa: B023
        shown = shown.replace("s?", "s").replace("{…}", "…")
        yield f"| {STREAMS[stream]} | `{shown}` | `{event.__name__}` | {meaning} |"


def made(page: str) -> str:
    """Return a page with its tables as the code has them."""
    for name, lines in tables().items():
        table = "\n".join(lines)
        mark = re.compile(rf"(<!-- made: {name} -->\n)(?:(?!<!--).*\n)*(<!-- end -->)")
        page, found = mark.subn(lambda match, table=table: f"{match[1]}{table}\n{match[2]}", page)  # type: ignore[misc]
        assert found == 1, name
    return page


if __name__ == "__main__":
    PAGE.write_text(made(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
