"""The supervisor with real processes. What needs namespaces or a trace needs root; the rest does not."""

import fcntl
import json
import os
import pathlib
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from netlab import paths
from netlab.errors import NetlabError
from netlab.kernel import syscalls
from netlab.kernel.pids import is_alive, start_ticks
from netlab.supervise import client, logs
from netlab.supervise.job import Start
from netlab.testing.waiting import PATIENCE_S, eventually
from tests.lab.processes import STAY, Lab, members, shell

REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


@pytest.fixture
def lab(tmp_path: object) -> Iterator[Lab]:
    made = Lab(str(tmp_path))
    yield made
    made.close()


# Starting.


def test_a_process_starts_when_those_before_it_are_there(lab: Lab) -> None:
    lab.up(
        shell("last", f"echo READY; {STAY}", ("middle", "command")),
        shell("command", STAY, ("first",), awaits_ready=False),
        shell("middle", f"echo READY; {STAY}", ("first",)),
        shell("first", f"sleep 0.1; echo READY; {STAY}"),
    )

    order = [(event["kind"], event["process"]) for event in lab.events]
    assert order.index(("ready", "first")) < order.index(("started", "middle"))
    assert order.index(("ready", "first")) < order.index(("started", "command"))
    assert order.index(("ready", "middle")) < order.index(("started", "last"))
    assert order.index(("started", "command")) < order.index(("started", "last"))
    assert order[-1] == ("ready", "last")
    assert {one.state for one in client.processes(lab.folder)} == {"running"}


def test_a_node_that_starts_nothing_is_not_waited_for(lab: Lab) -> None:
    lab.up(shell("a", f"echo READY; {STAY}", ("switch",)))

    assert lab.state("a") == ("running", 0)


def test_ready_is_a_line_of_its_own_on_stdout(lab: Lab) -> None:
    script = f"echo NOT READY; echo READY >&2; printf REA; sleep 0.1; printf 'DY\\n'; echo READY; {STAY}"
    lab.up(shell("a", script))
    eventually(lambda: len(lab.printed("a")) == 3, "the lines of a")

    assert sorted(lab.printed("a")) == ["NOT READY", "READY", "READY"]
    notes = [line.text for line in logs.read(lab.folder, ["a"]) if line.stream == "note"]
    assert notes == [f"started as process {lab.pid('a')}", "ready"]


def test_a_process_may_end_once_it_has_been_ready(lab: Lab) -> None:
    lab.up(shell("done", "echo READY"), shell("after", f"echo READY; {STAY}", ("done",)))

    eventually(lambda: lab.state("done") == ("exited", 0), "the end of done")
    assert lab.state("after") == ("running", 0)


def test_an_end_before_ready_fails_with_the_last_lines(lab: Lab) -> None:
    with pytest.raises(NetlabError) as error:
        lab.start(
            shell("good", f"echo READY; {STAY}"),
            shell("bad", "for i in $(seq 20); do echo line $i; done; printf 'no newline' >&2; exit 3", ("good",)),
            shell("never", STAY, ("bad",)),
        )

    text = str(error.value)
    assert text.startswith("bad ended with exit code 3 before it said READY; its last lines:\n  line 12\n")
    assert text.endswith("\n  line 20\n  no newline")
    assert lab.state("good") == ("killed", signal.SIGTERM)
    assert lab.state("never") == ("not started", 0)


@pytest.mark.parametrize(
    ("argv", "what"),
    [
        (("/no/such/program",), "cannot run /no/such/program: No such file or directory"),
        (("sh", "-c", "kill -SEGV $$"), "was killed by SIGSEGV before it said READY; it has printed nothing"),
        (("true",), "ended with exit code 0 before it said READY"),
    ],
)
def test_why_a_process_is_not_there_is_said(lab: Lab, argv: tuple[str, ...], what: str) -> None:
    with pytest.raises(NetlabError, match=what):
        lab.start(Start("a", argv))


def test_a_process_that_is_never_ready_fails_at_the_deadline(lab: Lab) -> None:
    begun = time.monotonic()
    lab.up(shell("quick", "echo READY"))
    deadline_s = 0.5 + 5 * (time.monotonic() - begun)  # long enough to print something
    with pytest.raises(NetlabError) as error:
        lab.start(
            shell("slow", f"printf 'Password: '; {STAY}"),
            shell("slow2", STAY),
            shell("waits", STAY, ("slow",)),
            deadline_s=deadline_s,
        )

    expected = f"slow has not said READY within {deadline_s:g} s (nor has slow2); its last lines:\n  Password: "
    assert str(error.value) == expected


def test_a_process_gets_an_ordinary_surrounding(lab: Lab) -> None:
    script = "grep Sig /proc/self/status; ulimit -n; umask; pwd; echo $MINE $PYTHONUNBUFFERED; ls -l /proc/self/fd"
    before = os.umask(0o027)
    try:
        lab.up(Start("a", ("sh", "-c", f"echo READY; {script}"), (("MINE", "yes"),)))
    finally:
        os.umask(before)
    eventually(lambda: lab.state("a") == ("exited", 0), "the end of a")

    lines = lab.printed("a")
    signals = dict(line.split(":\t") for line in lines if line.startswith("Sig") and "/" not in line)
    ours = 0b11 << 31  # 32 and 33 are the C library's own
    assert (0, 0) == (int(signals["SigBlk"], 16) & ~ours, int(signals["SigIgn"], 16) & ~ours)
    limit = subprocess.run(["sh", "-c", "ulimit -n"], capture_output=True, text=True, check=True).stdout.strip()
    at = lines.index(limit)
    assert [limit, "0027", "/", "yes 1"] == lines[at : at + 4]
    opened = [line.rsplit(" -> ", 1)[1] for line in lines if " -> " in line]
    assert opened[0] == "/dev/null"
    assert [name.split(":")[0] for name in opened[1:3]] == ["pipe", "pipe"]
    assert len(opened) == 4  # and the one that ls itself reads


def test_200_processes(lab: Lab) -> None:
    nodes = [f"w{at}" for at in range(200)]
    lab.up(*(shell(node, f"echo READY; echo {node}; {STAY}") for node in nodes))

    assert {one.state for one in client.processes(lab.folder)} == {"running"}
    eventually(lambda: sum(line.stream == "out" for line in logs.read(lab.folder, nodes)) == 200, "200 lines")


def test_more_than_a_pipe_of_job_and_of_progress(lab: Lab) -> None:
    long = "x" * 20_000
    lab.up(*(Start(f"w{at}", ("sh", "-c", "echo READY", long)) for at in range(20)))

    assert len(lab.events) >= 40


# What they print.


def test_output_that_is_no_text(lab: Lab) -> None:
    lab.up(shell("a", "echo READY; head -c 300000 /dev/urandom; printf 'the end'"))
    eventually(lambda: lab.state("a") == ("exited", 0), "the end of a")

    with open(paths.log(lab.folder, "a"), "rb") as file:
        size = len(file.read())
    assert size > 300_000
    assert lab.printed("a")[-1].endswith("the end")


def test_a_line_of_ten_megabytes(lab: Lab) -> None:
    lab.up(shell("a", "echo READY; head -c 10000000 /dev/zero | tr '\\0' x; echo; echo after"))
    eventually(lambda: lab.state("a") == ("exited", 0), "the end of a")

    lines = lab.printed("a")
    assert sum(len(line) for line in lines[:-1]) == 10_000_000
    assert lines[-1] == "after"


def test_a_flood_delays_nobody_and_fills_nothing(lab: Lab) -> None:
    lab.up(
        shell("flood", "echo READY; exec yes a rather long line of text that says nothing at all"),
        shell("binary", "echo READY; exec cat /dev/zero"),
        *(shell(f"w{at}", f"echo READY; {STAY}", ("flood",)) for at in range(5)),
    )
    older = paths.log(lab.folder, "flood") + ".1"
    eventually(lambda: os.path.exists(older), "a flood that fills a file")

    import psutil

    assert os.path.getsize(older) <= logs.FILE_LIMIT
    assert psutil.Process(client.supervisor_pid(lab.folder)).memory_info().rss < 40e6
    assert client.stop_supervisor(lab.folder)


def test_what_a_process_leaves_behind_may_go_on_printing(lab: Lab) -> None:
    lab.up(shell("a", f"echo READY; (sleep 0.3; echo late; {STAY}) & exit 0"))
    eventually(lambda: lab.state("a") == ("exited", 0), "the end of a")
    eventually(lambda: lab.printed("a") == ["late"], "the line of the one left behind")
    behind = members(lab.pid("a"))
    assert len(behind) == 1

    assert client.stop_supervisor(lab.folder)

    eventually(lambda: not members(lab.pid("a")), "the end of the one left behind")


# The end.


def test_the_supervisor_stays_when_its_last_process_has_ended(lab: Lab) -> None:
    supervisor = lab.up(shell("a", "echo READY; exit 7")._replace(may_exit=True), shell("b", "echo READY"))
    eventually(lambda: [lab.state("a"), lab.state("b")] == [("exited", 7), ("exited", 0)], "the end of both")

    assert client.supervisor_pid(lab.folder) == supervisor.pid
    assert client.stop_supervisor(lab.folder)
    assert os.waitpid(supervisor.pid, 0)[1] == 0
    supervisor.pid = 0
    assert client.supervisor_pid(lab.folder) == 0
    assert not client.stop_supervisor(lab.folder)


def test_it_hears_of_ends_where_the_caller_ignores_them(lab: Lab) -> None:
    """Whoever calls `up` may have `trap '' CHLD`: how a process has ended must be known all the same."""
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        supervisor = lab.up(shell("a", "echo READY; exit 7")._replace(may_exit=True), shell("b", f"echo READY; {STAY}"))
        eventually(lambda: lab.state("a") == ("exited", 7), "its end")

        assert client.supervisor_pid(lab.folder) == supervisor.pid
        assert lab.state("b") == ("running", 0)
        client.abandon(supervisor)
    finally:
        signal.signal(signal.SIGCHLD, before)


def test_stopping_is_gentle_first(lab: Lab) -> None:
    lab.up(shell("a", "trap 'echo bye; exit 5' TERM; echo READY; while :; do sleep 0.05; done"))

    assert client.stop_supervisor(lab.folder)

    assert lab.state("a") == ("exited", 5)
    assert lab.printed("a")[-1] == "bye"
    assert not client.stop_supervisor(lab.folder)


@pytest.mark.usefixtures("impatient")
def test_the_stubborn_the_frozen_and_their_children_are_stopped(lab: Lab) -> None:
    stubborn = "trap '' TERM HUP INT; sleep 1000 & echo READY; while :; do sleep 1000; done"
    lab.up(shell("stubborn", stubborn), shell("frozen", f"echo READY; {STAY}"))
    group = lab.pid("stubborn")
    eventually(lambda: len(members(group)) == 3, "the children")
    os.kill(lab.pid("frozen"), signal.SIGSTOP)

    assert client.stop_supervisor(lab.folder)

    assert lab.state("stubborn") == ("killed", signal.SIGKILL)
    assert lab.state("frozen") == ("killed", signal.SIGTERM)
    eventually(lambda: not members(group), "the end of the children")


def test_the_roles_die_with_a_killed_supervisor_and_status_says_so(lab: Lab) -> None:
    lab.up(shell("a", f"trap '' TERM; echo READY; {STAY}"), shell("b", "echo READY"))
    eventually(lambda: lab.state("b") == ("exited", 0), "the end of b")
    os.kill(client.supervisor_pid(lab.folder), signal.SIGKILL)

    eventually(lambda: not any(is_alive(*one) for one in lab.remembered()), "the end of the roles")
    eventually(lambda: lab.state("a") == ("lost", 0), "the truth about a")
    assert lab.state("b") == ("exited", 0)
    assert not client.stop_supervisor(lab.folder)


@pytest.mark.root
@pytest.mark.usefixtures("no_leaks")
def test_the_kill_reaches_what_runs_in_a_namespace(lab: Lab) -> None:
    """`ip netns exec` changes namespaces between the promise and the program, which must not undo the promise."""
    subprocess.run(["ip", "netns", "add", "netlab-test-death"], check=True)
    try:
        lab.up(Start("a", ("ip", "netns", "exec", "netlab-test-death", "sh", "-c", f"echo READY; {STAY}")))
        os.kill(client.supervisor_pid(lab.folder), signal.SIGKILL)
        eventually(lambda: not any(is_alive(*one) for one in lab.remembered()), "the end of the role")
    finally:
        subprocess.run(["ip", "netns", "delete", "netlab-test-death"], check=True)


def test_ctrl_c_and_a_closed_terminal_do_not_reach_it(lab: Lab) -> None:
    lab.up(shell("a", f"echo READY; {STAY}"))
    supervisor = client.supervisor_pid(lab.folder)

    assert os.getsid(supervisor) == supervisor != os.getsid(0)
    assert os.getsid(lab.pid("a")) == lab.pid("a")
    eventually(lambda: {os.readlink(f"/proc/{supervisor}/fd/{fd}") for fd in range(3)} == {"/dev/null"}, "its solitude")
    assert os.readlink(f"/proc/{supervisor}/cwd") == os.path.realpath(lab.folder)


UP = """
    import os, sys, time
    from netlab.supervise import client
    from netlab.supervise.job import Start
    folder, ending = sys.argv[1:]
    lock = os.open(folder + "/lock", os.O_RDWR)
    supervisor = client.spawn("lab1", folder, lock)
    if ending == "spawned":
        os.kill(os.getpid(), 9)
    starts = [Start("a", ("sh", "-c", "echo READY; exec sleep 1000"))]
    if ending == "waiting":
        starts.append(Start("never", ("sleep", "1000")))
        tell = lambda event: event["kind"] == "ready" and os.kill(os.getpid(), 9)
    else:
        tell = lambda event: None
    client.start(supervisor, starts, False, 20, tell)
    if ending == "started":
        os.kill(os.getpid(), 9)
    client.keep(supervisor)
    os.kill(os.getpid(), 9)
"""


def killed_up(lab: Lab, ending: str) -> None:
    argv = [sys.executable, "-c", textwrap.dedent(UP), lab.folder, ending]
    done = subprocess.run(argv, cwd=REPOSITORY, env={**os.environ, "PYTHONPATH": REPOSITORY}, check=False)
    assert done.returncode == -signal.SIGKILL


@pytest.mark.parametrize("ending", ["spawned", "waiting", "started"])
def test_an_up_that_dies_before_it_sends_keep_leaves_nothing_running(lab: Lab, ending: str) -> None:
    killed_up(lab, ending)

    noted = f"{lab.folder}/supervisor"
    eventually(lambda: client.supervisor_pid(lab.folder) == 0 and os.path.exists(noted), "its end")
    assert not any(is_alive(*one) for one in lab.remembered())


def test_an_up_that_dies_after_it_has_sent_keep_leaves_the_lab(lab: Lab) -> None:
    killed_up(lab, "kept")

    assert lab.state("a") == ("running", 0)
    assert client.stop_supervisor(lab.folder)


def test_a_supervisor_that_dies_meanwhile_is_an_error_in_words(lab: Lab) -> None:
    def kill(event: dict[str, Any]) -> None:
        os.kill(supervisor.pid, signal.SIGKILL)

    supervisor = lab.spawn()
    with pytest.raises(NetlabError, match="the supervisor of the lab lab1 has died"):
        client.start(supervisor, [shell("a", STAY)], False, PATIENCE_S, kill)


def test_a_supervisor_that_cannot_work_says_why(lab: Lab) -> None:
    with pytest.raises(NetlabError, match=r"lab1 has died: FileNotFoundError.*trace_pipe"):
        lab.start(trace=True)

    with open(f"{lab.folder}/supervisor.log", encoding="utf-8") as file:
        assert "Traceback" in file.read()


def test_giving_up_before_there_is_a_job(lab: Lab) -> None:
    supervisor = lab.spawn()

    client.abandon(supervisor)
    client.abandon(supervisor)

    assert supervisor.pid == 0


def test_the_lab_stays_locked_until_the_supervisor_can_be_found(lab: Lab) -> None:
    fcntl.flock(lab.lock, fcntl.LOCK_EX)
    supervisor = lab.spawn()
    os.kill(supervisor.pid, signal.SIGSTOP)
    fcntl.flock(lab.lock, fcntl.LOCK_UN | fcntl.LOCK_NB)  # not what `up` does: the descriptor is shared
    fcntl.flock(lab.lock, fcntl.LOCK_EX)
    ours, lab.lock = lab.lock, os.open(f"{lab.folder}/lock", os.O_RDWR | os.O_CLOEXEC)
    os.close(ours)
    assert os.path.exists(f"{lab.folder}/supervisor") or not free(lab.lock)

    os.kill(supervisor.pid, signal.SIGCONT)
    eventually(lambda: free(lab.lock), "the lock")

    assert client.supervisor_pid(lab.folder) == supervisor.pid


def free(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@pytest.mark.root
def test_what_happens_while_the_folder_is_full_is_written_later(no_leaks: None, tmp_path: pathlib.Path) -> None:
    """Until then no half line stands there, which could not be read; the kernel would take as much as fits a page."""
    os.mkdir(f"{tmp_path}/full")
    syscalls.mount("full", f"{tmp_path}/full", "tmpfs", data="size=256k")
    lab = Lab(f"{tmp_path}/full")
    try:
        lab.up(shell("a", STAY, awaits_ready=False), shell("b", STAY, awaits_ready=False))
        pid, path = lab.pid("a"), f"{lab.folder}/processes"
        with open(path, "a", encoding="ascii") as file:
            room = os.sysconf("SC_PAGE_SIZE") - file.tell() - 20
            file.write(json.dumps({"pad": "x" * (room - len('{"pad": ""}'))}) + "\n")
        fill(f"{lab.folder}/filling")
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: not is_alive(pid, start_ticks(pid)), "its end")
        eventually(lambda: lab.state("a") == ("lost", 0), "what can be known")  # it is gone, and nobody has told how
        whole = pathlib.Path(path).read_text()
        os.unlink(f"{lab.folder}/filling")
        eventually(lambda: lab.state("a") == ("killed", signal.SIGKILL), "the end of a, written down")

        assert [line for line in whole.splitlines() if not line.endswith("}")] == []
        assert lab.state("b") == ("running", 0)
    finally:
        lab.close()
        syscalls.umount(f"{tmp_path}/full")


def fill(path: str) -> None:
    """Take all the room that a file system has left."""
    with open(path, "wb", buffering=0) as file, suppress(OSError):
        while file.write(b"x" * 4096):
            pass


def test_a_recycled_process_id_is_never_signalled(lab: Lab) -> None:
    innocent = subprocess.Popen(["sleep", "1000"])
    try:
        with open(f"{lab.folder}/supervisor", "w", encoding="utf-8") as file:
            json.dump({"pid": innocent.pid, "start_ticks": start_ticks(innocent.pid) - 1}, file)

        assert not client.stop_supervisor(lab.folder)
        assert client.supervisor_pid(lab.folder) == 0
        assert innocent.poll() is None
    finally:
        innocent.kill()
        innocent.wait()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": "x"}', '{"pid": 1}', "\0\0"])
def test_a_damaged_record_names_nobody(lab: Lab, text: str) -> None:
    with open(f"{lab.folder}/supervisor", "w", encoding="utf-8") as file:
        file.write(text)
    with open(f"{lab.folder}/processes", "w", encoding="utf-8") as file:
        file.write('{"processes": ["a"], "ns": 1}\n{"process": "a", "pi')

    assert not client.stop_supervisor(lab.folder)
    assert client.processes(lab.folder) == [client.unstarted("a")]
