"""What tests share that send a signal to netlab at a line: a small lab, the lines, and what is left afterwards."""

import os
import subprocess
import sys
import time
from functools import cache

import pytest

from netlab.testing import leaks
from netlab.testing.waiting import PATIENCE_S
from tests.lab.lab import PARTB, ROOT, netlab

KILLED = f"{ROOT}/tests/lab/killed.py"
SMALL = """
name: small
nodes:
  left:
    processes:
      daemon: {command: [sh, -c, "setsid sleep 1000 >/dev/null 2>&1 & exit 0"], restart: always}
      left: {command: [sh, -c, "exec sleep inf"], ready: {command: ["true"]}, after: [daemon]}
    limits: {cpu: 0.9, memory: 64M}
    files: {/etc/netlab-test/x: {text: x, owner: daemon}, /etc/hosts: {text: x}}
    private: [/run/netlab-test, /var/log, {path: /opt, content: host}]
    setup: ["sleep 1000 & echo set up", [ip, link, set, lo, up]]
    loopback: [10.255.0.1/32, "fd00:ff::1/128"]
    routes: [auto, {to: 10.9.0.0/16, via: right, metric: 20}, {to: 10.8.0.0/16, type: blackhole}]
    sysctls: {net.ipv4.ip_forward: 1}
  right:
    xdp: pass
    command: [sleep, inf]
  alone: {}
  hub:
    kind: switch
    stp: true
    setup: ip link set br0 type bridge ageing_time 1000
  world: {kind: host, routes: [{to: 10.7.0.0/16, via: left}]}
links:
  - [left, right]
  - {endpoints: [left, hub], delay: 1ms, loss: 1%}
  - endpoints: [{node: left, address: 10.4.0.1, peer: 10.5.0.1}, {node: right, address: 10.5.0.1, peer: 10.4.0.1}]
    rate: 10mbit
  - [left, world]
"""


def small(folder: str) -> str:
    """Write the file of a small lab with everything that a plan can have, and return its path."""
    path = f"{folder}/small.yml"
    with open(path, "w", encoding="utf-8") as file:
        file.write(SMALL)
    return path


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


@cache
def _compile() -> None:
    """Keep what part B needs of a compiler, which takes several times as long as all the rest."""
    netlab("up", PARTB)
    netlab("down", "--lab", "partb")


def seconds_of_up() -> float:
    """Return how long `up` of part B takes here and now, its program being compiled already."""
    _compile()
    begun = time.monotonic()
    netlab("up", PARTB)
    took_s = time.monotonic() - begun
    netlab("down", "--lab", "partb")
    return took_s


# Each line takes a second or two of a processor; there are some six hundred.
IS_LONG = bool(os.environ.get("NETLAB_LONG"))


def every(some: int, many: int) -> list[object]:
    """Return the steps of a test that sends a signal at each so-manieth line: for a usual run, and a long one."""
    return [pytest.param(some, id="some"), pytest.param(1 if IS_LONG else many, id="many", marks=pytest.mark.slow)]
