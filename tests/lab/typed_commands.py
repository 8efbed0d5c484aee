"""Commands as a page shows them, typed into a shell, with this checkout's netlab."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

from netlab.testing.waiting import PATIENCE_S
from tests.lab.lab import ROOT


def run(line: str, folder: Path, commands: Path, code: int | None = 0) -> "subprocess.CompletedProcess[str]":
    """Run a line in a folder, and check its exit code (None: any); `commands` is a folder for netlab's own command."""
    path = commands / "netlab"
    path.write_text(f'#!/bin/sh\nPYTHONPATH={shlex.quote(ROOT)} exec {shlex.quote(sys.executable)} -m netlab "$@"\n')
    path.chmod(0o755)
    variables = {**os.environ, "PATH": f"{commands}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["sh", "-c", line.replace("sudo ", "")],
        check=False, cwd=folder, env=variables, capture_output=True, text=True, timeout=PATIENCE_S,
    )  # fmt: skip
    said = f"$ {line}\n{done.stdout}{done.stderr}"
    assert code in (None, done.returncode), said
    assert "Traceback" not in said
    assert "error inside netlab" not in said
    return done
