"""A process of a lab that stands is restarted: it is where the one before was, and under the same limits."""

import json
import os
import signal
from pathlib import Path

import pytest

from netlab import paths
from netlab.errors import NetlabError
from netlab.supervise import talk
from netlab.testing.waiting import PATIENCE_S, eventually
from tests.lab.lab import inside, lab, netlab, pid

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("no_leaks")]

STAY = """
import os, signal
from netlab import options
from netlab.role import say
STAYS = True
OPTIONS: options.Options = {}
if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    say(f"{os.environ['COLOUR']} {os.getcwd()} {sorted(os.listdir('/sys/class/net'))}")
    say("READY")
    signal.sigwait({signal.SIGTERM})
"""
TOPOLOGY = """
name: again
nodes:
  a: {role: ./stay.py, env: {COLOUR: red}, limits: {memory: 64M}}
  b: {command: [sleep, infinity]}
  c: {role: ./stay.py, env: {COLOUR: blue}, autostart: false}
links: [[a, b], [b, c]]
"""


@pytest.fixture
def topology(tmp_path: Path) -> str:
    (tmp_path / "stay.py").write_text(STAY)
    (tmp_path / "again.yml").write_text(TOPOLOGY)
    return str(tmp_path / "again.yml")


def surroundings(process: int) -> list[str]:
    """Return what a process is in: namespaces, control groups, folder, umask."""
    where = f"/proc/{process}"
    status = Path(f"{where}/status").read_text()
    umask = next(line for line in status.splitlines() if line.startswith("Umask"))
    return [
        os.readlink(f"{where}/ns/net"),
        os.readlink(f"{where}/cwd"),
        Path(f"{where}/cgroup").read_text(),
        umask,
    ]


def settles(node: str, wanted: list[str]) -> None:
    """Wait until a node's process is in these surroundings: a command enters its node only after it was started."""
    eventually(lambda: surroundings(pid(node)) == wanted, f"{node} in {wanted}")


def said(node: str) -> list[str]:
    lines = [json.loads(line) for line in netlab("logs", node, "--format", "json").stdout.splitlines()]
    return [line["text"] for line in lines if line["stream"] == "out"]


def test_a_restarted_process_is_where_the_one_before_was(topology: str) -> None:
    """And `status` finds the lab as planned."""
    with lab(topology) as name:
        eventually(lambda: Path(f"/proc/{pid('b')}/comm").read_text() == "sleep\n", "the command of b")
        before = {node: (pid(node), surroundings(pid(node))) for node in ("a", "b")}
        with talk.to(paths.folder_of(name)) as supervisor:
            for node in before:
                supervisor.restart(node, PATIENCE_S)
                settles(node, before[node][1])
        shown = json.loads(netlab("status", "--format", "json").stdout)

        assert all(pid(node) != number for node, (number, _) in before.items())
        assert ("up", []) == (shown["state"], shown["problems"])
        assert "/netlab/" in before["a"][1][2]
        first, second = said("a")
        assert first == second
        assert first.startswith("red ")


def test_what_does_not_start_by_itself_is_started_in_its_node(topology: str) -> None:
    with lab(topology) as name:
        assert said("c") == []
        with talk.to(paths.folder_of(name)) as supervisor:
            supervisor.start("c", PATIENCE_S)

        assert os.readlink(f"/proc/{pid('c')}/ns/net") == inside("c", "readlink", "/proc/self/ns/net").stdout.strip()
        assert [text.split()[0] for text in said("c")] == ["blue"]


def test_a_lab_without_processes_and_programs_has_no_supervisor(tmp_path: Path) -> None:
    (tmp_path / "bare.yml").write_text("name: bare\nnodes: {a: {}, b: {}}\nlinks: [[a, b]]\n")
    with lab(str(tmp_path / "bare.yml")) as name:
        with pytest.raises(NetlabError, match="neither processes nor programs"), talk.to(paths.folder_of(name)):
            pass
        netlab("status")


def test_a_process_that_was_stopped_by_request_is_started_by_another(topology: str) -> None:
    """`status` says so, and names the command. One that was killed, or has ended by itself, is told as ever."""
    with lab(topology) as name:
        folder = paths.folder_of(name)
        with talk.to(folder) as supervisor:
            for node in ("a", "b"):
                supervisor.stop(node, PATIENCE_S)
        problems = json.loads(netlab("status", "--format", "json", code=1).stdout)["problems"]
        assert ["a", "b"] == [problem["where"] for problem in problems]
        for problem in problems:
            assert problem["what"].endswith(" was stopped on request")
            netlab(*problem["mend"].split()[1:])
        eventually(lambda: " is up, from" in netlab("status", code=None).stdout)
        os.kill(pid("b"), signal.SIGKILL)
        eventually(lambda: "was killed by SIGKILL; what mends it: netlab start" in netlab("status", code=None).stdout)
