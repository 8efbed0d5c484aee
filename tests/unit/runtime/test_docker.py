"""What containers are asked for, what they see of this host, and how a command gets into one."""

import os
from pathlib import Path
from typing import Any

import pytest

from netlab.errors import NetlabError
from netlab.kernel.pids import start_ticks
from netlab.record.notes import Containers, ProcessId
from netlab.runtime import docker
from netlab.runtime.base import Place
from netlab.runtime.docker import Docker
from tests.checkout import ROOT
from tests.unit.described import SETTINGS, described


def test_what_containers_see_of_the_host(tmp_path: Path) -> None:
    """The topology's folder, those of roles, and netlab's modules."""
    (tmp_path / "mine.py").write_text("")
    record = described(SETTINGS, tmp_path)

    assert set(docker.shared(record)) == {str(tmp_path), f"{ROOT}/roles", f"{ROOT}/netlab"}


def test_folders_below_the_root_are_the_containers_own(tmp_path: Path) -> None:
    """A role that lies in one of those is given as a file."""
    (tmp_path / "mine.py").write_text("")
    record = described(SETTINGS, tmp_path)
    [process] = record.nodes["c"].processes
    moved = record.nodes["c"]._replace(processes=(process._replace(argv=("python3", "/opt/mine.py")),))
    elsewhere = record._replace(topology="/etc/lab.yml", nodes={**record.nodes, "c": moved})

    assert set(docker.shared(elsewhere)) == {"/opt/mine.py", f"{ROOT}/roles", f"{ROOT}/netlab"}


class Client:
    """A client of an engine that makes nothing."""

    def create_host_config(self, **settings: object) -> dict[str, object]:
        return settings

    create_container_config = create_host_config


@pytest.fixture
def runtime(tmp_path: Path) -> Docker:
    """The containers of a lab whose folder is there."""
    (tmp_path / "mine.py").write_text("")
    (tmp_path / "etc").mkdir()
    record = described(SETTINGS, tmp_path)
    return Docker(record.lab, str(tmp_path), record._replace(folder=str(tmp_path)))


def test_a_container_is_asked_for_as_the_record_says(runtime: Docker) -> None:
    """Its image, its limits, and the variables by which its processes know where they are."""
    limited: dict[str, Any] = runtime._config(Client(), "a", "0123")
    free: dict[str, Any] = runtime._config(Client(), "b", "0123")

    assert (limited["image"], limited["hostname"], limited["labels"]["netlab.mark"]) == ("mine:1", "a", "0123")
    assert (limited["environment"]["NETLAB_LAB"], limited["environment"]["NETLAB_NODE"]) == ("settings", "a")
    host = limited["host_config"]
    assert (host["mem_limit"], host["cpu_quota"], host["cpu_period"]) == (8 << 20, 50_000, 100_000)
    assert [free["host_config"][name] for name in ("mem_limit", "cpu_quota", "cpu_period")] == [None] * 3


def test_a_command_goes_into_the_containers_first_process(runtime: Docker) -> None:
    """With what its node is allowed beside what that has; where it has ended, nothing can run."""
    first = ProcessId(os.getpid(), start_ticks(os.getpid()))
    runtime._write(Containers("unix:///nowhere", "0123", {"a": first, "b": first._replace(start_ticks=1)}))

    assert runtime.wrap("a", ["true"]).place == Place(*first, ("BPF", "SYS_PTRACE"))
    for node in "bc":
        with pytest.raises(NetlabError, match=f"the container settings.{node} has ended"):
            runtime.wrap(node, ["true"])
    assert runtime.memory_kills("b") == 0


def test_without_its_record_a_lab_can_only_be_removed(tmp_path: Path) -> None:
    with pytest.raises(NetlabError, match="the record of x is lost: netlab down --lab x"):
        Docker("x", str(tmp_path))._config(Client(), "a", "0123")
