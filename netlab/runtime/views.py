"""Mount and UTS namespaces of nodes with files of their own; they need no process.

A node's mount namespace is a copy of a template: of the host's mounts before the lab's namespaces are mounted, as a
copy of a thousand such mounts takes 1.4 ms and 377 KB. It is held by a mount, as network namespaces are. The kernel
allows that only where no mount namespace would hold itself: in a mount that no other namespace gets copies of, and for
namespaces that are younger than the one they are mounted in.
"""

import errno
import os
import re
import socket
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from netlab import paths
from netlab.errors import HostError, NetlabError, refuse_lack
from netlab.kernel import files, syscalls
from netlab.record import mark
from netlab.runtime import own_folders
from netlab.runtime.view_layout import Layout, MountPoint, lay_out

if TYPE_CHECKING:
    from netlab.topology.model import OwnFiles

THREADS_FROM = 100  # nodes
_OWN_MOUNTS = "/proc/thread-self/ns/mnt"
_YOUNGER_AFTER = 1 << 13  # namespaces


class Views:
    """The views of one lab's nodes. Constructing it touches nothing."""

    def __init__(self, lab: str, folder: str) -> None:
        self._lab = lab
        self._folder = folder
        self._host = self._template = -1
        self._mounts: tuple[str, ...] = ()

    def open(self) -> None:
        """Take the template, before the lab has mounts of namespaces; `close` releases it. NetlabError if it fails."""
        folder = f"{self._folder}/{paths.SPACES}"
        try:
            files.ensure_folder(f"{self._folder}/{paths.OWN}", files.FOR_OWNER)
            is_new = not os.path.isdir(folder)
            files.ensure_folder(folder, files.FOR_ALL)
            if is_new or folder not in _mount_points():  # nodes that were made before have one
                syscalls.mount(folder, folder, "", syscalls.MS_BIND)
                syscalls.mount("", folder, "", syscalls.MS_PRIVATE)
            syscalls.in_threads(1, self._take, [None])
        except OSError as error:
            raise _failed("the lab's mounts", error) from error

    def close(self) -> None:
        """Release the template."""
        for descriptor in (self._host, self._template):
            if descriptor >= 0:
                os.close(descriptor)
        self._host = self._template = -1

    def make(self, own: "Mapping[str, OwnFiles]", netns_path: Callable[[str], str]) -> None:
        """Make the views of these nodes, whose network namespaces exist."""
        layouts: dict[object, Layout] = {}
        works = [(node, its, self._layout(layouts, node, its)) for node, its in own.items()]
        count = 2 if len(works) >= THREADS_FROM else 1
        syscalls.in_threads(count, lambda each: self._make_all(each, netns_path), works)

    def _layout(self, known: dict[object, Layout], node: str, own: "OwnFiles") -> Layout:
        """Return where a node's own files are; nodes with the same paths are laid out once."""
        key = (own.folders, tuple(each.path for each in own.files))
        try:
            if key not in known:
                known[key] = lay_out(own).beside(self._mounts, self._folder)
        except NetlabError as error:
            raise NetlabError(f"{node}: {error}") from None
        return known[key]

    def _take(self, _: Iterator[None]) -> None:
        """In a thread of its own: copy the host's mounts, which are the template from here on.

        The lab's files in /etc are in it. Other labs' mounts are not, as they may be many, nor is /sys, which shows the
        host's network. The names of namespaces are not, because `ip` complains of each that leads nowhere.
        """
        self._host = os.open(_OWN_MOUNTS, os.O_RDONLY | os.O_CLOEXEC)
        syscalls.unshare(syscalls.CLONE_NEWNS)
        syscalls.mount("", "/", "", syscalls.MS_REC | syscalls.MS_PRIVATE)
        others = (f"{paths.LABS}/{name}" for name in files.names(paths.LABS))
        for path in ("/sys", *(each for each in others if each != self._folder)):
            while os.path.ismount(path):
                syscalls.umount(path)
        if os.path.isdir(paths.RUN_NETNS):
            syscalls.mount(mark.mark(self._lab), paths.RUN_NETNS, "tmpfs", syscalls.MS_RDONLY, "size=4k,mode=755")
        self._mounts = tuple(_mount_points())
        for name in files.names(f"{self._folder}/{paths.ETC}"):
            if os.path.exists(f"/etc/{name}"):
                syscalls.mount(f"{self._folder}/{paths.ETC}/{name}", f"/etc/{name}", "", syscalls.MS_BIND)
        self._template = os.open(_OWN_MOUNTS, os.O_RDONLY | os.O_CLOEXEC)

    def _make_all(self, works: "Iterator[tuple[str, OwnFiles, Layout]]", netns_path: Callable[[str], str]) -> None:
        syscalls.unshare(syscalls.CLONE_FS)  # or this thread could not change its mounts
        for node, own, layout in works:
            folder = paths.own_files(self._folder, node)
            try:
                own_folders.write(folder, layout, own, own_folders.owner_here)
                own_folders.make_above_lab(folder, layout, self._folder)
                self._make(node, layout, netns_path(node))
            except NetlabError as error:
                raise NetlabError(f"{node}: {error}") from None
            except OSError as error:
                raise _failed(f"the files of node {node}", error) from error

    def _make(self, node: str, layout: Layout, netns: str) -> None:
        """Make and hold a node's namespaces, and then mount in them what is its own."""
        network = os.open(netns, os.O_RDONLY | os.O_CLOEXEC)
        try:
            syscalls.setns(network)
        finally:
            os.close(network)
        mounts = self._held(node)
        try:
            syscalls.setns(mounts, syscalls.CLONE_NEWNS)
            socket.sethostname(node)
            syscalls.mount("sysfs", "/sys", "sysfs")
            _Mounting(self._lab, self._folder, node, layout).do()
        finally:
            os.close(mounts)
            syscalls.setns(self._host, syscalls.CLONE_NEWNS)

    def _held(self, node: str) -> int:
        """Put this thread into new namespaces of mounts and host name, hold them, and return the one of mounts.

        Since Linux 6.18 each CPU has its own range of numbers for new namespaces, and a smaller number counts as older.
        In a container, a new one may so be refused as older than the one that this process is in.
        """
        ways = [paths.space(self._folder, node, kind) for kind in ("mnt", "uts")]
        for way in ways:
            os.close(os.open(way, os.O_RDONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o444))
        for attempt in range(2):
            mounts = self._copied()
            try:
                syscalls.mount(f"/proc/self/fd/{mounts}", ways[0], "", syscalls.MS_BIND)
                break
            except OSError as error:
                os.close(mounts)
                if error.errno != errno.EINVAL or attempt:
                    raise
                _grow_younger()
        syscalls.mount("/proc/thread-self/ns/uts", ways[1], "", syscalls.MS_BIND)
        return mounts

    def _copied(self) -> int:
        """Return a descriptor of a new copy of the template; this thread is on the host again."""
        syscalls.setns(self._template, syscalls.CLONE_NEWNS)
        try:
            syscalls.unshare(syscalls.CLONE_NEWNS | syscalls.CLONE_NEWUTS)
            return os.open(_OWN_MOUNTS, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            limits = "user.max_mnt_namespaces, user.max_uts_namespaces and fs.mount-max"
            raise HostError(f"this host allows no more namespaces or mounts: raise the sysctls {limits}") from error
        finally:
            syscalls.setns(self._host, syscalls.CLONE_NEWNS)


class _Mounting:
    """What is mounted in one node's view, by a thread that is in it."""

    def __init__(self, lab: str, folder: str, node: str, layout: Layout) -> None:
        self._lab = lab
        self._folder = folder
        self._own = paths.own_files(folder, node)
        self._layout = layout
        self._open: list[int] = []

    def do(self) -> None:
        """Mount every place, then, if one has hidden them, the lab's files in /etc that are not the node's own.

        What is mounted is opened before: places hide each other, and what is below them.
        """
        try:
            sources = [self._sources(place) for place in self._layout.places]
            below = [(*each, self._kept(syscalls.clone_mounts(each[0]))) for each in self._layout.below]
            shown = list(self._shown()) if self._layout.holder("/etc/hosts") else []
            for place, opened in zip(self._layout.places, sources, strict=True):
                self._mount(place, opened)
                for path, its, copy in below:
                    if its == place:
                        syscalls.place_mounts(copy, path)
            for name, source in shown:
                if os.path.exists(f"/etc/{name}"):
                    syscalls.mount(source, f"/etc/{name}", "", syscalls.MS_BIND)
        finally:
            for descriptor in self._open:
                os.close(descriptor)

    def _shown(self) -> Iterator[tuple[str, str]]:
        """Yield the lab's files for /etc that are not the node's own, opened."""
        etc = f"{self._folder}/{paths.ETC}"
        return ((name, self._opened(f"{etc}/{name}")) for name in files.names(etc) if name not in self._layout.etc)

    def _sources(self, place: MountPoint) -> tuple[str, ...]:
        content = own_folders.content_of(self._own, self._layout, place)
        if not place.keeps:
            return (self._opened(content),)
        work = os.path.join(os.path.dirname(content), own_folders.WORK)
        return self._opened(place.path), self._opened(content), self._opened(work)

    def _mount(self, place: MountPoint, sources: tuple[str, ...]) -> None:
        if not place.keeps:
            syscalls.mount(sources[0], place.path, "", syscalls.MS_BIND)
            return
        options = "lowerdir={},upperdir={},workdir={}".format(*sources)
        try:
            syscalls.mount(mark.mark(self._lab), place.path, "overlay", data=options)
        except OSError as error:
            if error.errno != errno.ENODEV:
                raise
            raise HostError("this kernel has no overlay file system, which files of a node's own need") from error

    def _opened(self, path: str) -> str:
        """Return a path by descriptor, which still means the same file if something is mounted over it later."""
        return f"/proc/thread-self/fd/{self._kept(os.open(path, os.O_PATH | os.O_CLOEXEC))}"

    def _kept(self, descriptor: int) -> int:
        self._open.append(descriptor)
        return descriptor


def _mount_points() -> Iterator[str]:
    """Yield where something is mounted, for this thread; what is below another of these, after that."""
    with open("/proc/thread-self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        points = {line.split()[4] for line in file}
    return iter(sorted(re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), each) for each in points))


def _grow_younger() -> None:
    """Use up this CPU's range of numbers for namespaces: those that come then are younger than all there are.

    This thread stays on the CPU.
    """
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    for _ in range(_YOUNGER_AFTER):
        syscalls.unshare(syscalls.CLONE_NEWUTS)


def _failed(what: str, error: OSError) -> NetlabError:
    refuse_lack(error, f"cannot make {what}")
    return NetlabError(f"cannot make {what}: {error}")
