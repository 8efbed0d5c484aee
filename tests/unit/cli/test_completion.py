"""What a shell gets when it asks how a line may go on."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from netlab import paths
from netlab.plan import description, planner
from netlab.plan.surroundings import NOWHERE
from netlab.record import form
from netlab.testing.waiting import PATIENCE_S
from netlab.topology import document, validate
from tests.checkout import ROOT

AS_A_SHELL = """
import sys
from netlab import paths
paths.LABS = sys.argv[1]
from netlab.cli import main
main.main(["as the shell started it"])
"""


@pytest.fixture(autouse=True)
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Part B is up, as `one`."""
    monkeypatch.setattr(paths, "LABS", str(tmp_path))
    monkeypatch.delenv("NETLAB_LAB", raising=False)
    folder = tmp_path / "one"
    (folder / "layouts").mkdir(parents=True)
    written = document.load(f"{ROOT}/topologies/partb.yml", [])
    planned = planner.plan(validate.topology(written)._replace(name="one"), written, NOWHERE)
    (folder / "lab.json").write_text(json.dumps(form.plain(description.describe(planned, str(folder)))))
    (folder / "env.json").write_text("{}")
    (folder / "layouts/lb.json").write_text('{"maps": {"backends": {}, "config": {}}}')


def offered(line: str, folder: Path) -> Sequence[str]:
    """Return what is offered behind a line; a process of its own, as argcomplete closes descriptors of this one."""
    answer = folder / "answer"
    environment = {
        **os.environ,
        "_ARGCOMPLETE": "1",
        "_ARGCOMPLETE_IFS": "\n",
        "_ARGCOMPLETE_STDOUT_FILENAME": str(answer),
        "COMP_LINE": line,
        "COMP_POINT": str(len(line)),
    }
    subprocess.run(
        [sys.executable, "-c", AS_A_SHELL, str(folder)], env=environment, check=True, timeout=PATIENCE_S, cwd=ROOT
    )
    return [word.strip() for word in answer.read_text().split("\n") if word.strip()]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("netlab st", ["start", "stop", "status", "stats"]),
        ("netlab help ti", ["timeline"]),
        ("netlab logs --f", ["--follow", "--format"]),
        ("netlab up topologies/part", ["topologies/parta.yml", "topologies/partb.yml"]),
        ("netlab demo partb", ["partb-low", "partb-high"]),
        ("netlab grade pa", ["parta", "partb-low", "partb-high"]),
        ("netlab balancer policy r", ["round-robin", "random"]),
        ("netlab exec wor", ["worker1", "worker2", "worker3"]),
        ("netlab --lab one exec c", ["client"]),
        ("netlab exec --lab two c", []),
        ("netlab status ", ["one"]),
        ("netlab logs worker1/", ["worker1/worker1"]),
        ("netlab maps set l", ["lb"]),
        ("netlab maps lb c", ["config"]),
        ("netlab link c", ["client-lb"]),
        ("netlab link client-lb s", ["set", "show"]),
        ("netlab link client-lb set lo", ["loss="]),
        ("netlab follow u", ["udp"]),
        ("netlab follow udp and host wor", ["worker1", "worker2", "worker3"]),
        ("netlab capture c", ["client"]),
        ("netlab capture client i", ["icmp", "icmp6", "ip", "ip6"]),
        ("netlab frob x", []),
    ],
)
def test_what_is_offered(line: str, words: Sequence[str], tmp_path: Path) -> None:
    assert words == offered(line, tmp_path)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_its_script(shell: str) -> None:
    made = subprocess.run(
        [sys.executable, "-m", "netlab", "completion", shell],
        cwd=ROOT,
        capture_output=True,
        check=True,
        timeout=PATIENCE_S,
    ).stdout
    checked = subprocess.run([shell, "-n"], input=made, capture_output=True, check=False) if _has(shell) else None
    assert b"ARGCOMPLETE" in made
    assert checked is None or checked.returncode == 0


def _has(shell: str) -> bool:
    return any(os.access(f"{folder}/{shell}", os.X_OK) for folder in os.get_exec_path())


def test_the_file_of_the_wheel_asks_netlab_itself(tmp_path: Path) -> None:
    """For bash; those for zsh and fish do the same."""
    command = tmp_path / "netlab"
    command.write_text(f"#!/bin/sh\nPYTHONPATH='{ROOT}' exec '{sys.executable}' -m netlab \"$@\"\n")
    command.chmod(0o755)
    said = subprocess.run(
        ["bash", "-c", f"PATH={tmp_path}:$PATH; . '{ROOT}/docs/completion/netlab'; complete -p netlab"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip

    assert "-F _python_argcomplete netlab" in said.stdout
    for name, shell in (("_netlab", "zsh"), ("netlab.fish", "fish")):
        assert f"netlab completion {shell}" in Path(ROOT, "docs", "completion", name).read_text(encoding="utf-8")
