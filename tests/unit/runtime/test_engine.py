"""How long an engine is waited for."""

import socket
from pathlib import Path

import pytest
from docker.errors import APIError, NotFound

from netlab.errors import HostError, UsageError
from netlab.runtime import engine


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


def test_certificates_that_are_not_there_are_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are looked for before anybody is spoken to."""
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    monkeypatch.setenv("DOCKER_CERT_PATH", str(tmp_path))

    with pytest.raises(HostError, match=r"no Docker engine answers at tcp://.*certificate"):
        engine.connected("tcp://127.0.0.1:1").__enter__()


class Refusing:
    """A client of an engine that refuses to remove a container some times."""

    def __init__(self, refusals: list[Exception]) -> None:
        self.left = refusals

    def remove_container(self, *_: object, **__: object) -> None:
        if self.left:
            raise self.left.pop(0)


def test_an_engine_that_is_just_starting_a_container_is_asked_again_to_remove_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Up to a deadline; a container that is gone meanwhile is no error."""
    monkeypatch.setattr(engine, "_REMOVE_INTERVAL_S", 0)
    refusal = APIError("tried to kill container, but did not receive an exit event")
    for refusals in ([refusal, refusal], [refusal, NotFound("no such container")]):
        client = Refusing([*refusals])
        engine.remove(client, "c")
        assert client.left == []

    monkeypatch.setattr(engine, "_REMOVE_S", 0)
    with pytest.raises(APIError, match="did not receive an exit event"):
        engine.remove(Refusing([refusal]), "c")
