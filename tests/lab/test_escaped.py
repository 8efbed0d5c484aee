"""What runs in a lab ends with it: also what has left its process group, or whose namespace has lost its name."""

import os
import shutil
from pathlib import Path

import pytest

from netlab import syscalls
from tests.lab.lab import lab, netlab

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("no_leaks")]

TOPOLOGY = """
name: escaped
nodes:
  a: {command: [sh, -c, "sleep 301 & wait"]}
  b: {command: [sh, -c, "setsid sleep 302 & wait"]}
  c: {command: [sh, -c, "(sleep 303 &); exit 0"]}
links: [[a, b], [b, c]]
"""


@pytest.fixture
def topology(tmp_path: Path) -> str:
    """Return a lab whose processes leave others behind, in three ways."""
    (tmp_path / "escaped.yml").write_text(TOPOLOGY)
    return str(tmp_path / "escaped.yml")


def test_processes_that_left_their_group_end_with_the_lab(topology: str) -> None:
    """They are known by their namespace."""
    with lab(topology):
        pass


def test_processes_end_though_their_namespaces_have_no_names(topology: str) -> None:
    """They are known by what they were started with; and status and `up` say that the lab is broken."""
    with lab(topology) as name:
        for node in ("a", "b", "c"):
            os.unlink(f"/run/netns/{name}.{node}")
            syscalls.umount(f"/run/netlab/{name}/netns/{node}")
        shown = netlab("status", code=1).stdout
        again = netlab("up", topology, code=1).stderr

    for node in ("a", "b", "c"):
        assert f"{node}: its namespace is gone" in shown
        assert f"{node}: /run/netns/{name}.{node} is gone; what mends it: netlab down {name}, then up" in again


def test_processes_end_though_the_labs_folder_has_gone(topology: str) -> None:
    """As if somebody had unmounted it."""
    with lab(topology) as name:
        syscalls.umount(f"/run/netlab/{name}")
        shutil.rmtree(f"/run/netlab/{name}")  # where the supervisor may have noted an end meanwhile
