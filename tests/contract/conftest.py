"""Every test here is run on both runtimes, in a lab that its module describes as TOPOLOGY."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from docker import APIClient
from docker.utils import kwargs_from_env

from netlab.testing import leaks
from tests.docker.conftest import client, engine, there
from tests.lab.lab import lab

__all__ = ["client", "engine"]


@pytest.fixture(scope="session", params=["netns", pytest.param("docker", marks=pytest.mark.docker)])
def runtime(request: pytest.FixtureRequest) -> str:
    """Where the nodes live; with containers, there is an engine."""
    if request.param == "docker":
        request.getfixturevalue("engine")
    name: str = request.param
    return name


@contextmanager
def unchanged(runtime: str) -> Iterator[None]:
    """Assert that nothing is left on the machine, or taken from it, nor on the engine where there is one."""
    speaking = APIClient(**kwargs_from_env(), version="auto") if runtime == "docker" else None
    try:
        before, held = leaks.snapshot(), there(speaking) if speaking else {}
        yield
        left = leaks.settled(before)
        assert not left, "\n".join(left)
        assert held == (there(speaking) if speaking else {})
    finally:
        if speaking:
            speaking.close()


@pytest.fixture(scope="module")
def one(request: pytest.FixtureRequest, runtime: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The module's lab, up, with its FILES beside the topology; it leaves nothing behind. Yields its name."""
    folder: Path = tmp_path_factory.mktemp("contract")
    path = folder / "lab.yml"
    path.write_text(request.module.TOPOLOGY)
    for name, text in getattr(request.module, "FILES", {}).items():
        (folder / name).write_text(text)
    with unchanged(runtime), lab(str(path), "--runtime", runtime) as name:
        yield name


@pytest.fixture(autouse=True)
def no_leaks(runtime: str) -> Iterator[None]:
    """Every test here leaves the machine and the engine as they were; the module's lab may stand."""
    with unchanged(runtime):
        yield
