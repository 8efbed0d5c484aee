"""Files and folders that are netlab's own: made with exactly the mode that is said, and never through a link.

netlab runs as root on machines that others use too. What it makes does not depend on the caller's umask, and stands
where nobody else can put something in its place.
"""

import os
import stat
from contextlib import suppress

from netlab.errors import HostError

FOR_ALL, FOR_GROUP, FOR_OWNER = 0o755, 0o750, 0o700  # folders
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
_AS_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_AS_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def make_folder(path: str, mode: int) -> None:
    """Make a folder with this mode; raises OSError, FileExistsError where anything has that name already.

    HostError when what stands there afterwards is not what was made.
    """
    os.mkdir(path, mode)
    fd = _opened(path)
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
        os.close(_opened(path))
    except FileNotFoundError:
        ensure_folder(os.path.dirname(path), mode)
        with suppress(FileExistsError):
            make_folder(path, mode)


def problem(about: os.stat_result) -> str:
    """Return why others than root, and whoever we are, could change a file or folder: "" if they could not."""
    if about.st_uid not in (0, os.geteuid()):
        return f"it belongs to user {about.st_uid}"
    return f"others can write to it (mode {stat.S_IMODE(about.st_mode):o})" if about.st_mode & _OTHERS_WRITE else ""


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


def _opened(path: str) -> int:
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
