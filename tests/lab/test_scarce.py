"""A host that has no more of something: what netlab does there, and what it says."""

import fcntl
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from netlab import paths
from netlab.kernel import syscalls
from netlab.testing.waiting import PATIENCE_S, eventually
from tests.lab.lab import PARTB, ROOT, lab, netlab

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("no_leaks")]

TOPOLOGY = """
name: scarce
nodes:
  a: {xdp: pass, command: [sleep, inf]}
  b: {command: [sleep, inf]}
links: [[a, b]]
"""


@pytest.fixture
def topology(tmp_path: Path) -> str:
    """Return a lab with a program and processes."""
    (tmp_path / "scarce.yml").write_text(TOPOLOGY)
    return str(tmp_path / "scarce.yml")


@pytest.fixture
def no_inodes(no_leaks: None) -> Iterator[None]:
    """Have no room for a single file where labs are."""
    there = os.path.isdir(paths.LABS)
    os.makedirs(paths.LABS, exist_ok=True)
    syscalls.mount("none", paths.LABS, "tmpfs", data="nr_inodes=1,mode=755")
    yield
    syscalls.umount(paths.LABS)
    if not there:
        os.rmdir(paths.LABS)


@pytest.mark.usefixtures("no_inodes")
def test_down_needs_no_room(topology: str) -> None:
    """There may be nothing that it could remove, and that is no failure; `up` says what there is none of."""
    assert "nothing of it is left" in netlab("down", "scarce").stderr
    said = netlab("up", topology, code=3).stderr

    assert "No space left on device (make room, or more inodes: df, df -i)" in said


@pytest.mark.usefixtures("no_inodes")
def test_nobody_can_let_a_command_wait_that_has_no_room_for_its_lock() -> None:
    """Any user can lock a folder. Where there is no lock there is no lab either, and so nothing to be guarded."""
    theirs = os.open(paths.LABS, os.O_RDONLY)
    fcntl.flock(theirs, fcntl.LOCK_EX)
    try:
        assert "nothing of it is left" in netlab("down", "scarce").stderr
    finally:
        os.close(theirs)


@pytest.mark.parametrize("count", [6, 9, 11, 13, 15, 17, 19, 22])
def test_few_descriptors_suffice_or_are_told_of(topology: str, count: int) -> None:
    """Never is something else blamed; what is left of an undo that had too few for that, `down` removes."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, count))

    line = [sys.executable, "-m", "netlab", "up", topology]
    done = subprocess.run(
        line, preexec_fn=limit, cwd=ROOT, check=False, capture_output=True, text=True, timeout=PATIENCE_S
    )
    netlab("down", "scarce")

    assert done.returncode == 0 or "Too many open files" in done.stderr, done.stderr
    assert "no such interface" not in done.stderr
    assert "inside netlab" not in done.stderr


def test_a_compiler_with_few_descriptors_says_so() -> None:
    """A balancer has some forty maps and programs."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (37, 37))

    line = [sys.executable, "-m", "netlab", "up", PARTB, "--lab", "scarce"]
    done = subprocess.run(
        line, preexec_fn=limit, cwd=ROOT, check=False, capture_output=True, text=True, timeout=PATIENCE_S
    )

    assert done.returncode == 3, done.stderr
    assert "Too many open files (raise the limit of open files: ulimit -n)" in done.stderr


@pytest.mark.parametrize("stderr", ["2>/dev/full", "2>&-", "<&- 2>&-"])
def test_a_lab_that_nobody_can_be_told_of_stands_all_the_same(topology: str, stderr: str) -> None:
    """And stdout, which is for data, gets none of the talk."""
    line = ["sh", "-c", f'exec "$@" {stderr}', "sh", sys.executable, "-m", "netlab"]
    try:
        up = subprocess.run([*line, "up", topology], cwd=ROOT, check=False, stdout=subprocess.PIPE, timeout=PATIENCE_S)
        state = netlab("status").stdout.splitlines()[0]
        words = [*line, "down", "scarce"]
        down = subprocess.run(words, cwd=ROOT, check=False, stdout=subprocess.PIPE, timeout=PATIENCE_S)
    finally:
        netlab("down", "scarce")

    assert (up.returncode, up.stdout, down.returncode, down.stdout) == (0, b"", 0, b"")
    assert state.startswith("lab scarce is up,")


def test_numbers_as_large_as_anybody_may_type(topology: str) -> None:
    """They mean without an end."""
    with lab(topology, "--timeout", "1e30"):
        assert len(netlab("logs", "-n", "9" * 30).stdout.splitlines()) == 2
        assert netlab("trace", "-n", "9" * 30).stdout == ""


def test_a_folder_whose_name_is_no_text(tmp_path: Path) -> None:
    """A topology lies there, with its roles, and is started from there."""
    folder = os.fsdecode(os.fsencode(tmp_path) + b"/\xff")
    os.mkdir(folder)
    Path(folder, "mine.py").write_text("import time\nprint('READY', flush=True)\ntime.sleep(1000)\n")
    Path(folder, "lab.yml").write_text("{name: scarce, nodes: {a: {role: mine}}}")
    python = {**os.environ, "PYTHONPATH": ROOT}
    try:
        netlab("up", "lab.yml", cwd=folder, env=python)
        shown = netlab("status", cwd=folder, env=python).stdout
        netlab("up", f"{folder}/lab.yml")
    finally:
        netlab("down", "scarce")

    assert shown.startswith("lab scarce is up, from ")


def test_logs_take_no_more_than_half_of_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two nodes that print without an end: the rest of the folder stays free for what else is written there."""
    monkeypatch.setenv(paths.SIZE_VARIABLE, "4M")
    (tmp_path / "flood.yml").write_text("{name: scarce, nodes: {a: {command: [yes]}, b: {command: [yes, no]}}}")
    with lab(str(tmp_path / "flood.yml"), name="scarce") as name:
        folder = paths.folder_of(name)
        about = os.statvfs(folder)
        eventually(lambda: all(os.path.exists(f"{folder}/logs/{node}.log.1") for node in ("a", "b")))
        taken = sum(entry.stat().st_size for entry in os.scandir(f"{folder}/logs"))

    assert about.f_blocks * about.f_frsize == 4 << 20
    assert taken <= 2 << 20


def test_a_size_that_is_none_is_refused(topology: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is made."""
    monkeypatch.setenv(paths.SIZE_VARIABLE, "much")

    assert "NETLAB_SIZE is 'much': expected a size, such as 512M" in netlab("up", topology, code=2).stderr
    assert not os.path.exists(paths.folder_of("scarce"))
