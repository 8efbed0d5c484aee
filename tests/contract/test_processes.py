"""Several processes in a node are the same on both runtimes: order, logs, states, ends and verbs, each by its key."""

import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from netlab import paths
from netlab.supervise import talk
from netlab.testing.waiting import PATIENCE_S, eventually
from tests.contract.terminal import Terminal
from tests.lab.lab import ROOT, lab, netlab, start, texts

pytestmark = pytest.mark.root

# Two daemons and a role in a router, where the role comes last; replicas with processes of their own; one after all.
TOPOLOGY = """
name: processes
nodes:
  r:
    env: {AREA: "0", COLOUR: red}
    processes:
      counter: {role: counter, after: [zebra, ospfd], args: {upto: 1}}
      ospfd: {command: [sh, -c, "echo area $AREA $COLOUR; exec sleep inf"], after: [zebra], env: {AREA: "1"}}
      zebra: {command: [sh, -c, "echo begun $AREA; exec sleep inf"]}
      by-hand: {role: counter, autostart: false, args: {upto: 1}, env: {COLOUR: blue}}
  w:
    replicas: 2
    processes:
      w1: {command: [sleep, inf]}
      own: {command: [sh, -c, "echo $NETLAB_NODE; exec sleep inf"], after: [w1]}
  last: {role: counter, after: [r, w2/own], args: {upto: 1}}
links: [[r, w], [r, last]]
"""
COUNTER = """
import os, signal, sys
from netlab import options
from netlab.role import say
OPTIONS = {"upto": {"type": "integer", "required": True, "help": "how far"}, "leave": {"type": "flag"}}
STAYS = True
args = options.parse(OPTIONS, "counts")
for number in range(args.upto):
    say(f"number {number} {os.environ.get('COLOUR', '')}")
if not args.leave:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    say("READY")
    signal.sigwait({signal.SIGTERM})
sys.exit(4)
"""
FILES = {"counter.py": COUNTER}
KEYS = ["r/counter", "r/ospfd", "r/zebra", "r/by-hand"]


def status(code: int | None = 0) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(netlab("status", "--format", "json", code=code).stdout)
    return found


def processes(code: int | None = 0) -> dict[str, dict[str, Any]]:
    """Return what `status` says of each process, by its key."""
    nodes = status(code)["nodes"]
    return {process["process"]: process for about in nodes.values() for process in about["processes"]}


def test_they_start_in_their_order(one: str) -> None:
    """Each after those it names: in its own node, its own replica, all of another node, one of another node."""
    began = {key: process["started_ns"] for key, process in processes().items()}

    assert began.pop("r/by-hand") == 0
    assert began["r/zebra"] < began["r/ospfd"] < began["r/counter"] < began["last"]
    assert began["w1"] < began["w1/own"]
    assert began["w2/w1"] < began["w2/own"] < began["last"]


def test_status_has_each_by_its_key(one: str) -> None:
    """A line for each, below the node's, which is that of the process with its name; `process` is that of only one."""
    nodes = status()["nodes"]
    shown = netlab("status", env={**os.environ, "COLUMNS": "200"}).stdout
    rows = [line.split()[:4] for line in shown.splitlines()]

    assert KEYS == [process["process"] for process in nodes["r"]["processes"]]
    assert (None, "last") == (nodes["r"]["process"], nodes["last"]["process"]["process"])
    assert ["counter", "", "", "counter"] == [process["role"] for process in nodes["r"]["processes"]]
    assert {"r"} == {process["node"] for process in nodes["r"]["processes"]}
    expected = (
        ["r", "node"],
        *(["r/counter", "counter", "running"], ["r/ospfd", "sh", "-c"], ["r/by-hand", "counter", "not"]),
        *(["w1", "sleep", "inf", "running"], ["w1/own", "sh", "-c"], ["last", "counter", "running"]),
    )
    for row in expected:
        assert any(each[: len(row)] == row for each in rows), (row, shown)


def test_logs_are_of_a_node_or_of_one(one: str) -> None:
    """A line says whose it is; the processes of a node have its variables, and over them their own."""
    eventually(lambda: "area 1 red" in texts("logs", "r/ospfd"))
    lines = [json.loads(line) for line in netlab("logs", "r", "w2/own", "--format", "json").stdout.splitlines()]
    said = {(line["node"], line["process"], line["text"]) for line in lines if line["stream"] == "out"}

    assert said == {
        ("r", "r/zebra", "begun 0"),
        ("r", "r/ospfd", "area 1 red"),
        ("r", "r/counter", "number 0 red"),
        ("w2", "w2/own", "w2"),
    }
    assert ["r/zebra"] == [line.split()[1] for line in netlab("logs", "r/zebra").stdout.splitlines()][-1:]
    assert sorted(os.listdir(f"{paths.folder_of(one)}/{paths.LOGS}")) == sorted(
        f"{name}.log" for name in ("r.counter", "r.ospfd", "r.zebra", "w1", "w1.own", "w2.w1", "w2.own", "last")
    )


def test_run_takes_one_by_its_key(one: str) -> None:
    """The node alone is enough where one process has its name, or is the only one."""
    shown = netlab("run", "r/by-hand", "--upto", "2", "--leave", code=4).stdout
    assert shown == "number 0 blue\nnumber 1 blue\n"
    assert netlab("run", "last", "--leave", code=4).stdout == "number 0 \n"
    with open(f"{paths.folder_of(one)}/{paths.RECORD}", encoding="utf-8") as file:
        assert "blue" not in file.read()  # which others than root may read
    assert f"r has several processes: name one of {', '.join(KEYS)}" in netlab("run", "r", code=2).stderr
    assert "r has no process 'bgpd'; it has r/counter," in netlab("run", "r/bgpd", code=2).stderr
    assert "w1 has no process 'x'; it has w1, w1/own" in netlab("logs", "w1/x", code=2).stderr
    assert "did you mean last?" in netlab("logs", "lats/x", code=2).stderr


@pytest.fixture
def pair(runtime: str, tmp_path: Path) -> Iterator[str]:
    """A lab of one node with two processes, a role and a command, for tests that change which processes run."""
    (tmp_path / "counter.py").write_text(COUNTER)
    its = {"role": {"role": "counter", "args": {"upto": 1}}, "command": {"command": ["sleep", "inf"]}}
    (tmp_path / "lab.yml").write_text(json.dumps({"name": "pair", "nodes": {"r": {"processes": its}}}))
    with lab(str(tmp_path / "lab.yml"), "--runtime", runtime, name="pair") as name:
        yield name


def test_one_is_restarted_and_one_is_killed(pair: str) -> None:
    """By its key, the other goes on as it was, and so does its log; `status` names what was killed, until it runs."""
    before = processes()
    with talk.to(paths.folder_of(pair)) as supervisor:
        supervisor.restart("r/role", PATIENCE_S)
        restarted = processes()
        os.kill(before["r/command"]["pid"], signal.SIGKILL)
        eventually(lambda: processes(None)["r/command"]["state"] == "killed")
        [problem] = status(1)["problems"]
        supervisor.start("r/command", PATIENCE_S)
        states = supervisor.states()

    assert before["r/role"]["pid"] != restarted["r/role"]["pid"] == states["r/role"]["pid"]
    assert before["r/command"]["pid"] == restarted["r/command"]["pid"] != states["r/command"]["pid"]
    assert ["number 0 "] * 2 == [text for text in texts("logs", "r/role") if text.startswith("number")]
    assert problem["where"] == "r/command"
    assert "was killed by SIGKILL" in problem["what"]
    assert status()["state"] == "up"


def test_run_writes_into_the_log(pair: str) -> None:
    """What it shows is in the log of the process, in its time, with its beginning and its end, and its two outputs."""
    before = texts("logs", "r/role")
    shown = netlab("run", "r/role", "--upto", "2", "--leave", code=4).stdout
    lines = [json.loads(line) for line in netlab("logs", "r/role", "--format", "json").stdout.splitlines()]
    began, *said, ended = lines[len(before) :]

    assert shown == "number 0 \nnumber 1 \n"
    assert began["text"].startswith("started in the foreground as process ")
    assert began["text"].endswith(", with --upto 2 --leave")
    assert [("out", "number 0 "), ("out", "number 1 ")] == [(line["stream"], line["text"]) for line in said]
    assert ("note", "in the foreground exited with code 4") == (ended["stream"], ended["text"])
    assert sorted(line["monotonic_ns"] for line in lines) == [line["monotonic_ns"] for line in lines]


def test_run_says_ready_to_a_person_and_to_the_log(pair: str) -> None:
    with start("r/role") as running:
        assert running.stdout
        assert ["number 0 \n", "ready\n"] == [running.stdout.readline(), running.stdout.readline()]
        eventually(lambda: ["number 0 ", "ready"] == texts("logs", "r/role")[-2:])
        running.terminate()
        assert running.wait(PATIENCE_S) == 4
    assert "in the foreground exited with code 4" == texts("logs", "r/role")[-1]


def test_run_is_a_job_of_the_shell_that_has_started_it(pair: str) -> None:
    """It stops by Ctrl-Z, goes on by `fg`, ends by Ctrl-C, and gives the terminal back."""
    outer = Terminal(["bash", "--norc", "-i"], ROOT)
    try:
        outer.type("PS1='>''> '\n")
        outer.until(">> ")
        outer.type(f"{shlex.quote(sys.executable)} -m netlab run r/command\n")
        eventually(lambda: texts("logs", "r/command")[-1].startswith("started in the foreground"))
        outer.type("\x1a")
        outer.until("Stopped")
        outer.until(">> ")
        outer.type("fg\n")
        eventually(lambda: os.tcgetpgrp(outer.fd) != outer.pid)  # the shell gives the terminal away after its line
        outer.type("\x03")
        outer.until(">> ")
        outer.type("echo code=$?; exit\n")
        outer.until("code=130")
        assert outer.wait() == 0
    finally:
        outer.close()
    assert "in the foreground killed by SIGINT" == texts("logs", "r/command")[-1]


def test_stop_start_and_restart(pair: str) -> None:
    """`status` tells one that was stopped on request from one that has died, and what starts it again."""
    before = processes()
    assert "pair: r/role stopped" in netlab("stop", "r/role").stderr
    assert "r/role does not run" in netlab("stop", "r/role").stderr
    os.kill(before["r/command"]["pid"], signal.SIGKILL)
    eventually(lambda: processes(None)["r/command"]["state"] == "killed")
    problems = {problem["where"]: problem for problem in status(1)["problems"]}
    assert problems["r/role"]["what"].endswith("was stopped on request")
    assert problems["r/command"]["what"].endswith("was killed by SIGKILL")
    assert {True, False} == {one["stopped_by_request"] for one in processes(1).values()}
    shown = netlab("status", code=1, env={**os.environ, "COLUMNS": "200"}).stdout
    assert ["stopped on request", "killed 9"] == [
        text for text in ("stopped on request", "killed 9") if f"  {text}" in shown
    ]
    for problem in problems.values():
        assert "started: process " in netlab(*problem["mend"].split()[1:]).stderr
    assert "up" == status()["state"]
    assert "r/role runs already: process " in netlab("start", "r/role").stderr
    now = processes()
    restarted = netlab("restart", "r").stderr
    assert ["r/role", "r/command"] == [line.split()[2] for line in restarted.splitlines()]
    assert not {one["pid"] for one in now.values()} & {one["pid"] for one in processes().values()}
    notes = [text for text in texts("logs", "r/role") if not text.startswith(("number", "started"))]
    assert [
        *("ready", "asked to stop", "exited with code 4"),
        *("ready", "asked to restart", "exited with code 4", "ready"),
    ] == notes


def test_the_timeline_has_all_that_happens_in_one_order(pair: str, tmp_path: Path) -> None:
    """Of all or of some, from a time on, with a text, saved as text or as JSON lines by the name of the file."""
    netlab("restart", "r/command")
    file, data = tmp_path / "all.txt", tmp_path / "all.jsonl"
    shown = netlab("timeline", "--save", str(file)).stdout
    lines = [json.loads(line) for line in netlab("timeline", "--json", "--save", str(data)).stdout.splitlines()]
    said = [(line["process"], line["stream"], line["text"].rstrip("0123456789")) for line in lines]

    assert shown == file.read_text()
    assert lines == [json.loads(line) for line in data.read_text().splitlines()]
    assert [line.split(maxsplit=3)[1:] for line in shown.splitlines()] == [
        [line["process"], line["stream"], line["text"]] for line in lines
    ]
    assert [line["monotonic_ns"] for line in lines] == sorted(line["monotonic_ns"] for line in lines)
    assert ("r/role", "out", "number 0 ") in said
    assert ("r/role", "note", "ready") in said
    begun, ended = "started as process ", "killed by SIGTERM"
    assert [begun, "asked to restart", ended, begun] == [text for who, _, text in said if who == "r/command"]
    some = netlab("timeline", "r/role", "--grep", "^number", "--since", "1h").stdout
    assert ["r/role", "out", "number", "0"] == some.split()[1:]
    assert "" == netlab("timeline", "--since", "0s").stdout
    assert "there is one already" in netlab("timeline", "--save", str(file), code=2).stderr
    assert "expected a regular expression, found '('" in netlab("timeline", "--grep", "(", code=2).stderr
    assert "expected a time ago, as 10s" in netlab("timeline", "--since", "noon", code=2).stderr
    assert "r has no process 'x'" in netlab("timeline", "r/x", code=2).stderr


def test_the_timeline_goes_on_until_the_lab_is_removed(pair: str) -> None:
    before = netlab("timeline").stdout
    words = [sys.executable, "-m", "netlab", "timeline", "-f"]
    with subprocess.Popen(words, cwd=ROOT, text=True, stdout=subprocess.PIPE) as following:
        assert following.stdout
        assert before == "".join(following.stdout.readline() for _ in before.splitlines())
        netlab("run", "r/role", "--upto", "2", "--leave", code=4)
        netlab("restart", "r/role")
        netlab("down")
        heard = [line.split(maxsplit=3) for line in following.stdout.read().splitlines()]
        assert 0 == following.wait(PATIENCE_S)

    texts = [text.split(" as process")[0] for _, who, _, text in heard if who == "r/role"]
    run = ["started in the foreground", "number 0 ", "number 1 ", "in the foreground exited with code 4"]
    again = ["asked to restart", "exited with code 4", "started", "number 0 ", "ready", "exited with code 4"]
    assert [text.strip() for text in run + again] == [text.strip() for text in texts]


def test_what_cannot_be_changed_is_said(pair: str) -> None:
    assert "r has no process 'x'; it has r/role, r/command" in netlab("restart", "r/x", code=2).stderr
    assert "has no node q" in netlab("stop", "q", code=2).stderr
    netlab("stop", "r/role")
    begun = netlab("start", "r/role", "--timeout", "0.001", code=1).stderr
    assert "r/role is not there within 0.001 s" in begun


def test_a_command_that_fails_at_once_is_told_with_its_last_lines(runtime: str, tmp_path: Path) -> None:
    """Those of this run, not of earlier ones."""
    script = "[ -e gone ] || { touch gone; echo first; exec sleep inf; }; echo broken >&2; exit 3"
    (tmp_path / "lab.yml").write_text(json.dumps({"name": "pair", "nodes": {"a": {"command": ["sh", "-c", script]}}}))
    with lab(str(tmp_path / "lab.yml"), "--runtime", runtime, name="pair"):
        if runtime == "netns":
            said = netlab("restart", "a", code=1).stderr
            assert said.splitlines() == ["netlab: a has ended at once, by exit code 3; its last lines:", "  broken"]


def test_one_that_fails_ends_up(runtime: str, tmp_path: Path) -> None:
    """With its key and its last lines."""
    topology = tmp_path / "lab.yml"
    stays, fails = {"command": ["sleep", "inf"]}, {"command": ["sh", "-c", "echo broken; exit 3"], "after": "stays"}
    topology.write_text(json.dumps({"name": "fails", "nodes": {"a": {"processes": {"stays": stays, "fails": fails}}}}))
    options = ("--lab", "fails", "--runtime", runtime)

    assert "a/fails ended with exit code 3 before the lab was complete" in (
        said := netlab("up", str(topology), *options, code=1).stderr
    )
    assert said.rstrip().endswith("broken")
    fails["command"] = ["nosuch"]
    topology.write_text(json.dumps({"name": "fails", "nodes": {"a": {"processes": {"fails": fails | {"after": []}}}}}))
    assert "a/fails: command nosuch: no such command" in netlab("up", str(topology), *options, code=1).stderr
