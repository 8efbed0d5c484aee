"""Every test here is run on both runtimes, in a lab that its module describes as TOPOLOGY."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import leaks
from tests.docker.conftest import client, engine
from tests.lab.lab import lab

__all__ = ["client", "engine"]


@pytest.fixture(scope="session", params=["netns", pytest.param("docker", marks=pytest.mark.docker)])
def runtime(request: pytest.FixtureRequest) -> str:
    """Where the nodes live; with containers, there is an engine."""
    if request.param == "docker":
        request.getfixturevalue("engine")
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def one(request: pytest.FixtureRequest, runtime: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The module's lab, up, with its FILES beside the topology; it leaves nothing behind. Yields its name."""
    folder: Path = tmp_path_factory.mktemp("contract")
    path = folder / "lab.yml"
    path.write_text(request.module.TOPOLOGY)
    for name, text in getattr(request.module, "FILES", {}).items():
        (folder / name).write_text(text)
    before = leaks.snapshot()
    with lab(str(path), "--runtime", runtime) as name:
        yield name
    left = leaks.settled(before)

    assert not left, "\n".join(left)
