"""In a process of its own: compares patterns with lines, each for a time. `matching` starts it.

stdin has one JSON document, stdout gets one: for each pattern what it finds in each text, or the first that is slow.
"""

import json
import re
import sys
from typing import Any

from netlab.judge.lines import fitting
from netlab.kernel.searching import Searcher, TookTooLong


def main() -> None:
    """Read what is asked, and answer."""
    json.dump(_answer(json.load(sys.stdin)), sys.stdout)


def _answer(asked: dict[str, Any]) -> dict[str, object]:
    found, at = [], ""

    def search(text: str) -> re.Match[str] | None:
        nonlocal at
        at = text
        return searcher.search(text)

    for kind, pattern in asked["patterns"]:
        searcher = Searcher(pattern, asked["cpu_s"])
        try:
            found.append(fitting(kind, pattern, search, asked["texts"]).values)
        except TookTooLong:
            return {"slow": [kind, pattern], "text": at}
    return {"values": found}
