"""What netlab says to a person, on stderr: stdout is for data."""

import os
import sys


def say(text: str) -> None:
    """Tell the person something. Where nobody can be told, the work goes on all the same."""
    try:
        print(text, file=sys.stderr, flush=True)
    except OSError:  # a full disk, or a pipe that nobody reads
        os.dup2(os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC), sys.stderr.fileno())
