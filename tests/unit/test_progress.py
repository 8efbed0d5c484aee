"""Who works is waited for, who stands still is not, whatever the clock says."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from netlab import progress, record
from netlab.errors import NetlabError

PATIENCE_S = 0.6
BUSY = "while True: pass"
# One that waits while a process below it works, and one that waits while nobody does.
PARENT = f"import subprocess, sys; child = subprocess.Popen([sys.executable, '-c', '{BUSY}']); child.wait()"
IDLE = "import time; time.sleep(60)"


@contextmanager
def running(code: str, path: Path | None = None) -> Iterator[None]:
    """Run Python code in a session of its own, which holds a lock on a file if there is one."""
    with open(path or os.devnull, "w", encoding="ascii") as file:
        begin = f"import fcntl; fcntl.flock({file.fileno()}, fcntl.LOCK_EX); " if path else ""
        said = "print(flush=True)\n"
        argv = [sys.executable, "-c", begin + said + code]
        process = subprocess.Popen(argv, pass_fds=[file.fileno()], stdout=subprocess.PIPE, start_new_session=True)
    assert process.stdout
    try:
        process.stdout.readline()
        yield
    finally:
        os.killpg(process.pid, 9)
        process.communicate()


def outlasts(patience: progress.Patience) -> bool:
    """Say whether the patience lasts for twice as long as nobody must stand still."""
    ends = time.monotonic() + 2 * PATIENCE_S
    while time.monotonic() < ends:
        if patience.is_over():
            return False
        time.sleep(patience.pause_s)
    return True


@pytest.mark.parametrize(("code", "lasts"), [(PARENT, True), (IDLE, False)])
def test_who_works_is_waited_for(code: str, lasts: bool) -> None:
    """Here it is a process below the one that was started, which only waits."""
    with running(code):
        assert outlasts(progress.Patience(progress.of_children, PATIENCE_S)) == lasts


@pytest.mark.parametrize(("code", "lasts"), [(PARENT, True), (IDLE, False)])
def test_who_works_with_a_lock_held_is_waited_for(code: str, lasts: bool, tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with running(code, path), running(BUSY):  # who works without the lock does not count
        assert outlasts(progress.Patience(lambda: progress.of_holders(str(path)), PATIENCE_S)) == lasts


def test_a_lock_that_nobody_holds_has_no_holders(tmp_path: Path) -> None:
    (tmp_path / "lock").touch()

    assert {} == progress.of_holders(str(tmp_path / "lock")) == progress.of_holders(str(tmp_path / "gone"))


@pytest.mark.parametrize(("code", "waits"), [(BUSY, True), (IDLE, False)])
def test_a_command_waits_for_one_that_works(
    code: str, waits: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lab's lock is waited for as long as its holder gets on."""
    monkeypatch.setattr(record, "ROOT", str(tmp_path))
    busy_s = 2 * PATIENCE_S
    code = code.replace("True", f"__import__('time').process_time() < {busy_s}").replace("60", str(20 * PATIENCE_S))
    begun = time.monotonic()
    with running(code, tmp_path / "one.lock"):
        try:
            with record.locked("one", PATIENCE_S):
                pass
            got_it = True
        except NetlabError:
            got_it = False

    assert got_it == waits
    assert not waits or time.monotonic() - begun > PATIENCE_S
