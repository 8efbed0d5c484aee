"""`up` killed with -9 anywhere: the next `down` removes everything of that lab and nothing else."""

import random
import signal
import subprocess
import sys

import pytest

from netlab.testing import leaks
from tests.lab.killing import clean_after, every, lines_of, run_killed, seconds_of_up, small
from tests.lab.lab import PARTB, ROOT, netlab

pytestmark = pytest.mark.root
STEPS = every(some=50, many=5)


@pytest.fixture
def topology(tmp_path: str) -> str:
    return small(tmp_path)


@pytest.mark.parametrize("step", STEPS)
def test_up_killed_at_its_lines(topology: str, tmp_path: str, step: int) -> None:
    """Every line of every step: before it, after it, inside it."""
    before = leaks.snapshot()
    lines = lines_of(tmp_path, "up", topology)
    netlab("down", "--lab", "small")
    assert len(lines) > 150
    for line in lines[::step]:
        done = run_killed(f"SIGKILL@{line}", "up", topology)
        # A line of waiting is executed only now and then; else the kill has hit.
        assert done.returncode in (0, -signal.SIGKILL), done.stderr
        left = clean_after(line, before)
        assert not left, "\n".join(left)


@pytest.mark.parametrize("times", [pytest.param(6, id="some"), pytest.param(50, id="many", marks=pytest.mark.slow)])
def test_up_killed_at_random_moments(times: int) -> None:
    """Part B with compiler, supervisor and roles: whatever was running, nothing is left."""
    before = leaks.snapshot()
    took_s, source = seconds_of_up(), random.Random(50)
    for _ in range(times):
        started = subprocess.Popen(
            [sys.executable, "-m", "netlab", "up", PARTB],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        moment = source.uniform(0.02, 1.2) * took_s
        try:
            started.wait(moment)
        except subprocess.TimeoutExpired:
            started.kill()
            started.wait()
        netlab("down", "--lab", "partb")
        left = leaks.settled(before)
        assert not left, f"killed after {moment:.3f} s:\n" + "\n".join(left)
