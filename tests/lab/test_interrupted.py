"""`up` interrupted anywhere: it removes everything of its lab itself, and nothing else."""

import inspect
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from netlab.lab.host import Host
from netlab.programs.loader import Compilation, start
from netlab.testing import leaks
from netlab.testing.waiting import PATIENCE_S
from tests.lab.killing import every, lines_of, run_killed, seconds_of_up, small
from tests.lab.lab import PARTB, ROOT, netlab

pytestmark = pytest.mark.root
STEPS = every(some=80, many=12)


@pytest.fixture
def topology(tmp_path: str) -> str:
    return small(tmp_path)


def lines_in(function: Callable[..., object]) -> set[str]:
    """Return all lines of a function as killed.py names them."""
    text, first = inspect.getsourcelines(function)
    name = str(inspect.getsourcefile(function)).removeprefix(f"{ROOT}/netlab/").removesuffix(".py")
    return {f"{name}:{first + number}" for number in range(len(text))}


@pytest.mark.parametrize("step", STEPS)
def test_up_interrupted_at_its_lines(topology: str, tmp_path: str, step: int) -> None:
    """No `down` is needed after Ctrl-C, also while others are being started that must be waited for."""
    before = leaks.snapshot()
    lines = lines_of(tmp_path, "up", topology)
    netlab("down", "--lab", "small")
    at_children = lines_in(Host.prepare) | lines_in(start) | lines_in(Compilation.kill) | lines_in(Compilation._reap)
    starting = [line for line in lines if line in at_children]
    assert len(starting) > 5
    for line in dict.fromkeys([*starting, *lines[::step]]):
        done = run_killed(f"SIGINT@{line}", "up", topology)
        assert "Traceback" not in done.stderr, f"interrupted at {line}:\n{done.stderr}"
        if done.returncode == 0 or "small is up after" in done.stderr:  # it came too late
            netlab("down", "--lab", "small")
        left = leaks.settled(before)
        assert not left, f"interrupted at {line}:\n{done.stderr}" + "\n".join(left)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_up_undoes_itself(number: signal.Signals) -> None:
    """No `down` is needed after Ctrl-C."""
    before = leaks.snapshot()
    took_s = seconds_of_up()
    for part in (0.2, 0.5, 0.75, 0.85, 0.95, 1, 1.05):  # some of them about when it has just succeeded
        moment = part * took_s
        started = subprocess.Popen(
            [sys.executable, "-m", "netlab", "up", PARTB],
            cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip
        time.sleep(moment)
        os.killpg(started.pid, number)
        talk = started.communicate(timeout=PATIENCE_S)[1]
        if started.returncode != 0:
            assert started.returncode in (1, -number), talk  # killed before it could listen
        else:
            netlab("down")
        left = leaks.settled(before)
        assert not left, f"after {moment} s:\n{talk}" + "\n".join(left)
