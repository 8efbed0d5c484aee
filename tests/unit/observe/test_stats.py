"""What a balancer counts, while others change it."""

import pytest

from netlab import balancer
from netlab.balancer.counters import Snapshot
from netlab.observe import stats


def test_a_backend_that_is_removed_meanwhile_has_no_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rest of what was read before is shown."""
    counters = dict.fromkeys(
        [
            *("received", "forwarded", "queued", "dropped", "dequeued", "completions", "expired"),
            *("retried", "unheld", "held"),
        ],
        0,
    )
    now = Snapshot(True, "free", 0, 8, counters, {"a": 2}, {"a": 3}, {"a": 1}, [], 0, False)
    monkeypatch.setattr(balancer, "snapshot", lambda _: now)
    monkeypatch.setattr(balancer, "reporters", lambda _: {})
    monkeypatch.setattr(balancer, "absent", lambda _: {})

    assert {"a": stats.BackendStats(2, 3, 1, False, None)} == stats._balancer("/nowhere").backends
