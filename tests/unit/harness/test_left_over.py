"""What tests have left, beside others who use the machine meanwhile: tests/left_over.py."""

import glob
import os

import pytest

from netlab.testing import leaks
from tests import left_over

Machine = leaks.Snapshot
DEAD = 2**22 + 1  # above the kernel's largest process id


def machine(**kinds: set[str]) -> Machine:
    return {"BPF map": set(), "cgroup": set(), "file": set(), "trace instance": set(), **kinds}


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[Machine]:
    """What is there at each look; the last stays."""
    found: list[Machine] = [machine()]

    def look() -> Machine:
        now = found.pop(0) if len(found) > 1 else found[0]
        return {kind: set(what) for kind, what in now.items()}

    monkeypatch.setattr(leaks, "machine", look)
    monkeypatch.setattr(glob, "glob", lambda _: [])
    return found


@pytest.fixture
def plugin(looks: list[Machine]) -> left_over.LeftOver:
    return left_over.LeftOver()


def test_what_stays_is_left(plugin: left_over.LeftOver, looks: list[Machine]) -> None:
    looks[:] = [machine(**{"BPF map": {"7 slots"}})]

    assert {"left behind: BPF map 7 slots"} == plugin.left(0.1)


def test_what_goes_or_comes_afterwards_is_not(plugin: left_over.LeftOver, looks: list[Machine]) -> None:
    """Somebody else makes and removes labs all the time."""
    looks[:] = [machine(**{"BPF map": {f"{number} slots"}}) for number in (7, 8)]

    assert set() == plugin.left(0.1)


def test_instances_of_others_are_none_of_ours(plugin: left_over.LeftOver, looks: list[Machine]) -> None:
    ours = f"netlab.x.{left_over.whose()}"
    looks[:] = [machine(**{"trace instance": {ours, "netlab.x.4026539999-1"}})]

    assert {f"left behind: trace instance {ours}"} == plugin.left(0.1)


def test_a_cell_where_somebody_lives_is_none_of_ours(
    plugin: left_over.LeftOver, looks: list[Machine], monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs, left = f"cell-{os.getpid()}", f"cell-{DEAD}"
    monkeypatch.setattr(glob, "glob", lambda _: [f"/tmp/{theirs}-abc", f"/tmp/{left}-abc"])  # noqa: S108
    looks[:] = [machine(cgroup={f"/sys/fs/cgroup/{theirs}/netlab", f"/sys/fs/cgroup/{left}/netlab"})]

    assert {
        f"left behind: file /tmp/{left}-abc",
        f"left behind: cgroup /sys/fs/cgroup/{left}/netlab",
    } == plugin.left(0.1)
