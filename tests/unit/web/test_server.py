"""The server as a process, with a saved run: who is let in, and what it says when it cannot begin. No browser."""

import http.client
import json
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from netlab.testing.waiting import PATIENCE_S
from tests.checkout import ROOT
from tests.unit.web.test_saved import LINE, folder

_NETLAB = [sys.executable, "-m", "netlab"]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield HOST:PORT/?key=KEY of a server, which must end well when it is told to."""
    run = folder(tmp_path_factory.mktemp("run"), json.dumps(LINE))
    argv = [*_NETLAB, "web", "--replay", run, "--port", "0"]
    with subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout
            line = server.stdout.readline()
            assert line.endswith("look\n"), line
            yield line.split()[0].removeprefix("http://")
        finally:
            server.send_signal(signal.SIGTERM)
            _, said = server.communicate(timeout=PATIENCE_S)
    assert (0, "netlab: mine in a browser, until Ctrl-C\n") == (server.returncode, said)


def get(address: str, path: str, **headers: str) -> tuple[int, str, str | None]:
    """Return status, text and cookie of an answer."""
    connection = http.client.HTTPConnection(address.partition("/")[0], timeout=PATIENCE_S)
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    found = answer.status, answer.read().decode(), answer.getheader("set-cookie")
    connection.close()
    return found


def test_only_the_printed_address_opens_the_page(address: str) -> None:
    """Its key becomes a cookie, and with that the page is there; nothing in it is from another server."""
    host, _, path = address.partition("/")
    status, _, cookie = get(host, f"/{path}")
    assert cookie
    without, with_cookie = get(host, "/"), get(host, "/", Cookie=cookie.partition(";")[0])

    assert (200, 403, 200) == (status, without[0], with_cookie[0])
    assert "open the address that `netlab web` has printed" in without[1]
    assert "lab.js" in with_cookie[1]
    assert "https://" not in with_cookie[1]


def test_nothing_is_served_to_who_has_no_key(address: str) -> None:
    host = address.partition("/")[0]

    assert [403] * 4 == [
        get(host, path)[0]
        for path in ("/_nicegui_ws/socket.io/?EIO=4&transport=polling", "/docs", "/favicon.ico", "/x")
    ]


def test_another_name_that_leads_here_is_refused(address: str) -> None:
    """As after DNS rebinding, also with the key."""
    host, _, path = address.partition("/")

    status, text, _ = get(host, f"/{path}", Host="rebound.example")

    assert (403, True) == (status, "is no address of this server" in text)
