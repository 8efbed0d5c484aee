"""The client of a supervisor's socket, with somebody else at the other end."""

import fcntl
import json
import os
import resource
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from netlab.errors import NetlabError
from netlab.supervise import client, talk
from netlab.supervise.readiness import Readiness
from netlab.testing.waiting import PATIENCE_S

HELLO = {"kind": "hello", "version": 1, "lab": "lab1", "kinds": []}


@pytest.fixture
def far() -> Iterator[int]:
    """A number that descriptors may have where the caller has more than 1024 files open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (2048, hard))
    yield 1500
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@contextmanager
def stand_in(folder: Path, *turns: list[dict[str, Any]]) -> Iterator[None]:
    """Say the first messages to who connects, the others after a request each, then hang up."""
    fd = os.open(folder, os.O_PATH)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(f"/proc/self/fd/{fd}/supervisor.sock")
        listening.listen()
        os.close(fd)

        def serve() -> None:
            connection, _ = listening.accept()
            with connection, connection.makefile("rb") as asked:
                for at, messages in enumerate(turns):
                    if at:
                        asked.readline()
                    connection.sendall(b"".join(json.dumps(message).encode() + b"\n" for message in messages))

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield
        finally:
            thread.join()


def test_another_version_is_reported(tmp_path: Path) -> None:
    with (
        stand_in(tmp_path, [{**HELLO, "version": 2}]),
        pytest.raises(NetlabError, match=r"speaks version 2, expected is 1: netlab down, then up"),
        talk.to(str(tmp_path)),
    ):
        pass


def test_what_came_before_an_answer_is_heard_after_it(tmp_path: Path) -> None:
    events = [{"kind": "ready", "ns": at, "process": "a", "pid": 5} for at in range(4)]
    watched = {"kind": "answer", "do": "watch", "id": 1, "processes": []}
    state = {"kind": "answer", "do": "state", "id": 2, "processes": [{"process": "a", "state": "running"}]}
    turns: list[list[dict[str, Any]]]
    turns = [[HELLO], [watched, events[0], {"kind": "new kind"}, events[1]], [events[2], state, events[3]]]
    with stand_in(tmp_path, *turns), talk.to(str(tmp_path)) as supervisor:
        heard = supervisor.events(["ready"])
        first = next(heard)
        states = supervisor.states()
        rest = list(heard)

    assert {"a"} == states.keys()
    assert events == [first, *rest]


def test_what_is_lost_is_heard_whatever_was_wanted(tmp_path: Path) -> None:
    lost = {"kind": "lost", "ns": 1, "count": 3}
    with stand_in(tmp_path, [HELLO], [{"kind": "answer", "id": 1}, lost]), talk.to(str(tmp_path)) as supervisor:
        assert [lost] == list(supervisor.events(["line"]))


def test_an_error_is_raised_in_its_words(tmp_path: Path) -> None:
    with (
        stand_in(tmp_path, [HELLO], [{"kind": "error", "id": 1, "why": "there is no process x"}]),
        talk.to(str(tmp_path)) as supervisor,
        pytest.raises(NetlabError, match=r"^there is no process x$"),
    ):
        supervisor.signal("x", 1)


def test_a_supervisor_that_ends_meanwhile_is_no_deadline(tmp_path: Path) -> None:
    started = {"kind": "started", "ns": 1, "process": "a", "pid": 5, "awaits_ready": True}
    turns = [HELLO], [{"kind": "answer", "id": 1}], [{"kind": "answer", "id": 2}, started]
    with (
        stand_in(tmp_path, *turns),
        talk.to(str(tmp_path)) as supervisor,
        pytest.raises(NetlabError, match="does not answer: it is stopped, or has ended"),
    ):
        supervisor.start("a", 60)


@pytest.mark.parametrize("content", ["file", "folder", "nothing"])
def test_what_is_no_socket_is_reported(tmp_path: Path, content: str) -> None:
    """Each in words that say what to do."""
    if content == "file":
        (tmp_path / "supervisor.sock").write_text("")
    elif content == "folder":
        (tmp_path / "supervisor.sock").mkdir()

    with pytest.raises(NetlabError, match=r"not up, or has neither|has died; netlab down"), talk.to(str(tmp_path)):
        pass


def test_who_has_many_files_open_may_talk(tmp_path: Path, far: int) -> None:
    ours, theirs = socket.socketpair()
    with theirs, ours, socket.socket(fileno=fcntl.fcntl(ours.fileno(), fcntl.F_DUPFD_CLOEXEC, far)) as connection:
        theirs.sendall(json.dumps(HELLO).encode() + b"\n")

        assert HELLO == talk.Talk(str(tmp_path), connection).greet()


def test_who_has_many_files_open_may_start_a_supervisor(far: int) -> None:
    reading, writing = os.pipe()
    says = fcntl.fcntl(reading, fcntl.F_DUPFD_CLOEXEC, far)
    try:
        os.write(writing, b'{"kind": "ready"}\n')
        supervisor = client.Connection("lab1", "", 0, -1, says, None)  # type: ignore[arg-type]

        assert {"kind": "ready"} == next(client._events(supervisor, Readiness([], PATIENCE_S)))
    finally:
        for fd in (reading, writing, says):
            os.close(fd)
