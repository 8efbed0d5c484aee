"""Ending everything in a namespace, and nothing else."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from netlab.kernel import kill
from netlab.kernel.kill import Whose
from netlab.kernel.pids import is_alive, start_ticks
from netlab.testing.waiting import eventually

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("no_leaks")]

REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class Namespace:
    """A network namespace, held by a name, and the processes that were started in it."""

    def __init__(self, name: str) -> None:
        self.name = name
        subprocess.run(["ip", "netns", "add", name], check=True)
        status = os.stat(f"/run/netns/{name}")
        self.key = (status.st_dev, status.st_ino)
        self.processes: list[subprocess.Popen[bytes]] = []

    def run(self, *argv: str) -> subprocess.Popen[bytes]:
        """Start a process in the namespace and wait until it is there, or has ended."""
        started = subprocess.Popen(["ip", "netns", "exec", self.name, *argv], start_new_session=True)
        self.processes.append(started)
        eventually(lambda: self.holds(started.pid) in (True, None), "a process in the namespace")
        return started

    def holds(self, pid: int) -> bool | None:
        try:
            status = os.stat(f"/proc/{pid}/ns/net")
        except FileNotFoundError:
            return None
        return (status.st_dev, status.st_ino) == self.key

    def members(self) -> list[int]:
        words = ["ip", "netns", "pids", self.name]
        return [int(pid) for pid in subprocess.run(words, capture_output=True, check=True).stdout.split()]

    def close(self) -> None:
        for started in self.processes:
            started.kill()
            started.wait()
        subprocess.run(["ip", "netns", "delete", self.name], check=True)


@pytest.fixture
def namespace() -> Iterator[Namespace]:
    made = Namespace("netlab-test-stopping")
    yield made
    made.close()


def test_all_kinds_of_processes_in_the_namespace_end(namespace: Namespace) -> None:
    gentle = namespace.run("sh", "-c", "trap 'exit 5' TERM; while :; do sleep 0.05; done")
    stubborn = namespace.run("sh", "-c", "trap '' TERM HUP INT; while :; do sleep 0.1; done")
    shell = namespace.run("sh", "-c", "trap '' TERM; trap 'exit 6' HUP; while :; do sleep 0.05; done")
    frozen = namespace.run("sleep", "1000")
    frozen.send_signal(signal.SIGSTOP)
    hidden = namespace.run("setsid", "--fork", "sh", "-c", "sleep 1000 & exec sleep 1000")
    hidden.wait()
    eventually(lambda: len(namespace.members()) >= 7, "the processes")

    stopped = kill.stop_all(Whose({namespace.key}))

    assert namespace.members() == []
    assert (stopped.spared, stopped.left) == ([], [])
    assert f"{stubborn.pid} (sh)" in stopped.ended
    assert len(stopped.ended) >= 7
    codes = [one.wait() for one in (gentle, shell, stubborn, frozen)]
    assert codes == [5, 6, -signal.SIGKILL, -signal.SIGTERM]


def test_who_forks_while_being_killed_ends_too(namespace: Namespace) -> None:
    code = """
        import os, signal, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        while True:  # always one that is younger than the last look
            if os.fork() == 0:
                time.sleep(0.01)
            elif os.fork() == 0:
                time.sleep(0.005)
                os._exit(0)
            else:
                os._exit(0)
    """
    namespace.run(sys.executable, "-c", textwrap.dedent(code))

    stopped = kill.stop_all(Whose({namespace.key}))

    assert namespace.members() == []
    assert stopped.left == []


def test_nobody_elsewhere_is_touched(namespace: Namespace) -> None:
    outside = subprocess.Popen(["sleep", "1000"])
    other = Namespace("netlab-test-other")
    inside = other.run("sleep", "1000")
    namespace.run("sleep", "1000")
    try:
        assert len(kill.stop_all(Whose({namespace.key})).ended) == 1
        assert kill.stop_all(Whose({namespace.key})) == ([], [], [])
        assert kill.stop_all(Whose(set())) == ([], [], [])
        assert (outside.poll(), inside.poll()) == (None, None)
    finally:
        other.close()
        outside.kill()
        outside.wait()


def test_the_host_itself_is_no_lab() -> None:
    status = os.stat("/proc/self/ns/net")
    with pytest.raises(ValueError, match="host"):
        kill.stop_all(Whose({(status.st_dev, status.st_ino)}))


def test_the_second_process_of_a_container_may_be_a_labs(monkeypatch: pytest.MonkeyPatch, namespace: Namespace) -> None:
    """On a host it is the kernel's, and has no parent."""
    second = namespace.run("sleep", "1000")
    look = kill._namespace
    monkeypatch.setattr(kill, "_namespace", lambda pid, kind="net": look(second.pid if pid == 2 else pid, kind))
    monkeypatch.setattr(kill, "parent", lambda pid: 0 if pid == 1 else 1)

    assert [second.pid] == [int(name.split()[0]) for name in kill.stop_all(Whose({namespace.key})).ended]


def test_who_calls_from_inside_is_spared_and_named(namespace: Namespace) -> None:
    namespace.run("sleep", "1000")
    code = f"""
        import os
        from netlab.kernel import kill
        stopped = kill.stop_all(kill.Whose({{{namespace.key}}}))
        print(len(stopped.ended), stopped.spared, os.getpid(), os.getppid())
    """
    words = ["ip", "netns", "exec", namespace.name, "sh", "-c", '"$@"; exit', "sh"]
    shown = subprocess.run(
        [*words, sys.executable, "-c", textwrap.dedent(code)],
        cwd=REPOSITORY, env={**os.environ, "PYTHONPATH": REPOSITORY}, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip

    ended, rest = shown.split(" ", 1)
    names, me, caller = rest.rsplit(" ", 2)
    assert ended == "1"
    assert f"{me} (" in names
    assert f"{int(caller)} (sh)" in names


def test_the_first_process_of_a_room_is_waited_for(namespace: Namespace) -> None:
    """It has no namespaces any more while it waits for the last of its own, here for one that is buried late."""
    outer = namespace.run("unshare", "--pid", "--fork", "sh", "-c", "trap '' TERM HUP; while :; do sleep 0.1; done")
    children = f"/proc/{outer.pid}/task/{outer.pid}/children"
    eventually(lambda: Path(children).read_text(), "the first process")
    first = Path(children).read_text().strip()
    pid, ticks = int(first), start_ticks(int(first))
    guest = subprocess.Popen(["nsenter", "--target", first, "--pid", "sleep", "1000"])
    eventually(lambda: Path(f"/proc/{guest.pid}/task/{guest.pid}/children").read_text(), "a guest in the room")
    guest.send_signal(signal.SIGSTOP)

    def bury() -> None:
        eventually(lambda: namespace.holds(pid) is None, "an end of the first process")
        threading.Timer(0.3, guest.send_signal, (signal.SIGCONT,)).start()

    burial = threading.Thread(target=bury)
    burial.start()
    stopped = kill.stop_all(Whose({namespace.key}))
    is_there = is_alive(pid, ticks)
    burial.join()
    guest.wait()

    assert any(name.startswith(f"{pid} ") for name in stopped.ended)
    assert not is_there


def test_a_zombie_is_no_process_to_wait_for(namespace: Namespace) -> None:
    code = "import os, time\nif os.fork() == 0: os._exit(0)\ntime.sleep(1000)"
    parent = namespace.run(sys.executable, "-c", code)
    ticks = start_ticks(parent.pid)
    zombie = namespace.run("true")  # ended, and not waited for before the end of the test
    eventually(lambda: not is_alive(zombie.pid, start_ticks(zombie.pid)), "a zombie")

    stopped = kill.stop_all(Whose({namespace.key}))

    assert stopped.left == []
    assert not is_alive(parent.pid, ticks)
