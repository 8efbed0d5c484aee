"""What tests of labs are given: a lab that stands meanwhile, and a look at what it has left."""

import os
import subprocess
from pathlib import Path

import pytest

from netlab.testing import labs, leaks
from netlab.testing.waiting import eventually
from tests.lab.lab import LAB

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("no_leaks")]


def test_a_lab_stands_meanwhile(tmp_path: Path) -> None:
    """Every command means it, and nothing is left of it afterwards."""
    (tmp_path / "pair.yml").write_text("name: pair\nnodes: {a: {}, b: {}}\nlinks: [[a, b]]\n")
    before = os.environ.get("NETLAB_LAB")
    with leaks.nothing_left(), labs.lab("pair.yml", name=LAB, cwd=tmp_path) as name:
        ran = labs.netlab("exec", "a", "ping", "-c1", "b")

        assert LAB == name == os.environ["NETLAB_LAB"]
    assert " 0% packet loss" in ran.stdout
    assert before == os.environ.get("NETLAB_LAB")


def test_a_lab_that_cannot_be_built_leaves_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """`up` has failed, `down` finds nothing, and every command means what it meant before."""
    monkeypatch.setenv("NETLAB_LAB", "before")
    with pytest.raises(AssertionError, match="netlab up nosuch"), labs.lab("nosuch.yml", name="never"):
        pass

    assert "before" == os.environ["NETLAB_LAB"]


def test_what_is_left_is_reported() -> None:
    """A namespace with its name, and a process in it, are found; so is a name that somebody has taken away."""
    name = f"{LAB}.left"

    def leave() -> None:
        with leaks.nothing_left(0):
            subprocess.run(["ip", "netns", "add", name], check=True)

    def take() -> None:
        with leaks.nothing_left(0):
            subprocess.run(["ip", "netns", "del", name], check=True)

    with pytest.raises(AssertionError, match=f"left behind: name in /run/netns {name}"):
        leave()
    sleeping = subprocess.Popen(["ip", "netns", "exec", name, "sleep", "inf"])
    try:
        eventually(lambda: any(f"{sleeping.pid}: sleep inf" in each for each in leaks.snapshot()["process"]))
    finally:
        sleeping.kill()
        sleeping.wait()
    with pytest.raises(AssertionError, match=f"taken away: name in /run/netns {name}"):
        take()
