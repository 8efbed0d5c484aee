"""Where a node's own files are mounted: as few places as possible, chosen by what the host has. Makes nothing.

A file cannot be mounted where the host has none, and the host is not touched. So the folder of a file becomes a
*place*: an overlay with the host's folder below and the node's own above it. If the host lacks this folder, the place
is the nearest one above it that it has. A folder of a node's own is a place, too. An empty one needs no overlay.
"""

import os
from collections.abc import Iterable, Iterator

from netlab.errors import NetlabError
from netlab.named_tuple import NamedTuple
from netlab.topology.model import OwnFiles, OwnFolder
from netlab.topology.validate.own_files import place_problem


class Location(NamedTuple):
    """A path as the host has it: the nearest folder that exists, without links, and the names below it."""

    base: str
    rest: tuple[str, ...]

    @property
    def path(self) -> str:
        """The whole path."""
        return os.path.join(self.base, *self.rest)


class MountPoint(NamedTuple):
    """A folder that is mounted in a node; with `keeps` over the host's."""

    path: str
    keeps: bool


class Layout(NamedTuple):
    """The places of a node, those above before those below, and in which of them its folders and files are."""

    places: tuple[MountPoint, ...]
    folders: tuple[tuple[MountPoint, str, OwnFolder], ...]  # with the path in the place, "" for the place itself
    files: tuple[
        tuple[MountPoint, str, int], ...
    ]  # with their numbers, as nodes that differ only in contents share this
    etc: frozenset[str]  # of the names in /etc, those of its own
    below: tuple[tuple[str, MountPoint], ...] = ()  # the host's mounts that are to be seen in places

    def beside(self, mounts: Iterable[str], folder: str) -> "Layout":
        """Return this with what is below its places: of these mounts, those in places that show what the host has.

        The lab's folder is to be seen everywhere. What is mounted below another of these mounts goes with it; it comes
        after it.
        """
        found: list[tuple[str, MountPoint]] = []
        for path in mounts:
            place = self.holder(path)
            inside = bool(found) and path.startswith(f"{found[-1][0]}/")
            if place and place.path != path and not inside and (place.keeps or path == folder):
                found.append((path, place))
        return self._replace(below=tuple(found))

    def holder(self, path: str) -> MountPoint | None:
        """Return the innermost place that a path is in."""
        return _holder(self.places, path)


def lay_out(own: OwnFiles) -> Layout:
    """Return where a node's own files are mounted on this host; NetlabError if they cannot be mounted."""
    places: dict[str, MountPoint] = {}
    folders: list[tuple[MountPoint, str, OwnFolder]] = []
    files: list[tuple[MountPoint, str, int]] = []
    wanted = [(_located(each.path), 0, number) for number, each in enumerate(own.folders)]
    wanted += [(_file_located(each.path), 1, number) for number, each in enumerate(own.files)]
    for where, is_file, number in sorted(wanted):
        holder = _holder(places.values(), where.path)
        if holder is None:
            whole = not is_file and not where.rest  # the folder itself can be the place
            holder = MountPoint(where.base, not whole or own.folders[number].keeps)
            places[where.base] = holder
        if is_file:
            files.append((holder, _inside(holder, where.path), number))
            continue
        folder = own.folders[number]
        has_it = not where.rest
        if has_it and holder.path != where.path and holder.keeps != folder.keeps:
            places[where.path] = MountPoint(where.path, folder.keeps)
            if not holder.keeps:
                folders.append((holder, _inside(holder, where.path), OwnFolder(folder.path)))
            holder = places[where.path]
        folders.append((holder, _inside(holder, where.path), folder))
    names = {where.path for where, is_file, _ in wanted if is_file}
    etc = frozenset(os.path.basename(path) for path in names if os.path.dirname(path) == "/etc")
    return Layout(tuple(sorted(places.values())), tuple(folders), tuple(files), etc)


def parents(relative: str) -> Iterator[str]:
    """Yield the folders above a relative path, the outermost first."""
    parts = relative.split("/")[:-1]
    return ("/".join(parts[: number + 1]) for number in range(len(parts)))


def _holder(places: Iterable[MountPoint], path: str) -> MountPoint | None:
    around = [each for each in places if path == each.path or path.startswith(f"{each.path}/")]
    return max(around, key=lambda each: len(each.path), default=None)


def _inside(place: MountPoint, path: str) -> str:
    return os.path.relpath(path, place.path) if path != place.path else ""


def _file_located(path: str) -> Location:
    above, name = os.path.split(path)
    found = _located(above)
    if os.path.isdir(os.path.join(found.path, name)):
        raise NetlabError(f"files: expected a file at {path}, found a folder there on this host")
    return Location(found.base, (*found.rest, name))


def _located(path: str) -> Location:
    """Return where a folder is, or would be; links of the host are followed, and lead to no place that all share."""
    rest: tuple[str, ...] = ()
    while not os.path.isdir(path):
        if os.path.lexists(path):
            raise NetlabError(f"expected a folder at {path}, found something else there on this host")
        path, name = os.path.split(path)
        rest = (name, *rest)
    base = os.path.realpath(path)
    if base == "/":
        raise NetlabError(f"/{'/'.join(rest)}: expected a path in a folder right below / of this host, found none")
    if wrong := place_problem(os.path.join(base, *rest)):
        raise NetlabError(f"{path}: expected {wrong}, found a link to {base} on this host")
    return Location(base, rest)
