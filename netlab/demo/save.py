"""Keeps a play in a folder: what it printed, what was captured, what it was made of, and a report to hand in."""

import json
import os
import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from netlab import __version__
from netlab.demo import picture, show
from netlab.demo.evidence import Claim, Evidence
from netlab.errors import NetlabError, UsageError
from netlab.kernel import files, umask
from netlab.observe.capture import Captured
from netlab.observe.stats import LabStats
from netlab.record import form, shapes
from netlab.topology import sources

CAPTURES = "captures"  # the folder of the pcap files
_LINES = 400  # of the timeline, in the report; the file has them all


@contextmanager
def folder(path: str) -> Iterator[str]:
    """Make a folder to be filled, and give its absolute path; after an error nothing of it is left.

    UsageError when there is something at that path already: what is there is never overwritten. Or when others could
    change that folder, or put another in its place: they could make root write elsewhere.
    """
    where = os.path.abspath(path)
    made = _highest_missing(where)
    try:
        _refuse_others(path, where)
        os.makedirs(where, exist_ok=True)
        _refuse_others(path, where)  # in /tmp somebody may just have made it
        if not path or os.listdir(where):
            raise UsageError(f"--save {path!r}: expected a folder that is not there yet, or is empty")
        if made:
            os.chmod(where, 0o777 & ~(umask.callers() | 0o022))
        os.mkdir(f"{where}/{CAPTURES}")  # from here on it is not empty for anybody else
    except OSError as error:
        raise UsageError(f"--save {path}: expected a folder that can be made: {error.strerror}") from error
    try:
        yield where
    except BaseException:
        shutil.rmtree(made or f"{where}/{CAPTURES}", ignore_errors=True)
        for name in () if made else os.listdir(where):
            os.unlink(f"{where}/{name}")
        raise
    _give_away(made or where)


def _refuse_others(path: str, where: str) -> None:
    """Raise UsageError where others than root, and who has called us through sudo, decide what that folder is."""
    user = os.environ.get("SUDO_UID", "")
    friend = int(user) if user.isdecimal() else 0
    wrong = files.problem_around(f"{where}/{CAPTURES}", friend)
    if not wrong and os.path.exists(where):
        wrong = files.problem(os.stat(where), friend)
    if wrong:
        raise UsageError(f"--save {path}: {wrong}: expected a folder of your own, or a new one in such a folder")


def _highest_missing(path: str) -> str:
    """Return the topmost folder on the way to `path` that is not there yet; "" if all are."""
    missing = ""
    while not os.path.lexists(path):
        missing, path = path, os.path.dirname(path)
    return missing


def _give_away(path: str) -> None:
    """Let what root has written belong to the user who started it through sudo."""
    user, group = os.environ.get("SUDO_UID", ""), os.environ.get("SUDO_GID", "")
    if user.isdigit() and group.isdigit():
        for _, _, names, place in os.fwalk(path):
            for name in (".", *names):
                os.chown(name, int(user), int(group), dir_fd=place, follow_symlinks=False)


class Played(NamedTuple):
    """What was played: the name, the command that plays it again, and the topology's text before its `changes`."""

    name: str
    command: str
    topology: str
    changes: tuple[str, ...]


def _write_programs(into: str, evidence: Evidence) -> None:
    """Write the lab's programs as they were compiled, with the headers of their own and of netlab that they include."""
    os.mkdir(into)
    for node, source in evidence.sources.items():
        [program] = evidence.lab.nodes[node].programs
        path = program.path
        files.write(f"{into}/{os.path.basename(path)}", source)
        for name, header, *_ in sources.headers(path, source):
            is_within = not name.startswith(("/", ".."))
            place = os.path.join(into, name if is_within else os.path.basename(name))
            os.makedirs(os.path.dirname(place), exist_ok=True)
            shutil.copy(header, place)


def write(into: str, played: Played, evidence: Evidence, claims: Sequence[Claim], captures: Sequence[Captured]) -> None:
    """Write everything but the captures: timeline, counters, claims, topology, programs and the report.

    NetlabError when the disk is full, or the like.
    """
    try:
        _write(into, played, evidence, claims, captures)
    except OSError as error:
        raise NetlabError(f"--save: cannot write to {into}: {error.strerror}") from error


def _write(
    into: str, played: Played, evidence: Evidence, claims: Sequence[Claim], captures: Sequence[Captured]
) -> None:
    plain = show.Timeline(evidence.lab, painted=False)
    lines = [plain.text(entry, evidence.begin_ns) for entry in evidence.timeline]
    texts = {
        "timeline.txt": "".join(f"{line}\n" for line in lines),
        "timeline.jsonl": "".join(f"{json.dumps(each)}\n" for each in show.as_data(evidence)),
        "counters.json": json.dumps(shapes.plain(evidence.stats), indent=2) + "\n",
        "claims.json": json.dumps([claim._asdict() for claim in claims], indent=2) + "\n",
        "topology.yml": played.topology,
        "lab.json": json.dumps(form.plain(evidence.lab), indent=2) + "\n",
        "report.md": "\n".join(_report(played, evidence, claims, captures, lines)) + "\n",
    }
    for name, text in texts.items():
        files.write(f"{into}/{name}", text)
    _write_programs(f"{into}/programs", evidence)


def _report(
    played: Played, evidence: Evidence, claims: Sequence[Claim], captures: Sequence[Captured], lines: Sequence[str]
) -> Iterator[str]:
    yield f"# {played.name}: {show.verdict(claims)}"
    yield f"\n{evidence.lab.description}\n"
    yield f"Played on {time.strftime('%Y-%m-%d at %H:%M:%S')}, Linux {os.uname().release}, by netlab {__version__}:\n"
    yield f"    {played.command}\n"
    yield "## Claims\n"
    yield from _table(("", "claim", "figures"), (("✓" if one.holds else "✗", one.text, one.figures) for one in claims))
    yield "\n## The first requests, from beginning to end\n"
    yield "Packets are arrows; what a node, or the program in its kernel, does is written beside its line.\n"
    yield from _block(picture.draw(evidence).splitlines() or ["nothing happened"])
    yield "\n## Timeline\n"
    yield "Milliseconds since the first line, who speaks, what it says. All lines are stamped by one clock."
    yield "The whole of it is in [timeline.txt](timeline.txt), and as data in [timeline.jsonl](timeline.jsonl).\n"
    yield from _block(_shortened(lines))
    yield "\n## Counters\n"
    yield "What the programs counted, by the reason by which each packet left; reasons without packets are left out.\n"
    yield from _counters(evidence.stats)
    yield "\n## Sources\n"
    yield "The topology is [topology.yml](topology.yml), and the lab that was made of it [lab.json](lab.json)."
    yield "".join(f"\n- changed: `{change}`" for change in played.changes)
    for node, about in evidence.lab.nodes.items():
        for program in about.programs:
            name, where = os.path.basename(program.path), ", ".join(program.interfaces)
            define = ", ".join(f"{key}={value}" for key, value in program.define.items())
            yield f"- {node} carried [{name}](programs/{name}) on {where}{define and f', compiled with {define}'}."
    yield "\n## Captures\n"
    yield "Of every link, for Wireshark. A node's own packets may be seen before their checksums are computed."
    yield ""
    yield from _table(
        ("link", "captured at", "frames", "lost", "note"),
        (
            (f"[{end.file}]({CAPTURES}/{end.file})", f"{end.node} {end.interface}", str(frames), str(lost), end.note)
            for end, _, frames, lost in captures
        ),
    )


def _shortened(lines: Sequence[str]) -> list[str]:
    if len(lines) <= _LINES:
        return list(lines)
    half = _LINES // 2
    return [*lines[:half], f"… {len(lines) - 2 * half} lines are left out here …", *lines[-half:]]


def _counters(stats: LabStats) -> Iterator[str]:
    for node, now in stats.balancers.items():
        names = ("received", "forwarded", "queued", "dequeued", "dropped", "completions")
        totals = ", ".join(f"{getattr(now, name)} {name}" for name in names)
        yield f"{node}: {totals}; {now.queue_depth} waiting.\n"
        free = ((name, str(each.free), str(each.capacity)) for name, each in now.backends.items())
        yield from _table(("backend", "free threads", "capacity"), free)
        yield ""
    for node, counted in stats.reasons().items():
        rows = ((name, str(one.packets), str(one.bytes)) for name, one in counted.items() if one.packets)
        yield from _table((f"reason at {node}", "packets", "bytes"), rows)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield _row(head)
    yield _row(["---"] * len(head))
    for row in rows:
        yield _row(row)


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _block(lines: Iterable[str]) -> Iterator[str]:
    yield "```text"
    yield from lines
    yield "```"
