"""Daemons: what shows that one is ready, what goes on in the background, what starts again; on both runtimes."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from netlab import paths
from netlab.kernel import pids
from netlab.supervise import talk
from netlab.testing.waiting import PATIENCE_S, eventually
from tests.contract.conftest import unchanged
from tests.lab.lab import ROOT, lab, netlab, texts

pytestmark = pytest.mark.root

SERVER = """
import socket, sys, time
kind = getattr(socket, sys.argv[1])
time.sleep(0.2)
server = socket.socket(socket.AF_INET, kind)
server.bind(("0.0.0.0", int(sys.argv[2])))
if kind == socket.SOCK_STREAM:
    server.listen()
time.sleep(1000)
"""
# Each sign, and a process behind all of them. Nothing of it is there before its process makes it.
TOPOLOGY = """
name: daemons
nodes:
  d:
    private: [/run/netlab-test]
    processes:
      file:
        command: [sh, -c, "sleep 0.2; echo >/run/netlab-test/up; exec sleep inf"]
        ready: {file: /run/netlab-test/up}
      tcp: {command: [python3, server.py, SOCK_STREAM, "8080"], ready: {port: 8080}}
      udp: {command: [python3, server.py, SOCK_DGRAM, "53"], ready: {port: 53/udp, within: 60}}
      http: {command: [python3, -m, http.server, "8081"], ready: {http: ":8081/"}}
      command:
        command: [sh, -c, "sleep 0.2; echo >/run/netlab-test/done; exec sleep inf"]
        ready: {command: [test, -e, /run/netlab-test/done]}
      line: {command: [sh, -c, "sleep 0.2; echo 'listening (all) on 7'; exec sleep inf"], ready: {line: 'on [0-9]+$'}}
      role: {role: quiet, ready: {line: listening}}
  last: {command: [sleep, inf], after: [d]}
links: [[d, last]]
"""
QUIET = """
import time
OPTIONS = {}
print("listening, and saying no more")
time.sleep(1000)
"""
FILES = {"server.py": SERVER, "quiet.py": QUIET}
KEYS = [f"d/{name}" for name in ("file", "tcp", "udp", "http", "command", "line", "role")]


@pytest.fixture(autouse=True)
def no_leaks() -> None:
    """Processes come and go in the labs here, so each is compared as a whole: before it, and after it."""


def status(code: int | None = 0) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(netlab("status", "--format", "json", code=code).stdout)
    return found


def processes() -> dict[str, dict[str, Any]]:
    """Return what `status` says of each process, by its key."""
    return {process["process"]: process for node in status(None)["nodes"].values() for process in node["processes"]}


def test_each_is_ready_by_its_own_sign(one: str) -> None:
    """And what comes after all of them has started when the last one was."""
    lines = [json.loads(line) for line in netlab("timeline", "--json").stdout.splitlines()]
    noted = {line["process"]: line["monotonic_ns"] for line in lines if line["text"] == "ready"}
    assert sorted(KEYS) == sorted(noted)
    began = processes()
    assert all(began[key]["started_ns"] < noted[key] < began["last"]["started_ns"] for key in KEYS)
    assert {"running"} == {one["state"] for one in began.values()}
    assert "listening, and saying no more" in texts("logs", "d/role")


def test_a_sign_of_the_run_before_does_not_count(one: str) -> None:
    """Its file is still there when a process starts again; it is ready when it has written there itself."""
    netlab("restart", "d/file")
    lines = [json.loads(line) for line in netlab("logs", "d/file", "--format", "json").stdout.splitlines()]
    started, ready = lines[-2:]
    assert started["text"].startswith("started as process")
    assert ready["text"] == "ready"
    assert ready["monotonic_ns"] - started["monotonic_ns"] > 0.15e9


def test_a_request_hears_why_it_waits(one: str) -> None:
    with talk.to(paths.folder_of(one)) as supervisor:
        supervisor.stop("d/tcp", PATIENCE_S)
        supervisor.ask("start", process="d/tcp")
        eventually(lambda: supervisor.states()["d/tcp"].get("why") == "nobody listens at port 8080/tcp")
        eventually(lambda: supervisor.states()["d/tcp"]["state"] == "running")


def test_two_restarts_at_once_are_both_served(one: str) -> None:
    """The one that comes second ends the run of the first; both wait for the run that stays."""
    words = [sys.executable, "-m", "netlab", "restart", "last", "d/line"]
    running = [subprocess.Popen(words, cwd=ROOT, text=True, stderr=subprocess.PIPE) for _ in range(3)]
    said = [each.communicate(timeout=PATIENCE_S)[1] for each in running]
    assert [0, 0, 0] == [each.returncode for each in running], said
    assert "up" == status()["state"]


DAEMON = """
name: background
nodes:
  a:
    processes:
      daemon: {command: [sh, -c, "echo begins; setsid sh -c 'setsid sleep 1000 & echo goes' >/dev/null 2>&1 & exit 0"]}
      other: {command: [sleep, inf]}
  b: {command: [sleep, inf], restart: {when: on-failure, at_most: 2}}
links: [[a, b]]
"""


@pytest.fixture(scope="module")
def background(runtime: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A lab of a daemon, which goes into the background, and of a process that starts again by itself."""
    path = tmp_path_factory.mktemp("background") / "lab.yml"
    path.write_text(DAEMON)
    with unchanged(runtime), lab(str(path), "--runtime", runtime, name="background") as name:
        yield name


def daemon() -> tuple[int, int]:
    """Return the process that the daemon has become, and when it was started, once that is the one which stays."""

    def is_it() -> bool:
        return Path(f"/proc/{processes()['a/daemon']['pid']}/cmdline").read_bytes().startswith(b"sleep\x001000")

    eventually(is_it)
    pid = int(processes()["a/daemon"]["pid"])
    return pid, pids.start_ticks(pid)


def test_what_goes_into_the_background_is_followed(background: str) -> None:
    """By `up`, `status`, `stop`, `start` and `restart`; and its end is seen, whoever brings it about."""
    first = daemon()
    assert "up" == status()["state"]
    assert any("goes on in the background as process" in text for text in texts("logs", "a/daemon"))
    assert "a/daemon stopped" in netlab("stop", "a/daemon").stderr
    assert not pids.is_alive(*first)
    [problem] = status(1)["problems"]
    assert problem["what"].endswith("was stopped on request")
    netlab("start", "a/daemon")
    second = daemon()
    netlab("restart", "a/daemon")
    third = daemon()
    assert not pids.is_alive(*second)
    os.kill(third[0], signal.SIGKILL)
    eventually(lambda: processes()["a/daemon"]["state"] == "gone")
    [problem] = status(1)["problems"]
    assert (problem["where"], problem["what"]) == ("a/daemon", f"its process {third[0]} has ended in the background")
    netlab(*problem["mend"].split()[1:])
    assert daemon() not in (first, second, third)
    assert "up" == status()["state"]


def test_what_fails_starts_again_as_often_as_it_may(background: str) -> None:
    """With growing pauses; then `status` says that it does not; a start by hand counts anew; a stop is a stop."""
    for count in range(3):
        eventually(lambda: processes()["b"]["state"] == "running")
        was = processes()["b"]
        assert count == was["restarts"]
        os.kill(was["pid"], signal.SIGKILL)
        eventually(lambda was=was: processes()["b"]["pid"] != was["pid"] or processes()["b"]["exhausted"])  # type: ignore[misc]
    [problem] = status(1)["problems"]
    assert problem["what"].endswith("was killed by SIGKILL, after 2 restarts in a row, as many as it may have")
    notes = [text for text in texts("logs", "b") if "again" in text]
    assert ["starts again in 0.1 s (1 of 2 times)", "starts again in 0.2 s (2 of 2 times)"] == notes[:2]
    assert notes[2] == "does not start again: it has 2 times in a row, as often as it may"
    netlab(*problem["mend"].split()[1:])
    assert 0 == processes()["b"]["restarts"]
    netlab("stop", "b")
    assert "exited" != processes()["b"]["state"] != "running"
    assert "b started" in netlab("start", "b").stderr
    assert "up" == status()["state"]


@pytest.mark.parametrize(
    ("ready", "why"),
    [
        ({"file": "/run/netlab-none"}, "there is no /run/netlab-none"),
        ({"file": "/etc/passwd"}, "/etc/passwd is older than this run of it"),
        ({"port": 81}, "nobody listens at port 81/tcp"),
        ({"http": ":81/"}, "http://127.0.0.1:81/ cannot be asked: Connection refused"),
        ({"line": "never"}, "it has printed no line with 'never'"),
        ({"command": ["sh", "-c", "echo not yet; exit 3"]}, "ends with exit code 3: not yet"),
    ],
)
def test_up_says_who_is_not_ready_and_why(runtime: str, tmp_path: Path, ready: dict[str, Any], why: str) -> None:
    """With its last lines; and everything is undone."""
    about = {"command": ["sh", "-c", "echo waits; exec sleep inf"], "ready": {**ready, "within": 0.7}}
    nodes = {"a": {"processes": {"slow": about, "quick": {"command": ["sleep", "inf"]}}}}
    (tmp_path / "lab.yml").write_text(json.dumps({"name": "late", "nodes": nodes}))
    said = netlab("up", str(tmp_path / "lab.yml"), "--lab", "late", "--runtime", runtime, code=1).stderr
    assert "netlab: a/slow is not ready within 0.7 s: " in said
    assert said.endswith(f"{why}; its last lines:\n  waits\n")
    assert not os.path.exists(paths.folder_of("late"))


def test_up_says_who_has_started_again_too_often(runtime: str, tmp_path: Path) -> None:
    about = {
        "command": ["sh", "-c", "echo broken; exit 3"],
        "ready": {"port": 9},
        "restart": {"when": "always", "at_most": 1},
    }
    (tmp_path / "lab.yml").write_text(json.dumps({"name": "late", "nodes": {"a": about}}))
    said = netlab("up", str(tmp_path / "lab.yml"), "--lab", "late", "--runtime", runtime, code=1).stderr
    assert "netlab: late: a has ended with exit code 3, and starts again\n" in said
    assert said.endswith("netlab: a has ended again, after 1 restart; its last lines:\n  broken\n")
