"""The command as a process: all of its output and the right exit code, whatever its stdout and stderr are."""

import os
import select
import subprocess
import sys
from pathlib import Path
from typing import IO, Any

import pytest

from netlab.testing.waiting import PATIENCE_S
from tests.checkout import ROOT

PARTB = f"{ROOT}/topologies/partb.yml"
MANY = ("up", "--dry-run", PARTB, "--set", "nodes.worker.replicas=100")  # prints more than a pipe holds
NAMESPACES = 102
FEW = ("up", "--dry-run", PARTB)
FAILS = ("status", "--lab", "none-of-this-name")


def start(*words: str, **streams: Any) -> "subprocess.Popen[str]":
    """Start the command."""
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return subprocess.Popen([sys.executable, "-m", "netlab", *words], cwd=ROOT, text=True, env=buffered, **streams)


def namespaces(stream: IO[str] | None) -> int:
    """Return how many namespaces a dry run, read to its end, would make; its last line is whole."""
    text = stream.read() if stream else ""
    assert text.endswith("\n")
    return text.count("ip netns add ")


def test_a_full_pipe_loses_nothing() -> None:
    """What a reader does not take yet comes when it does."""
    with start(*MANY, stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert select.select([process.stdout], [], [], PATIENCE_S)[0]
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.1)

        assert namespaces(process.stdout) == NAMESPACES
        assert process.wait(PATIENCE_S) == 0


@pytest.mark.parametrize(("words", "code"), [(MANY, 0), (FEW, 0), (FAILS, 1), (("frob",), 2)])
def test_a_reader_that_has_ended_is_no_failure(words: tuple[str, ...], code: int) -> None:
    """Nothing is said of the pipe, and the exit code is that of the work."""
    reader, writer = os.pipe()
    os.close(reader)
    with start(*words, stdout=writer, stderr=subprocess.PIPE) as process:
        os.close(writer)
        _, said = process.communicate(timeout=PATIENCE_S)

    assert process.returncode == code
    assert "pipe" not in said.lower()


@pytest.mark.parametrize(("words", "code"), [(MANY, 3), (FEW, 3), (("--version",), 3), (FAILS, 1)])
def test_a_full_disk_is_reported(words: tuple[str, ...], code: int) -> None:
    """Output that cannot be written is the host's failure, and only of commands that have some."""
    with Path("/dev/full").open("w") as full, start(*words, stdout=full, stderr=subprocess.PIPE) as process:
        _, said = process.communicate(timeout=PATIENCE_S)

    assert process.returncode == code
    assert ("No space left on device" in said) == (code == 3)
    assert "Traceback" not in said


@pytest.mark.parametrize(("words", "code"), [(MANY, 0), (("status", "--help"), 0), (FAILS, 1)])
def test_a_closed_stdout_is_no_failure(words: tuple[str, ...], code: int) -> None:
    """As `netlab up FILE >&-` has it."""
    line = ["sh", "-c", 'exec "$@" >&-', "sh", sys.executable, "-m", "netlab", *words]

    assert subprocess.run(line, cwd=ROOT, check=False, timeout=PATIENCE_S).returncode == code


def test_data_is_complete_without_stderr() -> None:
    """Stdout is not stderr."""
    with Path("/dev/full").open("w") as full, start(*FEW, stdout=subprocess.PIPE, stderr=full) as process:
        assert namespaces(process.stdout) > 0

    assert process.returncode == 0


@pytest.mark.parametrize("words", [FAILS, ("frob",), ("validate", PARTB), ("validate", "/none")])
def test_a_message_that_cannot_be_written_changes_nothing(words: tuple[str, ...]) -> None:
    """The exit code is that of the work, and stdout has nothing but data, also where stderr is full or closed."""
    line = [sys.executable, "-m", "netlab", *words]
    codes = set()
    for closed in ("2>/dev/null", "2>/dev/full", "2>&-", "0>&- 2>&-"):
        shell = ["sh", "-c", f'exec "$@" {closed}', "sh", *line]
        done = subprocess.run(shell, cwd=ROOT, check=False, timeout=PATIENCE_S, stdout=subprocess.PIPE)
        codes.add((closed, done.returncode, done.stdout))

    assert len({code for _, code, _ in codes}) == 1, codes
    assert {printed for _, _, printed in codes} == {b""}
