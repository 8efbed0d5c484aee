"""`netlab web`: shows a lab, or a saved run, in a browser."""

import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from netlab.cli import chosen, typed
from netlab.errors import HostError, NetlabError
from netlab.record import store

if TYPE_CHECKING:
    from netlab.web.view import View

_LOOPBACK = "127.0.0.1"
_NEEDS = ("igraph", "nicegui")


def show(args: typed.Web, say: Callable[[str], None]) -> None:
    """Serve the page until Ctrl-C; HostError, with the command that mends it, if its libraries are missing."""
    _need_libraries()
    lab = None if args.replay else store.choose(args.lab)
    if lab:
        chosen.elevate(args, lab)
    from netlab.web import doors, listening

    with listening.bind(args.host or _LOOPBACK, args.port) as bound:
        view = _view(args, lab)
        keys = doors.Keys.new(may_change=lab is not None)

        def tell() -> None:
            for what, address in listening.addresses(bound, keys).items():
                print(f"{address}  {what}", flush=True)
            if args.host:
                say("netlab: whoever gets hold of an address can use it, and it is sent unencrypted")
            say(f"netlab: {view.record.lab} in a browser, until Ctrl-C")

        os.environ.setdefault("NICEGUI_STORAGE_PATH", os.devnull)  # no page keeps anything
        from netlab.web import server

        with suppress(KeyboardInterrupt):
            signal.signal(signal.SIGTERM, signal.default_int_handler)
            server.serve(view, bound, keys, args.host or _LOOPBACK, tell)


def _need_libraries() -> None:
    import importlib.util

    missing = [name for name in _NEEDS if not importlib.util.find_spec(name)]
    if missing:
        raise HostError(
            f"netlab web needs {' and '.join(missing)}, which a plain installation lacks:"
            f" {sys.executable} -m pip install 'netns-lab[web]'"
        )


def _view(args: typed.Web, lab: str | None) -> "View":
    from netlab.web import saved, view

    if lab:
        return view.of_lab(lab)
    record = None
    with suppress(NetlabError):  # a file of lines says nothing of links; the lab may be up
        record = store.read(store.choose(args.lab))
    return view.of_saved(saved.read(args.replay), record)
