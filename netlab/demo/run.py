"""`netlab demo` from beginning to end: play, judge, and save if wanted."""

import os
import shlex
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Protocol

from netlab import assets
from netlab.demo import report, save
from netlab.demo.evidence import Claim, Entry, Evidence
from netlab.demo.play import DEMOS, Demo, play
from netlab.errors import UsageError
from netlab.observe.capture import Capture
from netlab.plan.description import describe
from netlab.plan.planner import plan
from netlab.record.model import LabRecord
from netlab.topology import document, validate


def _find(name: str) -> Demo:
    """Return a demo by its name; UsageError, with all of them, if there is none."""
    if name not in DEMOS:
        known = "\n".join(f"  {each:<12}{demo.about}" for each, demo in DEMOS.items())
        raise UsageError(f"there is no demo {name}; there are\n{known}")
    return DEMOS[name]


class Wanted(Protocol):
    """What a user wants of a demo: its name, a topology of his own and changes to it, and where to save everything."""

    name: str
    file: str | None
    set: list[str]
    lab: str | None
    runtime: str | None
    save: str | None
    timeout: float  # seconds


class Audience(Protocol):
    """Who sees a play."""

    def begin(self, lab: LabRecord) -> None:
        """Get the lab's record, before anything happens."""

    def line(self, entry: Entry, begin_ns: int) -> None:
        """Get a line when it happens, with the time of the first one."""

    def end(self, evidence: Evidence, claims: Sequence[Claim]) -> None:
        """Get the outcome, before anything is saved."""


def run(wanted: Wanted, audience: Audience, say: Callable[[str], None]) -> bool:
    """Play a demo, and say whether all of its claims hold."""
    demo = _find(wanted.name)
    path = wanted.file or os.path.join(assets.folder("topologies"), f"{demo.topology}.yml")
    written = document.load(path, [*demo.changes, *wanted.set])
    topology = validate.topology(written)
    runtime = wanted.runtime or topology.runtime
    planned = plan(topology._replace(name=wanted.lab or f"demo-{wanted.name}", runtime=runtime), written)
    with save.folder(wanted.save) if wanted.save is not None else nullcontext() as work:
        capture = Capture(f"{work}/{report.CAPTURES}") if work else None
        audience.begin(describe(planned, ""))
        evidence = play(planned, demo.is_over, wanted.timeout, say, audience.line, capture)
        claims = demo.claims(evidence)
        audience.end(evidence, claims)
        if work:
            words = [*filter(None, (wanted.name, wanted.file)), *(f"--set={change}" for change in wanted.set)]
            words += [f"--runtime={wanted.runtime}"] if wanted.runtime else []
            changes = (*demo.changes, *wanted.set)
            played = report.Played(wanted.name, shlex.join(["netlab", "demo", *words]), _text(path), changes)
            save.write(work, played, evidence, claims, capture.stop() if capture else [])
            say(f"netlab: everything is in {wanted.save}; its report is {os.path.join(str(wanted.save), 'report.md')}")
    return all(claim.holds for claim in claims)


def _text(path: str) -> str:
    with open(path, encoding="utf-8") as file:
        return file.read()
