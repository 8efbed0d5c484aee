"""Writes a node's own files into a folder of the lab, and nowhere else.

The folder is new, and only root can write to it. So no other user can put a link there that leads out of it.
"""

import os
import shutil
import stat
from collections.abc import Callable, Iterable
from functools import cache

from netlab import paths
from netlab.errors import NetlabError
from netlab.kernel import files
from netlab.named_tuple import NamedTuple
from netlab.runtime.view_layout import Layout, MountPoint, parents
from netlab.topology.model import OwnFiles

UPPER, WORK = "upper", "work"  # of a place that is an overlay; an empty one has neither
_FILE_MODE = 0o7777
Owner = Callable[[str], tuple[int, int]]


class _Attributes(NamedTuple):
    mode: int
    uid: int
    gid: int


_PLAIN = _Attributes(files.FOR_ALL, 0, 0)


def write(folder: str, layout: Layout, own: OwnFiles, owner: Owner) -> None:
    """Make the folder of a node's own files, with the content of every place; raises OSError, and errors of `owner`.

    `owner` returns user and group of an owner's name. Folders that the host has, too, look like the host's.
    """
    os.makedirs(folder, files.FOR_ALL)
    for place in layout.places:
        content = content_of(folder, layout, place)
        if place.keeps:
            os.mkdir(os.path.dirname(content), files.FOR_OWNER)
            os.mkdir(os.path.join(os.path.dirname(content), WORK), files.FOR_OWNER)
        _make(content, _as_on_host(place.path))
    for place, inside, private in layout.folders:
        content = content_of(folder, layout, place)
        _make_above(content, place, inside)
        there = _as_on_host(os.path.join(place.path, inside) if inside else place.path)
        uid, gid = owner(private.owner) if private.owner else (there.uid, there.gid)
        _make(os.path.join(content, inside), _Attributes(private.mode or there.mode, uid, gid))
    for place, inside, number in layout.files:
        content, file = content_of(folder, layout, place), own.files[number]
        _make_above(content, place, inside)
        _write(os.path.join(content, inside), file.content, file.mode, owner(file.owner) if file.owner else (0, 0))


def remove(lab_folder: str, nodes: Iterable[str]) -> None:
    """Remove what these nodes have for themselves, as far as it is there."""
    for node in nodes:
        shutil.rmtree(paths.own_files(lab_folder, node), ignore_errors=True)


def content_of(folder: str, layout: Layout, place: MountPoint) -> str:
    """Return the folder with a node's own files for a place."""
    own = os.path.join(folder, str(layout.places.index(place)))
    return os.path.join(own, UPPER) if place.keeps else own


def make_above_lab(folder: str, layout: Layout, lab_folder: str) -> None:
    """Make a mount point for the lab's own folder, if an empty place hides it."""
    place = layout.holder(lab_folder)
    if place and not place.keeps:
        os.makedirs(os.path.join(content_of(folder, layout, place), os.path.relpath(lab_folder, place.path)))


def _make_above(content: str, place: MountPoint, inside: str) -> None:
    """Make the folders above something in a place; those that the host has, too, are as there."""
    for above in parents(inside):
        if not os.path.isdir(os.path.join(content, above)):
            _make(os.path.join(content, above), _as_on_host(os.path.join(place.path, above)) if place.keeps else _PLAIN)


def _as_on_host(path: str) -> _Attributes:
    try:
        about = os.stat(path)
    except OSError:
        return _PLAIN
    return _Attributes(stat.S_IMODE(about.st_mode), about.st_uid, about.st_gid)


def _make(path: str, wanted: _Attributes) -> None:
    """Make a folder, or change one that was made, so that it has these attributes."""
    if not os.path.isdir(path):
        os.mkdir(path)
    os.chown(path, wanted.uid, wanted.gid)
    os.chmod(path, wanted.mode)


def _write(path: str, content: bytes, mode: int, owner: tuple[int, int]) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with open(fd, "wb") as file:
        file.write(content)
        os.fchown(fd, *owner)
        os.fchmod(fd, mode & _FILE_MODE)


@cache
def owner_here(name: str) -> tuple[int, int]:
    """Return user and group of an owner USER or USER:GROUP, by name or number; NetlabError if the host lacks one.

    Without a group, it is the user's own.
    """
    import grp
    import pwd

    user, _, group = name.partition(":")
    try:
        uid = int(user) if user.isdigit() else pwd.getpwnam(user).pw_uid
        if group:
            return uid, int(group) if group.isdigit() else grp.getgrnam(group).gr_gid
        return uid, uid if user.isdigit() else pwd.getpwnam(user).pw_gid
    except KeyError:
        raise NetlabError(f"owner {name}: this host has no such user or group") from None
