"""Files and folders that are netlab's own: made with exactly the mode that is said, and never through a link.

netlab runs as root on machines that others use too. What it makes does not depend on the caller's umask, and stands
where nobody else can put something in its place.

Others' files, which they may change, are read only where they are regular ones, so that no pipe makes us wait.
"""

import errno
import json
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, BinaryIO

from netlab.errors import HostError, UsageError

FOR_ALL, FOR_GROUP, FOR_OWNER = 0o755, 0o750, 0o700  # folders
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
_AS_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_AS_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def make_folder(path: str, mode: int) -> None:
    """Make a folder with this mode; raises OSError, FileExistsError where anything has that name already.

    HostError when what stands there afterwards is not what was made.
    """
    os.mkdir(path, mode)
    fd = _folder(path)
    try:
        found = stat.S_IMODE(os.fstat(fd).st_mode)
        wanted = mode | found & stat.S_ISGID  # which it has from the folder around it
        if found != wanted:  # by the umask
            os.fchmod(fd, wanted)
    finally:
        os.close(fd)


def ensure_folder(path: str, mode: int) -> None:
    """Make a folder with this mode, and those around it, unless it is there.

    Raises OSError, and HostError when one of that name is there that others can write to.
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
    """Return why others than root, whoever we are, and a friend could change a file or folder: "" if they could not.

    A group of the friend's number is the friend's own, as Debian gives one to each user.
    """
    return _owner_problem(about, friend) or _mode_problem(about, friend)


def problem_around(path: str, friend: int = 0) -> str:
    """Return why others could put something else in the place of an absolute path: "" if they could not.

    They could where a folder around it is theirs, or a link on the way; in one like /tmp they can only add.
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


def write(path: str, text: str, mode: int = 0o644) -> None:
    """Write a file with this mode, whole or not at all; whatever had its name is replaced. Raises OSError."""
    fresh = f"{path}.{os.getpid()}.new"
    with suppress(FileNotFoundError):
        os.unlink(fresh)  # left by a process of the same number that was killed
    fd = os.open(fresh, _AS_NEW, mode)
    try:
        with open(fd, "w", encoding="utf-8") as file:
            os.fchmod(fd, mode)
            file.write(text)
        os.rename(fresh, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(fresh)
        raise


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


def names(folder: str) -> list[str]:
    """Return the names in a folder, sorted; none where there is no such folder, also when it has just been removed."""
    try:
        return sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return []


def target(path: str) -> str:
    """Return what a symlink says; "" for anything else, also for one that has just been removed."""
    try:
        return os.readlink(path)
    except OSError:
        return ""


def load(path: str) -> Any:
    """Return the JSON in a regular file; raises OSError, and ValueError where it is none."""
    try:
        return json.loads(read(path))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def source(path: str) -> str:
    """Return the text of a program; UsageError where there is none to be read."""
    try:
        return read(path).decode(errors="replace")
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from None


def _folder(path: str) -> int:
    """Return a descriptor of a folder of our own; HostError where it is a link, or others could change it."""
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
