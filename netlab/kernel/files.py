"""Files and folders of netlab's own: made with exactly the given mode, and never through a link.

netlab runs as root on machines that others use, too. What it makes does not depend on the caller's umask, and is in
folders where nobody else can replace it.

Others can change their own files. So these are read only if they are regular files: a pipe would make netlab wait.
"""

import errno
import json
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, BinaryIO

from netlab.errors import HostError, UsageError
from netlab.kernel import enclosing

FOR_ALL, FOR_GROUP, FOR_OWNER = 0o755, 0o750, 0o700  # folders
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
_AS_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_AS_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def make_folder(path: str, mode: int) -> None:
    """Make a folder with this mode; raises OSError, FileExistsError if anything has that name already.

    HostError when the folder that is there afterwards is not the one that was made.
    """
    os.mkdir(path, mode)
    fd = _folder(path)
    try:
        found = stat.S_IMODE(os.fstat(fd).st_mode)
        wanted = mode | found & stat.S_ISGID  # the folder above gives it this bit
        if found != wanted:  # because of the umask
            os.fchmod(fd, wanted)
    finally:
        os.close(fd)


def ensure_folder(path: str, mode: int) -> None:
    """Make a folder with this mode, and those above it, unless it exists.

    Raises OSError, and HostError when a folder of that name exists and others can write to it.
    """
    try:
        make_folder(path, mode)
    except FileExistsError:
        os.close(_folder(path))
    except FileNotFoundError:
        ensure_folder(os.path.dirname(path), mode)
        with suppress(FileExistsError):
            make_folder(path, mode)


def problem(about: os.stat_result, friend: int = 0) -> str:
    """Return why somebody besides root, this user and a friend could change a file or folder: "" if nobody could.

    A group with the friend's number is the friend's own, as Debian gives each user one.
    """
    return _owner_problem(about, friend) or _mode_problem(about, friend)


def problem_around(path: str, friend: int = 0) -> str:
    """Return why others could put something else in the place of an absolute path: "" if they could not.

    They could if a folder above it is theirs, or a link on the way is. In a folder like /tmp they can only add files.
    """
    for place in (*_above(path), *_above(os.path.realpath(path))):
        with suppress(FileNotFoundError):
            about = os.lstat(place)
            keeps = about.st_mode & stat.S_ISVTX or stat.S_ISLNK(about.st_mode)
            if wrong := _owner_problem(about, friend, place) or ("" if keeps else _mode_problem(about, friend, place)):
                return wrong
    return ""


def _above(path: str) -> Iterator[str]:
    while path != (path := os.path.dirname(path)):
        yield path


def _owner_problem(about: os.stat_result, friend: int, name: str = "it") -> str:
    return f"{name} belongs to user {about.st_uid}" if about.st_uid not in (0, os.geteuid(), friend) else ""


def _mode_problem(about: os.stat_result, friend: int, name: str = "it") -> str:
    others = stat.S_IWOTH if about.st_gid == friend != 0 else _OTHERS_WRITE
    return f"others can write to {name} (mode {stat.S_IMODE(about.st_mode):o})" if about.st_mode & others else ""


def write(path: str, text: str | bytes, mode: int = 0o644) -> None:
    """Write a file with this mode, whole or not at all; it replaces whatever has its name. Raises OSError."""
    fresh = f"{path}.{os.getpid()}.new"
    with suppress(FileNotFoundError):
        os.unlink(fresh)  # left by a killed process of the same number
    fd = os.open(fresh, _AS_NEW, mode)
    try:
        with open(fd, "wb") as file:
            os.fchmod(fd, mode)
            file.write(text.encode() if isinstance(text, str) else text)
        os.rename(fresh, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(fresh)
        raise


def remove_halves(path: str) -> None:
    """Remove what killed processes have left that were to `write` this file; nobody may be writing it now."""
    folder, name = os.path.split(path)
    for left in names(folder):
        if left.startswith(f"{name}.") and left.endswith(".new"):
            remove(f"{folder}/{left}")


def remove(path: str) -> None:
    """Remove a file, if it is there; raises OSError for anything but its absence."""
    with suppress(FileNotFoundError, NotADirectoryError):
        os.unlink(path)


def overwrite(path: str, text: str | bytes) -> None:
    """Write a file anew in its place, for whoever has it mounted; raises OSError. A reader may see both halfway."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    with open(fd, "wb", buffering=0) as file:
        file.write(text.encode() if isinstance(text, str) else text)
        file.truncate()


def opened(path: str) -> BinaryIO:
    """Open a regular file, or the one that a symlink leads to; OSError for anything else, without waiting."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except PermissionError:
        _check_regular(os.stat(path).st_mode, path)
        raise
    return _regular(fd, path)


def _regular(fd: int, path: str) -> BinaryIO:
    try:
        _check_regular(os.fstat(fd).st_mode, path)
    except OSError:
        os.close(fd)
        raise
    return open(fd, "rb")


def _check_regular(mode: int, path: str) -> None:
    if not stat.S_ISREG(mode):
        what = "a directory" if stat.S_ISDIR(mode) else "a device, pipe or socket"
        raise OSError(errno.EINVAL, f"it is {what}, no regular file", path)


def read(path: str, most: int = -1) -> bytes:
    """Return the content of a regular file; raises OSError, also if it has more than `most` bytes (-1: any number)."""
    with opened(path) as file:
        return _content(file, path, most)


def read_below(folder: str, path: str, most: int) -> bytes:
    """Return the content of a regular file below a folder, as `read`; OSError (EXDEV) if a link leads out of it."""
    if not path.startswith(os.path.join(folder, "")):
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), path)
    at = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fd = enclosing.open_below(at, os.path.relpath(path, folder), os.O_RDONLY | os.O_NONBLOCK)
    finally:
        os.close(at)
    with _regular(fd, path) as file:
        return _content(file, path, most)


def _content(file: BinaryIO, path: str, most: int) -> bytes:
    data: bytes | None = file.read(most + 1 if most >= 0 else -1)
    if data is None:  # one of the kernel's that gives lines as they come
        raise OSError(errno.EAGAIN, "it has nothing to be read now", path)
    if 0 <= most < len(data):
        raise OSError(errno.EFBIG, f"it is longer than {most:,} bytes", path)
    return data


def names(folder: str) -> list[str]:
    """Return the names in a folder, sorted; none if there is no such folder, or if it was just removed."""
    try:
        return sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return []


def target(path: str) -> str:
    """Return the target of a symlink; "" for anything else, or if it was just removed."""
    try:
        return os.readlink(path)
    except OSError:
        return ""


def load(path: str) -> Any:
    """Return the JSON in a regular file; raises OSError, and ValueError if it is not JSON."""
    try:
        return json.loads(read(path))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def source(path: str) -> str:
    """Return the text of a program; UsageError if it cannot be read."""
    try:
        return read(path).decode(errors="replace")
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from None


def _folder(path: str) -> int:
    """Return a descriptor of a folder of netlab's own; HostError if it is a link, or if others could change it."""
    try:
        fd = os.open(path, _AS_FOLDER)
    except NotADirectoryError:
        raise HostError(f"{path} is no folder, but a link or a file: remove it, and try again") from None
    if wrong := problem(os.fstat(fd)):
        os.close(fd)
        raise HostError(
            f"{path} is not safe: {wrong}. Expected a folder of root's that nobody else can write to: look at what is "
            f"in it, remove what is not yours, then chown root {path}; chmod 755 {path}"
        )
    return fd
