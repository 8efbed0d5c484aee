"""What tests have left, beside others who use the machine meanwhile: tests/left_over.py."""

import glob
import tempfile
from types import SimpleNamespace

import pytest

from netlab.testing import leaks
from tests import left_over

Machine = leaks.Snapshot


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

    assert {"left behind: BPF map 7 slots"} == plugin.left(within_s=0.1)


def test_what_goes_or_comes_afterwards_is_not(plugin: left_over.LeftOver, looks: list[Machine]) -> None:
    """Somebody else makes and removes labs all the time."""
    looks[:] = [machine(**{"BPF map": {f"{number} slots"}}) for number in (7, 8)]

    assert set() == plugin.left(within_s=0.1)


def test_tests_without_root_can_leave_files_only(plugin: left_over.LeftOver, looks: list[Machine]) -> None:
    looks[:] = [machine(file={"/tmp/netlab-x"}, **{"BPF map": {"7 slots"}})]  # noqa: S108

    assert {"left behind: file /tmp/netlab-x"} == plugin.left("left behind: file ", 0.1)


def test_instances_of_others_are_none_of_ours(plugin: left_over.LeftOver, looks: list[Machine]) -> None:
    ours = f"netlab.x.{left_over.whose()[0]}"
    looks[:] = [machine(**{"trace instance": {ours, "netlab.x.4026539999-1"}})]

    assert {f"left behind: trace instance {ours}"} == plugin.left(within_s=0.1)


def test_of_cells_only_those_count_where_our_tests_were(
    plugin: left_over.LeftOver, looks: list[Machine], monkeypatch: pytest.MonkeyPatch
) -> None:
    plugin.pytest_testnodedown(SimpleNamespace(workeroutput={left_over.OURS: ["4026530000-7", "cell-12"]}))
    monkeypatch.setattr(glob, "glob", lambda _: ["/tmp/cell-1-abc", "/tmp/cell-12-abc"])  # noqa: S108
    groups = {"/sys/fs/cgroup/cell-1/netlab", "/sys/fs/cgroup/cell-12/netlab", "/sys/fs/cgroup/netlab.x.4026531836"}
    looks[:] = [machine(cgroup=groups, **{"trace instance": {"netlab.x.4026530000-7"}})]

    assert {
        "left behind: file /tmp/cell-12-abc",
        "left behind: cgroup /sys/fs/cgroup/cell-12/netlab",
        "left behind: cgroup /sys/fs/cgroup/netlab.x.4026531836",
        "left behind: trace instance netlab.x.4026530000-7",
    } == plugin.left(within_s=0.1)


def test_a_process_says_in_which_cell_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/tmp/cell-345-x1")  # noqa: S108

    assert ["cell-345"] == left_over.whose()[1:]
