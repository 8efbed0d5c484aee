"""`link set` killed with -9 while it leads a link through the middle: another one ends it, and `down` removes all."""

import json
import signal

import pytest

from netlab.testing import leaks
from tests.lab.killing import lines_of, run_killed
from tests.lab.lab import netlab

pytestmark = pytest.mark.root

LAB = """
name: small
nodes: {a: {}, b: {xdp: pass}}
links: [[a, b], [a, b]]
"""
CHANGE = ("link", "a:eth0", "set", "rate=10mbit", "loss=1%")
KILLS = 10


def problems() -> list[dict[str, str]]:
    """Return what status says."""
    shown = json.loads(netlab("status", "small", "--format", "json", code=None).stdout)
    found: list[dict[str, str]] = shown["problems"]
    return found


def test_a_link_that_is_led_through_the_middle_by_a_killed_command(tmp_path: str) -> None:
    before = leaks.snapshot()
    path = f"{tmp_path}/small.yml"
    with open(path, "w", encoding="utf-8") as file:
        file.write(LAB)
    netlab("up", path)
    lines = lines_of(tmp_path, *CHANGE)
    netlab("down", "small")
    assert len(lines) > KILLS
    killed = 0
    for line in lines[:: len(lines) // KILLS]:
        netlab("up", path)
        done = run_killed(f"SIGKILL@{line}", *CHANGE)
        assert done.returncode in (0, -signal.SIGKILL), done.stderr
        killed += done.returncode == -signal.SIGKILL
        told = problems()
        netlab(*CHANGE)
        assert problems() == [], f"killed at {line}, which was told as {told}"
        netlab("exec", "a", "ping", "-c", "5", "-i", "0.01", "-W", "5", "b")
        netlab("down", "small")
        left = leaks.settled(before)
        assert not left, f"killed at {line}: " + "\n".join(left)
    assert killed >= KILLS - 1
