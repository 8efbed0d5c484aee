"""A lab for tests, as a user has it: made by the command `netlab`, in a process of its own."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from netlab.record import store
from netlab.testing.waiting import PATIENCE_S

_SPEAKERS = ("exec", "run", "shell", "logs", "trace", "demo")  # verbs that hand on what others say


def netlab(*words: str, code: int | None = 0, **keywords: Any) -> subprocess.CompletedProcess[str]:
    """Run a netlab command to its end, and return it with all its output as text.

    `keywords` are more arguments, or other ones, for `subprocess.run`. AssertionError, with the output, if the exit
    code is not `code` (None: any), or if there is a traceback, which no netlab command may print. What a node's own
    command says is not judged.
    """
    how = {"capture_output": True, "text": True, "timeout": PATIENCE_S, "stdin": subprocess.DEVNULL, **keywords}
    done: subprocess.CompletedProcess[str] = subprocess.run([*command(), *words], check=False, **how)
    said = f"{done.stdout}{done.stderr}"
    is_broken = "Traceback" in said and words[0] not in _SPEAKERS
    if code not in (None, done.returncode) or is_broken:
        raise AssertionError(f"netlab {' '.join(words)}: exit {done.returncode}\n{said}")
    return done


def command() -> list[str]:
    """Return the command `netlab` of this Python: the one that was installed beside it, which starts fastest."""
    installed = os.path.join(os.path.dirname(sys.executable), "netlab")
    return [installed] if os.access(installed, os.X_OK) else [sys.executable, "-m", "netlab"]


@contextmanager
def lab(topology: str, *options: str, name: str, **keywords: Any) -> Iterator[str]:
    """Build a lab under its own name, and remove it afterwards; meanwhile it is the one that every command means.

    `options` are more words for `netlab up`. `keywords` are for `netlab`, such as `cwd`. Needs root, as `up` does.
    AssertionError if there is a lab of this name already, which stays.
    """
    if name in store.labs():
        raise AssertionError(f"there is a lab named {name} already: netlab down --lab {name} first, or another name")
    before = os.environ.get("NETLAB_LAB")
    os.environ["NETLAB_LAB"] = name
    try:
        netlab("up", topology, *options, **keywords)
        yield name
    finally:
        netlab("down", **keywords)
        if before is None:
            del os.environ["NETLAB_LAB"]
        else:
            os.environ["NETLAB_LAB"] = before
