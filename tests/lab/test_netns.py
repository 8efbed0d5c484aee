"""Namespaces that are made, found by name, and gone again; whatever happens in between."""

import errno
import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from netlab.errors import NetlabError
from netlab.kernel import syscalls
from netlab.runtime.base import Runtime
from netlab.runtime.netns import Netns
from netlab.testing import leaks
from netlab.testing.waiting import PATIENCE_S, eventually
from tests.lab.namespaces import Lab, lab, own_namespace, run

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("no_leaks")]


def namespace_of(path: str) -> int:
    """Return the number of the namespace that a path leads to."""
    return os.stat(path).st_ino


def test_ip_netns_exec_runs_in_the_node_and_sees_the_labs_hosts() -> None:
    """A command that is wrapped is in the node's namespace, and its /etc/hosts is the lab's."""
    with lab("hosts") as one:
        runtime: Runtime = one.runtime
        runtime.create(["a"])
        shown = run(*runtime.wrap("a", ["cat", "/etc/hosts"]).argv)
        inside = run(*runtime.wrap("a", ["stat", "-L", "-c", "%i", "/proc/self/ns/net"]).argv)

        assert shown == "192.0.2.1 only-hosts\n"
        assert int(inside) == namespace_of(runtime.netns_path("a"))
        assert int(inside) != os.stat("/proc/self/ns/net").st_ino


def test_ip_netns_list_shows_the_nodes() -> None:
    """`ip netns list` has a line for every node, and nothing to complain about."""
    with lab() as one:
        one.runtime.create(["a", "b"])
        listed = [line.split()[0] for line in run("ip", "netns", "list").splitlines()]

        assert {f"{one.name}.a", f"{one.name}.b"} <= set(listed)


@pytest.mark.parametrize("count", [1, 120])
def test_each_node_has_a_namespace_of_its_own(count: int) -> None:
    """Made by one thread or by two, no two nodes share a namespace, and the caller stays in its own."""
    here, threads = own_namespace(), threading.active_count()
    with lab() as one:
        nodes = [f"n{number}" for number in range(count)]
        one.runtime.create(nodes)

        assert count == len({namespace_of(one.runtime.netns_path(node)) for node in nodes})
        assert here == own_namespace()
        assert threads == threading.active_count()


def test_destroy_is_idempotent() -> None:
    """The first time it says what it removed, the second time that there was nothing."""
    with lab() as one:
        one.runtime.create(["a", "b"])

        assert [f"{one.name}.a", f"{one.name}.b"] == one.runtime.destroy()
        assert one.runtime.destroy() == []


def test_destroy_without_anything_there(tmp_path: Path) -> None:
    """Where there was never a lab, not even the folders, there is nothing to remove."""
    assert Netns("x", run_netns=f"{tmp_path}/a", etc_netns=f"{tmp_path}/b").destroy() == []


def test_destroy_goes_by_the_target_and_not_by_the_name() -> None:
    """Links into the lab's folder go, dangling ones too; links elsewhere, or to a lab of a longer name, stay."""
    os.makedirs("/run/netns", exist_ok=True)
    with lab() as one:
        os.makedirs("/run/netns", 0o755, exist_ok=True)
        theirs = {f"/run/netns/{one.name}.theirs": "/nowhere", f"/run/netns/{one.name}.b": f"{one.folder}x/netns/b"}
        for path, target in {**theirs, f"/run/netns/odd-{one.name}": f"{one.folder}/netns/gone"}.items():
            os.symlink(target, path)
        try:
            removed = one.runtime.destroy()

            assert removed == [f"odd-{one.name}"]
            assert theirs == {path: os.readlink(path) for path in theirs}
        finally:
            for path in theirs:
                os.unlink(path)


@pytest.mark.parametrize("folder", ["/run/netns", "/etc/netns"])
def test_a_name_that_is_taken_by_a_symlink(folder: str) -> None:
    """It is refused before anything is made, and left alone."""
    with lab() as one:
        taken = f"{folder}/{one.name}.b"
        os.makedirs(folder, 0o755, exist_ok=True)
        os.symlink("/nowhere", taken)
        try:
            with pytest.raises(NetlabError, match=f"{taken} exists and is not lab {one.name}'s"):
                one.runtime.create(["a", "b"])

            assert not os.path.lexists(f"/run/netns/{one.name}.a")
            assert one.runtime.destroy() == []
            assert os.readlink(taken) == "/nowhere"
        finally:
            os.unlink(taken)


def test_a_name_that_is_taken_by_a_real_namespace() -> None:
    """A namespace made by hand is refused, keeps its mount, and outlives the lab."""
    with lab() as one:
        run("ip", "netns", "add", f"{one.name}.a")
        try:
            with pytest.raises(NetlabError, match="exists and is not"):
                one.runtime.create(["a"])

            assert one.runtime.destroy() == []
            assert run("ip", "netns", "exec", f"{one.name}.a", "echo", "alive") == "alive\n"
        finally:
            run("ip", "netns", "del", f"{one.name}.a")


def test_two_labs_at_once(tmp_path: Path) -> None:
    """Two labs can be made at the same time, where the folders of names do not exist yet."""
    with lab() as one, lab() as two:
        folders = {"run_netns": f"{tmp_path}/run", "etc_netns": f"{tmp_path}/etc"}
        runtimes = [Netns(each.name, each.folder, folders["run_netns"], folders["etc_netns"]) for each in (one, two)]
        nodes = [f"n{number}" for number in range(60)]
        threads = [threading.Thread(target=runtime.create, args=(nodes,)) for runtime in runtimes]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert sorted(f"{each.name}.{node}" for each in (one, two) for node in nodes) == sorted(
            os.listdir(folders["run_netns"])
        )
        assert len(runtimes[0].destroy()) == len(runtimes[1].destroy()) == 60


def test_file_system_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where symlinks cannot be linked they are made one by one."""

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "link", refuse)
    with lab() as one:
        runtime = Netns(one.name, one.folder, f"{tmp_path}/run", f"{tmp_path}/etc")
        runtime.create(["a", "b"])

        assert {f"{one.folder}/etc"} == {os.readlink(path) for path in (tmp_path / "etc").iterdir()}
        assert len(runtime.destroy()) == 2


# `ip netns add` turns /run/netns into a shared mount. That happens once a machine, so here it has a machine's mounts.
SHARED = """
import subprocess, sys
from netlab.kernel import syscalls
from tests.lab.namespaces import lab, run
syscalls.mount("none", "/", "", syscalls.MS_REC | syscalls.MS_PRIVATE)
syscalls.mount("tmpfs", "/run", "tmpfs")
with lab() as one:
    one.runtime.create(["a"])
    run("ip", "netns", "add", "another")
    assert " /run/netns " in open("/proc/self/mountinfo").read()
    print(run("ip", "netns", "exec", f"{one.name}.a", "echo", "alive"), end="")
    one.runtime.create(["b"])
    print(one.runtime.destroy() == [f"{one.name}.a", f"{one.name}.b"])
    run("ip", "netns", "del", "another")
"""


def test_ip_netns_add_after_the_lab() -> None:
    """The lab's names work, and go, in a folder that became a mount meanwhile."""
    assert run("unshare", "--mount", sys.executable, "-c", SHARED) == "alive\nTrue\n"


KILLED = """
import sys
from netlab.runtime.netns import Netns
Netns(*sys.argv[1:3]).create([f"n{number}" for number in range(150)])
"""


@pytest.mark.parametrize("symlinks, mounts", [(1, 0), (75, 0), (150, 1), (150, 70), (150, 150)])  # noqa: PT006
def test_killed_while_it_creates(symlinks: int, mounts: int) -> None:
    """After kill -9 at any point the symlinks and the lab's folder, with its mounts, are all there is to remove."""
    with lab() as one:
        child = subprocess.Popen([sys.executable, "-c", KILLED, one.name, one.folder])
        while not stands(one, symlinks, mounts) and child.poll() is None:
            pass
        child.send_signal(signal.SIGKILL)
        child.wait()

        assert len(one.runtime.destroy()) >= symlinks
        assert one.runtime.destroy() == []


def stands(one: Lab, symlinks: int, mounts: int) -> bool:
    """Return whether so much of a lab has been made."""
    made = sum(name.startswith(f"{one.name}.") for name in leaks.listed("/run/netns"))
    folder = f"{one.folder}/netns"
    return made >= symlinks and (not mounts or (os.path.isdir(folder) and len(os.listdir(folder)) >= mounts))


def test_interrupted_while_it_creates(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C leaves no thread behind that still makes namespaces."""
    main, calls, unshare = threading.main_thread().ident, itertools.count(1), syscalls.unshare_net
    assert main is not None

    def interrupt_at_the_twentieth() -> None:
        unshare()
        number = next(calls)
        if number == 20:
            signal.pthread_kill(main, signal.SIGINT)
        elif number > 20:
            time.sleep(0.01)  # so that it takes long enough to be interrupted

    monkeypatch.setattr(syscalls, "unshare_net", interrupt_at_the_twentieth)
    with lab() as one:
        with pytest.raises(KeyboardInterrupt):
            one.runtime.create([f"n{number}" for number in range(2000)])

        made = len(os.listdir(f"{one.folder}/netns"))
        assert made < 2000
        for thread in threading.enumerate():
            if thread is not threading.main_thread():
                thread.join(PATIENCE_S)
        assert made == len(os.listdir(f"{one.folder}/netns"))


def test_too_many_namespaces(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel's limit is told as one, with the sysctl that raises it."""

    def refuse() -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(syscalls, "unshare_net", refuse)
    with lab() as one, pytest.raises(NetlabError, match=r"namespace of node a: .*user\.max_net_namespaces"):
        one.runtime.create(["a", "b", "c"])


def test_the_leak_check_sees_what_a_lab_is_made_of() -> None:
    """Names, mounts, files and processes of a lab are all noticed, and what is taken from others too."""
    os.makedirs("/run/netns", 0o755, exist_ok=True)
    os.symlink("/nowhere", "/run/netns/not-ours")
    before = leaks.snapshot()
    with lab() as one:
        one.runtime.create(["a"])
        sleeper = subprocess.Popen(["ip", "netns", "exec", f"{one.name}.a", "sleep", "60"])
        os.unlink("/run/netns/not-ours")
        found: list[str] = []

        def sees_it() -> bool:
            found[:] = leaks.difference(before, leaks.snapshot())
            return any("sleep 60" in each for each in found)

        eventually(sees_it)
        sleeper.kill()
        sleeper.wait()

        assert f"left behind: name in /run/netns {one.name}.a" in found
        assert f"left behind: name in /etc/netns {one.name}.a" in found
        assert f"left behind: netlab mount nsfs on {one.folder}/netns/a" in found
        assert f"left behind: file {one.folder}" in found
        assert any(each.startswith("left behind: process") and each.endswith("sleep 60") for each in found)
        assert "taken away: name in /run/netns not-ours" in found


def test_own_proc_shows_the_threads_namespace() -> None:
    """A proc file system that is mounted nowhere has the sysctls of the thread that asks."""
    with lab() as one:
        one.runtime.create(["a"])

        def devices() -> tuple[list[str], list[str]]:
            proc = syscalls.open_proc()
            try:
                folder = os.open("sys/net/ipv4/conf", os.O_RDONLY, dir_fd=proc)
                try:
                    return sorted(os.listdir(folder)), sorted(os.listdir("/proc/sys/net/ipv4/conf"))
                finally:
                    os.close(folder)
            finally:
                os.close(proc)

        own, ordinary = one.inside("a", devices)
        assert ["all", "default", "lo"] == own == ordinary
