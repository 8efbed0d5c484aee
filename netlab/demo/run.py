"""`netlab demo` from beginning to end: play, judge, and save if wanted."""

import fcntl
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from typing import Protocol

from netlab import paths
from netlab.demo import outcome, report, save
from netlab.demo.cast import Cast, Wanted, cast
from netlab.demo.evidence import Claim, Entry, Evidence
from netlab.demo.outcome import Outcome
from netlab.demo.play import play
from netlab.demo.scenes import Scene
from netlab.errors import NetlabError
from netlab.judge.claim import unjudged
from netlab.observe.capture import Capture, Captured
from netlab.plan.description import describe
from netlab.record.model import LabRecord

# What code raises that did not expect what it met. Whoever is judged must not be able to end a demo in this way.
MISTAKES = (LookupError, ValueError, TypeError, AttributeError, ArithmeticError)


class Audience(Protocol):
    """Who sees a play."""

    def begin(self, lab: LabRecord) -> None:
        """Get the lab's record, before anything happens."""

    def line(self, entry: Entry, begin_ns: int) -> None:
        """Get a line when it happens, with the time of the first one."""

    def end(self, evidence: Evidence, claims: Sequence[Claim], found: Outcome) -> None:
        """Get the outcome, before anything is saved."""


def run(
    wanted: Wanted, audience: Audience, say: Callable[[str], None], scene: Scene | None = None, *, again: bool = True
) -> Outcome:
    """Play a demo, and return its outcome; NetlabError if it was not played. With `save`, that is kept, too.

    `scene` is played instead of the demo as it is. `again` plays it once more if only times may have gone wrong.
    """
    chosen = cast(wanted, scene)
    problem: NetlabError | None = None
    with save.folder(wanted.save) if wanted.save is not None else nullcontext() as work:
        audience.begin(describe(chosen.plan, ""))
        try:
            evidence, claims, captured = _played(chosen, wanted, audience, say, work, again=again)
        except NetlabError as error:
            if not work:
                raise
            problem = error
            save.failure(work, chosen.played(wanted), outcome.of_error(error))
        else:
            found = outcome.of_claims(claims) if not evidence.is_cut else _cut(wanted)
            audience.end(evidence, claims, found)
            if work:
                save.write(work, chosen.played(wanted), evidence, claims, captured)
        if work:
            say(f"netlab: everything is in {wanted.save}; its report is {os.path.join(str(wanted.save), 'report.md')}")
    if problem:
        raise problem
    return found


def _cut(wanted: Wanted) -> Outcome:
    why = f"netlab: the play was not over after {wanted.time_limit:g} s (--time-limit); what was seen is judged"
    return Outcome("not-over-in-time", 6, why)


def _played(
    chosen: Cast, wanted: Wanted, audience: Audience, say: Callable[[str], None], work: str | None, *, again: bool
) -> tuple[Evidence, list[Claim], list[Captured]]:
    """Play, and, with `again`, once more, alone, if only claims fail that a busy machine can make fail."""
    ends = time.monotonic() + wanted.time_limit
    evidence, claims, captured = _once(chosen, wanted, audience, say, work, ends)
    failed = [claim for claim in claims if claim.holds is False]
    if again and failed and all(claim.is_timed for claim in failed) and not evidence.is_cut:
        names = ", ".join(claim.id for claim in failed)
        say(f"netlab: {names}: a busy machine alone can make this fail, so the demo is played once more, alone")
        with _alone():
            return _once(chosen, wanted, audience, say, work, ends)
    return evidence, claims, captured


def _once(
    chosen: Cast, wanted: Wanted, audience: Audience, say: Callable[[str], None], work: str | None, ends: float
) -> tuple[Evidence, list[Claim], list[Captured]]:
    captures = f"{work}/{report.CAPTURES}"
    if work:
        for name in os.listdir(captures):  # of the play before
            os.unlink(f"{captures}/{name}")
    capture = Capture(captures) if work else None
    scene = chosen.scene
    how = (wanted.timeout, say, audience.line, capture, chosen.facts, chosen.extras(), ends)
    evidence = play(chosen.plan, scene.is_over, *how)
    return evidence, judged(scene, evidence), capture.stop() if capture else []


@contextmanager
def _alone() -> Iterator[None]:
    """Let no other demo be played once more meanwhile."""
    with ExitStack() as in_the_end:
        with suppress(OSError):
            folder = os.open(paths.LABS, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            in_the_end.callback(os.close, folder)
            fcntl.flock(folder, fcntl.LOCK_EX)
        yield


def judged(scene: Scene, evidence: Evidence) -> list[Claim]:
    """Return the claims on behaviour, and behind them a closer look where there is something to look at."""
    return [*scene.judge(evidence), *(_closer(scene, evidence) if _is_ours(evidence) else [])]


def _closer(scene: Scene, evidence: Evidence) -> list[Claim]:
    try:
        return scene.closer(evidence)
    except MISTAKES as error:
        why = f"netlab did not expect what lines and maps say ({type(error).__name__}: {error})"
        return [unjudged("lines and maps agree with each other", why, f"{scene.topology}.closer")]


def _is_ours(evidence: Evidence) -> bool:
    """Say whether a program counts in maps as netlab's own programs do."""
    return bool(evidence.stats.balancers) or any(each.reasons for each in evidence.stats.programs.values())
