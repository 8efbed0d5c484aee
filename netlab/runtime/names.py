"""The names by which `ip netns` finds a lab's nodes: symlinks into the lab's folder.

The target of a symlink shows whose it is, even after a crash at any point. Those in /etc also outlive a reboot. Each
runtime writes the targets in its own form, which shows what the nodes were.
"""

import os
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress

from netlab import paths
from netlab.errors import NetlabError
from netlab.kernel import files


class Names:
    """The symlinks of one lab in one runtime.

    `folder` is the lab's own, with its namespaces in netns/ and its files in etc/. `way` is a symlink in it that leads
    back to it; the targets go through it ("" for none). `hosts` are nodes that are the host itself: its namespace is
    held elsewhere, so that nobody takes it for one of the lab's.
    """

    def __init__(
        self, lab: str, folder: str, run_netns: str, etc_netns: str, way: str = "", hosts: Collection[str] = ()
    ) -> None:
        self.hosts = hosts
        self._lab = lab
        self._folder = folder
        self._home = os.path.join(folder, way).rstrip("/")
        self._way = way
        self._run_netns = run_netns
        self._etc_netns = etc_netns

    def make(self, nodes: Sequence[str]) -> None:
        """Make the names of these nodes, and the folder for their namespaces.

        Raises NetlabError, before anything is made, if something that is not this lab's has one of the names.
        """
        names = {paths.netns_name(self._lab, node): node for node in nodes}
        for folder in (self._run_netns, self._etc_netns):
            files.ensure_folder(folder, files.FOR_ALL)
            for taken in names.keys() & set(files.names(folder)):
                self._refuse_foreign(os.path.join(folder, taken))
        files.ensure_folder(f"{self._folder}/{paths.NETNS}", files.FOR_ALL)
        if self.hosts:
            files.ensure_folder(f"{self._folder}/{paths.OUTSIDE}", files.FOR_ALL)
        if self._way and not os.path.islink(self._home):
            os.symlink(".", self._home)
        for name, node in names.items():
            self._symlink(self.target(node), os.path.join(self._run_netns, name))
        self._symlink_alike(f"{self._home}/{paths.ETC}", [os.path.join(self._etc_netns, name) for name in names])

    def open_middle(self) -> None:
        """Make the middle of the lab's links if there is none: a namespace with names like those of nodes."""
        from netlab.kernel import syscalls

        there = _device(self.target(paths.MIDDLE))
        if there not in (_device(self._folder), None):
            return
        if there is not None:  # somebody was killed between the file and the mount
            _remove(self.target(paths.MIDDLE))
        for path, target in self._ends(paths.MIDDLE):
            self._symlink(target, path)

        syscalls.in_threads(1, self._hold_new, [paths.MIDDLE])

    def _hold_new(self, names: Iterable[str]) -> None:
        from netlab.kernel import syscalls

        for name in names:
            syscalls.unshare_net()
            self.hold(name, "/proc/thread-self/ns/net")

    def remove(self) -> list[str]:
        """Remove all of this runtime's symlinks that lead to the lab, and return their names.

        Their folders are removed with the last name in them.
        """
        removed: dict[str, None] = {}
        for folder in (self._run_netns, self._etc_netns):
            ours = self._ours(folder)
            for name in ours:
                _remove(os.path.join(folder, name))
            removed.update(dict.fromkeys(ours))
            if ours:
                with suppress(OSError):  # it contains others' names, or `ip netns` has mounted it
                    os.rmdir(folder)
        return list(removed)

    def remove_of(self, nodes: Sequence[str]) -> None:
        """Remove the names of these nodes, and release their namespaces; what is missing is left out."""
        for node in nodes:
            name, path = paths.netns_name(self._lab, node), self.target(node)
            for folder in (self._run_netns, self._etc_netns):
                if self._has(files.target(os.path.join(folder, name))):
                    _remove(os.path.join(folder, name))
            release(path)
        with suppress(OSError):  # there are others, or there was none
            os.rmdir(f"{self._folder}/{paths.OUTSIDE}")

    def there(self) -> bool:
        """Say whether there is any symlink of the lab in this runtime."""
        return bool(self._ours(self._run_netns) or self._ours(self._etc_netns))

    def target(self, node: str) -> str:
        """Return the path of the node's namespace, which is a mount in the lab's folder."""
        return f"{self._home}/{paths.OUTSIDE if node in self.hosts else paths.NETNS}/{node}"

    def hold_host(self, nodes: Collection[str]) -> None:
        """Mount the namespace of the calling thread as that of each of these nodes that is the host; raises OSError."""
        for node in self.hosts:
            if node in nodes:
                self.hold(node, "/proc/thread-self/ns/net")

    def hold(self, node: str, namespace: str) -> None:
        """Mount a node's namespace, given by its path in /proc, so that it stays without processes; raises OSError."""
        from netlab.kernel import syscalls

        path = self.target(node)
        os.close(os.open(path, os.O_RDONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o444))
        syscalls.mount(namespace, path, "", syscalls.MS_BIND)

    def lost(self, nodes: Sequence[str]) -> list[tuple[str, str]]:
        """Return what is gone of these nodes, as (node, in words): their namespaces, or their names."""
        device = _device(self._folder)
        found = []
        for node in nodes:
            if _device(self.target(node)) in (device, None):
                found.append((node, f"its namespace is gone: nothing is mounted at {self.target(node)}"))
            for path, target in self._ends(node):
                if files.target(path) != target:
                    there = os.path.lexists(path)
                    found.append((node, f"{path} {f'does not lead to {target} any more' if there else 'is gone'}"))
        return found

    def _ends(self, node: str) -> tuple[tuple[str, str], ...]:
        """Return the names of a node, each with what it leads to."""
        of_etc = f"{self._etc_netns}/{paths.netns_name(self._lab, node)}"
        return (self._path(node), self.target(node)), (of_etc, f"{self._home}/{paths.ETC}")

    def check(self, node: str) -> None:
        """Raise NetlabError if somebody has removed the node's name."""
        if not os.path.lexists(path := self._path(node)):
            raise NetlabError(f"somebody has removed {path}: netlab down and up make it anew")

    def _path(self, node: str) -> str:
        return os.path.join(self._run_netns, paths.netns_name(self._lab, node))

    def _symlink(self, target: str, path: str) -> None:
        try:
            os.symlink(target, path)
        except FileNotFoundError:  # a `down` may just have removed the empty folder
            files.ensure_folder(os.path.dirname(path), files.FOR_ALL)
            self._symlink(target, path)
        except FileExistsError:
            self._refuse_foreign(path)

    def _symlink_alike(self, target: str, paths: Sequence[str]) -> None:
        """Make symlinks to the same target as one file with many names, if the file system can do that.

        They are on a disk, where a thousand new files can take most of a second.
        """
        for path in paths:
            try:
                os.link(paths[0], path, follow_symlinks=False)
            except OSError:  # the first one; or EMLINK, EPERM, EEXIST …
                self._symlink(target, path)

    def _refuse_foreign(self, path: str) -> None:
        target = files.target(path)
        if self._has(target):
            return
        if target.startswith(f"{self._folder}/"):
            raise NetlabError(f"{path} is left of another lab {self._lab}: netlab down --lab {self._lab} removes it")
        raise NetlabError(f"{path} exists and is not lab {self._lab}'s: remove it, or give the lab another name")

    def _ours(self, folder: str) -> list[str]:
        return [name for name in files.names(folder) if self._has(files.target(os.path.join(folder, name)))]

    def _has(self, target: str) -> bool:
        return target == f"{self._home}/{paths.ETC}" or target.startswith(
            (f"{self._home}/{paths.NETNS}/", f"{self._home}/{paths.OUTSIDE}/")
        )


def release(path: str) -> None:
    """Take away the mount that holds a namespace, if it is there, in all mount namespaces that have a copy of it."""
    from netlab.kernel import syscalls

    while os.path.ismount(path):
        syscalls.umount(path)
    _remove(path)


def _device(path: str) -> int | None:
    try:
        return os.stat(path).st_dev
    except OSError:
        return None


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:  # another `down` of the same lab was faster
        pass
