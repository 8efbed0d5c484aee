"""From plays to a verdict and points."""

from collections.abc import Sequence

import pytest

from netlab.grade import result
from netlab.grade.result import Play
from netlab.topology.validate.untrusted import HINT as UNTRUSTED

LATE = "late"  # failed, by a claim on times
POINTS = {"a": 1.0, "b": 2.0, "c": 0.0}


def play(outcome: str = "holds", *, number: int = 1, problem: str = "", **verdicts: str) -> Play:
    claims = [
        {
            "id": name,
            "verdict": "failed" if verdict == LATE else verdict,
            "holds": {"met": True, "unjudged": None}.get(verdict, False),
            "timed": verdict == LATE,
        }
        for name, verdict in verdicts.items()
    ]
    return Play(number, {}, outcome, problem, claims, 1.0)


def graded(plays: Sequence[Play], *, is_alone: bool = False) -> result.Result:
    return result.of_plays("ann", "", plays, POINTS, is_alone=is_alone)


def test_all_points_are_full() -> None:
    found = graded([play(a="met", b="met", c="met"), play(a="met", b="met", c="failed", outcome="claims-fail")])

    assert ("full", 3.0, 3.0) == (found.verdict, found.points, found.of)


def test_a_claim_earns_its_points_if_it_is_met_in_every_play() -> None:
    found = graded([play(a="met", b="met"), play("claims-fail", a="met", b="failed")])

    assert ("claims fail", 1.0) == (found.verdict, found.points)


def test_a_claim_that_was_not_judged_earns_nothing() -> None:
    found = graded([play(a="met", b="unjudged")], is_alone=True)

    assert ("claims fail", 1.0, ()) == (found.verdict, found.points, found.again)


@pytest.mark.parametrize(
    ("outcome", "problem", "verdict"),
    [
        ("does-not-build", "x.c:1: error: use of undeclared identifier", "does not build"),
        ("reaches-outside", "x.c:1: /etc/shadow", "tried to reach outside"),
        ("refused-by-the-verifier", "", "refused by the verifier"),
        ("not-over-in-time", "", "hangs"),
        ("usage", "mine.yml:1:1: expected a topology", "does not build"),
        ("usage", f"mine.yml:1:1: expected no node of kind host ({UNTRUSTED})", "tried to reach outside"),
        ("did-not-start", "client ended", "claims fail"),
        ("error-of-netlab", "", "error of ours"),
        ("host", "no memory", "error of ours"),
    ],
)
def test_each_outcome_has_its_verdict(outcome: str, problem: str, verdict: str) -> None:
    found = graded([play(outcome, problem=problem)])

    assert (verdict, 0.0) == (found.verdict, found.points)


def test_the_worst_play_counts() -> None:
    found = graded([play(a="met", b="met"), play("not-over-in-time", number=2, problem="slow", a="met")])

    assert ("hangs", "slow", 1.0) == (found.verdict, found.problem, found.points)


def test_what_may_be_a_busy_machines_fault_is_played_again_once() -> None:
    late = play("claims-fail", number=2, a="met", b=LATE)

    assert (2,) == graded([play(a="met", b="met"), late]).again
    assert () == graded([late._replace(alone=True)], is_alone=True).again
    assert () == graded([play("claims-fail", a="failed", b=LATE)]).again


def test_a_result_survives_json() -> None:
    found = graded([play(a="met", b="failed", outcome="claims-fail")])

    assert found.as_data() == result.from_data(found.as_data()).as_data()
