"""Reads what others hand in, without following links or waiting for pipes, and up to a limit."""

import os
import stat
from collections.abc import Iterator, Sequence

from netlab.errors import UsageError
from netlab.kernel import files
from netlab.named_tuple import NamedTuple

MOST_FILES, MOST_BYTES, DEEPEST = 500, 32 << 20, 8


class Contents(NamedTuple):
    """What a folder has: its regular files, by their paths in it, and what was left out, with the reason."""

    files: dict[str, bytes]
    left_out: list[str]


def text(path: str) -> str:
    """Return the text of a file; UsageError if it cannot be read."""
    try:
        return files.read(path, MOST_BYTES).decode(errors="replace")
    except OSError as error:
        raise UsageError(f"{path}: expected a file that can be read, found: {error.strerror}") from None


def some(folder: str, names: Sequence[str]) -> dict[str, bytes]:
    """Return files and whole folders of a folder by their paths in it; UsageError for what cannot be read."""
    found: dict[str, bytes] = {}
    for name in names:
        path = os.path.normpath(os.path.join(folder, name))
        if not path.startswith(os.path.join(folder, "")):
            raise UsageError(f"files: {name}: expected a file or folder below {folder}")
        if os.path.isdir(path):
            inside = contents(path)
            found.update(
                {os.path.join(os.path.relpath(path, folder), each): data for each, data in inside.files.items()}
            )
        else:
            found[os.path.relpath(path, folder)] = text(path).encode(errors="replace")
    return found


def contents(folder: str) -> Contents:
    """Return all regular files below a folder; UsageError if they are too many, or too large."""
    found = Contents({}, [])
    left = MOST_BYTES
    for name, path, mode in _walk(folder, "", DEEPEST):
        if not stat.S_ISREG(mode):
            found.left_out.append(f"{name} ({_kind(path, mode)})")
            continue
        if len(found.files) >= MOST_FILES:
            raise UsageError(f"{folder}: expected at most {MOST_FILES} files")
        data = _read(path, left)
        left -= len(data)
        found.files[name] = data
    return found


def _walk(folder: str, below: str, depth: int) -> Iterator[tuple[str, str, int]]:
    """Yield name, path and mode of everything but folders; hidden files are nobody's submission."""
    for name in files.names(folder):
        path = f"{folder}/{name}"
        mode = os.lstat(path).st_mode
        if name.startswith("."):
            continue
        if stat.S_ISDIR(mode):
            if depth:
                yield from _walk(path, f"{below}{name}/", depth - 1)
        else:
            yield f"{below}{name}", path, mode


def _read(path: str, most: int) -> bytes:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(fd, "rb") as file:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise UsageError(f"{path}: expected a regular file; it has just been replaced")
            data = file.read(most + 1)
    except OSError as error:
        raise UsageError(f"{path}: expected a file that can be read, found: {error.strerror}") from None
    if len(data) > most:
        raise UsageError(f"{path}: expected at most {MOST_BYTES >> 20} MiB in all")
    return data


def _kind(path: str, mode: int) -> str:
    if stat.S_ISLNK(mode):
        return f"a link to {files.target(path)}"
    return "a pipe" if stat.S_ISFIFO(mode) else "a socket" if stat.S_ISSOCK(mode) else "a device"
