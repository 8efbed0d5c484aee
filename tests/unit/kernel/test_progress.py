"""Who works is waited for, who stands still is not, whatever the clock says."""

import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest

from netlab import paths
from netlab.errors import NetlabError
from netlab.kernel import progress
from netlab.record import store
from netlab.testing.waiting import eventually

PATIENCE_S = 0.2
BUSY = "print(flush=True)\nwhile True: pass"
IDLE = "import time; print(flush=True); time.sleep(600)"
# One that waits while a process below it works, and one that waits while nobody does.
PARENT = "import subprocess, sys; subprocess.run([sys.executable, '-c', '''print(flush=True)\\nwhile True: pass'''])"


@contextmanager
def running(code: str, path: Path | None = None) -> Iterator[int]:
    """Run Python code that prints a line, in a session of its own, which holds a lock on a file if there is one."""
    with open(path or os.devnull, "w", encoding="ascii") as file:
        begin = f"import fcntl; fcntl.flock({file.fileno()}, fcntl.LOCK_EX)\n" if path else ""
        argv = [sys.executable, "-c", begin + code]
        process = subprocess.Popen(argv, pass_fds=[file.fileno()], stdout=subprocess.PIPE, start_new_session=True)
    assert process.stdout
    try:
        process.stdout.readline()
        yield process.pid
    finally:
        os.killpg(process.pid, 9)
        process.communicate()


def sleeps(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "S"


def work(seconds: float) -> None:
    """Use CPU time of our own."""
    ends = time.process_time() + seconds
    while time.process_time() < ends:
        pass


def test_a_process_that_makes_progress_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long a look takes; and from the last time that something has changed on."""
    clock = count(step=1000.0)
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    seen = iter([1, 2, 3, 3, 4, 4])
    patience = progress.Patience(lambda: next(seen), patience_s=1500)

    assert [patience.is_over() for _ in range(6)] == [False] * 6
    seen = iter([4, 4])
    assert [patience.is_over() for _ in range(2)] == [True, True]


def changes(look: Callable[[], object]) -> None:
    """Wait until what is seen has changed three times."""
    for _ in range(3):
        before = look()
        eventually(lambda before=before: look() != before, "some CPU time")  # type: ignore[misc]


def test_cpu_time_shows_progress() -> None:
    """Here it is a process below the one that was started, which only waits."""
    with running(PARENT) as pid:
        changes(lambda: progress.of_holders(pids=[pid]))


def test_no_cpu_time_shows_no_progress() -> None:
    """What we use ourselves does not count."""
    with running(IDLE) as pid:
        eventually(lambda: sleeps(pid))
        before = progress.of_holders(pids=[pid])
        work(0.1)

        assert pid in before
        assert progress.of_holders(pids=[pid]) == before


def test_a_process_that_holds_the_lock_and_works_is_seen(tmp_path: Path) -> None:
    with running(PARENT, tmp_path / "lock"):
        changes(lambda: progress.of_holders(str(tmp_path / "lock")))


def test_a_process_that_works_without_the_lock_does_not_count(tmp_path: Path) -> None:
    with running(IDLE, tmp_path / "lock") as pid, running(BUSY) as busy:
        eventually(lambda: sleeps(pid))
        before = progress.of_holders(str(tmp_path / "lock"))
        changes(lambda: progress.of_holders(pids=[busy]))

        assert list(before) == [pid]
        assert progress.of_holders(str(tmp_path / "lock")) == before


def test_a_lock_that_nobody_holds_has_no_holders(tmp_path: Path) -> None:
    (tmp_path / "lock").touch()

    assert {} == progress.of_holders(str(tmp_path / "lock")) == progress.of_holders(str(tmp_path / "gone"))


@pytest.mark.parametrize("works", [True, False])
def test_a_command_waits_for_one_that_works(works: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lab's lock is waited for as long as its holder gets on; here that lets go of it after five looks."""
    monkeypatch.setattr(paths, "LABS", str(tmp_path))
    looks = count()
    with open(tmp_path / "one.lock", "w", encoding="ascii") as file:
        fcntl.flock(file, fcntl.LOCK_EX)

        def look(path: str) -> int:
            assert path == file.name
            seen = next(looks)
            if works and seen == 5:
                fcntl.flock(file, fcntl.LOCK_UN)
            return seen if works else 0

        monkeypatch.setattr(progress, "of_holders", look)
        try:
            with store.locked("one", PATIENCE_S):
                pass
            got_it = True
        except NetlabError:
            got_it = False

    assert got_it == works
    assert next(looks) > 1
