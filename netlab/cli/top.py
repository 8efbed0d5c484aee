"""The verb `top`: a live view in the terminal, by Textual, which is an extra."""

import importlib.util
import sys

from netlab.cli import chosen, typed
from netlab.cli.console import is_interactive, say
from netlab.errors import HostError, UsageError
from netlab.record import store

_INTERVAL_S = 0.5
_NEEDS = "textual>=6,<9"  # as in pyproject.toml


def show(args: typed.Top) -> int:
    """Show a lab until the user leaves, or until it is down."""
    if not is_interactive():
        raise UsageError("top needs a terminal; netlab events, and stats --format json, are for programs and pipes")
    if importlib.util.find_spec("textual") is None:
        raise HostError(f"top needs Textual, which is not installed: {sys.executable} -m pip install '{_NEEDS}'")
    name = store.choose(args.lab)
    chosen.elevate(args, name)
    from netlab.observe.following import is_down
    from netlab.observe.top_screen import Reader, Top

    lab = store.read(name)
    reader = Reader(lab, _INTERVAL_S)
    try:
        screen = Top(lab, reader)
        screen.run()
    finally:
        reader.stop()
    if reader.error:
        raise reader.error
    if is_down(lab):
        say(f"netlab: {name} is down")
    return screen.return_code or 0
