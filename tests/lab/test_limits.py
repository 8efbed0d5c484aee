"""Limits of nodes, measured: what runs in a node gets its share of a CPU and its memory, and no more."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from netlab.kernel import pids, syscalls
from netlab.runtime import cgroup_limits
from netlab.testing.waiting import PATIENCE_S, eventually
from tests.lab.lab import inside, lab, netlab, python

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("no_leaks")]

SHARE = 0.2
MOST = 20  # processes
TOPOLOGY = f"""
name: limited
nodes:
  small:
    command: [sleep, inf]
    limits: {{cpu: {SHARE}, memory: 48M, pids: {MOST}}}
  free:
    command: [sleep, inf]
links: [[small, free]]
"""
# Is busy for 1.5 s or more, as long as it got no more than a share of a CPU at any time, and prints the most it got.
BUSY = """
import os, sys, time
os.nice(-20)  # a machine that is busy with other things has time for this
most, ends = 0, time.monotonic() + float(sys.argv[2])
while most <= float(sys.argv[1]) and time.monotonic() < ends:
    began, used = time.monotonic(), time.process_time()
    while time.monotonic() < began + 1.5:
        pass
    most = max(most, (time.process_time() - used) / (time.monotonic() - began))
print(most)
"""
FORK = """
import os, sys
made, (waits, ends) = 0, os.pipe()
try:
    while made < int(sys.argv[1]):
        if not os.fork():
            os.close(ends)
            os.read(waits, 1)  # until the first one ends
            os._exit(0)
        made += 1
except BlockingIOError:
    pass
print(made)
"""
ALLOCATE = "import sys; held = bytearray(int(sys.argv[1]) << 20); print(len(held) >> 20)"


@pytest.fixture
def topology(tmp_path: Path) -> str:
    """A node with limits, and one without; skip where this host cannot limit anything."""
    offered = {name for each in cgroup_limits.hierarchies() for name in each.controllers}
    if missing := set(cgroup_limits.CONTROLLERS) - offered:
        pytest.skip(f"this host has no control groups for {', '.join(missing)}")
    (tmp_path / "limited.yml").write_text(TOPOLOGY)
    return str(tmp_path / "limited.yml")


@pytest.fixture
def limited(topology: str) -> Iterator[str]:
    """The lab, up."""
    with lab(topology) as name:
        yield name


def groups(pid: int | str) -> set[str]:
    """Return the control groups that a process is in because of limits, without those of its ancestors."""
    lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    return {line.split(":", 2)[2] for line in lines if "/netlab/" in line}


def pid_of(node: str) -> int:
    """Return the process of a node's command."""
    pid: int = json.loads(netlab("status", "--format", "json", code=None).stdout)["nodes"][node]["process"]["pid"]
    return pid


def throttled(name: str) -> int:
    """Return how often the node with limits has had to wait for its share."""
    paths = [f"{each.path}/netlab/{name}/small/cpu.stat" for each in cgroup_limits.hierarchies()]
    counts = [re.search(r"nr_throttled (\d+)", Path(path).read_text()) for path in paths if os.path.exists(path)]
    return sum(int(each[1]) for each in counts if each)


def test_a_busy_loop_gets_its_share(limited: str) -> None:
    """Its CPU time is the share of the wall time that the file says, but for one period of 0.1 s at the end."""

    def is_held_up() -> bool:
        """Be busy for a while; where others leave the node less than its share, its limit need not hold it up."""
        assert float(python("small", BUSY, str(SHARE * 1.5), "0.1").stdout) < SHARE * 1.5
        return throttled(limited) > 0

    eventually(is_held_up, "the kernel holds up the busy loop")


def test_a_node_without_limits_gets_more(limited: str) -> None:
    """The bound above is the limit's doing: the same loop next door is beyond it, as soon as the machine has time.

    In each 1.5 s that the loop looks at, one with the limit can get one period's share more than SHARE of them.
    """
    beyond = SHARE * 1.1
    assert float(python("free", BUSY, str(beyond), str(PATIENCE_S / 2)).stdout) > beyond


def test_who_takes_too_much_memory_is_killed(limited: str) -> None:
    """Within the limit it succeeds; beyond, the kernel ends it and nobody else, and status tells."""
    before = {node: pid_of(node) for node in ("small", "free")}
    within = python("small", ALLOCATE, "16")
    beyond = inside("small", sys.executable, "-c", ALLOCATE, "200", code=-signal.SIGKILL)
    elsewhere = python("free", ALLOCATE, "200")

    assert ("16\n", "", "200\n") == (within.stdout, beyond.stdout, elsewhere.stdout)
    assert before == {node: pid_of(node) for node in ("small", "free")}
    shown = netlab("status").stdout
    assert "small: its memory was used up, and the kernel has killed 1 process there" in shown
    assert "free: " not in shown


def test_there_are_no_more_processes_than_the_limit(limited: str) -> None:
    """A fork beyond it fails; a neighbour has as many as he likes, and status shows the bound."""
    shows = json.loads(netlab("status", "--format", "json", code=None).stdout)["nodes"]["small"]["limits"]["pids"]
    forked = int(python("small", FORK, str(2 * MOST)).stdout)
    elsewhere = int(python("free", FORK, str(2 * MOST)).stdout)

    assert (MOST, 2 * MOST) == (shows, elsewhere)
    assert MOST // 2 < forked < MOST


def test_everything_in_the_node_is_under_its_limits(limited: str) -> None:
    """Its command, `exec`, `run` and `shell` alike, and nothing elsewhere; they are there from the beginning."""
    theirs = {f"/netlab/{limited}/small"}
    say = "grep /netlab/ /proc/self/cgroup"
    shells = {**os.environ, "SHELL": "/bin/sh"}

    assert theirs == groups(pid_of("small"))
    assert set() == groups(pid_of("free"))
    for shown in (
        inside("small", *say.split()),
        netlab("shell", "small", input=say, stdin=None, env=shells),
    ):
        assert theirs == {line.split(":", 2)[2] for line in shown.stdout.splitlines()}
    assert "" == inside("free", *say.split(), code=1).stdout


def test_a_command_run_again_is_under_them_too(tmp_path: Path, topology: str) -> None:
    command = '[grep, "/netlab/", /proc/self/cgroup]\n    may_exit: true'
    text = Path(topology).read_text().replace("[sleep, inf]", command, 1)
    Path(topology).write_text(text)
    with lab(topology) as name:
        shown = netlab("run", "small").stdout

    assert {f"/netlab/{name}/small"} == {line.split(":", 2)[2] for line in shown.splitlines()}


def test_down_ends_every_process_in_the_group(limited: str) -> None:
    """Also a process that left the node's namespace and forgot its environment: only its group tells whose it is."""
    escape = ["unshare", "--net", "env", "-i", "setsid", "-f", "/usr/bin/sleep", "3999"]
    inside("small", *escape, stdout=subprocess.DEVNULL, capture_output=False)
    inside_now = {int(pid) for pid in os.listdir("/proc") if pid.isdigit() and groups_or_none(pid)}
    members = {pid: pids.start_ticks(pid) for pid in inside_now - {pid_of("small")}}

    netlab("down")

    assert len(members) == 1
    eventually(lambda: not any(pids.is_alive(pid, ticks) for pid, ticks in members.items()))
    assert limited not in cgroup_limits.labs()


def groups_or_none(pid: str) -> set[str]:
    """Return the groups of a process, none if it has ended."""
    try:
        return groups(pid)
    except OSError:
        return set()


def test_down_finds_the_groups_when_the_record_has_gone(limited: str) -> None:
    """They are named after the lab, so that `down` without a name finds it too."""
    syscalls.umount(f"/run/netlab/{limited}")
    os.rmdir(f"/run/netlab/{limited}")
    for folder in ("/run/netns", "/etc/netns"):
        for node in ("small", "free"):
            os.unlink(f"{folder}/{limited}.{node}")
    assert limited in cgroup_limits.labs()

    netlab("down", env={name: value for name, value in os.environ.items() if name != "NETLAB_LAB"})

    assert limited not in cgroup_limits.labs()


def test_a_lab_whose_limits_were_removed_is_broken(limited: str) -> None:
    """A command is refused, rather than run without limits, and status says it."""
    os.kill(pid_of("small"), signal.SIGKILL)
    for hierarchy in cgroup_limits.hierarchies():
        path = f"{hierarchy.path}/netlab/{limited}/small"
        eventually(partial(removed, path))

    refused = inside("small", "true", code=1).stderr

    assert "somebody has removed" in refused
    assert "netlab down" in refused
    assert "small: its control group is gone, and its limits" in netlab("status", code=1).stdout


def removed(path: str) -> bool:
    """Try to remove a group."""
    try:
        os.rmdir(path)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True
