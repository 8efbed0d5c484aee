"""Reads files that somebody else may have changed: only regular ones, so that no pipe in their place makes us wait."""

import errno
import json
import os
import stat
from typing import Any, BinaryIO


def opened(path: str) -> BinaryIO:
    """Open a regular file, or what a symlink to one leads to; OSError for anything else, at once."""
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    mode = os.fstat(fd).st_mode
    if not stat.S_ISREG(mode):
        os.close(fd)
        what = "a directory" if stat.S_ISDIR(mode) else "a device, pipe or socket"
        raise OSError(errno.EINVAL, f"it is {what}, no regular file", path)
    return open(fd, "rb")


def read(path: str) -> bytes:
    """Return what is in a regular file; raises OSError."""
    with opened(path) as file:
        return file.read()


def load(path: str) -> Any:
    """Return the JSON in a regular file; raises OSError, and ValueError where it is none."""
    try:
        return json.loads(read(path))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
