"""Who may come in."""

import asyncio
from collections.abc import MutableMapping
from typing import Any

import pytest

from netlab.web.doors import MAY_CHANGE, Doors, Keys

KEYS = Keys("look-key", "change-key")
HOST = "127.0.0.1:8080"


def knock(
    headers: dict[str, str], kind: str = "http", path: str = "/", query: str = "", method: str = "GET"
) -> tuple[int, Any, dict[str, str]]:
    """Return the status of the answer (200 from the page itself), whether changes were allowed, and the headers."""
    seen: list[Any] = []
    sent: list[MutableMapping[str, Any]] = []

    async def page(scope: MutableMapping[str, Any], _: Any, send: Any) -> None:
        seen.append(scope.get(MAY_CHANGE))
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def receive() -> dict[str, Any]:
        return {}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": kind, "path": path, "method": method, "query_string": query.encode(),
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }  # fmt: skip
    asyncio.run(Doors(page, KEYS, 8080, {"localhost", "Mine"})(scope, receive, send))
    first = sent[0]
    told = {name.decode(): value.decode() for name, value in first.get("headers", ())}
    return (403 if first["type"] == "websocket.close" else first["status"]), seen[0] if seen else "nobody", told


def cookie(key: str, host: str = HOST, **more: str) -> dict[str, str]:
    return {"host": host, "cookie": f"netlab-8080={key}", **more}


def test_a_key_in_the_address_becomes_a_cookie_that_other_pages_cannot_send() -> None:
    status, who, told = knock({"host": HOST}, query="key=change-key")

    assert (200, "nobody") == (status, who)
    assert "netlab-8080=change-key; Path=/; HttpOnly; SameSite=Strict" == told["set-cookie"]


@pytest.mark.parametrize(("key", "may_change"), [("look-key", False), ("change-key", True)])
def test_each_key_opens_its_own_door(key: str, may_change: bool) -> None:
    assert [(200, may_change)] * 2 == [
        knock(cookie(key))[:2],
        knock(cookie(key, origin=f"http://{HOST}"), kind="websocket")[:2],
    ]


@pytest.mark.parametrize(
    ("headers", "more"),
    [
        pytest.param({"host": HOST}, {}, id="no key"),
        pytest.param(cookie("wrong"), {}, id="a wrong key"),
        pytest.param(cookie(""), {}, id="an empty key"),
        pytest.param({"host": HOST}, {"query": "key=wrong"}, id="a wrong key in the address"),
        pytest.param({"host": HOST}, {"query": "key=change-key", "path": "/socket.io"}, id="a key for another path"),
        pytest.param({"host": HOST, "cookie": "netlab-9090=change-key"}, {}, id="the cookie of another port"),
        pytest.param({"host": HOST, "cookie": 'netlab-8080="\x01'}, {}, id="no cookie"),
        pytest.param(cookie("change-key", host="rebound.example:8080"), {}, id="DNS rebinding"),
        pytest.param(cookie("change-key", host=""), {}, id="no host"),
        pytest.param(cookie("change-key", host="[::1"), {}, id="no address"),
        pytest.param(cookie("change-key", origin="http://evil.example"), {}, id="another page asks"),
        pytest.param(cookie("change-key", origin="null"), {"method": "POST"}, id="a page without origin posts"),
        pytest.param(cookie("change-key", origin="http://["), {}, id="an origin that is none"),
        pytest.param(cookie("change-key"), {"method": "POST"}, id="something posts and says not who"),
        pytest.param(cookie("change-key"), {"kind": "websocket"}, id="a websocket that says not who"),
        pytest.param(
            cookie("change-key", origin="http://evil.example"), {"kind": "websocket"}, id="cross-site websocket"
        ),
        pytest.param(
            cookie("change-key", origin="http://127.0.0.1:9"), {"kind": "websocket"}, id="another port's page"
        ),
    ],
)
def test_strangers_stay_outside(headers: dict[str, str], more: dict[str, str]) -> None:
    assert (403, "nobody") == knock(headers, **more)[:2]


@pytest.mark.parametrize(
    "host", ["localhost:8080", "mine:8080", "MINE:8080", "192.0.2.7:8080", "[::1]:8080", "127.0.0.1"]
)
def test_addresses_and_names_of_this_host_are_ours(host: str) -> None:
    """No name server can let an address lead elsewhere."""
    assert 200 == knock(cookie("look-key", host=host))[0]


def test_every_answer_forbids_frames_and_what_comes_from_elsewhere() -> None:
    told = [knock(cookie("look-key"))[2], knock({"host": HOST})[2], knock({"host": HOST}, query="key=look-key")[2]]

    assert {"DENY"} == {each["x-frame-options"] for each in told}
    assert all("default-src 'self'" in each["content-security-policy"] for each in told)


def test_keys_are_new_and_only_a_lab_has_one_for_changes() -> None:
    first, second = Keys.new(may_change=True), Keys.new(may_change=False)

    assert 3 == len({first.look, first.change, second.look})
    assert ("", None) == (second.change, second.allow(""))
