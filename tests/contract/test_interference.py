"""`kill`, `pause` and `resume`: processes that die, or halt, as a person wants it; on both runtimes."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from netlab.kernel import pids, process_tree
from netlab.testing.waiting import eventually
from tests.lab.lab import lab, netlab, texts

pytestmark = pytest.mark.root

# One that has another below it, a role that has one in another session, and one that shows that time goes by.
TOPOLOGY = """
name: interference
nodes:
  r:
    processes:
      tree: {command: [python3, -u, loop.py, above, below], restart: on-failure}
      role: {role: counter}
  clock: {command: [python3, -u, loop.py, tick]}
links: [[r, clock]]
"""
LOOP = """
import subprocess, sys, time
if sys.argv[2:]:
    subprocess.Popen([sys.executable, "-u", sys.argv[0], sys.argv[2]])
while True:
    print(sys.argv[1])
    time.sleep(0.02)
"""
COUNTER = """
import subprocess, sys, time
from netlab import options
from netlab.role import say
OPTIONS = {}
STAYS = True
options.parse(OPTIONS, "counts")
loop = "while True: print('below'); time.sleep(0.02)"
subprocess.Popen([sys.executable, "-uc", "import time\\n" + loop], start_new_session=True)
say("READY")
while True:
    say("above")
    time.sleep(0.02)
"""
FAULTS = """
- {at: 0, link: r-clock, set: down}
- {at: 0, partition: r | clock}
- {at: 0, pause: r/tree}
- {at: 0, kill: clock}
"""
BOTH = ("r/tree", "r/role")


@pytest.fixture
def one(runtime: str, tmp_path: Path) -> Iterator[str]:
    """A lab for a test that changes which processes run."""
    for name, text in (("lab.yml", TOPOLOGY), ("loop.py", LOOP), ("counter.py", COUNTER)):
        (tmp_path / name).write_text(text)
    with lab(str(tmp_path / "lab.yml"), "--runtime", runtime, name="interference") as name:
        yield name


def states(code: int | None = 0) -> dict[str, dict[str, Any]]:
    """Return what `status` says of each process, by its key."""
    nodes = json.loads(netlab("status", "--format", "json", code=code).stdout)["nodes"]
    return {process["process"]: process for about in nodes.values() for process in about["processes"]}


def printed(process: str) -> int:
    return sum(text in ("above", "below", "tick") for text in texts("logs", process))


def both() -> dict[str, int]:
    return {key: printed(key) for key in BOTH}


def after_some_time(count: Callable[[], dict[str, int]]) -> dict[str, int]:
    """Return a count at a time when what went on before has come to its end."""
    ticks = printed("clock")
    eventually(lambda: printed("clock") > ticks + 5)
    return count()


def test_a_pause_halts_all_that_a_process_has_started(one: str, tmp_path: Path) -> None:
    """Until it is resumed; `status` says so, and takes it for no damage. A time line pauses and resumes it, too."""
    assert [f"netlab: {one}: {key} paused" for key in BOTH] == netlab("pause", "r").stderr.splitlines()
    halted = after_some_time(both)
    assert after_some_time(both) == halted
    assert ["paused", "paused", "running"] == [about["state"] for about in states(code=0).values()]
    assert "r/tree is paused already" in netlab("pause", "r/tree").stderr

    netlab("resume", "r")
    eventually(lambda: all({"above", "below"} <= set(texts("logs", key)[halted[key] :]) for key in BOTH))
    assert {"running"} == {about["state"] for about in states().values()}
    assert "clock is not paused" in netlab("resume", "clock").stderr

    (tmp_path / "faults.yml").write_text(FAULTS)
    told = netlab("fault", "run", str(tmp_path / "faults.yml")).stdout.splitlines()
    assert ["link r-clock down", "partition r | clock", "pause r/tree", "kill clock"] == [
        line.split("s  ")[1] for line in told[:4]
    ]
    assert ["restore r/tree", "restore partition", "restore r-clock"] == [line.split("s  ")[1] for line in told[4:]]
    netlab("start", "clock")
    assert {"running"} == {about["state"] for about in states().values()}
    shown = map(json.loads, netlab("timeline", "--json").stdout.splitlines())
    said = {(line["process"], line["text"]) for line in shown}
    assert {(key, text) for key in BOTH for text in ("paused", "resumed")} <= said


def test_a_killed_process_starts_again_if_its_policy_says_so(one: str) -> None:
    """Also one that is paused; nothing of the run before it is left, and the new one is not paused.

    Wrong names and signals are told before anything is done.
    """
    before = states()
    assert "r has no process 'x'; it has r/tree, r/role" in netlab("kill", "clock", "r/x", code=2).stderr
    assert "did you mean clock?" in netlab("pause", "r", "clok", code=2).stderr
    told = netlab("kill", "--signal", "FOO", "r", code=2).stderr
    assert "expected a signal, as KILL, SIGHUP or 9, found 'FOO'" in told
    assert {key: about["pid"] for key, about in before.items()} == {key: one["pid"] for key, one in states().items()}
    group = process_tree.members(before["r/tree"]["pid"])
    assert len(group) > 1
    netlab("pause", "r/tree")
    assert f"netlab: {one}: r/tree killed" in netlab("kill", "r/tree").stderr
    eventually(lambda: states(None)["r/tree"]["pid"] != before["r/tree"]["pid"])
    eventually(lambda: not any(pids.is_alive(pid, ticks) for pid, ticks in group.items()))
    eventually(lambda: states(None)["r/tree"]["state"] == "running")
    at = texts("logs", "r/tree").index("asked to kill it by SIGKILL")
    eventually(lambda: "below" in texts("logs", "r/tree")[at:])

    netlab("kill", "--signal", "term", "r/role")
    eventually(lambda: states(None)["r/role"]["state"] == "killed")
    assert "r/role does not run" in netlab("pause", "r/role").stderr
    assert "r/role does not run" in netlab("kill", "r/role").stderr
    netlab("start", "r/role")

    netlab("pause", "r")
    netlab("restart", "r")  # a paused process ends by the signal that it would end by otherwise
    for key in BOTH:
        assert "killed by SIGTERM" in texts("logs", key)
        eventually(lambda key=key: states(None)[key]["state"] == "running")  # type: ignore[misc]
