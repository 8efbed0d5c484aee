"""The streams that netlab was started with, what it says to a person on stderr, and the one palette of colours.

stdout is for data. Colours are for a terminal that has them, and a person who wants them: TERM=dumb and NO_COLOR
(https://no-color.org) take them away from every verb.
"""

import io
import os
import sys

# By what they mean. Who speaks is in none of the colours of good, bad and doubtful.
GOOD, BAD, DOUBTFUL, KERNEL = "32", "31", "33", "33"
NODES = ("36", "34", "35", "96", "94", "95")


def is_painted() -> bool:
    """Say whether stdout is a terminal that shows colours, and nobody has said that there should be none."""
    return sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb" and not os.environ.get("NO_COLOR")


class Painted:
    """Marks texts by what they mean, as observe.painter has it, in colours."""

    def node(self, text: str, number: int) -> str:
        """Return it in the colour of a node."""
        return self._paint(text, NODES[number % len(NODES)])

    def kernel(self, text: str) -> str:
        """Return it in the colour of programs."""
        return self._paint(text, KERNEL)

    def good(self, text: str) -> str:
        """Return it in the colour of what is as it should be."""
        return self._paint(text, GOOD)

    def bad(self, text: str) -> str:
        """Return it in the colour of what is not."""
        return self._paint(text, BAD)

    def doubtful(self, text: str) -> str:
        """Return it in the colour of what may become either."""
        return self._paint(text, DOUBTFUL)

    def _paint(self, text: str, colour: str) -> str:
        return f"\x1b[{colour}m{text}\x1b[0m" if text and is_painted() else text


def say(text: str) -> None:
    """Tell the person something. Where nobody can be told, the work goes on all the same."""
    try:
        print(text, file=sys.stderr, flush=True)
    except OSError:  # a full disk, or a pipe that nobody reads
        os.dup2(os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC), sys.stderr.fileno())


def have_streams() -> None:
    """Have stdin, stdout and stderr, also where whoever started us has closed them: nothing else is to be opened there.

    Or a person's words would go into the first file that is opened, and what `print` has no stream for to stdout.
    """
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:  # the lowest that is free
        pass
    os.close(number)
    if sys.stdout is None:
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # ✓ in an encoding that lacks it is no reason to fail
            stream.reconfigure(errors="replace")
