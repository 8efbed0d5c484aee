"""The report of a play, to hand in: a Markdown file, with links to what is saved beside it. Pure, but for the date."""

import os
import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from urllib.parse import quote

from netlab import __version__
from netlab.demo import picture, show
from netlab.demo.evidence import Claim, Evidence
from netlab.demo.outcome import Outcome
from netlab.named_tuple import NamedTuple
from netlab.observe.capture import Captured
from netlab.observe.stats import LabStats
from netlab.paths import node_of

CAPTURES, PROGRAMS = "captures", "programs"  # folders beside it
_SPECIAL, _ESCAPED = r"([\\`*_\[\]<>])", r"\\\1"  # of Markdown
_MARKS = {"met": "✓", "failed": "✗", "unjudged": "–"}
_LINES = 400  # of the timeline, in the report; the file has all of them


class Played(NamedTuple):
    """What was played: the name, the command that plays it again, and the topology's text before its `changes`."""

    name: str
    command: str
    topology: str
    changes: tuple[str, ...]


def text(
    played: Played,
    evidence: Evidence,
    claims: Sequence[Claim],
    captures: Sequence[Captured],
    lines: Sequence[str],
    programs: Mapping[str, str],
) -> Iterator[str]:
    """Yield the report's lines; `lines` are those of the timeline, `programs` the path of each program, by its key."""
    yield f"# {played.name}: {show.verdict(claims)}"
    yield f"\n{evidence.lab.description}\n"
    yield f"Played on {time.strftime('%Y-%m-%d at %H:%M:%S')}, Linux {os.uname().release}, by netlab {__version__}:\n"
    yield f"    {played.command}\n"
    yield "## Claims\n"
    yield from table(("", "claim", "figures"), ((_MARKS[one.verdict], one.text, one.figures) for one in claims))
    yield "\n## The first requests, from beginning to end\n"
    yield "Packets are arrows; what becomes of one at a node is written beside its line. All is read from packets.\n"
    yield from block(picture.draw(evidence).splitlines() or ["nothing happened"])
    yield "\n## Timeline\n"
    yield "Milliseconds since the first line, who speaks, what it says. All lines are stamped by one clock."
    yield "The whole of it is in [timeline.txt](timeline.txt), and as data in [timeline.jsonl](timeline.jsonl).\n"
    yield from block(_shortened(lines))
    yield "\n## Counters\n"
    yield "What the programs counted, by the reason by which each packet left; reasons without packets are left out.\n"
    yield from _counters(evidence.stats)
    yield "\n## Sources\n"
    yield "The topology is [topology.yml](topology.yml), and the lab that was made of it [lab.json](lab.json)."
    yield "".join(f"\n- changed: {_code(change)}" for change in played.changes)
    for key, program in evidence.lab.programs():
        name, where = os.path.basename(program.path), ", ".join(program.interfaces)
        define = ", ".join(f"{constant}={value}" for constant, value in program.define.items())
        source = link(name, f"{PROGRAMS}/{programs[key]}")
        entry = f"{_code(program.function)} of " if program.function else ""
        yield f"- {node_of(key)} carried {entry}{source} on {where}{define and f', compiled with {_code(define)}'}."
    yield "\n## Captures\n"
    yield "Of every link, for Wireshark. A node's own packets may be seen before their checksums are computed."
    yield ""
    yield from table(
        ("link", "captured at", "frames", "lost", "note"),
        (
            (link(end.file, f"{CAPTURES}/{end.file}"), f"{end.node} {end.interface}", str(frames), str(lost), end.note)
            for end, _, frames, lost in captures
        ),
    )


def of_failure(played: Played, found: Outcome) -> Iterator[str]:
    """Yield the report's lines on a demo that was not played."""
    yield f"# {played.name}: {found.word}\n"
    yield f"Tried on {time.strftime('%Y-%m-%d at %H:%M:%S')}, Linux {os.uname().release}, by netlab {__version__}:\n"
    yield f"    {played.command}\n"
    yield "The lab did not come up, so nothing was judged:\n"
    yield from block(found.problem.splitlines())
    yield "\nThe topology is [topology.yml](topology.yml)."
    yield "".join(f"\n- changed: {_code(change)}" for change in played.changes)


def _shortened(lines: Sequence[str]) -> list[str]:
    if len(lines) <= _LINES:
        return list(lines)
    half = _LINES // 2
    return [*lines[:half], f"… {len(lines) - 2 * half} lines are left out here …", *lines[-half:]]


def _counters(stats: LabStats) -> Iterator[str]:
    for key, now in stats.balancers.items():
        names = ("received", "forwarded", "queued", "dequeued", "dropped", "completions")
        totals = ", ".join(f"{getattr(now, name)} {name}" for name in names)
        yield f"{key}: {totals}; {now.queue_depth} waiting.\n"
        free = ((name, str(each.free), str(each.capacity)) for name, each in now.backends.items())
        yield from table(("backend", "free threads", "capacity"), free)
        yield ""
    for key, counted in stats.reasons().items():
        rows = ((name, str(one.packets), str(one.bytes)) for name, one in counted.items() if one.packets)
        yield from table((f"reason at {key}", "packets", "bytes"), rows)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Yield the lines of a table."""
    yield _row(head)
    yield _row(["---"] * len(head))
    for row in rows:
        yield _row(row)


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def block(lines: Sequence[str]) -> Iterator[str]:
    """Yield lines that are shown unchanged."""
    fence = _fence("\n".join(lines), 3)
    yield f"{fence}text"
    yield from lines
    yield fence


def _fence(text: str, least: int) -> str:
    """Return a fence for a text that is shown unchanged: more backticks than there are in a row in the text."""
    return "`" * max(least, 1 + max(map(len, re.findall("`+", text)), default=0))


def _code(text: str) -> str:
    fence = _fence(text, 1)
    return f"{fence} {text} {fence}" if "`" in text else f"{fence}{text}{fence}"


def link(name: str, path: str) -> str:
    """Return a link to a path."""
    return f"[{plain(name)}]({quote(path)})"


def plain(text: str) -> str:
    """Return a text on one line in which no sign means anything to Markdown."""
    return re.sub(_SPECIAL, _ESCAPED, " ".join(text.split()))
