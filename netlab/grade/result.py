"""What became of a submission: the verdict, the points, and each of its plays. Plain data, which JSON can hold."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from netlab.named_tuple import NamedTuple
from netlab.topology.validate.untrusted import HINT as UNTRUSTED

FULL, FAILS, HANGS, UNBUILT, REFUSED, OUTSIDE, OURS = (
    "full",
    "claims fail",
    "hangs",
    "does not build",
    "refused by the verifier",
    "tried to reach outside",
    "error of ours",
)
VERDICTS = (OURS, OUTSIDE, UNBUILT, REFUSED, HANGS, FAILS, FULL)  # of several plays the first one counts
FINAL = (OURS, OUTSIDE, UNBUILT, REFUSED, HANGS)  # after which a submission is played no further
_OF_OUTCOME = {
    "holds": FULL,
    "claims-fail": FAILS,
    "does-not-build": UNBUILT,
    "refused-by-the-verifier": REFUSED,
    "not-over-in-time": HANGS,
    "usage": UNBUILT,
    "did-not-start": FAILS,
    "reaches-outside": OUTSIDE,
}
MET = "met"
OTHER_LAB = "grade.lab"  # the claim that fails if a submission's own lab is not that of the exercise


class Play(NamedTuple):
    """One play: what was drawn, how it ended, the claims as data, and what was told and printed at its end."""

    number: int
    drawn: Mapping[str, str]
    outcome: str
    problem: str
    claims: Sequence[Mapping[str, Any]]
    seconds: float
    tail: Sequence[str] = ()
    alone: bool = False

    @property
    def verdict(self) -> str:
        """The verdict on this play alone."""
        found = _OF_OUTCOME.get(self.outcome, OURS)
        return OUTSIDE if found == UNBUILT and UNTRUSTED in self.problem else found

    def missed(self, points: Mapping[str, float]) -> list[Mapping[str, Any]]:
        """Return the claims that earn points, and are not met."""
        return [claim for claim in self.claims if claim["verdict"] != MET and points.get(claim["id"])]


class Result(NamedTuple):
    """What became of a submission. `digest` is of all that it depends on; `again` are plays to be played alone."""

    name: str
    digest: str
    verdict: str
    problem: str
    points: float
    of: float
    plays: Sequence[Play]
    seconds: float
    left_out: Sequence[str] = ()
    again: Sequence[int] = ()
    where: str = ""

    def as_data(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {**self._asdict(), "plays": [{"verdict": play.verdict, **play._asdict()} for play in self.plays]}


def from_data(data: Mapping[str, Any]) -> Result:
    """Return a result of JSON; KeyError, TypeError or ValueError if it is none."""
    plays = [Play(**{key: value for key, value in each.items() if key != "verdict"}) for each in data["plays"]]
    return Result(**{**data, "plays": plays})


def writable(result: Result) -> Result:
    """Return it with texts that can be written and shown: what is no UTF-8 in the names of files becomes "?"."""
    data = json.dumps(result.as_data(), ensure_ascii=False).encode(errors="replace")
    return from_data(json.loads(data))


def unplayed(name: str, digest: str, verdict: str, problem: str, points: Mapping[str, float]) -> Result:
    """Return the result of a submission of which nothing could be played."""
    return Result(name, digest, verdict, problem, 0.0, sum(points.values()), (), 0.0)


def of_plays(name: str, digest: str, plays: Sequence[Play], points: Mapping[str, float], *, is_alone: bool) -> Result:
    """Put plays together: of the verdicts the worst, and of each claim the points if it is met in every play.

    What only a busy machine may have made fail is to be played again, unless these plays were alone.
    """
    verdict = min((play.verdict for play in plays), key=VERDICTS.index)
    earned = {claim for claim in points if plays and all(_is_met(play, claim) for play in plays)}
    if verdict in (FULL, FAILS):
        verdict = FULL if all(claim in earned for claim, amount in points.items() if amount) else FAILS
    worst = next(play for play in plays if play.verdict == min((each.verdict for each in plays), key=VERDICTS.index))
    again = () if is_alone else tuple(play.number for play in plays if not play.alone and _may_be_busy(play, points))
    total = sum(points.values())
    points_earned = total if verdict == FULL else sum(points[claim] for claim in earned)
    seconds = sum(play.seconds for play in plays)
    return Result(name, digest, verdict, worst.problem, points_earned, total, tuple(plays), seconds, (), again)


def _is_met(play: Play, claim: str) -> bool:
    return any(each["id"] == claim and each["verdict"] == MET for each in play.claims)


def _may_be_busy(play: Play, points: Mapping[str, float]) -> bool:
    """Say whether a busy machine alone may have made claims fail: those on times, and those that were not judged."""
    missed = play.missed(points)
    return bool(missed) and play.verdict == FAILS and all(each["timed"] or each["holds"] is None for each in missed)


def all_full(results: Iterable[Result]) -> bool:
    """Say whether every submission has all points."""
    return all(result.verdict == FULL for result in results)
