"""A supervisor one can talk to: what it does when it is asked, what it tells, and what does not trouble it."""

import json
import os
import resource
import select
import signal
import socket
import stat
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import pytest

from netlab.errors import NetlabError
from netlab.kernel.pids import is_alive, start_ticks
from netlab.supervise import client, schema, talk
from netlab.supervise.job import Start
from netlab.testing.waiting import PATIENCE_S, eventually
from tests.lab.processes import STAY, Lab, members, shell

ROLE = f"echo READY; {STAY}"


@pytest.fixture
def lab(tmp_path: object) -> Iterator[Lab]:
    made = Lab(str(tmp_path))
    yield made
    made.close()


@contextmanager
def connected(lab: Lab) -> Iterator[socket.socket]:
    """Speak to a lab's supervisor without the client's help."""
    fd = os.open(lab.folder, os.O_PATH)
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(f"/proc/self/fd/{fd}/supervisor.sock")  # waits where too many do so at once
        connection.settimeout(PATIENCE_S)
        os.close(fd)
        yield connection


def said(connection: socket.socket) -> list[dict[str, Any]]:
    """Return all that a connection gets until the other side hangs up."""
    data = b""
    with suppress(ConnectionError):
        while part := connection.recv(1 << 16):
            data += part
    return [json.loads(line) for line in data.splitlines()]


def answers(lab: Lab, *requests: bytes) -> list[dict[str, Any]]:
    """Send lines, and return what is said until the end."""
    with connected(lab) as connection:
        with suppress(ConnectionError):
            connection.sendall(b"".join(requests))
            connection.shutdown(socket.SHUT_WR)
        return said(connection)


def lives(lab: Lab) -> bool:
    """Say whether the supervisor still answers, and its process is none the worse."""
    with talk.to(lab.folder) as supervisor:
        return {"running"} == {one["state"] for one in supervisor.states().values()}


# What is asked.


def test_the_state_of_every_process_is_reported(lab: Lab) -> None:
    lab.up(
        shell("a", ROLE),
        shell("b", "trap 'exit 3' HUP; echo READY; while :; do sleep 0.01; done"),
        shell("c", ROLE),
        Start("d", ("sleep", "1000"), awaits_ready=False, autostart=False),
        shell("e", ROLE),
    )
    for name, number in (("b", signal.SIGHUP), ("c", signal.SIGUSR1), ("e", signal.SIGSTOP)):
        os.kill(lab.pid(name), number)
    eventually(lambda: lab.state("e") == ("stopped", 0), "its stop")
    eventually(lambda: [lab.state("b"), lab.state("c")] == [("exited", 3), ("killed", signal.SIGUSR1)])

    with talk.to(lab.folder) as supervisor:
        states = supervisor.states()

    assert [("a", "running"), ("b", "exited"), ("c", "killed"), ("d", "not started"), ("e", "stopped")] == [
        (name, one["state"]) for name, one in states.items()
    ]
    assert (lab.pid("a"), 3, signal.SIGUSR1) == (states["a"]["pid"], states["b"]["exit"], states["c"]["signal"])
    assert (True, False) == (states["a"]["awaits_ready"], states["d"]["awaits_ready"])


def test_a_restarted_process_is_another_with_all_that_the_first_had(lab: Lab) -> None:
    """Group, environment, umask and log; the record of what happened has both."""
    script = "echo $MINE $(umask) $(cat /proc/self/cgroup | md5sum); echo READY; exec sleep 1000"
    lab.up(Start("a", ("sh", "-c", script), (("MINE", "yes"),)))
    first = lab.pid("a")
    with talk.to(lab.folder) as supervisor:
        supervisor.restart("a", PATIENCE_S)

    assert lab.state("a") == ("running", 0)
    assert lab.pid("a") != first
    assert not is_alive(first, start_ticks(first))
    eventually(lambda: len(lab.printed("a")) == 2, "what both have printed")
    one, other = lab.printed("a")
    assert one == other
    assert one.startswith("yes 00")
    assert [first, lab.pid("a")] == [pid for pid, _ in lab.remembered()]


def test_a_stopped_process_can_be_started_again(lab: Lab) -> None:
    lab.up(shell("a", ROLE), shell("b", ROLE))
    with talk.to(lab.folder) as supervisor:
        supervisor.stop("a", PATIENCE_S)
        assert [lab.state("a"), lab.state("b")] == [("killed", signal.SIGTERM), ("running", 0)]
        with pytest.raises(NetlabError, match="a does not run"):
            supervisor.stop("a", PATIENCE_S)
        supervisor.start("a", PATIENCE_S)
        with pytest.raises(NetlabError, match=f"a runs already: process {lab.pid('a')}"):
            supervisor.start("a", PATIENCE_S)

    assert [lab.state("a"), lab.state("b")] == [("running", 0), ("running", 0)]


def test_a_process_that_does_not_start_by_itself_is_started_when_somebody_asks(lab: Lab) -> None:
    lab.up(Start("a", ("sh", "-c", ROLE), autostart=False))
    assert lab.state("a") == ("not started", 0)

    with talk.to(lab.folder) as supervisor:
        supervisor.start("a", PATIENCE_S)

    assert lab.state("a") == ("running", 0)


def test_stopping_one_is_gentle_first(lab: Lab) -> None:
    """Also when it is stopped as by a terminal: it goes on first."""
    gentle = "trap 'echo bye; exit 5' TERM; echo READY; while :; do sleep 0.05; done"
    lab.up(shell("gentle", gentle), shell("other", ROLE))
    os.kill(lab.pid("gentle"), signal.SIGSTOP)

    with talk.to(lab.folder) as supervisor:
        supervisor.stop("gentle", PATIENCE_S)

    assert (lab.state("gentle"), lab.printed("gentle")[-1]) == (("exited", 5), "bye")
    assert lab.state("other") == ("running", 0)


@pytest.mark.usefixtures("impatient")
def test_stopping_a_stubborn_one_kills_its_group(lab: Lab) -> None:
    stubborn = "trap '' TERM; sleep 1000 & echo READY; while :; do sleep 1000; done"
    lab.up(shell("stubborn", stubborn), shell("other", ROLE))
    group = lab.pid("stubborn")
    eventually(lambda: len(members(group)) == 3, "the children")

    with talk.to(lab.folder) as supervisor:
        supervisor.stop("stubborn", PATIENCE_S)

    assert lab.state("stubborn") == ("killed", signal.SIGKILL)
    assert lab.state("other") == ("running", 0)
    eventually(lambda: not members(group), "the end of the children")


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("do", ["start", "restart"])
def test_what_a_process_has_left_behind_ends_before_the_next_one_starts(lab: Lab, do: str) -> None:
    lab.up(shell("a", f"(trap '' TERM; {STAY}) & echo READY; exit 0"))
    eventually(lambda: lab.state("a") == ("exited", 0), "the end of a")
    group = lab.pid("a")
    assert len(members(group)) == 1

    with talk.to(lab.folder) as supervisor:
        getattr(supervisor, do)("a", PATIENCE_S)

    # its pipes were closed before: a process that has been killed is listed for a moment longer
    eventually(lambda: not members(group), "the end of what was left")
    assert lab.pid("a") != group


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("role", [ROLE, "trap '' TERM; echo READY; while :; do sleep 1000; done"])
def test_who_has_left_the_group_does_not_keep_the_next_one_from_starting(lab: Lab, role: str) -> None:
    """It holds the pipes of the process, and goes on printing."""
    lab.up(shell("a", f"setsid sh -c 'while :; do echo far; sleep 0.05; done' & {role}"))
    try:
        with talk.to(lab.folder) as supervisor:
            supervisor.restart("a", PATIENCE_S)
            before = len(lab.printed("a"))
            eventually(lambda: len(lab.printed("a")) > before + 3, "what it prints")
            supervisor.restart("a", PATIENCE_S)

        assert lab.state("a") == ("running", 0)
    finally:
        for pid in far():
            os.kill(pid, signal.SIGKILL)


def far() -> list[int]:
    """Return the processes that the test above has sent away."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with suppress(OSError), open(f"/proc/{pid}/cmdline", "rb") as file:
            argv = file.read().split(b"\0")
            if argv[:2] == [b"sh", b"-c"] and argv[2].startswith(b"while :; do echo far"):
                found.append(int(pid))
    return found


def test_a_start_that_fails_is_reported(lab: Lab) -> None:
    lab.up(
        Start("a", ("sh", "-c", "exit 3"), autostart=False),
        Start("never", ("sleep", "1000"), autostart=False),
    )
    with talk.to(lab.folder) as supervisor:
        with pytest.raises(NetlabError, match="a has ended before it was ready, by exit code 3"):
            supervisor.start("a", PATIENCE_S)
        with pytest.raises(NetlabError, match=r"never is not there within 0\.2 s"):
            supervisor.start("never", 0.2)
        assert supervisor.states()["never"]["state"] == "starting"


def test_a_signal_reaches_the_process(lab: Lab) -> None:
    lab.up(shell("a", "trap 'echo heard' USR1; echo READY; while :; do sleep 0.05; done"))
    with talk.to(lab.folder) as supervisor:
        supervisor.signal("a", signal.SIGUSR1)
        eventually(lambda: lab.printed("a")[-1:] == ["heard"], "what it says")
        answer = supervisor.ask("signal", process="a", signal="SIGKILL")

    assert {"kind": "answer", "do": "signal", "id": answer["id"]} == answer
    eventually(lambda: lab.state("a") == ("killed", signal.SIGKILL), "its end")


def test_requests_in_one_breath_are_done_in_their_order(lab: Lab) -> None:
    """While a process is being stopped, the last one says whether there will be another."""
    lab.up(shell("a", ROLE), shell("b", ROLE))
    first, second = lab.pid("a"), lab.pid("b")
    words = [
        ("stop", "a"),
        ("start", "a"),
        ("start", "a"),
        ("stop", "a"),
        ("restart", "a"),
        ("restart", "b"),
        ("stop", "b"),
    ]
    heard = answers(lab, *(json.dumps({"do": do, "process": name}).encode() + b"\n" for do, name in words))

    assert ["hello"] + ["answer"] * len(words) == [one["kind"] for one in heard]
    eventually(lambda: lab.pid("a") != first and lab.state("a") == ("running", 0), "the next a")
    eventually(lambda: lab.state("b") == ("killed", signal.SIGTERM), "the end of b")
    assert (3, second) == (len(lab.remembered()), lab.pid("b"))


def test_one_new_run_serves_all_who_ask_for_it_before_it_starts(lab: Lab) -> None:
    lab.up(shell("a", ROLE), Start("b", ("sleep", "1000"), awaits_ready=False, autostart=False))
    heard = answers(lab, *[b'{"do": "restart", "process": "b"}\n'] * 3)

    assert ["hello", "answer", "answer", "answer"] == [one["kind"] for one in heard]
    assert not [one for one in heard if "error" in one or "why" in one]
    eventually(lambda: lab.state("b") == ("running", 0), "its run")
    assert 2 == len(lab.remembered())


# What is told.


def test_what_happens_is_told_to_all_who_want_to_hear_it(lab: Lab) -> None:
    lab.up(Start("a", ("sh", "-c", "echo one; echo READY; echo two >&2; printf three; exit 4"), autostart=False))
    with ExitStack() as stack:
        readers = [stack.enter_context(talk.to(lab.folder)) for _ in range(20)]
        kinds = [schema.KINDS if at % 2 else ("line",) for at in range(20)]
        for reader, wanted in zip(readers, kinds, strict=True):
            reader.ask("watch", kinds=[*wanted])
        readers[0].ask("start", process="a")
        found = [[reader._next(time.monotonic() + PATIENCE_S) for _ in range(3)] for reader in readers]
        rest = [[reader._next(time.monotonic() + PATIENCE_S) for _ in range(6)] for reader in readers[1::2]]

    lines = [("line", "a", "out", "one"), ("line", "a", "err", "two"), ("line", "a", "out", "three")]
    for heard in found[::2]:
        assert sorted(lines) == sorted(
            (one["kind"], one["process"], one["stream"], one["text"]) for one in heard if one
        )
    for first, last in zip(found[1::2], rest, strict=True):
        every = [one for one in (*first, *last) if one]
        assert ["started", "line", "ready", "exited"] == [
            one["kind"] for one in every if one.get("text") in (None, "one")
        ]
        notes = [one["text"].rstrip("0123456789") for one in every if one["kind"] == "note"]
        assert ["started as process ", "ready", "exited with code "] == notes
        assert len({one["pid"] for one in every if "pid" in one}) == 1
        assert every[-1]["exit"] == 4
        assert all(one["process"] == "a" and one["ns"] <= time.monotonic_ns() for one in every)


def test_a_reader_that_watches_hears_the_end_of_everything(lab: Lab) -> None:
    lab.up(shell("a", ROLE), shell("b", ROLE))
    with talk.to(lab.folder) as supervisor:
        events = supervisor.events(schema.LIFE)
        assert client.stop_supervisor(lab.folder)
        heard = [(event["kind"], event["process"], event["signal"]) for event in events]

    assert sorted(heard) == [("exited", "a", signal.SIGTERM), ("exited", "b", signal.SIGTERM)]


def test_a_reader_that_stalls_holds_nobody_up_and_is_told_what_it_has_missed(lab: Lab) -> None:
    count = 60_000
    lab.up(
        Start("flood", ("sh", "-c", f"echo READY; seq {count}; exec sleep 1000"), autostart=False),
        shell("other", "echo READY; while :; do echo ping; sleep 0.05; done"),
    )
    with connected(lab) as stalled, talk.to(lab.folder) as reader:
        stalled.sendall(b'{"do": "watch", "kinds": ["line"]}\n')
        eventually(lambda: select.select([stalled], [], [], 0)[0], "the answer")
        reader.start("flood", PATIENCE_S)
        eventually(lambda: len(lab.printed("flood")) == count, "the flood in the log")
        before = len(lab.printed("other"))
        eventually(lambda: len(lab.printed("other")) > before, "the others")
        with open(f"/proc/{client.supervisor_pid(lab.folder)}/statm", encoding="ascii") as file:
            assert int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") < 40e6
        now = time.monotonic_ns()
        heard = until(stalled, lambda line: line["kind"] == "line" and line["ns"] > now)

    expected, missed = 1, 0
    for event in heard:
        if event["kind"] == "lost":
            missed += event["count"]
        elif event.get("process") == "flood":
            at = int(event["text"])
            assert expected <= at <= expected + missed  # no hole that was not told of
            expected, missed = at + 1, 0
    told = sum(event["count"] for event in heard if event["kind"] == "lost")
    came = sum(event.get("process") == "flood" for event in heard)
    assert heard[-1]["process"] == "other"
    assert 0 < count - came <= told <= count - came + len(lab.printed("other"))


def until(connection: socket.socket, wanted: Any) -> list[dict[str, Any]]:
    """Return what a connection gets until a message is the wanted one."""
    heard: list[dict[str, Any]] = []
    with connection.makefile("rb") as file:
        for line in file:
            heard.append(json.loads(line))
            if wanted(heard[-1]):
                break
    return heard


# What does not trouble it.

BAD = [
    *(b"", b" \t", b"{", b"[]", b"7", b"null", b'"do"', b"\0\xff\xfe", b"[" * 60_000, b'{"do": "state"'),
    *(b"{}", b'{"do": 7}', b'{"do": "explode"}', b'{"do": ["start"]}', b'{"do": {"a": 1}}', b'{"do": "\\ud800"}'),
    *(b'{"do": "start"}', b'{"do": "start", "process": 7}', b'{"do": "stop", "process": "nobody"}'),
    *(b'{"do": "signal", "process": "a"}', b'{"do": "signal", "process": "a", "signal": 0}'),
    *(b'{"do": "signal", "process": "a", "signal": -9}', b'{"do": "signal", "process": "a", "signal": "SIGNOTHING"}'),
    *(b'{"do": "signal", "process": "a", "signal": true}', b'{"do": "signal", "process": "a", "signal": 1e999}'),
    *(b'{"do": "watch", "kinds": "line"}', b'{"do": "watch", "kinds": ["lines"]}', b'{"do": "watch", "kinds": [[]]}'),
    *(b'{"do": "restart", "process": "a\\u0000"}', b'{"do": "start", "id": ' + b"9" * 5000 + b"}"),
]


def test_what_is_no_request_is_answered_in_words(lab: Lab) -> None:
    lab.up(shell("a", ROLE))

    for line in BAD:
        hello, *rest = answers(lab, line + b"\n")
        assert hello["kind"] == "hello"
        assert [one["kind"] for one in rest] == (["error"] if line.strip() else []), line[:80]
        assert all(one["why"] for one in rest)
    with_all = answers(lab, b"\n".join(BAD))
    assert len(with_all) == 1 + sum(bool(line.strip()) for line in BAD)
    assert lives(lab)


def test_an_answer_bears_the_id_of_its_request(lab: Lab) -> None:
    lab.up(shell("a", ROLE))

    _, good, bad, odd = answers(
        lab, b'{"do": "watch", "id": "x1"}\n{"do": "no", "id": 7}\n{"do": "state", "id": [1]}\n'
    )
    assert ("answer", "x1", "error", 7) == (good["kind"], good["id"], bad["kind"], bad["id"])
    assert "id" not in odd


@pytest.mark.parametrize("line", [b"x" * (2 << 20), b'{"do": "state", "pad": "' + b"x" * (1 << 17) + b'"}\n'])
def test_too_long_a_line_is_refused_and_its_sender_dropped(lab: Lab, line: bytes) -> None:
    lab.up(shell("a", ROLE))

    heard = answers(lab, line)
    assert heard[0]["kind"] == "hello"
    assert [one["why"] for one in heard[1:]] in ([], ["a request has 65536 bytes at most"])  # or it was reset before
    assert lives(lab)


def test_ten_thousand_requests_of_one_who_reads_nothing_until_the_end(lab: Lab) -> None:
    """They wait with the sender when there is no room for their answers; nothing is lost."""
    lab.up(shell("a", ROLE))
    sent, data = 0, b'{"do": "state"}\n' * 10_000
    with connected(lab) as connection:
        connection.setblocking(False)
        with suppress(BlockingIOError):
            while sent < len(data):
                sent += connection.send(data[sent:])
        assert lives(lab)
        connection.settimeout(PATIENCE_S)
        if os.fork() == 0:  # who sends the rest
            connection.sendall(data[sent:])
            connection.shutdown(socket.SHUT_WR)
            os._exit(0)
        heard = said(connection)
        os.wait()

    assert ["hello"] + ["answer"] * 10_000 == [one["kind"] for one in heard]
    assert lives(lab)


def test_hundreds_who_say_nothing_keep_nobody_out(lab: Lab) -> None:
    """The oldest of them have to go; who watches stays."""
    lab.up(shell("a", ROLE))
    with ExitStack() as stack:
        watcher = stack.enter_context(talk.to(lab.folder))
        watcher.ask("watch", kinds=schema.LIFE)
        silent = [stack.enter_context(connected(lab)) for _ in range(600)]
        assert lives(lab)
        dropped = sum(gone(each) for each in silent)
        watcher.restart("a", PATIENCE_S)

        assert dropped >= 600 - 512
        assert not gone(silent[-1])
    assert lives(lab)


def gone(connection: socket.socket) -> bool:
    """Say whether the other side has hung up."""
    connection.setblocking(False)
    try:
        while data := connection.recv(1 << 16):
            assert b'"hello"' in data
    except BlockingIOError:
        return False
    except ConnectionError:
        pass
    return True


def test_hundreds_who_watch_have_less_room_each_and_one_more_is_reported(lab: Lab) -> None:
    lab.up(shell("a", ROLE))
    with ExitStack() as stack:
        for _ in range(511):  # and the one of `up` has gone
            stack.enter_context(connected(lab)).sendall(b'{"do": "watch"}\n')
        last = stack.enter_context(talk.to(lab.folder))
        last.ask("watch")

        with pytest.raises(NetlabError, match="512 others are connected already"), talk.to(lab.folder):
            pass
        last.restart("a", PATIENCE_S)
    eventually(lambda: lives(lab), "room")


def test_who_comes_and_goes_leaves_nothing(lab: Lab) -> None:
    lab.up(shell("a", ROLE))
    with talk.to(lab.folder) as supervisor:
        supervisor.ask("state")
        files = f"/proc/{client.supervisor_pid(lab.folder)}/fd"
        before = len(os.listdir(files))
        for at in range(100):
            with connected(lab) as connection:
                connection.sendall((b"", b'{"do"', b'{"do": "watch"}\n', b'{"do": "state"}\n')[at % 4])
        eventually(lambda: len(os.listdir(files)) == before, "the end of the connections")
    assert lives(lab)


def test_without_room_for_more_files_who_is_there_is_served(lab: Lab) -> None:
    """Who comes waits until there is room, and a process that cannot be started is told of."""
    lab.up(shell("a", ROLE))
    pid = client.supervisor_pid(lab.folder)
    with talk.to(lab.folder) as first, ExitStack() as stack:
        second = stack.enter_context(talk.to(lab.folder))
        for each in (first, second):
            each.ask("watch", kinds=schema.LIFE)
        before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        taken = max(map(int, os.listdir(f"/proc/{pid}/fd"))) + 1
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (taken, before[1]))
        with connected(lab) as late:
            assert "running" == first.states()["a"]["state"]
            assert not select.select([late], [], [], 0.3)[0]
            first.stop("a", PATIENCE_S)
            stack.close()
            eventually(lambda: select.select([late], [], [], 0)[0], "room")
            assert not gone(late)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, before[1]))
        with pytest.raises(NetlabError, match="a cannot be started: Too many open files"):
            first.start("a", PATIENCE_S)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
        first.start("a", PATIENCE_S)
    assert lives(lab)


# Who may.


def test_the_socket_is_its_owners_alone(lab: Lab) -> None:
    lab.up(shell("a", ROLE))

    assert stat.S_IFSOCK | 0o600 == os.stat(f"{lab.folder}/supervisor.sock").st_mode


@pytest.mark.root
@pytest.mark.parametrize("mode", [0o600, 0o666])
def test_another_user_is_not_heard(lab: Lab, mode: int) -> None:
    """Not even where somebody has changed the modes."""
    lab.up(shell("a", ROLE))
    os.chmod(lab.folder, 0o711)  # noqa: S103 - as a lab's folder is
    os.chmod(f"{lab.folder}/supervisor.sock", mode)
    pid = os.fork()
    if pid == 0:
        code = 9
        try:
            os.chdir(lab.folder)
            os.setresgid(65534, 65534, 65534)
            os.setresuid(65534, 65534, 65534)
            with socket.socket(socket.AF_UNIX) as connection:
                connection.connect("supervisor.sock")
                connection.settimeout(PATIENCE_S)
                code = 1 if said(connection) else 2
        except PermissionError:
            code = 3
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    assert code == (3 if mode == 0o600 else 2)
    assert lives(lab)


def test_no_process_has_the_socket(lab: Lab) -> None:
    """Nor the connection of whoever has had it started."""
    lab.up(Start("a", ("sh", "-c", "echo READY; ls -l /proc/self/fd; exec sleep 1000"), autostart=False))
    with talk.to(lab.folder) as supervisor:
        supervisor.start("a", PATIENCE_S)
        eventually(lambda: len(lab.printed("a")) >= 4, "what it has")

    assert not [line for line in lab.printed("a") if "socket" in line or "sock" in line]


# When there is nobody to talk to.


def test_why_nobody_answers_is_said(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(talk, "ANSWER_S", 0.2)
    with (
        pytest.raises(NetlabError, match=r"no supervisor listens in .*: its lab is not up, or has neither"),
        talk.to(lab.folder),
    ):
        pass
    lab.up(shell("a", ROLE))
    pid = client.supervisor_pid(lab.folder)
    with talk.to(lab.folder) as supervisor:
        os.kill(pid, signal.SIGSTOP)
        with pytest.raises(NetlabError, match="does not answer: it is stopped, or has ended"):
            supervisor.states()
        with pytest.raises(NetlabError, match="does not answer"), talk.to(lab.folder):
            pass
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: not is_alive(pid, start_ticks(pid)), "its end")
        with pytest.raises(NetlabError, match="does not answer"):
            supervisor.stop("a", PATIENCE_S)
    with pytest.raises(NetlabError, match=r"the supervisor in .* has died; netlab down"), talk.to(lab.folder):
        pass
