"""What containers are asked for, what they see of this host, and how a command gets into one."""

import os
from pathlib import Path
from typing import Any

import pytest

from netlab.errors import NetlabError
from netlab.kernel.pids import start_ticks
from netlab.record.notes import Containers, ProcessId
from netlab.runtime.base import Place
from netlab.runtime.docker import Docker
from tests.unit.described import SETTINGS, described


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
    limited: dict[str, Any] = runtime._config(Client(), "a", "0123", ())
    free: dict[str, Any] = runtime._config(Client(), "b", "0123", ())

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
        Docker("x", str(tmp_path))._config(Client(), "a", "0123", ())
