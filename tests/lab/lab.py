"""A lab as a user has it: the command `netlab`, run as a process of its own."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
IS_SLOW = "NETLAB_TEST_PATIENCE" in os.environ  # an emulated processor, for example
PATIENCE_S = float(os.environ.get("NETLAB_TEST_PATIENCE", "120"))  # for one command
PARTB = f"{ROOT}/topologies/partb.yml"
_COMMAND = {"cwd": ROOT, "capture_output": True, "text": True, "timeout": PATIENCE_S, "stdin": subprocess.DEVNULL}


def netlab(*words: str, code: int | None = 0, **keywords: Any) -> subprocess.CompletedProcess[str]:
    """Run a netlab command and check its exit code (None: any)."""
    done = subprocess.run(
        [sys.executable, "-m", "netlab", *words],
        check=False,
        **{**_COMMAND, **keywords},
    )
    assert code in (None, done.returncode), (
        f"netlab {' '.join(words)}: exit {done.returncode}\n{done.stdout}{done.stderr}"
    )
    assert "Traceback" not in f"{done.stdout}{done.stderr}"
    return done


@contextmanager
def lab(topology: str, *options: str, name: str = "under-test") -> Iterator[str]:
    """Build a lab and remove it afterwards; meanwhile it is the one that every command means."""
    before = os.environ.get("NETLAB_LAB")
    os.environ["NETLAB_LAB"] = name
    try:
        netlab("up", topology, *options)
        yield name
    finally:
        netlab("down")
        if before is None:
            del os.environ["NETLAB_LAB"]
        else:
            os.environ["NETLAB_LAB"] = before


def stats(node: str = "lb") -> dict[str, Any]:
    """Return what the balancer counts."""
    found: dict[str, Any] = json.loads(netlab("stats", "--format", "json").stdout)["balancers"][node]
    return found


def inside(node: str, *command: str, code: int | None = 0, **keywords: Any) -> subprocess.CompletedProcess[str]:
    """Run a command in a node."""
    return netlab("exec", node, *command, code=code, **keywords)


def texts(*words: str) -> list[str]:
    """Return the text of every line that `logs` or `trace` prints."""
    return [json.loads(line)["text"] for line in netlab(*words, "--format", "json").stdout.splitlines()]


def eventually(condition: Callable[[], object], deadline_s: float = 15.0) -> None:
    """Wait for a condition, and fail at the deadline."""
    end = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < end, "the condition did not come true in time"
        time.sleep(0.02)


def python(node: str, code: str, *arguments: str, **keywords: Any) -> subprocess.CompletedProcess[str]:
    """Run Python code in a node."""
    return inside(node, sys.executable, "-c", code, *arguments, **keywords)


def pid(node: str) -> int:
    """Return the process that runs a node's role."""
    return int(json.loads(netlab("status", "--format", "json", code=None).stdout)["nodes"][node]["process"]["pid"])


def start(node: str, *options: str, **keywords: Any) -> "subprocess.Popen[str]":
    """Run a node's role in the foreground of a process of its own."""
    return _popen("run", node, *options, **keywords)


def background(node: str, argv: Sequence[str], **keywords: Any) -> "subprocess.Popen[str]":
    """Start a command in a node."""
    return _popen("exec", node, *argv, **keywords)


def _popen(*words: str, **keywords: Any) -> "subprocess.Popen[str]":
    defaults = {"cwd": ROOT, "text": True, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    return subprocess.Popen([sys.executable, "-m", "netlab", *words], **{**defaults, **keywords})
