"""`up` and `down` killed with -9 anywhere: the next `down` removes everything of that lab and nothing else."""

import inspect
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from netlab.lab.host import Host
from netlab.programs.loader import Compilation
from netlab.testing import leaks
from netlab.testing.waiting import PATIENCE_S
from tests.lab.lab import PARTB, ROOT, netlab

pytestmark = pytest.mark.root

KILLED = f"{ROOT}/tests/lab/killed.py"
SMALL = """
name: small
nodes:
  left:
    command: [sleep, inf]
    limits: {cpu: 0.9, memory: 64M}
    files: {/etc/netlab-test/x: {text: x, owner: daemon}, /etc/hosts: {text: x}}
    private: [/run/netlab-test, /var/log, {path: /opt, content: host}]
  right:
    xdp: pass
    command: [sleep, inf]
  alone: {}
  hub:
    kind: switch
links:
  - [left, right]
  - [left, hub]
"""


@pytest.fixture
def topology(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A small lab with everything that a plan can have."""
    path = tmp_path_factory.mktemp("killed") / "small.yml"
    path.write_text(SMALL)
    return str(path)


def run_killed(where: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command that is sent a signal at a line, as SIGNAL@FILE:LINE; see killed.py."""
    argv = [sys.executable, KILLED, where, *words]
    return subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S, check=False)


def lines_of(tmp_path: str, *words: str) -> list[str]:
    """Return every line that a netlab command executes on its way through the modules that change the machine."""
    listing = f"{tmp_path}/lines"
    done = run_killed("list", listing, *words)
    assert done.returncode == 0, done.stderr
    with open(listing, encoding="utf-8") as file:
        return file.read().split("\n")


def clean_after(where: str, before: leaks.Snapshot) -> list[str]:
    """Take the lab down and return what is left of it then, each with the place of the kill."""
    netlab("down", "--lab", "small")
    return [f"killed at {where}: {each}" for each in leaks.settled(before)]


# Every line takes minutes, so the usual run takes every twentieth.
STEPS = [pytest.param(20, id="some"), pytest.param(1, id="all", marks=pytest.mark.slow)]


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


@pytest.mark.parametrize("step", STEPS)
def test_down_killed_at_its_lines(topology: str, tmp_path: str, step: int) -> None:
    """A second `down` finishes what the first began."""
    before = leaks.snapshot()
    netlab("up", topology)
    for line in lines_of(tmp_path, "down", "--lab", "small")[::step]:
        netlab("up", topology)
        run_killed(f"SIGKILL@{line}", "down", "--lab", "small")
        left = clean_after(line, before)
        assert not left, "\n".join(left)


@pytest.mark.parametrize("times", [pytest.param(10, id="some"), pytest.param(50, id="many", marks=pytest.mark.slow)])
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


def seconds_of_up() -> float:
    """Return how long `up` of part B takes here and now."""
    begun = time.monotonic()
    netlab("up", PARTB)
    took_s = time.monotonic() - begun
    netlab("down", "--lab", "partb")
    return took_s


def lines_in(function: Callable[..., object]) -> set[str]:
    """Return all lines of a function as killed.py names them."""
    text, first = inspect.getsourcelines(function)
    name = str(inspect.getsourcefile(function)).removeprefix(f"{ROOT}/netlab/").removesuffix(".py")
    return {f"{name}:{first + number}" for number in range(len(text))}


@pytest.mark.parametrize("step", [pytest.param(25, id="some"), pytest.param(3, id="many", marks=pytest.mark.slow)])
def test_up_interrupted_at_its_lines(topology: str, tmp_path: str, step: int) -> None:
    """No `down` is needed after Ctrl-C, also while others are being started that must be waited for."""
    before = leaks.snapshot()
    lines = lines_of(tmp_path, "up", topology)
    netlab("down", "--lab", "small")
    at_children = lines_in(Host.prepare) | lines_in(Compilation.kill) | lines_in(Compilation._reap)
    starting = [line for line in lines if line in at_children]
    assert len(starting) > 5
    for line in dict.fromkeys([*starting, *lines[::step]]):
        done = run_killed(f"SIGINT@{line}", "up", topology)
        assert "Traceback" not in done.stderr, f"interrupted at {line}:\n{done.stderr}"
        if done.returncode == 0:  # it came too late
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
