"""A lab as a user has it: the command `netlab`, run as a process of its own."""

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, redirect_stdout, suppress
from pathlib import Path
from typing import Any

from netlab import paths
from netlab.cli.main import main
from netlab.errors import NetlabError
from netlab.record import store
from netlab.supervise import talk
from netlab.testing import labs
from netlab.testing.waiting import PATIENCE_S, eventually

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PARTB = f"{ROOT}/topologies/partb.yml"
# Labs of one name have each other's prints in their traces, so each cell (.ci/cell) has a name of its own for its labs.
LAB = f"under-test{os.stat('/proc/self/ns/pid').st_ino % 1000}"
OF_THE_ROLE = (
    "KICKED",
    "KICK_NEEDLESS",
    "BACKEND_SILENT",
    "ROLE_RESUMED",
    "DROP_RETRIES_SPENT",
    "BACKEND_EXCLUDED",
    "BACKEND_READMITTED",
)  # what the balancer's role has had counted


def netlab(*words: str, **keywords: Any) -> subprocess.CompletedProcess[str]:
    """Run a netlab command in the checkout and check its exit code, `code` (None: any); nothing prints a traceback."""
    done = labs.netlab(*words, **{"cwd": ROOT, **keywords})
    assert "Traceback" not in f"{done.stdout}{done.stderr}", f"netlab {' '.join(words)}\n{done.stdout}{done.stderr}"
    return done


def lab(topology: str, *options: str, name: str = LAB) -> AbstractContextManager[str]:
    """Build a lab and remove it afterwards; meanwhile it is the one that every command means."""
    return labs.lab(topology, *options, name=name, cwd=ROOT)


def asked(*words: str, codes: Sequence[int] = (0,)) -> str:
    """Return what a command that only looks prints: in this process, as a test that waits asks again and again.

    But in a process of its own where nodes are containers, as the engine's library may keep connections open.
    """
    if store.read(store.choose(os.environ.get("NETLAB_LAB"))).runtime == "docker":
        done = netlab(*words, code=None)
        assert done.returncode in codes, done.stderr
        return done.stdout
    with redirect_stdout(io.StringIO()) as said:
        assert main(words) in codes, words
    return said.getvalue()


def stats(node: str = "lb") -> dict[str, Any]:
    """Return what the balancer counts."""
    found: dict[str, Any] = json.loads(asked("stats", "--format", "json"))["balancers"][node]
    return found


def inside(node: str, *command: str, code: int | None = 0, **keywords: Any) -> subprocess.CompletedProcess[str]:
    """Run a command in a node."""
    return netlab("exec", node, *command, code=code, **keywords)


def received(node: str) -> int:
    """Return the frames that a node's interfaces have received."""
    links = json.loads(inside(node, "ip", "-s", "-j", "link").stdout)
    return sum(link["stats64"]["rx"]["packets"] for link in links if link["ifname"] != "lo")


def uncounted() -> int:
    """Return how many more frames the balancer's interfaces have received than it has counted, at a quiet moment.

    These are the frames that came before the program did. Others come at any time, also between two looks; and what the
    role does, as to send a carrier when one is late, has a reason and comes in by no interface.
    """
    found: list[int] = []

    def is_quiet() -> bool:
        before = received("lb")
        counted = {name: count["packets"] for name, count in stats()["reasons"].items() if name not in OF_THE_ROLE}
        found.append(before - sum(counted.values()))
        return received("lb") == before

    eventually(is_quiet, "a quiet moment")
    return found[-1]


def texts(*words: str) -> list[str]:
    """Return the text of every line that `logs` or `trace` prints, of what was said before this is called."""
    with suppress(NetlabError), talk.to(paths.folder_of(store.choose(os.environ.get("NETLAB_LAB")))) as supervisor:
        for _ in range(2):  # the trace it has read when it answers, what processes print when it answers again
            supervisor.ask("state")
    return [json.loads(line)["text"] for line in asked(*words, "--format", "json").splitlines()]


def python(node: str, code: str, *arguments: str, **keywords: Any) -> subprocess.CompletedProcess[str]:
    """Run Python code in a node."""
    return inside(node, sys.executable, "-c", code, *arguments, **keywords)


def pids(*nodes: str) -> list[int]:
    """Return the processes that run the roles or commands of nodes."""
    found = json.loads(asked("status", "--format", "json", codes=(0, 1)))["nodes"]
    return [int(found[node]["process"]["pid"]) for node in nodes]


def pid(node: str) -> int:
    """Return the process that runs a node's role."""
    return pids(node)[0]


@contextmanager
def frozen(*processes: int) -> Iterator[None]:
    """Keep processes from running: what is sent to them waits in their sockets, for as long as the test likes."""
    for each in processes:
        os.kill(each, signal.SIGSTOP)
    try:
        eventually(lambda: all(_state(each) == "T" for each in processes), "all have stopped")
        yield
    finally:
        for each in processes:
            os.kill(each, signal.SIGCONT)


def _state(process: int) -> str:
    return Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[0]


def start(node: str, *options: str, **keywords: Any) -> "subprocess.Popen[str]":
    """Run a node's role in the foreground of a process of its own."""
    return _popen("run", node, *options, **keywords)


@contextmanager
def again(node: str) -> Iterator[list[str]]:
    """Run a node's role once more meanwhile; what it has said is in the list afterwards."""
    said: list[str] = []
    running = start(node)
    try:
        yield said
    finally:
        running.terminate()
        said += running.communicate(timeout=PATIENCE_S)[0].splitlines()


def background(node: str, argv: Sequence[str], **keywords: Any) -> "subprocess.Popen[str]":
    """Start a command in a node."""
    return _popen("exec", node, *argv, **keywords)


def started(*words: str) -> "subprocess.Popen[str]":
    """Start a netlab command, whose two outputs are read apart."""
    return _popen(*words, stderr=subprocess.PIPE)


def _popen(*words: str, **keywords: Any) -> "subprocess.Popen[str]":
    defaults = {"cwd": ROOT, "text": True, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    return subprocess.Popen([sys.executable, "-m", "netlab", *words], **{**defaults, **keywords})
