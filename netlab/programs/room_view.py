"""What a room shows: the files that may be seen where programs that nobody trusts are compiled, and nothing else.

They are the files below the topology's folder, netlab's headers, the system's headers, and the compilers with their
libraries. Each is where it is on the host, so that messages name the author's files. What is the author's is copied: so
it cannot change meanwhile, the room's user may read it, and a link leads nowhere but into the room.
"""

import glob
import os
import stat
from collections.abc import Iterable
from contextlib import suppress

from netlab import assets, paths
from netlab.errors import HostError, NetlabError
from netlab.kernel import files, syscalls
from netlab.named_tuple import NamedTuple
from netlab.programs import kernel_header
from netlab.programs.build import Refused
from netlab.programs.loader import Job, Order
from netlab.record import form, store
from netlab.topology import program_text

MOST_FILES, MOST_BYTES, _DEEPEST = 4096, 64 << 20, 32
_SIZE = "size=512m,nr_inodes=64k,mode=0755"
_FIXED = syscalls.MS_BIND | syscalls.MS_RDONLY | syscalls.MS_REMOUNT | syscalls.MS_NOSUID
_SYSTEM = ("/usr/include", "/usr/lib64", "/lib64", "/usr/lib/llvm*", "/usr/lib/gcc", "/usr/lib/clang")
_CPUS = ("/sys/devices/system/cpu/possible", "/sys/devices/system/cpu/online")
_KERNELS_TYPES = "/sys/kernel/btf/vmlinux"
_WRITABLE = 0o700
_AS_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_AS_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class View(NamedTuple):
    """Folders of a room: its root on the host, until it is entered, and what the author may name there."""

    root: str
    folders: tuple[str, ...]
    work: str


def make(order: Order, user: int, shared: str, compiler: str) -> View:
    """Make the room's files in a new file system on the job's work folder, which only this process sees.

    `user` is the number of the user who will work there, `shared` the folder with pins of the node, `compiler` the path
    of clang, "" for none. Raises OSError, and Refused for a folder that is too large.
    """
    job = order.job
    root = job.work_folder
    pins = syscalls.clone_mounts(shared)
    kernels = _kernels_types(job)
    syscalls.mount("netlab-room", root, "tmpfs", syscalls.MS_NOSUID | syscalls.MS_NODEV, _SIZE)
    _show(root, _system(), compiler)
    own = assets.folder("bpf")
    copy = _Copy(root)
    copy.tree(own)
    folder = job.folder or os.path.dirname(job.path)
    copy.tree(folder)
    for path in _CPUS:
        with suppress(FileNotFoundError):
            _write(root + path, files.read(path))
    _write_record(root, job)
    for place in (job.work_folder, "/tmp", order.here):  # noqa: S108 - the room's own
        os.makedirs(root + place, exist_ok=True)
    for place in (job.work_folder, "/tmp"):  # noqa: S108
        os.chown(root + place, user, user)
        os.chmod(root + place, _WRITABLE)
    for path, header in kernels.items():
        _write(root + path, header)
    os.makedirs(root + shared, exist_ok=True)
    syscalls.place_mounts(pins, root + shared)
    os.close(pins)
    return View(root, (folder, own), job.work_folder)


def _kernels_types(job: Job) -> dict[str, bytes]:
    """Return `vmlinux.h` by its place in the room, if the program seems to need it; it is made if need be."""
    if not _may_need_types(job):
        return {}
    try:
        folder = kernel_header.folder(job.work_folder)
    except HostError:
        return {}  # the program is told so, if it includes it
    place = os.path.join(job.work_folder, os.path.basename(folder), kernel_header.NAME)
    return {place: files.read(os.path.join(folder, kernel_header.NAME))}


def _may_need_types(job: Job) -> bool:
    with suppress(OSError):
        return program_text.KERNEL_TYPES.encode() in files.read(job.path, program_text.MAX_BYTES)
    return False


def _system() -> list[str]:
    machine = os.uname().machine
    places = (*_SYSTEM, f"/usr/lib/{machine}-linux-gnu")
    python = (os.path.dirname(os.__file__), paths.PACKAGE)  # modules that are imported late
    return [path for place in (*places, *python) for path in glob.glob(place) if os.path.isdir(path)]


def _show(root: str, places: Iterable[str], compiler: str) -> None:
    """Show what is the system's, read-only, and the links by which its libraries are found."""
    for link in ("/lib", "/lib64", "/bin"):
        if os.path.islink(link):
            os.symlink(os.readlink(link), root + link)
    for place in places:
        if not os.path.islink(place):
            os.makedirs(root + place, exist_ok=True)
            _bind(place, root + place)
    for path in filter(None, ("/dev/null", _KERNELS_TYPES, os.path.realpath(compiler) if compiler else "")):
        if os.path.exists(path) and not os.path.exists(root + path):
            _write(root + path, b"")
            _bind(path, root + path, device=path.startswith("/dev/"))
    if compiler:
        # In the room /bin is the host's link, which leads nowhere yet.
        folder = root + os.path.realpath(os.path.dirname(compiler))
        os.makedirs(folder, exist_ok=True)
        if not os.path.lexists(place := f"{folder}/{os.path.basename(compiler)}"):
            os.symlink(os.path.realpath(compiler), place)


def _bind(source: str, target: str, *, device: bool = False) -> None:
    syscalls.mount(source, target, "", syscalls.MS_BIND)
    syscalls.mount("", target, "", _FIXED | (0 if device else syscalls.MS_NODEV))


def _write(path: str, text: bytes) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(text)


def _write_record(root: str, job: Job) -> None:
    """Write what a program may know of its lab: nodes, their interfaces and addresses. Nothing if there is no lab."""
    try:
        record = store.read(job.lab)
    except NetlabError:
        return
    nodes = {
        name: node._replace(
            programs=(),
            processes=(),
            env={},
            image="",
            capabilities=(),
            routes=(),
            sysctls={},
            maps={},
            files=(),
            private=(),
            setup=(),
        )
        for name, node in record.nodes.items()
    }
    import json

    shown = record._replace(topology="", nodes=nodes, description="", avoided=(), faults=(), checks=())
    folder = root + paths.folder_of(job.lab)
    _write(f"{folder}/{paths.RECORD}", json.dumps(form.plain(shown)).encode())
    _write(f"{folder}/{paths.ENVIRONMENT}", b"{}")


class _Copy:
    """Copies folders into a room, up to a size."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._files = self._bytes = 0

    def tree(self, folder: str) -> None:
        """Copy a folder and all below it to the same place in the room, unless it is there already."""
        if os.path.lexists(self._root + folder):
            return
        os.makedirs(self._root + folder)
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self._folder(fd, folder, _DEEPEST)
        finally:
            os.close(fd)

    def _folder(self, fd: int, path: str, depth: int) -> None:
        for name in sorted(os.listdir(fd)):
            self._files += 1
            if self._files > MOST_FILES or self._bytes > MOST_BYTES:
                most = f"more than {MOST_FILES:,} files, or {MOST_BYTES >> 20} MB"
                raise Refused("plain", f"is in a folder with {most}: what nobody trusts needs a folder of its own")
            with suppress(FileNotFoundError, NotADirectoryError):  # changed meanwhile
                self._one(fd, name, f"{path}/{name}", depth)

    def _one(self, fd: int, name: str, path: str, depth: int) -> None:
        mode = os.stat(name, dir_fd=fd, follow_symlinks=False).st_mode
        target = self._root + path
        if stat.S_ISLNK(mode):
            os.symlink(os.readlink(name, dir_fd=fd), target)
        elif stat.S_ISDIR(mode):
            self._below(fd, name, path, depth)
        elif stat.S_ISREG(mode):
            self._file(fd, name, target)
        else:
            os.mkfifo(target, 0)  # to be named for what it is; nobody can open it

    def _below(self, fd: int, name: str, path: str, depth: int) -> None:
        if depth and not name.startswith("."):
            os.mkdir(self._root + path)
            below = os.open(name, _AS_FOLDER, dir_fd=fd)
            try:
                self._folder(below, path, depth - 1)
            finally:
                os.close(below)

    def _file(self, fd: int, name: str, target: str) -> None:
        """Copy a file; one that is too long to be a header becomes as long, and is empty."""
        with open(os.open(name, _AS_FILE, dir_fd=fd), "rb") as source, open(target, "wb") as made:
            text = source.read(program_text.MAX_BYTES + 1)
            if len(text) > program_text.MAX_BYTES:
                made.truncate(len(text))
            else:
                made.write(text)
                self._bytes += len(text)
