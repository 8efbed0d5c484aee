"""What `netlab demo` does from beginning to end: play, print, judge, and keep if wanted."""

import json
import os
import shlex
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Protocol

from netlab import assets
from netlab.demo import save, show
from netlab.demo.evidence import Claim, Entry, Evidence
from netlab.demo.play import DEMOS, Demo, play
from netlab.errors import UsageError
from netlab.observe import stats
from netlab.observe.capture import Capture, Captured
from netlab.plan.description import describe
from netlab.plan.planner import Plan, plan
from netlab.record import shapes
from netlab.topology import document, validate


def _find(name: str) -> Demo:
    """Return a demo by its name; UsageError, with all of them, if there is none."""
    if name not in DEMOS:
        known = "\n".join(f"  {each:<12}{demo.about}" for each, demo in DEMOS.items())
        raise UsageError(f"there is no demo {name}; there are\n{known}")
    return DEMOS[name]


class Wanted(Protocol):
    """What a person wants of a demo: its name, a topology of his own and changes to it, where to keep everything."""

    name: str
    file: str | None
    set: list[str]
    lab: str | None
    runtime: str | None
    save: str | None
    timeout: float  # seconds
    format: str  # text, line by line as it happens, or json, in the end


def run(wanted: Wanted, say: Callable[[str], None]) -> bool:
    """Play a demo, and say whether all of its claims hold."""
    demo = _find(wanted.name)
    path = wanted.file or os.path.join(assets.folder("topologies"), f"{demo.topology}.yml")
    topology = validate.topology(document.load(path, [*demo.changes, *wanted.set]))
    runtime = wanted.runtime or topology.runtime
    planned = plan(topology._replace(name=wanted.lab or f"demo-{wanted.name}", runtime=runtime))
    with save.folder(wanted.save) if wanted.save is not None else nullcontext() as work:
        evidence, captured = _play(demo, planned, work, wanted, say)
        claims = demo.claims(evidence)
        if wanted.format == "json":
            _print_json(evidence, claims)
        else:
            _print_outcome(evidence, claims)
        if work:
            words = [*filter(None, (wanted.name, wanted.file)), *(f"--set={change}" for change in wanted.set)]
            words += [f"--runtime={wanted.runtime}"] if wanted.runtime else []
            changes = (*demo.changes, *wanted.set)
            played = save.Played(wanted.name, shlex.join(["netlab", "demo", *words]), _text(path), changes)
            save.write(work, played, evidence, claims, captured)
            say(f"netlab: everything is in {wanted.save}; its report is {os.path.join(str(wanted.save), 'report.md')}")
    return all(claim.holds for claim in claims)


def _play(
    demo: Demo, planned: Plan, work: str | None, wanted: Wanted, say: Callable[[str], None]
) -> tuple[Evidence, list[Captured]]:
    """Play, and capture if there is a folder for it; print every line as it comes, if that is the style."""
    capture = Capture(f"{work}/{save.CAPTURES}") if work else None
    timeline = show.Timeline(describe(planned, ""), sys.stdout.isatty())

    def show_line(entry: Entry, begin_ns: int) -> None:
        if wanted.format == "text":
            print(timeline.text(entry, begin_ns), flush=True)

    evidence = play(planned, demo.is_over, wanted.timeout, say, show_line, capture)
    return evidence, capture.stop() if capture else []


def _print_outcome(evidence: Evidence, claims: Sequence[Claim]) -> None:
    print()
    stats.show(evidence.stats)
    print()
    for claim in claims:
        print(show.claim(claim, sys.stdout.isatty()))
    print(show.verdict(claims), flush=True)


def _print_json(evidence: Evidence, claims: Sequence[Claim]) -> None:
    data = {
        "lab": evidence.lab.lab,
        "holds": all(claim.holds for claim in claims),
        "claims": [claim._asdict() for claim in claims],
        "counters": shapes.plain(evidence.stats),
        "timeline": list(show.as_data(evidence)),
    }
    print(json.dumps(data, indent=2))


def _text(path: str) -> str:
    with open(path, encoding="utf-8") as file:
        return file.read()
