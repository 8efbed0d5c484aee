"""The streams that netlab was started with, and what it says to a person on stderr: stdout is for data."""

import io
import os
import sys


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
