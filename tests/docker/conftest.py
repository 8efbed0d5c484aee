"""What tests of containers share: an engine with the nodes' image, and that nothing is left on it."""

import glob
from collections.abc import Iterator
from typing import Any

import pytest
from docker import APIClient
from docker.utils import kwargs_from_env

from tests.docker.engine import Engine, NoEngineError, any_engine
from tests.docker.image import built


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine | None]:
    """An engine to which DOCKER_HOST leads, with this checkout's image of nodes.

    The test is skipped where there can be none; an image that cannot be built of what is there is a failure.
    """
    try:
        with any_engine() as found:
            built("node")
            yield found
    except NoEngineError as error:
        pytest.skip(str(error))


@pytest.fixture
def client(engine: Engine | None) -> Iterator[Any]:
    """The engine, spoken to beside netlab; a test must leave on it what it has found there."""
    speaking = APIClient(**kwargs_from_env(), version="auto")
    before = there(speaking)
    yield speaking
    after = there(speaking)
    speaking.close()

    assert after == before


def there(client: Any) -> dict[str, set[str]]:
    """Return what an engine holds."""
    return {
        "containers": {each["Id"] for each in client.containers(all=True)},
        "images": {each["Id"] for each in client.images(all=True)},
        "networks": {each["Id"] for each in client.networks()},
        "volumes": {each["Name"] for each in client.volumes()["Volumes"] or ()},
        "layers": set(glob.glob(f"{client.info()['DockerRootDir']}/overlay2/*")),
    }
