"""The names by which `ip netns` finds nodes: whose they are, and where they are made."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import pytest

from netlab.errors import HostError, NetlabError
from netlab.runtime import docker, engine
from netlab.runtime.docker import Docker
from netlab.runtime.names import Names


class Machine(NamedTuple):
    """The folders of names of a machine, and of a lab `one`."""

    folder: str
    run: str
    etc: str

    def names(self, way: str = "") -> Names:
        return Names("one", self.folder, self.run, self.etc, way)

    def there(self) -> list[str]:
        return [name for folder in (self.run, self.etc) if os.path.isdir(folder) for name in os.listdir(folder)]


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """One without an engine."""

    def connected(where: str) -> NoReturn:
        raise HostError(f"no Docker engine answers at {where}")

    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no-engine")
    monkeypatch.setattr(engine, "connected", connected)  # the SDK leaves the socket that found nobody to the collector
    made = Machine(f"{tmp_path}/netlab/one", f"{tmp_path}/run", f"{tmp_path}/etc")
    os.makedirs(f"{made.folder}/etc")
    return made


@pytest.mark.parametrize("which", ["run", "etc"])
def test_names_are_not_made_where_others_could_change_them(machine: Machine, which: str) -> None:
    """They could lead root into another namespace, or give it other files."""
    folder = getattr(machine, which)
    os.mkdir(folder)
    os.chmod(folder, 0o777)  # noqa: S103 - that is the point

    with pytest.raises(HostError, match=f"{which} is not safe: others can write to it"):
        machine.names().make(["a"])
    assert os.listdir(folder) == []


def test_a_folder_of_names_that_another_down_has_just_removed_is_made_anew(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last name of another lab takes the folder with it."""

    def listdir(path: str, real: Callable[..., Any] = os.listdir) -> list[str]:
        if path == machine.run and not real(path):
            os.rmdir(path)
        return list(real(path))

    monkeypatch.setattr(os, "listdir", listdir)
    machine.names().make(["a"])

    assert ["one.a", "one.a"] == machine.there()


@pytest.mark.parametrize(("way", "other"), [("", "docker"), ("docker", "")])
def test_names_are_those_of_one_runtime(machine: Machine, way: str, other: str) -> None:
    """They lead to the same places in either, and the other neither sees nor removes them."""
    machine.names(way).make(["a", "b"])

    assert not machine.names(other).there()
    assert [] == machine.names(other).remove()
    assert os.path.samefile(f"{machine.etc}/one.b", f"{machine.folder}/etc")
    assert machine.names(way).there()
    assert ["one.a", "one.b"] == machine.names(way).remove()
    assert [] == machine.there()


def test_names_left_in_the_other_runtime_are_refused(machine: Machine) -> None:
    """It is said what removes them: whoever only takes them over would lose what they tell of."""
    machine.names("docker").make(["a"])

    with pytest.raises(NetlabError, match=r"one\.a is left of another lab one: netlab down --lab one removes it"):
        machine.names().make(["a"])


@pytest.fixture
def containers(machine: Machine) -> Docker:
    """What takes down a lab of containers."""
    runtime = Docker("one", machine.folder)
    runtime._names = machine.names("docker")
    return runtime


def test_names_of_containers_stay_until_an_engine_answers(machine: Machine, containers: Docker) -> None:
    """After a reboot nothing but they tells that there may be containers."""
    machine.names("docker").make(["a", "b"])
    os.rename(machine.folder, f"{machine.folder}.gone")
    before = machine.there()

    with pytest.raises(HostError, match="no Docker engine answers"):
        containers.destroy()

    assert before == machine.there()


def test_without_names_nobody_asks_for_an_engine(machine: Machine, containers: Docker) -> None:
    """Those who only ever have namespaces need none to take down what a reboot has left of them."""
    machine.names().make(["a"])
    os.rename(machine.folder, f"{machine.folder}.gone")

    assert [] == containers.destroy()
    assert set() == docker.labs()
