"""What `up` waits for, and whom it blames."""

import time
from typing import Any

import pytest

from netlab.supervise import readiness
from netlab.supervise.job import Start
from netlab.supervise.readiness import Readiness

ROLE, STAYING = Start("n", ("r",)), Start("n", ("r",), stays=True)
COMMAND = Start("n", ("c",), awaits_ready=False)
MISSING = "exit code 3 before it said READY"
EARLY = "before the lab was complete"
MAY = f"{EARLY} (a process that may end needs may_exit: true)"
NOTHING = f"{EARLY} (nothing of it goes on in the background; a process that may end needs may_exit: true)"
UNKNOWN = f"{EARLY} (without control groups of version 2, what a command leaves in the background is not followed: "


def began(start: Start) -> dict[str, Any]:
    """Return the event of a start that has just happened."""
    return {"kind": "started", "ns": time.monotonic_ns(), "process": start.process, "awaits_ready": start.awaits_ready}


def ended(**how: int) -> dict[str, Any]:
    return {"kind": "exited", "ns": time.monotonic_ns(), "process": "n", **how}


@pytest.mark.parametrize(
    ("start", "how", "blame"),
    [
        (COMMAND, {"exit": 3}, f"ended with exit code 3 {MAY}"),
        (COMMAND, {"exit": 0}, f"ended with exit code 0 {NOTHING}"),
        (COMMAND, {}, f"ended in the background {NOTHING}"),
        (COMMAND._replace(may_exit=True), {}, ""),
        (COMMAND, {"signal": 11}, f"was killed by SIGSEGV {EARLY}"),
        (COMMAND._replace(may_exit=True), {"exit": 3}, ""),
        (COMMAND._replace(may_exit=True), {"signal": 11}, f"was killed by SIGSEGV {EARLY}"),
        (ROLE, {"exit": 0}, ""),
        (ROLE, {"exit": 1}, f"ended with exit code 1 {MAY}"),
        (ROLE._replace(may_exit=True), {"exit": 1}, ""),
        (STAYING, {"exit": 0}, f"ended with exit code 0 {MAY}"),
        (STAYING._replace(may_exit=True), {"exit": 0}, ""),
    ],
)
def test_an_end_before_the_lab_is_complete_is_a_failure_unless_the_process_may(
    start: Start, how: dict[str, int], blame: str
) -> None:
    """A role may end with 0, once it was READY, unless it is one that stays."""
    up = Readiness([start], 5)
    up.hear(began(start))
    if start.awaits_ready:
        up.hear({"kind": "ready", "process": "n"})
    found = up.hear(ended(**how))

    assert blame == (found[1][: len(blame)] if found else "")
    assert (not found) == (not blame)


def test_where_nothing_is_followed_the_end_of_a_command_says_so() -> None:
    up = Readiness([COMMAND], 5)
    up.hear({**began(COMMAND), "unfollowed": True})

    assert up.hear(ended(exit=0))[1].startswith(f"ended with exit code 0 {UNKNOWN}")  # type: ignore[index]


@pytest.mark.parametrize("may_exit", [False, True])
def test_a_role_that_ends_before_it_is_ready_is_a_failure_in_any_case(may_exit: bool) -> None:
    up = Readiness([ROLE._replace(may_exit=may_exit)], 5)
    up.hear(began(ROLE))

    assert ("n", f"ended with {MISSING}") == up.hear(ended(exit=3))


def test_a_command_is_watched_for_a_moment_after_all_have_come(monkeypatch: pytest.MonkeyPatch) -> None:
    """What ends at once is seen, whichever is told first."""
    up = Readiness([COMMAND], 5)
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now)
    up.hear({**began(COMMAND), "ns": int(now * 1e9)})
    up.hear({"kind": "complete"})

    assert not up.is_over
    assert up.until == pytest.approx(now + readiness.TRIAL_S)
    assert up.late() is None
    assert up.hear(ended(exit=1))


@pytest.mark.parametrize("start", [ROLE, COMMAND._replace(may_exit=True)])
def test_nobody_is_watched_who_may_end_or_has_said_ready(start: Start) -> None:
    up = Readiness([start], 5)
    up.hear(began(start))
    if start.awaits_ready:
        up.hear({"kind": "ready", "process": "n"})
    up.hear({"kind": "complete"})

    assert up.is_over


DAEMON = Start("n", ("c",), ready=("port", "80/tcp", (), 7.0))


def test_a_command_with_a_sign_may_not_end_as_a_role_may() -> None:
    up = Readiness([DAEMON], 5)
    up.hear(began(DAEMON))
    up.hear({"kind": "ready", "process": "n"})

    found = up.hear(ended(exit=0))
    assert found
    assert found[1].startswith("ended with exit code 0 before the lab was complete")


def test_who_is_late_is_told_with_the_others() -> None:
    others = [DAEMON._replace(process=name) for name in ("a", "b", "c", "d", "e")]
    up = Readiness([DAEMON, *others], 5)
    for each in (DAEMON, *others):
        up.hear(began(each))
    up.hear({"kind": "ready", "process": "a"})

    why = "is not ready within 7 s: nobody listens"
    assert ("n", f"{why} (nor is b, c, d …)") == up.hear({"kind": "late", "process": "n", "why": why})


def test_a_process_with_more_time_is_waited_for() -> None:
    """Until the supervisor says that it is late."""
    up = Readiness([DAEMON], 5)
    before = up.until
    up.hear(began(DAEMON))

    assert up.until - before > 1.5


def test_one_that_starts_again_is_a_failure_only_when_it_does_not_any_more() -> None:
    again = DAEMON._replace(restart=("on-failure", 1))
    up = Readiness([again], 5)
    up.hear(began(again))

    assert up.hear({**ended(exit=3), "again": True}) is None
    assert up.hear({"kind": "restarting", "process": "n", "ns": 1}) is None
    up.hear(began(again))
    assert up.hear(ended(exit=3)) is None
    assert ("n", "has ended again, after 1 restart") == up.hear({"kind": "exhausted", "process": "n", "at_most": 1})


def test_one_that_starts_again_and_again_has_no_more_time_than_others() -> None:
    again = DAEMON._replace(restart=("always", 1000))
    up = Readiness([again], 5)
    up.hear(began(again))
    until = up.until
    for _ in range(3):
        assert up.hear({**ended(exit=3), "again": True}) is None
        assert up.hear({"kind": "restarting", "process": "n"}) is None
        up.hear(began(again))

    assert up.until == until
    up.hear({**ended(exit=3), "again": True})
    assert ("n", "ended with exit code 3 again and again, and never was ready within 5 s") == up.late()


def test_a_command_that_ends_well_at_once_is_a_failure_also_if_it_would_start_again_after_another_end() -> None:
    up = Readiness([COMMAND._replace(restart=("on-failure", 1))], 5)
    up.hear(began(COMMAND))

    found = up.hear(ended(exit=0))

    assert found is not None
    assert "ended with exit code 0 before the lab was complete" in found[1]


def test_one_that_starts_again_only_after_a_failure_may_not_end_before_it_is_ready() -> None:
    again = DAEMON._replace(restart=("on-failure", 1))
    up = Readiness([again], 5)
    up.hear(began(again))

    assert ("n", "ended with exit code 0 before it was ready") == up.hear(ended(exit=0))
