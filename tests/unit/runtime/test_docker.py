"""What is known of containers without making one: what they are given, who may do what, and how they are named."""

import os
import socket
from pathlib import Path
from typing import Any

import pytest

from netlab.cli import main
from netlab.errors import HostError, TopologyError, UsageError
from netlab.kernel import capabilities, commands
from netlab.lab import launch
from netlab.plan.description import describe
from netlab.plan.planner import plan
from netlab.runtime import engine
from netlab.topology import declared, document, validate
from tests.lab.lab import PARTB, ROOT

SETTINGS = """
name: settings
runtime: docker
nodes:
  a: {command: [./serve], capabilities: [CAP_BPF, sys_ptrace], limits: {memory: 8M, cpu: 0.5}, image: "mine:1"}
  b: {role: balancer, args: {backends: a}}
  c: {role: ./mine.py}
links: [[a, b], [b, c]]
"""


def described(text: str, folder: Path) -> dict[str, Any]:
    """Return lab.json of a topology in a folder."""
    (folder / "lab.yml").write_text(text)
    return describe(plan(validate.topology(document.load(str(folder / "lab.yml")))), "/run/netlab/x")


def test_the_lab_says_what_its_containers_are_given(tmp_path: Path) -> None:
    """Image, limits and capabilities: those of the topology, those of the role, and the defaults."""
    (tmp_path / "mine.py").write_text("CAPABILITIES = ['SYS_NICE']")
    nodes = described(SETTINGS, tmp_path)["nodes"]

    assert [nodes[name]["capabilities"] for name in "abc"] == [["BPF", "SYS_PTRACE"], ["BPF"], ["SYS_NICE"]]
    assert [nodes[name]["image"] for name in "abc"] == ["mine:1", "netlab-node:latest", "netlab-node:latest"]
    assert nodes["a"]["limits"] == {"cpu": 0.5, "memory": 8 << 20}


def test_what_containers_see_of_the_host(tmp_path: Path) -> None:
    """The topology's folder, those of roles, and netlab's modules."""
    (tmp_path / "mine.py").write_text("")
    data = described(SETTINGS, tmp_path)

    assert set(launch.shared(data)) == {str(tmp_path), f"{ROOT}/roles", f"{ROOT}/netlab"}


def test_folders_below_the_root_are_the_containers_own(tmp_path: Path) -> None:
    """A role that lies in one of those is given as a file."""
    (tmp_path / "mine.py").write_text("")
    data = described(SETTINGS, tmp_path)
    data["topology"] = "/etc/lab.yml"
    data["nodes"]["c"]["process"]["argv"][1] = "/opt/mine.py"

    assert set(launch.shared(data)) == {"/opt/mine.py", f"{ROOT}/roles", f"{ROOT}/netlab"}


@pytest.mark.parametrize("text", ["CAPABILITIES = ['NOTHING']", "CAPABILITIES = 'BPF'", "CAPABILITIES = [1 + x]"])
def test_capabilities_of_a_role_that_are_none(text: str, tmp_path: Path) -> None:
    """It is a mistake in the topology that names the role."""
    (tmp_path / "mine.py").write_text(text)
    with pytest.raises(TopologyError, match="its CAPABILITIES are not a"):
        described(SETTINGS, tmp_path)


def test_role_without_capabilities() -> None:
    """It needs none."""
    assert declared.capabilities(f"{ROOT}/roles/worker.py") == ()


def test_masks_are_those_of_the_kernel() -> None:
    """Bits are numbered as in linux/capability.h."""
    assert capabilities.mask(["CHOWN"]) == 1
    assert capabilities.mask(["NET_ADMIN", "BPF", "BPF"]) == 1 << 12 | 1 << 39
    with open("/proc/sys/kernel/cap_last_cap", encoding="ascii") as file:
        assert int(file.read()) <= len(capabilities.NAMES) - 1


def test_unknown_capabilities_are_mistakes(tmp_path: Path) -> None:
    """The nearest known name is offered."""
    text = SETTINGS.replace("CAP_BPF", "SYS_ADMN").replace("  c: {role: ./mine.py}\n", "").replace(", [b, c]", "")
    with pytest.raises(TopologyError, match=r"found 'SYS_ADMN' \(did you mean SYS_ADMIN"):
        described(text, tmp_path)


def test_runtime_on_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    """It has the last word."""
    assert main.main(["up", PARTB, "--dry-run", "--runtime", "docker"]) == 0
    assert "docker run --detach --name partb.lb" in capsys.readouterr().out
    assert main.main(["up", PARTB, "--dry-run", "--runtime", "netns", "--set", "runtime=docker"]) == 0
    assert "docker run" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        ("sh", ""),
        ("/bin/sh", ""),
        ("nosuch", "no such command"),
        ("./no", "no such command"),
        ("./x", "cannot be executed"),
    ],
)
def test_commands(command: str, problem: str, tmp_path: Path) -> None:
    """They are looked for as a shell does."""
    (tmp_path / "x").write_text("")

    assert commands.problem(command, {"PATH": os.environ["PATH"]}, str(tmp_path)) == problem


@pytest.mark.parametrize("text", ["soon", "0", "-1", "1.5", "9" * 20])
def test_an_engine_is_given_a_number_of_seconds(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_CLIENT_TIMEOUT", text)

    with pytest.raises(UsageError, match=r"DOCKER_CLIENT_TIMEOUT is .*: expected a number of seconds, such as 60"):
        engine.connected("unix:///nowhere").__enter__()


def test_an_engine_that_says_nothing_is_waited_for_as_long_as_one_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It accepts, and never answers."""
    monkeypatch.setenv("DOCKER_CLIENT_TIMEOUT", "1")
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(f"{tmp_path}/engine")
        silent.listen()

        with pytest.raises(HostError, match=r"no Docker engine answers .*\(.*timed out"):
            engine.connected(f"unix://{tmp_path}/engine").__enter__()
