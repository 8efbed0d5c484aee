"""The files in a container: those of this host that it sees, and its node's own.

A node's own files are copied into its container before it starts, so that a process can replace them as any others. Two
kinds are mounted instead, from the lab's folder: a folder that is empty whatever the image has there, and the files
that the engine mounts itself.
"""

import io
import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from netlab import paths
from netlab.errors import NetlabError
from netlab.kernel import files
from netlab.record.model import LabRecord
from netlab.runtime import engine
from netlab.runtime.base import home_of
from netlab.topology.model import OwnFile, OwnFiles, OwnFolder

if TYPE_CHECKING:
    import tarfile

_ENGINES = ("/etc/hosts", "/etc/resolv.conf", "/etc/hostname")
Owner = Callable[[str], tuple[int, int]]


def shared(record: LabRecord) -> list[str]:
    """Return what nodes with files of their own see of this host: netlab's modules, the lab's roles and its folder.

    A folder right below / is not shared: a container has its own /tmp, /etc and so on. A role there is shared as a
    file.
    """
    running = (process.argv for _, process in record.processes() if process.role)
    roles = [role for argv in running for role in argv[1:2]]
    folders = dict.fromkeys(role if _is_top(os.path.dirname(role)) else os.path.dirname(role) for role in roles)
    home = home_of(record)
    return [paths.PACKAGE, *folders, *(() if _is_top(home) else (home,))]


def _is_top(folder: str) -> bool:
    return os.path.dirname(folder) == "/"


class ContainerFiles:
    """The files of one node's container; `folder` is the lab's."""

    def __init__(self, record: LabRecord, folder: str, node: str, own: OwnFiles) -> None:
        self._record = record
        self._folder = folder
        self._own = own
        self._place = paths.own_files(folder, node)
        empty = [each for each in own.folders if not each.keeps]
        self._mounted: dict[str, OwnFolder | OwnFile] = {each.path: each for each in empty}
        self._mounted |= {each.path: each for each in own.files if each.path in _ENGINES}

    def mounts(self) -> list[dict[str, object]]:
        """Return the mounts of the container, after making the folders of the node's own that are mounted.

        What it sees of this host is read-only and at the same paths, so that lab.json's paths hold.
        """
        own = (paths.RECORD, paths.BASHRC, paths.BPF, paths.LAYOUTS)
        seen = [*shared(self._record), *(f"{self._folder}/{name}" for name in own)]
        pairs = {path: path for path in seen if os.path.exists(path)}
        etc = f"{self._folder}/{paths.ETC}"
        pairs.update({f"/etc/{name}": f"{etc}/{name}" for name in os.listdir(etc)})
        for path in self._mounted:
            pairs.pop(path, None)
        there = [_mount(target, source, read_only=True) for target, source in pairs.items()]
        return there + [_mount(path, self._made(path), read_only=False) for path in self._mounted]

    def give(self, client: Any, container: str) -> None:
        """Copy the node's own files into a container that has not started; NetlabError if its image lacks an owner."""
        if not any(self._own):
            return
        import tarfile  # imported here: a container without files of its own does not need it

        owner = _Owners(client, container).owner
        text = io.BytesIO()
        with tarfile.open(fileobj=text, mode="w") as archive:
            for folder in self._own.folders:
                self._give_folder(client, container, archive, folder, owner)
            for file in self._own.files:
                self._give_file(archive, file, owner)
        if not client.put_archive(container, "/", text.getvalue()):
            raise NetlabError("the Docker engine has not taken the node's own files")

    def _give_folder(
        self, client: Any, container: str, archive: "tarfile.TarFile", folder: OwnFolder, owner: Owner
    ) -> None:
        uid, gid = owner(folder.owner) if folder.owner else (0, 0)
        if source := self._source(folder.path):
            os.makedirs(source, files.FOR_ALL, exist_ok=True)
            os.chown(source, uid, gid)
            os.chmod(source, folder.mode or files.FOR_ALL)
        elif folder.mode or folder.owner or not engine.has(client, container, folder.path):
            archive.addfile(_entry(folder.path, folder.mode or files.FOR_ALL, uid, gid, is_folder=True))

    def _give_file(self, archive: "tarfile.TarFile", file: OwnFile, owner: Owner) -> None:
        uid, gid = owner(file.owner) if file.owner else (0, 0)
        if source := self._source(file.path):
            os.makedirs(os.path.dirname(source), files.FOR_ALL, exist_ok=True)
            with open(source, "wb") as there:
                there.write(file.content)
                os.fchown(there.fileno(), uid, gid)
                os.fchmod(there.fileno(), file.mode)
            return
        entry = _entry(file.path, file.mode, uid, gid)
        entry.size = len(file.content)
        archive.addfile(entry, io.BytesIO(file.content))

    def _made(self, path: str) -> str:
        """Make what is mounted at a path; the container has it from its start on."""
        source = f"{self._place}/{list(self._mounted).index(path)}"
        files.ensure_folder(f"{self._folder}/{paths.OWN}", files.FOR_OWNER)
        os.makedirs(self._place, files.FOR_ALL, exist_ok=True)
        if isinstance(self._mounted[path], OwnFile):
            files.write(source, b"")
        else:
            os.makedirs(source, files.FOR_ALL)
        return source

    def _source(self, path: str) -> str:
        """Return the path on this host of a path in one of the mounts; "" if it is in none."""
        around = [each for each in self._mounted if path == each or path.startswith(f"{each}/")]
        if not around:
            return ""
        nearest = max(around, key=len)
        return f"{self._place}/{list(self._mounted).index(nearest)}{path.removeprefix(nearest)}"


class _Owners:
    """Users and groups of a container's image, read when the first name is asked for."""

    def __init__(self, client: Any, container: str) -> None:
        self._client = client
        self._container = container
        self._known: dict[str, dict[str, list[str]]] = {}

    def owner(self, name: str) -> tuple[int, int]:
        """Return user and group of an owner USER or USER:GROUP; without a group, it is the user's own."""
        user, _, group = name.partition(":")
        try:
            uid, own = (int(user), int(user)) if user.isdigit() else self._numbers("/etc/passwd", user)
            if not group:
                return uid, own
            return uid, int(group) if group.isdigit() else self._numbers("/etc/group", group)[0]
        except (KeyError, ValueError):
            raise NetlabError(f"owner {name}: its image has no such user or group") from None

    def _numbers(self, path: str, name: str) -> tuple[int, int]:
        if path not in self._known:
            lines = (line.split(":") for line in engine.text_of(self._client, self._container, path).splitlines())
            self._known[path] = {words[0]: words[2:4] for words in lines}
        one, other, *_ = (*self._known[path][name], "0")
        return int(one), int(other) if other.isdigit() else 0


def gone(pid: int, own: list[str]) -> Iterator[str]:
    """Yield in words which of its node's own files a container has lost; without root nothing is seen."""
    for path in own:
        try:
            os.lstat(f"/proc/{pid}/root{path}")
        except (FileNotFoundError, NotADirectoryError):
            yield f"its own {path} is gone"
        except OSError:
            return


def _mount(target: str, source: str, read_only: bool) -> dict[str, object]:
    return {"Type": "bind", "Target": target, "Source": source, "ReadOnly": read_only}


def _entry(path: str, mode: int, uid: int, gid: int, *, is_folder: bool = False) -> "tarfile.TarInfo":
    import tarfile

    entry = tarfile.TarInfo(path.lstrip("/"))
    entry.type = tarfile.DIRTYPE if is_folder else tarfile.REGTYPE
    entry.mode, entry.uid, entry.gid = mode, uid, gid
    return entry
