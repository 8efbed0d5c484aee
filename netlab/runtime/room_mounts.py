"""What is seen in the room of an untrusted node: the system's programs, the topology's folder, and little of its own.

All that can be written is one tmpfs of a limited size, which is the node's. Everything else is read-only.
"""

import os
from base64 import b64decode
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from netlab.kernel import enclosing, syscalls
from netlab.kernel.syscalls import MS_BIND, MS_NODEV, MS_NOEXEC, MS_NOSUID, MS_PRIVATE, MS_RDONLY, MS_REC, MS_REMOUNT

_SYSTEM = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")  # links into /usr, or folders beside it
# Files and folders of the host's /etc that programs need, and that say nothing of its users.
_ETC = (
    *("alternatives", "ethertypes", "inputrc", "iproute2", "ld.so.cache", "localtime", "mime.types", "networks"),
    *("protocols", "rpc", "services", "ssl/certs", "terminfo"),
)
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_HIDDEN_FOLDERS = ("acpi", "asound", "bus", "driver", "fs", "irq", "scsi")  # of /proc
_HIDDEN_FILES = ("kallsyms", "kcore", "key-users", "keys", "latency_stats", "sched_debug", "timer_list")
WRITABLE = {"/tmp": 0o1777, "/var/tmp": 0o1777, "/dev/shm": 0o1777, "/run": 0o755, "/var/log": 0o755}  # noqa: S108
_LINKS = {
    "dev/fd": "/proc/self/fd",
    "dev/stdin": "/proc/self/fd/0",
    "dev/stdout": "/proc/self/fd/1",
    "dev/stderr": "/proc/self/fd/2",
    "dev/ptmx": "pts/ptmx",
    "var/run": "/run",
    "etc/mtab": "/proc/mounts",
}
_FILES = 10_000  # and folders, that a node may have
_NETWORK = ("class/net", "devices/virtual/net")  # of /sys


class Room:
    """The room of one node, made by a process that is in all of the node's namespaces and in no other's mounts.

    `job` has what all rooms of a lab share: `base`, an empty folder of this host; `system`, `shown`, the folders of
    this host that are seen, by their paths in the room; `etc`, the lab's own files for /etc. `node` has the rest.
    """

    def __init__(self, job: Mapping[str, Any], node: Mapping[str, Any]) -> None:
        self._job = job
        self._node = node
        self._base: str = job["base"]
        self._user: int = node["user"]

    def make(self) -> None:
        """Make the room, and let this process see nothing else from then on. Raises OSError, ValueError."""
        syscalls.mount("", "/", "", MS_REC | MS_PRIVATE)
        data = f"size={self._node['size']},nr_inodes={_FILES},mode=755"
        syscalls.mount(self._job["mark"], self._base, "tmpfs", MS_NOSUID, data)
        self._show_system()
        self._write_etc()
        self._give_devices()
        self._give_kernel()
        self._give_own()
        for path, source in self._job["shown"]:
            self._show(source, path)
        enclosing.enter_root(self._base)
        _remount("/", MS_RDONLY)

    def _at(self, path: str) -> str:
        return os.path.join(self._base, path.lstrip("/"))

    def _folder(self, path: str, mode: int = 0o755, user: int = 0) -> str:
        """Make a folder of the room, and those above it, and return where it is."""
        there = self._at(path)
        if not os.path.isdir(there):
            os.makedirs(there)
            os.chmod(there, mode)
            os.chown(there, user, user)
        return there

    def _show(self, source: str, path: str) -> None:
        """Show a folder or a file of this host, which cannot be changed there."""
        if os.path.isdir(source):
            target = self._folder(path)
        else:
            target = os.path.join(self._folder(os.path.dirname(path)), os.path.basename(path))
            if not os.path.exists(target):
                os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644))
        syscalls.mount(source, target, "", MS_BIND)
        _remount(target, MS_RDONLY | MS_NODEV)

    def _show_system(self) -> None:
        self._show("/usr", "/usr")
        for name in _SYSTEM:
            if os.path.islink(f"/{name}"):
                os.symlink(os.readlink(f"/{name}"), self._at(name))
            elif os.path.isdir(f"/{name}"):
                self._show(f"/{name}", f"/{name}")

    def _write_etc(self) -> None:
        user, label = self._user, self._node["label"]
        self._folder("/etc")
        for name in (each for each in _ETC if os.path.exists(f"/etc/{each}")):
            self._show(f"/etc/{name}", f"/etc/{name}")
        for name, text in {
            "passwd": f"root:x:0:0::/:/bin/sh\nlab:x:{user}:{user}::/tmp:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n",
            "group": f"root:x:0:\nlab:x:{user}:\nnogroup:x:65534:\n",
            "hostname": f"{label}\n",
            "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\nprotocols: files\nservices: files\n",
        }.items():
            with open(self._at(f"/etc/{name}"), "w", encoding="ascii") as file:
                file.write(text)
        own = {path for path, _, _ in self._node["files"]}
        for name in (each for each in os.listdir(self._job["etc"]) if f"/etc/{each}" not in own):
            self._show(f"{self._job['etc']}/{name}", f"/etc/{name}")

    def _give_devices(self) -> None:
        for name in _DEVICES:
            target = os.path.join(self._folder("/dev"), name)
            os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
            syscalls.mount(f"/dev/{name}", target, "", MS_BIND)
            _remount(target, MS_NOEXEC)
        terminals = self._folder("/dev/pts")
        syscalls.mount("devpts", terminals, "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=620")
        self._folder("/var")
        for path, target in _LINKS.items():
            os.symlink(target, self._at(path))

    def _give_kernel(self) -> None:
        """Mount /proc, which shows this PID namespace, and of /sys the interfaces of this network namespace."""
        flags = MS_NOSUID | MS_NODEV | MS_NOEXEC
        proc = self._folder("/proc", 0o555)
        syscalls.mount("proc", proc, "proc", flags)
        for name in _HIDDEN_FILES:
            if os.path.exists(f"{proc}/{name}"):
                syscalls.mount("/dev/null", f"{proc}/{name}", "", MS_BIND)
        for name in _HIDDEN_FOLDERS:
            if os.path.isdir(f"{proc}/{name}"):
                syscalls.mount("tmpfs", f"{proc}/{name}", "tmpfs", flags | MS_RDONLY, "size=4k,mode=555")
        whole = self._folder("/sys.whole")
        syscalls.mount("sysfs", whole, "sysfs", flags | MS_RDONLY)
        for name in _NETWORK:
            target = self._folder(f"/sys/{name}")
            syscalls.mount(f"{whole}/{name}", target, "", MS_BIND)
            _remount(target, flags | MS_RDONLY)
        syscalls.umount(whole)
        os.rmdir(whole)

    def _give_own(self) -> None:
        """Make what the node can write, and the files that the topology gives it, which it can only read."""
        for path, mode in WRITABLE.items():
            self._folder(path, mode, self._user)
        for path, mode in self._node["private"]:
            self._folder(path, mode or 0o755, self._user)
        for path, mode, content in self._node["files"]:
            target = os.path.join(self._folder(os.path.dirname(path)), os.path.basename(path))
            with suppress(FileNotFoundError):  # one of those above
                os.unlink(target)
            fd = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
            with open(fd, "wb") as file:
                file.write(b64decode(content))
                os.fchown(fd, self._user, self._user)
                os.fchmod(fd, mode)
        for path in (*WRITABLE, *(path for path, _ in self._node["private"])):
            target = self._at(path)
            syscalls.mount(target, target, "", MS_BIND)
            _remount(target, MS_NODEV)


def _remount(target: str, flags: int) -> None:
    """Change what may be done by a mount; nobody becomes another user there."""
    syscalls.mount("", target, "", MS_REMOUNT | MS_BIND | MS_NOSUID | flags)
