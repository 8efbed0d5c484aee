"""Copies the folder of an untrusted topology, which is all that its nodes see of this host's files besides programs.

A copy shows what there was at `up`, whoever changes the folder then. It can be read by a node's user, whatever the
modes are, and holds nothing but plain files: a pipe, a device or a link leads nowhere in it.
"""

import os
import pwd
import stat

from netlab.errors import UsageError
from netlab.kernel import files
from netlab.words import count

MAX_BYTES, MAX_ENTRIES = 64 << 20, 10_000
_PIECE = 1 << 20
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def problem(folder: str) -> str:
    """Return why the folder of an untrusted topology cannot be shown to it, "" if it can."""
    real = os.path.realpath(folder)
    if real.count("/") < len(("", "tmp", "mine")) - 1 or real in {each.pw_dir for each in pwd.getpwall()}:
        return f"it is right in {folder}: its nodes see its folder, so put it in one that has nothing else"
    return ""


def copy(folder: str, target: str) -> None:
    """Copy a folder into an empty one; what begins with a dot is left out. UsageError if it is too large; OSError."""
    room, entries = MAX_BYTES, 0
    for here, folders, names, descriptor in os.fwalk(folder, follow_symlinks=False):
        folders[:] = [name for name in folders if not name.startswith(".")]
        below = os.path.relpath(here, folder)
        for name in [*folders, *(each for each in names if not each.startswith("."))]:
            entries += 1
            room -= _copy(descriptor, name, os.path.join(target, below, name), room)
            if room < 0 or entries > MAX_ENTRIES:
                limit = f"{MAX_BYTES >> 20} MB, and {count(MAX_ENTRIES, 'file')}"
                raise UsageError(
                    f"{folder} has more than can be shown to an untrusted topology ({limit}): put it in a folder of its"
                    " own"
                )


def _copy(folder: int, name: str, target: str, room: int) -> int:
    """Copy a file, a link, or a folder without what is in it; return how many bytes that takes."""
    about = os.stat(name, dir_fd=folder, follow_symlinks=False)
    if stat.S_ISDIR(about.st_mode):
        files.make_folder(target, files.FOR_ALL)
    elif stat.S_ISLNK(about.st_mode):
        os.symlink(os.readlink(name, dir_fd=folder), target)
    elif stat.S_ISREG(about.st_mode):
        return _copy_file(os.open(name, _FILE, dir_fd=folder), target, room)
    return 0


def _copy_file(source: int, target: str, room: int) -> int:
    copied = 0
    with open(source, "rb") as read, open(target, "xb") as written:
        about = os.fstat(source)
        while stat.S_ISREG(about.st_mode) and copied <= room and (piece := read.read(_PIECE)):
            copied += written.write(piece)
        os.fchmod(written.fileno(), 0o755 if about.st_mode & 0o111 else 0o644)
    return copied
