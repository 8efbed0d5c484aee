"""`apply` killed with -9 anywhere: the same file or the one before makes the lab whole, and `down` leaves nothing."""

import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from netlab import paths
from netlab.record import changing
from netlab.testing import leaks
from tests.lab.changed import settled
from tests.lab.killing import IS_LONG, SMALL, clean_after, every, lines_of, run_killed
from tests.lab.lab import PARTB, ROOT, netlab

pytestmark = pytest.mark.root
# Each kill takes a second or two of a processor.
STEPS = every(some=320, many=80)
OTHER = """
name: small
nodes:
  left:
    processes:
      daemon: {command: [sh, -c, "setsid sleep 1000 >/dev/null 2>&1 & exit 0"], restart: always}
      second: {command: [sh, -c, "exec sleep inf"], after: [daemon]}
    limits: {cpu: 0.8}
    files: {/etc/netlab-test/x: {text: y}}
    setup: ["echo other"]
    routes: [auto, {to: 10.9.0.0/16, via: right, metric: 30}]
  right:
    sysctls: {net.ipv4.conf.all.rp_filter: 2}
    loopback: [10.255.0.3/32]
    command: [sleep, inf]
    xdp: pass
  new:
    private: [/opt]
    command: [sleep, inf]
  world: {kind: host}
links:
  - [left, right]
  - [{node: left, address: 10.4.0.1, peer: 10.5.0.1}, {node: right, address: 10.5.0.1, peer: 10.4.0.1}]
  - {endpoints: [new, right], mtu: 1400}
  - [new, world]
"""


@pytest.fixture
def both(tmp_path: str) -> Iterator[tuple[str, str]]:
    one, other = Path(tmp_path) / "one.yml", Path(tmp_path) / "other.yml"
    one.write_text(SMALL.replace("    stp: true\n", ""))  # a tree takes seconds to settle
    other.write_text(OTHER)
    yield str(one), str(other)
    netlab("down", "--lab", "small", code=None)


@pytest.mark.parametrize("step", STEPS)
def test_apply_killed_at_its_lines(both: tuple[str, str], tmp_path: str, step: int) -> None:
    """A kill at a line of the way there, or back: what `apply` makes then is what `up` makes."""
    before, expected = leaks.snapshot(), {}
    for file in reversed(both):
        netlab("up", file)
        expected[file] = settled("small")
        netlab("down", "--lab", "small")
    one, other = both
    netlab("up", one)
    lines = lines_of(tmp_path, "apply", other)
    assert len(lines) > 150
    assert settled("small") == expected[other]
    at = other
    for number, line in enumerate(lines[::step]):
        to = one if at == other else other
        done = run_killed(f"SIGKILL@{line}", "apply", to)
        assert done.returncode in (0, -signal.SIGKILL), done.stderr
        if number % 4 == 3:
            left = clean_after(line, before)
            assert not left, "\n".join(left)
            netlab("up", to)
        elif changing.is_there(paths.folder_of("small")):
            assert "was cut off" in netlab("status", code=1).stdout
        at = (to, at)[number % 2]
        netlab("apply", at)
        assert settled("small") == expected[at], line
    assert not clean_after("the end", before)


@pytest.mark.parametrize(
    "times", [pytest.param(3, id="some"), pytest.param(60 if IS_LONG else 12, id="many", marks=pytest.mark.slow)]
)
def test_apply_killed_at_random_moments(times: int) -> None:
    """Part B, with another build of the balancer and other workers: `apply` finishes, or `down` leaves nothing."""
    before, source = leaks.snapshot(), random.Random(33)
    ways = [(), ("--set", "nodes.worker.replicas=4", "--set", "nodes.lb.xdp.define.QUEUE=2048")]
    netlab("up", PARTB)
    begun = time.monotonic()
    netlab("apply", PARTB, *ways[1])
    took_s = time.monotonic() - begun
    for number in range(times):
        way = ways[number % 2]
        started = subprocess.Popen(
            [sys.executable, "-m", "netlab", "apply", PARTB, *way],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        with suppress(subprocess.TimeoutExpired):
            started.wait(source.uniform(0, took_s))
        started.kill()
        started.wait()
        if number % 3 == 2:
            netlab("down", "--lab", "partb")
            assert not leaks.settled(before), number
            netlab("up", PARTB)
        else:
            netlab("apply", PARTB, *ways[(number + number // 3) % 2])
            netlab("status", "partb")
    netlab("down", "--lab", "partb")
    assert not leaks.settled(before)
