"""`netlab demo` from beginning to end: play, judge, and save if wanted."""

import os
import shlex
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import NamedTuple, Protocol

from netlab import assets
from netlab.demo import report, save, scenes, show
from netlab.demo.evidence import Claim, Entry, Evidence
from netlab.demo.extras import Extras
from netlab.demo.play import play
from netlab.demo.scenes import Scene
from netlab.judge.facts import Balancing, Dropping
from netlab.lab.standing import Standing
from netlab.observe.capture import Capture
from netlab.plan.description import describe
from netlab.plan.planner import Plan, plan
from netlab.record.model import LabRecord
from netlab.topology import document, validate


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
    """Play a demo, and say whether none of its claims fails."""
    scene = scenes.find(wanted.name)
    path = wanted.file or os.path.join(assets.folder("topologies"), f"{scene.topology}.yml")
    cast = _cast(scene, path, wanted)
    with save.folder(wanted.save) if wanted.save is not None else nullcontext() as work:
        capture = Capture(f"{work}/{report.CAPTURES}") if work else None
        audience.begin(describe(cast.plan, ""))
        evidence = play(
            cast.plan, scene.is_over, wanted.timeout, say, audience.line, capture, cast.facts, _extras(scene, cast)
        )
        claims = judged(scene, evidence)
        audience.end(evidence, claims)
        if work:
            words = [*filter(None, (wanted.name, wanted.file)), *(f"--set={change}" for change in wanted.set)]
            words += [f"--runtime={wanted.runtime}"] if wanted.runtime else []
            played = report.Played(wanted.name, shlex.join(["netlab", "demo", *words]), _text(path), cast.changes)
            save.write(work, played, evidence, claims, capture.stop() if capture else [])
            say(f"netlab: everything is in {wanted.save}; its report is {os.path.join(str(wanted.save), 'report.md')}")
    return show.all_hold(claims)


def _extras(scene: Scene, cast: "_Cast") -> Callable[[Standing], Extras] | None:
    """Return what netlab does itself during a play."""
    known, script = cast.facts, scene.script
    if not isinstance(known, Balancing) or script is None:
        return None
    own = None if cast.is_client_told else script
    return lambda standing: Extras(standing, known, own, waits=script.rest_s > 0)


def judged(scene: Scene, evidence: Evidence) -> list[Claim]:
    """Return the claims on behaviour, and behind them a closer look where there is something to look at."""
    return [*scene.judge(evidence), *(scene.closer(evidence) if _is_ours(evidence) else [])]


def _is_ours(evidence: Evidence) -> bool:
    """Say whether a program counts in maps as netlab's own programs do."""
    return bool(evidence.stats.balancers) or any(each.reasons for each in evidence.stats.programs.values())


class _Cast(NamedTuple):
    """Who plays: the plan, the facts of its lab, and the changes by which it differs from the file."""

    plan: Plan
    facts: Balancing | Dropping
    changes: tuple[str, ...]
    is_client_told: bool


def _cast(scene: Scene, path: str, wanted: Wanted) -> _Cast:
    """Read the topology twice: first to know who the client is, and then with what it has to send."""
    name = wanted.lab or f"demo-{wanted.name}"

    def read(changes: Sequence[str]) -> tuple[Plan, Balancing | Dropping]:
        written = document.load(path, changes)
        topology = validate.topology(written)
        planned = plan(topology._replace(name=name, runtime=wanted.runtime or topology.runtime), written)
        return planned, scene.facts(topology, describe(planned, ""))

    first, known = read(wanted.set)
    told = scenes.changes(scene, first.topology, known.client)
    changes = (*told, *wanted.set)
    return _Cast(*read(changes), changes, bool(told))


def _text(path: str) -> str:
    with open(path, encoding="utf-8") as file:
        return file.read()
