"""What `status` has against a process."""

import pytest

from netlab.lab import process_drift
from netlab.record.model import ProcessRecord
from netlab.supervise.client import Process

PLANNED = ProcessRecord("a", "", ("x",), autostart=True, stays=False, may_exit=False)
RUNS = Process("a", "a", "running", 7)


@pytest.mark.parametrize(
    ("planned", "now", "expected"),
    [
        (PLANNED, RUNS, ""),
        (PLANNED, RUNS._replace(restarts=3), ""),
        (PLANNED, RUNS._replace(state="starting"), ""),
        (PLANNED, RUNS._replace(state="starting", late="is not ready within 1 s: x"), "is not ready within 1 s: x"),
        (PLANNED, RUNS._replace(late="is not ready within 1 s: x"), ""),
        (PLANNED, RUNS._replace(state="exited"), ""),
        (PLANNED._replace(stays=True), RUNS._replace(state="exited"), "has ended, and its role is one that stays"),
        (PLANNED, RUNS._replace(state="exited", code=3), "has ended with exit code 3"),
        (PLANNED._replace(may_exit=True), RUNS._replace(state="exited", code=3), ""),
        (PLANNED, RUNS._replace(state="killed", code=9), "was killed by SIGKILL"),
        (PLANNED, RUNS._replace(state="killed", code=15, stopped_by_request=True), "was stopped on request"),
        (PLANNED, RUNS._replace(state="gone"), "has ended in the background"),
        (PLANNED._replace(may_exit=True), RUNS._replace(state="gone"), ""),
        (
            PLANNED,
            RUNS._replace(state="restarting", restarts=2),
            "has ended, and starts again in a moment (restart 2 in a row)",
        ),
        (
            PLANNED._replace(may_exit=True),
            RUNS._replace(state="exited", code=3, restarts=1, exhausted=True),
            "has ended with exit code 3, after 1 restart in a row, as many as it may have",
        ),
    ],
)
def test_what_is_wrong_with_a_process(planned: ProcessRecord, now: Process, expected: str) -> None:
    found = list(process_drift.problems("lab", "/f", planned, now, is_watched=True, mend="mend"))

    assert [f"its process 7 {expected}"] * bool(expected) == [each.what for each in found]
    assert {"a"} >= {each.where for each in found}
