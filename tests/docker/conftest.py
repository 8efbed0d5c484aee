"""What tests of containers share: an engine with the nodes' image, and that nothing is left on it."""

import glob
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from docker import APIClient
from docker.errors import ImageNotFound
from docker.utils import kwargs_from_env

from netlab.model import NODE_IMAGE
from tests.docker.engine import Engine, NoEngineError, any_engine
from tests.lab.lab import ROOT

MAKE_S = 600


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine | None]:
    """An engine to which DOCKER_HOST leads, with the nodes' image; the test is skipped where there can be none."""
    try:
        with any_engine() as found:
            _have_image()
            yield found
    except NoEngineError as error:
        pytest.skip(str(error))


def _have_image() -> None:
    client = APIClient(**kwargs_from_env(), version="auto")
    try:
        client.inspect_image(NODE_IMAGE)
    except ImageNotFound:
        made = subprocess.run(
            ["make", "--no-print-directory", "image"],
            cwd=ROOT,
            check=False,
            capture_output=True,
            text=True,
            timeout=MAKE_S,
        )
        if made.returncode:
            pytest.skip(f"no image {NODE_IMAGE}, and `make image` does not build it: {made.stderr.strip()[-200:]}")
    finally:
        client.close()


@pytest.fixture
def client(engine: Engine | None) -> Iterator[Any]:
    """The engine, spoken to beside netlab; a test must leave on it what it has found there."""
    speaking = APIClient(**kwargs_from_env(), version="auto")
    before = _there(speaking)
    yield speaking
    after = _there(speaking)
    speaking.close()

    assert after == before


def _there(client: Any) -> dict[str, set[str]]:
    return {
        "containers": {each["Id"] for each in client.containers(all=True)},
        "images": {each["Id"] for each in client.images(all=True)},
        "networks": {each["Id"] for each in client.networks()},
        "volumes": {each["Name"] for each in client.volumes()["Volumes"] or ()},
        "layers": set(glob.glob(f"{client.info()['DockerRootDir']}/overlay2/*")),
    }
