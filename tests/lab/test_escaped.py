"""What runs in a lab ends with it: also what has left its process group, or whose namespace has lost its name."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from netlab import paths
from netlab.kernel import syscalls
from netlab.kernel.pids import is_alive, start_ticks
from netlab.supervise import client
from netlab.supervise.readiness import NOT_FOLLOWED
from netlab.testing.waiting import PATIENCE_S, eventually
from tests.lab.lab import LAB, ROOT, inside, lab, netlab
from tests.lab.lab import pid as process_of
from tests.lab.lab import pids as processes_of

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("no_leaks")]

TOPOLOGY = """
name: escaped
nodes:
  a: {command: [sh, -c, "sleep 301 & wait"]}
  b: {command: [sh, -c, "setsid sleep 302 & wait"]}
  c: {command: [sh, -c, "(sleep 303 &); exit 0"], may_exit: true}
links: [[a, b], [b, c]]
"""


@pytest.fixture
def topology(tmp_path: Path) -> str:
    """Return a lab whose processes leave others behind, in three ways."""
    (tmp_path / "escaped.yml").write_text(TOPOLOGY)
    return str(tmp_path / "escaped.yml")


def test_processes_that_left_their_group_end_with_the_lab(topology: str) -> None:
    """They are known by their namespace."""
    with lab(topology):
        pass


def test_processes_end_though_their_namespaces_have_no_names(topology: str) -> None:
    """They are known by what they were started with; and status and `up` say that the lab is broken."""
    with lab(topology) as name:
        for node in ("a", "b", "c"):
            os.unlink(f"/run/netns/{name}.{node}")
            syscalls.umount(f"/run/netlab/{name}/netns/{node}")
        shown = netlab("status", code=1).stdout
        again = netlab("up", topology, code=1).stderr

    for node in ("a", "b", "c"):
        assert f"{node}: its namespace is gone" in shown
        assert f"{node}: /run/netns/{name}.{node} is gone; what mends it: netlab down {name}, then up" in again


def test_processes_end_though_the_labs_folder_has_gone(topology: str) -> None:
    """As if somebody had unmounted it."""
    with lab(topology) as name:
        syscalls.umount(f"/run/netlab/{name}")
        shutil.rmtree(f"/run/netlab/{name}")  # where the supervisor may have noted an end meanwhile


# Ways out of a node. Each ends in a `sleep` of a number of its own, which stands for the word NUMBER. The way back into
# the host's namespaces is by those of the tests: not every host lets root see the ones of process 1.
HIDDEN = "env -i setsid unshare --net --mount"  # no network of the lab, no variable, no session
OUTSIDE = f"/proc/{os.getpid()}/ns"
GONE = f"env -i setsid nsenter --net={OUTSIDE}/net --mount={OUTSIDE}/mnt"
WAYS_OUT = [
    f"{HIDDEN} sleep NUMBER &",
    f"{HIDDEN} --pid --fork sleep NUMBER &",
    f"({HIDDEN} sleep NUMBER &) ; exit 0",
    f"setsid nsenter --net={OUTSIDE}/net sleep NUMBER &",
    "trap '' TERM HUP; setsid unshare --net sh -c 'trap \"\" TERM HUP INT; exec sleep NUMBER' &",
]
# The last is no longer root's, and in namespaces that any user may have: only its control group is still the lab's.
NOBODY = "setpriv --reuid 65534 --regid 65534 --clear-groups"
OF_ROLES = [
    *WAYS_OUT,
    f"{GONE} sleep NUMBER &",
    f"({GONE} setsid sh -c 'sleep NUMBER' &)",
    f"{NOBODY} unshare --user --net --mount sleep NUMBER &",
]


def sleepers(numbers: range) -> list[tuple[int, int]]:
    """Return the processes that sleep for one of these numbers of seconds, with when they were started."""
    wanted = {f"sleep\0{number}\0".encode() for number in numbers}
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if Path(f"/proc/{pid}/cmdline").read_bytes() in wanted:
                found.append((int(pid), start_ticks(int(pid))))
        except OSError:  # it has ended
            continue
    return found


def test_what_has_left_its_namespaces_ends_with_the_lab(tmp_path: Path) -> None:
    """What a command of the topology has started: it is in the lab's control group, or sees the lab's files."""
    numbers = range(7100, 7100 + len(OF_ROLES))
    out = [way.replace("NUMBER", str(number)) for way, number in zip(OF_ROLES, numbers, strict=True)]
    nodes = {f"n{at}": {"command": ["sh", "-c", f"{way}\nsleep 7099"], "may_exit": True} for at, way in enumerate(out)}
    (tmp_path / "out.yml").write_text(json.dumps({"name": "out", "nodes": nodes}))
    with lab(str(tmp_path / "out.yml")):
        eventually(lambda: len(sleepers(numbers)) == len(OF_ROLES))
        there = sleepers(numbers)

    assert [one for one in there if is_alive(*one)] == []


def test_what_exec_has_started_ends_with_the_lab_wherever_it_has_gone(topology: str) -> None:
    """No control group knows it, but it sees the lab's files in /etc."""
    numbers = range(7200, 7200 + len(WAYS_OUT))
    with lab(topology):
        for way, number in zip(WAYS_OUT, numbers, strict=True):
            inside("a", "sh", "-c", f"({way.replace('NUMBER', str(number))}) >/dev/null 2>&1", capture_output=False)
        eventually(lambda: len(sleepers(numbers)) == len(WAYS_OUT))
        there = sleepers(numbers)

    assert [one for one in there if is_alive(*one)] == []


@pytest.mark.parametrize("ended", [False, True])
def test_a_lab_whose_folder_was_removed_is_told_of_and_removed(topology: str, ended: bool) -> None:
    """`up` says that the one before still runs; `down` finds it, and then there is room for the next.

    So it is when its processes have ended: a command may not have entered its node when `up` returns, and then finds
    none to enter.
    """
    with lab(topology) as name:
        if ended:
            for pid in processes_of("a", "b"):
                os.killpg(pid, signal.SIGKILL)
            eventually(lambda: [one.state for one in client.processes(paths.folder_of(name))][:2] == ["killed"] * 2)
            for pid, _ in sleepers(range(302, 304)):
                os.kill(pid, signal.SIGKILL)
        supervisor = json.loads(Path(f"{paths.folder_of(name)}/supervisor").read_text())
        lose_folder(name)
        refused = netlab("up", topology, code=1).stderr

    assert f"its supervisor is process {supervisor['pid']}): netlab down --lab {name} removes it" in refused
    assert not is_alive(supervisor["pid"], supervisor["start_ticks"])
    with lab(topology):
        pass


def test_the_supervisor_of_a_lost_lab_ends_with_the_next_lab_and_writes_into_none_of_its_files(topology: str) -> None:
    """As when the names were removed with the folder, so that `up` has seen nothing of it."""
    with lab(topology) as name:
        folder = paths.folder_of(name)
        old = json.loads(Path(f"{folder}/supervisor").read_text())
        pid = process_of("a")
        eventually(lambda: sleepers(range(301, 302)), "its being in its node")
        lose_folder(name)
        for node in ("a", "b", "c"):
            os.unlink(f"/run/netns/{name}.{node}")
        netlab("up", topology)
        os.killpg(pid, signal.SIGKILL)
        eventually(lambda: not os.path.exists(f"/proc/{pid}"))  # the old supervisor has reaped it, and told
        written = Path(f"{folder}/processes").read_text() + Path(f"{folder}/logs/a.log").read_text()

    assert str(pid) not in written
    assert "SIGKILL" not in written
    assert not is_alive(old["pid"], old["start_ticks"])


def lose_folder(name: str) -> None:
    """Do what a person does who does not know `down`."""
    syscalls.umount(paths.folder_of(name))
    os.rmdir(paths.folder_of(name))


def test_without_control_groups_of_version_2_up_says_that_nothing_is_followed(tmp_path: Path) -> None:
    """Once; and the end of a command that may be a daemon's names this, not a daemon that netlab could follow."""
    path = tmp_path / "lab.yml"
    path.write_text("name: v1\nnodes:\n  a: {command: [sh, -c, 'sleep 304 & exit 0']}\n  b: {command: [sleep, inf]}\n")
    hide = """for each in $(awk '$3 == "cgroup2" {print $2}' /proc/mounts); do umount -l $each; done"""
    words = [sys.executable, "-m", "netlab", "up", str(path), "--lab", LAB]
    done = subprocess.run(
        ["unshare", "--mount", "--propagation", "private", "sh", "-c", f'{hide}; exec "$@"', "sh", *words],
        check=False, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S,
    )  # fmt: skip

    assert 1 == done.returncode
    assert 1 == done.stderr.count(f"note: {NOT_FOLLOWED}")
    assert f"a ended with exit code 0 before the lab was complete ({NOT_FOLLOWED}: leave out" in done.stderr
