"""Who may come in: every request must name this server, come from its own pages, and have one of the two keys.

A browser sends its cookie also when a stranger's page asks (cross-site request forgery), and a stranger's name may
lead to this machine (DNS rebinding). So the Host must be an address or a name of this server, the Origin the same, and
the cookie is sent for its own pages only. The keys are new on every start.
"""

import ipaddress
import secrets
from collections.abc import Awaitable, Callable, Collection, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs, urlsplit

from netlab.named_tuple import NamedTuple

Scope = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
_Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, _Receive, _Send], Awaitable[None]]
MAY_CHANGE = "netlab.may_change"  # in the scope of what is let in
_KEY_BYTES = 24
_SAFE = ("GET", "HEAD")
_POLICY = (
    b"default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; connect-src 'self' ws: wss:;"
    b" frame-ancestors 'none'; base-uri 'self'; form-action 'self'"
)
_GUARDS = (
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", _POLICY),
)


class Keys(NamedTuple):
    """The keys of one run: with `look` one may look, with `change` also change; "" for nobody."""

    look: str
    change: str

    @classmethod
    def new(cls, may_change: bool) -> "Keys":
        """Return keys that nobody can guess."""
        return cls(secrets.token_urlsafe(_KEY_BYTES), secrets.token_urlsafe(_KEY_BYTES) if may_change else "")

    def allow(self, key: str) -> bool | None:
        """Say whether a key may change something; None for what is no key."""
        given = key.encode()
        if self.change and secrets.compare_digest(given, self.change.encode()):
            return True
        return False if secrets.compare_digest(given, self.look.encode()) else None


class Doors:
    """An ASGI application that lets in to another who may come in; `names` are those of this host."""

    def __init__(self, app: App, keys: Keys, port: int, names: Collection[str]) -> None:
        self._app = app
        self._keys = keys
        self._cookie = f"netlab-{port}"  # browsers send a cookie to all ports of a host
        self._names = {name.lower() for name in names}

    async def __call__(self, scope: Scope, receive: _Receive, send: _Send) -> None:
        """Let in, or say why not."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        if why := self._stranger(scope, headers):
            await _refuse(scope, send, why)
            return
        given = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("key", [""])[0]
        if scope["type"] == "http" and scope["path"] == "/" and given and self._keys.allow(given) is not None:
            await _answer(send, 200, _ENTER, ((b"set-cookie", self._as_cookie(given)),))
            return
        allowed = self._keys.allow(_cookie(headers.get("cookie", ""), self._cookie))
        if allowed is None:
            await _refuse(scope, send, "open the address that `netlab web` has printed: it has the key")
            return
        scope[MAY_CHANGE] = allowed
        await self._app(scope, receive, _guarded(send))

    def _stranger(self, scope: Scope, headers: MutableMapping[str, str]) -> str:
        """Return why a request is none of our own pages', "" if it is."""
        host = headers.get("host", "")
        if not self._is_ours(host):
            return f"{host[:80]!r} is no address of this server"
        origin = headers.get("origin")
        needed = scope["type"] == "websocket" or scope.get("method") not in _SAFE
        if origin is None:
            return "a page of this server says where it comes from (Origin)" if needed else ""
        return "" if _host_of(origin) == host.lower() else f"{origin[:80]!r} is another server"

    def _is_ours(self, host: str) -> bool:
        """Say whether a Host is an IP address, which no name server can point elsewhere, or one of our names."""
        try:
            name = urlsplit(f"//{host}").hostname or ""
            ipaddress.ip_address(name)
        except ValueError:
            return bool(host) and (urlsplit(f"//{host}").hostname or "") in self._names if "[" not in host else False
        return True

    def _as_cookie(self, key: str) -> bytes:
        return f"{self._cookie}={key}; Path=/; HttpOnly; SameSite=Strict".encode()


def _host_of(origin: str) -> str:
    """Return the Host that belongs to an Origin, "" for what is none."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""


def _cookie(header: str, name: str) -> str:
    try:
        found = SimpleCookie(header).get(name)
    except CookieError:
        return ""
    return found.value if found else ""


def _guarded(send: _Send) -> _Send:
    async def guard(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", ()), *_GUARDS]
        await send(message)

    return guard


# The cookie is sent for a step from our own page only, so this page takes it. The key leaves the address.
_ENTER = '<!doctype html><meta http-equiv="refresh" content="0;url=/"><title>netlab</title><a href="/">go on</a>'


async def _refuse(scope: Scope, send: _Send, why: str) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": why[:100]})
        return
    text = why.replace("&", "&amp;").replace("<", "&lt;")
    await _answer(send, 403, f"<!doctype html><title>netlab</title><p>netlab: you may not come in: {text}.</p>")


async def _answer(send: _Send, status: int, text: str, more: tuple[tuple[bytes, bytes], ...] = ()) -> None:
    headers = [(b"content-type", b"text/html; charset=utf-8"), (b"cache-control", b"no-store"), *_GUARDS, *more]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": text.encode()})
