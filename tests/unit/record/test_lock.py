"""One command at a time changes a lab."""

import errno
import multiprocessing
import os
from pathlib import Path
from typing import Any

import pytest

from netlab import paths
from netlab.errors import NetlabError
from netlab.record import lock, store
from tests.unit.record.test_store import make

pytestmark = pytest.mark.usefixtures("root")


def hold(root: str, lab: str, has: Any, may_end: Any) -> None:
    """Hold a lab's lock in another process, and tell when."""
    paths.LABS = root
    with store.locked(lab):
        has.set()
        may_end.wait(10)


def test_a_lock_is_held_by_one_and_leaves_nothing(root: Path) -> None:
    """A second command waits until the first has ended, or says that it has waited long enough."""
    has, may_end = multiprocessing.Event(), multiprocessing.Event()
    other = multiprocessing.Process(target=hold, args=(str(root), "one", has, may_end))
    other.start()
    assert has.wait(10)
    waited: list[int] = []
    with (
        pytest.raises(NetlabError, match="another netlab command is still changing the lab one"),
        store.locked("one", 0.1, lambda: waited.append(1)),
    ):
        pass
    may_end.set()
    with store.locked("one", 10):
        assert os.path.exists(root / "one.lock")
    other.join(10)

    assert waited == [1]
    assert not root.exists()


def test_a_lock_stays_while_its_lab_does(root: Path) -> None:
    """The file goes with the lab."""
    make(root, "one")
    with store.locked("one"):
        pass
    assert (root / "one.lock").exists()
    with store.locked("one"):
        (root / "one").rmdir()

    assert not root.exists()


def test_only_where_there_is_no_lab_can_one_do_without_its_lock(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no room for it. Else another command could get it as soon as there is room."""

    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(lock.Lock, "acquire", fail)
    make(root, "one")
    for lab, may_do_without in (("one", True), ("two", False)):
        with pytest.raises(OSError, match="No space left"), store.locked(lab, may_do_without=may_do_without):
            pass
    with store.locked("two", may_do_without=True) as fd:
        assert fd == -1


def test_an_interrupted_release_keeps_nobody_waiting(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The undo that follows takes the host's lock again: the process must not wait for itself."""

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(lock.Lock, "release", interrupted)
        with pytest.raises(KeyboardInterrupt) as cut_off, lock.of_host("one"):  # its frames keep the lock
            pass
    monkeypatch.setattr(lock, "_PATIENCE_S", 0.1)
    with lock.of_host("one") as fd:
        assert fd >= 0
    assert cut_off.traceback
    assert not root.exists()
