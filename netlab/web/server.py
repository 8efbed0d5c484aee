"""Serves a view to browsers until it is told to end. NiceGUI brings all that a page needs: nothing is downloaded."""

import asyncio
import logging
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import uvicorn
from fastapi import FastAPI, Request
from nicegui import Client, ui

from netlab.web import picture
from netlab.web.doors import MAY_CHANGE, Doors, Keys
from netlab.web.page import Page
from netlab.web.view import View

_TAKE_S = 0.05
_END_S = 1  # for open connections
_AWAY_S = 20.0  # a browser may be silent for so long, as when it has much to do, and then goes on


def serve(view: View, bound: socket.socket, keys: Keys, host: str, begun: Callable[[], None]) -> None:
    """Serve until SIGINT or SIGTERM; `begun` is called when browsers are answered."""
    _quiet()
    api = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, lifespan=_served)
    _pages(view)
    ui.run_with(
        api,
        title=f"netlab {view.record.lab}",
        dark=None,
        favicon="🔗",
        tailwind=False,
        show_welcome_message=False,
        message_history_length=0,
        reconnect_timeout=_AWAY_S,
    )
    names = {"localhost", socket.gethostname(), host}
    doors = Doors(api, keys, bound.getsockname()[1], names)
    config = uvicorn.Config(
        doors,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_END_S,
        lifespan="on",
    )
    asyncio.run(_run(uvicorn.Server(config), view, bound, begun))


@asynccontextmanager
async def _served(_: FastAPI) -> AsyncIterator[None]:
    """End what writes to browsers: on Python 3.11 it may miss that it is cancelled, and NiceGUI would wait for it."""
    yield
    for each in Client.instances.values():
        each.outbox.stop()


async def _run(server: uvicorn.Server, view: View, bound: socket.socket, begun: Callable[[], None]) -> None:
    taking = asyncio.create_task(_take(server, view, begun))
    try:
        with suppress(KeyboardInterrupt, asyncio.CancelledError):  # uvicorn sends the signal again when it is over
            await server.serve(sockets=[bound])
    finally:
        taking.cancel()
        if view.live:
            await asyncio.to_thread(view.live.stop)


async def _take(server: uvicorn.Server, view: View, begun: Callable[[], None]) -> None:
    """Bring what has happened to all browsers' view."""
    while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(_TAKE_S)
    begun()
    while True:
        view.take()
        await asyncio.sleep(_TAKE_S)


def _pages(view: View) -> None:
    with open(os.path.join(os.path.dirname(__file__), "lab.css"), encoding="utf-8") as file:
        style = f"{picture.colours()}\n{file.read()}"

    @ui.page("/")
    def index(request: Request, client: Client) -> None:
        ui.add_css(style)
        page = Page(view, bool(request.scope.get(MAY_CHANGE)))
        client.on_connect(page.renew)
        client.on_delete(page.close)


def _quiet() -> None:
    """Let the libraries say nothing but errors of their own."""
    for name in ("uvicorn", "uvicorn.error", "nicegui"):
        logging.getLogger(name).setLevel(logging.CRITICAL if name == "uvicorn.error" else logging.ERROR)
