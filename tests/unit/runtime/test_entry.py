"""Which control groups a process puts itself into to be under a container's limits: folders here are never touched."""

import io
import os
import signal
from collections.abc import Callable

import pytest

from netlab.runtime import entry
from netlab.runtime.base import Place

Machine = Callable[..., list[str]]
CPU = "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct"
MEMORY = "33 31 0:30 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory"
UNIFIED = "34 31 0:31 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw"
THEIRS = ("4:memory:/docker/7", "1:cpu,cpuacct:/docker/7", "0::/docker/7")


@pytest.fixture
def groups(monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Return the groups to write to on a machine with these mounts, for a process that is in `theirs`."""

    def found(*mounts: str, theirs: tuple[str, ...] = THEIRS) -> list[str]:
        ours = [f"{line.rsplit(':', 1)[0]}:/" for line in THEIRS]
        files = {"/proc/self/mountinfo": mounts, "/proc/self/cgroup": ours, "/proc/7/cgroup": theirs}
        monkeypatch.setattr(entry, "open", lambda path, **_: io.StringIO("\n".join(files[path])), raising=False)
        return list(entry._control_groups(7))

    return found


def test_all_hierarchies_are_entered(groups: Machine) -> None:
    """Of both versions, each where it is mounted."""
    folders = ("memory", "cpu,cpuacct", "unified")

    assert [f"/sys/fs/cgroup/{name}/docker/7" for name in folders] == groups(CPU, MEMORY, UNIFIED)


@pytest.mark.parametrize("mounts", [(MEMORY, UNIFIED), (CPU.replace(" / /sys", " /docker /sys"), MEMORY, UNIFIED)])
def test_a_group_that_is_not_to_be_seen_is_refused(groups: Machine, mounts: tuple[str, ...]) -> None:
    """As where only a part of a hierarchy is mounted: whoever went in without it would be under no limit."""
    with pytest.raises(OSError, match="its control group /docker/7 of cpu is not mounted here"):
        groups(*mounts)


def test_a_group_that_we_are_in_needs_no_mount(groups: Machine) -> None:
    """As of hierarchies which the engine makes no use of."""
    theirs = ("4:memory:/docker/7", "1:cpu,cpuacct:/", "0::/")

    assert ["/sys/fs/cgroup/memory/docker/7"] == groups(MEMORY, theirs=theirs)


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A container that is this machine, entered by nothing but a fork."""
    monkeypatch.setattr(entry, "fork", lambda _: os.fork())
    monkeypatch.setattr(entry, "join", lambda *_: {"PATH": "/usr/bin:/bin"})
    return monkeypatch


def test_a_ctrl_c_leaves_no_child_in_a_container(bare: pytest.MonkeyPatch) -> None:
    """It comes when the child has been waited for: with a zombie in it, no container ends."""
    wait = os.waitpid
    children = []

    def interrupted(pid: int, options: int) -> tuple[int, int]:
        children.append(pid)
        os.kill(os.getpid(), signal.SIGINT)
        return wait(pid, options)

    bare.setattr(os, "waitpid", interrupted)
    with pytest.raises(KeyboardInterrupt):
        entry.problem(Place(1, 0), "true", {}, "/")

    with pytest.raises(ChildProcessError):
        wait(children[0], os.WNOHANG)


def test_a_container_that_hangs_is_told(bare: pytest.MonkeyPatch) -> None:
    """Nobody waits for ever for a file system that does not answer."""
    bare.setattr(entry, "_LOOK_S", 0.1)
    bare.setattr(entry, "join", lambda *_: signal.pause())

    assert "its container cannot be entered" == entry.problem(Place(1, 0), "true", {}, "/")
