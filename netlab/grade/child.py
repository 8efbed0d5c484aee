"""Plays one submission once, in a process of its own: reads a job, and writes what became of it beside the job.

python -m netlab.grade.child FOLDER PARENT
"""

import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from netlab.demo import outcome, scenes, show
from netlab.demo.evidence import Claim, Entry, Evidence
from netlab.demo.outcome import Outcome
from netlab.demo.run import run
from netlab.grade.exercise import check_id
from netlab.grade.result import OTHER_LAB
from netlab.judge.facts import Balancing
from netlab.kernel import files, syscalls
from netlab.observe.painter import Plain
from netlab.record.model import LabRecord

JOB, DONE = "job.json", "done.json"
_TAIL, _LONGEST = 60, 300  # lines, and characters of each, that are kept of a play
_READY_S = 30.0


class Wanted:
    """What is played, as `netlab demo` takes it."""

    def __init__(self, job: Mapping[str, Any]) -> None:
        self.name: str = job["demo"]
        self.file: str | None = job["topology"]
        self.set: list[str] = job["set"]
        self.lab: str | None = job["lab"]
        self.time_limit: float = job["time_limit"]
        self.runtime: str | None = None
        self.save: str | None = None
        self.prints: str | None = None
        self.untrusted = True
        self.timeout = _READY_S


class Silent:
    """Keeps the claims, and the end of what was printed. In another lab than is expected, nothing else is judged."""

    def __init__(self, expects: Mapping[str, int]) -> None:
        self.expects = expects
        self.claims: list[Claim] = []
        self.tail: list[str] = []

    def begin(self, lab: LabRecord) -> None:
        """Show nothing."""

    def line(self, entry: Entry, begin_ns: int) -> None:
        """Show nothing."""

    def end(self, evidence: Evidence, claims: Sequence[Claim], found: Outcome) -> None:
        """Keep what is known; the outcome is returned by who plays."""
        del found
        other = other_lab(evidence.facts, self.expects)
        self.claims = [other] if other else list(claims)
        timeline = show.Timeline(evidence.lab, Plain())
        last = evidence.timeline[-_TAIL:]
        self.tail = [timeline.text(entry, evidence.begin_ns)[:_LONGEST] for entry in last]


def main(folder: str, parent: str) -> int:
    """Play, and write what became of it; the lab is removed if the parent dies meanwhile."""
    syscalls.die_with_parent(int(parent), signal.SIGTERM)
    job = files.load(os.path.join(folder, JOB))
    audience = Silent(job["expects"])
    notes: list[str] = []
    try:
        found = _demo(job, audience, notes.append) if job["demo"] else _checks(job, audience, notes.append)
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - whatever it is, it is an outcome
        found = outcome.of_error(error)
    claims = [{**show.claim_as_data(each), "timed": each.is_timed} for each in audience.claims]
    done = {"outcome": found.word, "problem": found.problem, "claims": claims, "tail": audience.tail}
    files.write(os.path.join(folder, DONE), json.dumps(done), 0o600)
    return 0


def other_lab(facts: object, expects: Mapping[str, int]) -> Claim | None:
    """Return the claim that fails if a lab has other workers or threads than the exercise's; None if it has these."""
    if not isinstance(facts, Balancing):
        return None
    found = {"workers": {len(facts.threads)}, "threads": set(facts.threads.values())}
    wrong = [key for key, number in expects.items() if found[key] != {number}]
    if not wrong:
        return None
    has = ", ".join(f"{key}: {' or '.join(map(str, sorted(found[key])))}, not {expects[key]}" for key in wrong)
    return Claim("the lab is that of the exercise", False, f"{has}; so nothing else was judged", OTHER_LAB)


def _demo(job: Mapping[str, Any], audience: Silent, say: Any) -> Outcome:
    wanted = Wanted(job)
    scene = scenes.sending(scenes.find(wanted.name), job["sends"])
    found = run(wanted, audience, say, scene=scene, again=False)
    return outcome.of_claims(audience.claims) if found.word == outcome.HOLDS.word else found


def _checks(job: Mapping[str, Any], audience: Silent, say: Any) -> Outcome:
    """Build the lab, and do its checks."""
    from netlab.api import checks
    from netlab.api.lab import Lab

    del say
    changes = dict(each.split("=", 1) for each in job["set"])
    with Lab.up(job["topology"], set=changes, name=job["lab"], untrusted=True, timeout=_READY_S) as lab:
        todo = checks.of(lab.record)
        for number, result in enumerate(checks.run(lab, todo), start=1):
            check = result.check
            figures = f"expected {check.expected}; seen: {result.seen}"[:_LONGEST]
            is_timed = bool(check.within_ns or check.for_ns)
            audience.claims.append(Claim(check.title, result.holds, figures, check_id(number), is_timed))
    return outcome.of_claims(audience.claims)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
