"""What is asked about processes, of real ones."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from netlab.kernel import pids
from netlab.testing.waiting import PATIENCE_S, eventually

_WAITS = "cat >/dev/null"  # until its input ends


@contextmanager
def running(*argv: str) -> Iterator[int]:
    """Run a program whose input stays open meanwhile, and give its id."""
    with subprocess.Popen(argv, stdin=subprocess.PIPE) as process:
        yield process.pid
        assert process.stdin
        process.stdin.close()
        process.wait(10)


def test_a_child_with_another_program() -> None:
    with running("sh", "-c", f"{_WAITS}; :") as pid:
        eventually(lambda: pids.has_started_another(pid, pids.start_ticks(pid)))

        assert not pids.has_started_another(pid, pids.start_ticks(pid) - 1), "another process had this id"


@pytest.mark.parametrize("script", ["read line", "(read line; :) <&0; :"])
def test_no_child_or_one_that_has_not_left_its_parents_program(script: str) -> None:
    with running("sh", "-c", script) as pid:
        eventually(lambda: pids.start_ticks(pid))

        assert not pids.has_started_another(pid, pids.start_ticks(pid))


def test_a_process_that_has_ended_has_no_child() -> None:
    with running("true") as pid:
        ticks = pids.start_ticks(pid)
        eventually(lambda: not pids.is_alive(pid, ticks))

        assert not pids.has_started_another(pid, ticks)


def test_the_environment_of_a_process_that_replaces_its_program_again_and_again(tmp_path: Path) -> None:
    """It is the same at every look, although for a moment the kernel shows none."""
    script = tmp_path / "again"
    script.write_text('#!/bin/sh\nexec "$0"\n')
    script.chmod(0o755)
    with subprocess.Popen([script], env={"NAME": "value"}) as process:
        try:
            seen = {b"NAME=value" in pids.environment(process.pid) for _ in range(500)}
        finally:
            process.kill()

    assert seen == {True}
    assert pids.environment(process.pid) == []


def test_a_process_without_an_environment() -> None:
    with subprocess.Popen(["/bin/sleep", "1000"], env={}) as process:
        began = time.monotonic()
        found = pids.environment(process.pid)
        process.kill()

    assert found == [b""]
    assert time.monotonic() - began < PATIENCE_S
