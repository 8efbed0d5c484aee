"""How long an engine is waited for."""

import socket
from pathlib import Path

import pytest

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


def test_certificates_that_are_not_there_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are looked for before anybody is spoken to."""
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    monkeypatch.setenv("DOCKER_CERT_PATH", str(tmp_path))

    with pytest.raises(HostError, match=r"no Docker engine answers at tcp://.*certificate"):
        engine.connected("tcp://127.0.0.1:1").__enter__()
