"""The streams that netlab was started with, messages to the user on stderr, and colours by `observe/palette`.

stdout is for data. Colours are used only on a terminal that has them. TERM=dumb and NO_COLOR (https://no-color.org)
switch them off for every verb.
"""

import io
import os
import shutil
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import ModuleType

    from netlab.observe.palette import Colour


def is_terminal() -> bool:
    """Say whether stdout is a terminal."""
    return sys.stdout.isatty()


def is_watched() -> bool:
    """Say whether stderr is a terminal, so that somebody may watch what goes on."""
    return sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb"


def is_interactive() -> bool:
    """Say whether stdin, stdout and stderr are a terminal, so that a screen can be drawn and keys be read."""
    return all(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr))


def is_painted() -> bool:
    """Say whether stdout is a terminal that shows colours, and colours are not switched off."""
    return is_terminal() and os.environ.get("TERM", "dumb") != "dumb" and not os.environ.get("NO_COLOR")


class Painted:
    """Marks texts with colours by their meaning: see observe.painter."""

    def node(self, text: str, number: int) -> str:
        """Return it in the colour of a node."""
        return _paint(text, _palette().node(number))

    def kernel(self, text: str) -> str:
        """Return it in the colour of programs."""
        return _paint(text, _palette().KERNEL)

    def good(self, text: str) -> str:
        """Return it in the colour of what is good."""
        return _paint(text, _palette().GOOD)

    def bad(self, text: str) -> str:
        """Return it in the colour of what is bad."""
        return _paint(text, _palette().BAD)

    def doubtful(self, text: str) -> str:
        """Return it in the colour of what may become good or bad."""
        return _paint(text, _palette().DOUBTFUL)

    def quiet(self, text: str) -> str:
        """Return it in the colour of what is beside the point."""
        return _paint(text, _palette().QUIET)


def _palette() -> "ModuleType":
    from netlab.observe import palette  # here, as verbs that show nothing need none

    return palette


def _paint(text: str, colour: "Colour") -> str:
    return f"\x1b[38;5;{colour.terminal}m{text}\x1b[0m" if text and is_painted() else text


class Loudness:
    """How much is told on stderr: errors always, messages unless `quiet`, what is done and why if `verbose`."""

    quiet = False
    verbose = False


def redraw(lines: Iterable[str]) -> None:
    """Show lines in place of all that the terminal shows, as far as they have room; without a terminal, below it."""
    if not is_terminal():
        print(*lines, "", sep="\n", flush=True)
        return
    shown = list(lines)
    room = shutil.get_terminal_size().lines - 1
    if len(shown) > room:
        shown[room - 1 :] = [f"… and {len(shown) - room + 1} more lines"]
    print("\x1b[H" + "".join(f"{line}\x1b[K\n" for line in shown) + "\x1b[J", end="", flush=True)


def say(text: str) -> None:
    """Tell the user something that is no error."""
    if not Loudness.quiet:
        complain(text)


def detail(text: str) -> None:
    """Tell the user who wants to know it what is done, and why."""
    if Loudness.verbose:
        complain(f"netlab: {text}")


def complain(text: str) -> None:
    """Tell the user of an error. If that is impossible, go on."""
    try:
        print(text, file=sys.stderr, flush=True)
    except OSError:  # a full disk, or a pipe that nobody reads
        os.dup2(os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC), sys.stderr.fileno())


def have_streams() -> None:
    """Make sure that stdin, stdout and stderr are open, so that nothing else is opened with their numbers.

    Otherwise messages would go into the first file that is opened, and `print` would have no stream.
    """
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:  # the lowest free number
        pass
    os.close(number)
    if sys.stdout is None:
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a ✓ that an encoding lacks must not be an error
            stream.reconfigure(errors="replace")
