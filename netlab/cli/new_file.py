"""A file that a verb makes for whoever has called it."""

import os

from netlab.errors import UsageError
from netlab.kernel import umask


def descriptor(path: str, option: str) -> int:
    """Make a file that belongs to whoever has called sudo, and return its descriptor.

    UsageError, with the option that names it, if there is one of this name, or it cannot be made.
    """
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise UsageError(f"{option} {path}: expected the name of a new file, and there is one already") from None
    except OSError as error:
        raise UsageError(f"{option} {path}: expected a file that can be made: {error.strerror}") from None
    os.fchmod(fd, 0o666 & ~umask.callers())
    user, group = os.environ.get("SUDO_UID", ""), os.environ.get("SUDO_GID", "")
    if os.geteuid() == 0 and user.isdigit() and group.isdigit():
        os.fchown(fd, int(user), int(group))
    return fd
