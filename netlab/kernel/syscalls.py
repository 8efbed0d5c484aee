"""System calls for which Python 3.11 has no function, and threads that may change their namespace.

ctypes is loaded by the first call and not by the import, because most verbs make no such call.
"""

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from typing import Any, TypeVar

MS_RDONLY = 1
MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT = 2, 4, 8, 32
MS_BIND = 0x1000
MS_REC = 0x4000
MS_PRIVATE = 1 << 18
MNT_DETACH = 2
UMOUNT_NOFOLLOW = 8
CLONE_NEWNET = 0x40000000
CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWCGROUP = 0x02000000
CLONE_FS = 0x00000200
CLONE_NEWPID = 0x20000000
PR_SET_PDEATHSIG = 1
SIGKILL = 9
# Their numbers are the same on every architecture; the C library has functions for them only since 2.36.
_FSOPEN, _FSCONFIG, _FSMOUNT = 430, 431, 432
_OPEN_TREE, _MOVE_MOUNT = 428, 429
_FSCONFIG_CMD_CREATE = 6
_OPEN_TREE_CLONE, _AT_RECURSIVE, _MOVE_MOUNT_F_EMPTY_PATH = 1, 0x8000, 4
_CLOSE_ON_EXEC = 1
_AT_FDCWD = -100
_RENAME_EXCHANGE = 2

_T = TypeVar("_T")


def mount(source: str, target: str, fstype: str, flags: int = 0, data: str = "") -> None:
    """Mount `source` on `target` (mount(2)); `flags` are the MS_ constants, `data` is the file system's own options.

    Raises OSError, whose message names the call and whose `filename` is the target.
    """
    words = (os.fsencode(source), os.fsencode(target), fstype.encode())
    check(libc().mount(*words, flags, data.encode() or None), "mount", target)


def umount(target: str, detach: bool = True) -> None:
    """Unmount what is mounted on `target`; a symlink there is not followed.

    With `detach` the mount goes even while it is in use, with all mounts below it. Raises OSError.
    """
    flags = UMOUNT_NOFOLLOW | (MNT_DETACH if detach else 0)
    check(libc().umount2(os.fsencode(target), flags), "umount2", target)


def sethostname(name: str) -> None:
    """Set the host name of this process's namespace; raises OSError."""
    told = os.fsencode(name)
    check(libc().sethostname(told, len(told)), "sethostname")


def exchange(one: str, other: str) -> None:
    """Swap the names of two files or folders of one file system in one step (renameat2(2)); raises OSError."""
    import ctypes

    here = ctypes.c_int(_AT_FDCWD)
    names = os.fsencode(one), os.fsencode(other)
    check(libc().renameat2(here, names[0], here, names[1], ctypes.c_uint(_RENAME_EXCHANGE)), "renameat2", other)


def open_proc() -> int:
    """Return a descriptor of a new proc file system, which is mounted nowhere and goes with the descriptor.

    It has the same files as /proc, for openat(2), but the kernel caches its look-ups separately. Raises OSError: before
    Linux 5.8 all mounts of proc are one, and before 5.2 there are no such mounts.
    """
    return open_file_system("proc")


def open_file_system(kind: str) -> int:
    """Return a descriptor of a file system of this kind that is mounted nowhere; raises OSError (before Linux 5.2)."""
    context = call(_FSOPEN, "fsopen", kind.encode(), _CLOSE_ON_EXEC)
    try:
        call(_FSCONFIG, "fsconfig", context, _FSCONFIG_CMD_CREATE, None, None, 0)
        return call(_FSMOUNT, "fsmount", context, _CLOSE_ON_EXEC, 0)
    finally:
        os.close(context)


def clone_mounts(path: str) -> int:
    """Return a descriptor of a copy of the mount at `path` with all mounts below it, for `place_mounts`.

    Raises OSError.
    """
    flags = _OPEN_TREE_CLONE | _AT_RECURSIVE | os.O_CLOEXEC
    return call(_OPEN_TREE, "open_tree", _AT_FDCWD, os.fsencode(path), flags, path=path)


def place_mounts(copy: int, path: str) -> None:
    """Mount at `path` what `clone_mounts` has copied; raises OSError."""
    arguments = (copy, b"", _AT_FDCWD, os.fsencode(path), _MOVE_MOUNT_F_EMPTY_PATH)
    call(_MOVE_MOUNT, "move_mount", *arguments, path=path)


def unshare(kinds: int) -> None:
    """Give the calling *thread* something of its own (CLONE_…); raises OSError. See `in_threads`."""
    check(libc().unshare(kinds), "unshare")


def unshare_net() -> None:
    """Move the calling *thread* into a new network namespace; raises OSError. See `in_threads`."""
    unshare(CLONE_NEWNET)


def unshare_mounts() -> None:
    """Give this process, which has one thread, its own copy of all mounts; raises OSError."""
    unshare(CLONE_NEWNS)


@contextmanager
def hidden(path: str) -> Iterator[None]:
    """Let this process, which has one thread, see a file as empty meanwhile; does nothing if that is impossible."""
    if not os.path.exists(path):
        return (yield)
    home = os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
    root = os.open("/", os.O_RDONLY | os.O_CLOEXEC)
    try:
        unshare_mounts()
        mount("", "/", "", MS_REC | MS_PRIVATE)
        mount("/dev/null", path, "", MS_BIND)
    except OSError:
        pass
    try:
        yield
    finally:
        setns(home, CLONE_NEWNS)
        os.fchdir(root)  # back to the folder: this leads out of a chroot, if we were in one
        os.chroot(".")
        os.close(root)
        os.close(home)


@contextmanager
def silenced(fd: int) -> Iterator[None]:
    """Discard meanwhile what is written to a descriptor, also by C libraries."""
    before, nowhere = os.dup(fd), os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
    os.dup2(nowhere, fd)
    try:
        yield
    finally:
        os.dup2(before, fd)
        os.close(before)
        os.close(nowhere)


def setns(fd: int, kind: int = CLONE_NEWNET) -> None:
    """Move the calling *thread* into the namespace that `fd` is open on; raises OSError. See `in_threads`."""
    check(libc().setns(fd, kind), "setns")


def die_with_parent(parent: int = 0, number: int = SIGKILL) -> None:
    """Let the kernel send this process a signal as soon as its parent ends; exit at once if it has ended already.

    `parent` is the parent's process id before the fork. Without it, a process whose parent is process 1 takes itself
    for an orphan. For the kernel, the parent is the *thread* that forked. So start such a child from a thread that
    lives as long as the child should.
    """
    check(libc().prctl(PR_SET_PDEATHSIG, number, 0, 0, 0), "prctl")
    now = os.getppid()
    if now != parent if parent else now == 1:
        os._exit(128 + number)


def in_threads(count: int, work: Callable[[Iterator[_T]], None], items: Iterable[_T]) -> None:
    """Call `work(items)` in `count` new threads, which share the items, and wait for all of them.

    `work` may leave a thread in another namespace for good. So the threads are new and end here: no other code ever
    runs in them, and the calling thread stays where it is. After the first error, or an interrupt of the caller, no
    more items are given out. That error is raised when every thread has ended, so the caller can undo while nothing is
    being built.
    """
    import threading

    errors: list[BaseException] = []
    shared = _Shared(items, errors)

    def run(ended: threading.Event) -> None:
        try:
            begin.wait()
            work(shared)
        except BaseException as error:  # noqa: BLE001 - carried to the caller, which raises it
            errors.append(error)
        finally:
            ended.set()

    begin = threading.Event()  # set when all are started: an interrupt before that comes before any item
    # Events, because an interrupt of Thread.join makes Python 3.11 take a running thread for one that has ended.
    endings = [threading.Event() for _ in range(count)]
    threads = [threading.Thread(target=run, args=(ended,), name="netlab-namespace") for ended in endings]
    try:
        for thread in threads:
            thread.start()
        begin.set()
        for ended in endings:
            ended.wait()
    except BaseException as error:
        errors.append(error)
        begin.set()
        for thread, ended in zip(threads, endings, strict=True):
            while thread.is_alive() and not ended.is_set():
                with suppress(KeyboardInterrupt):  # a second interrupt does not make them end sooner
                    ended.wait()
        raise
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def inside(netns: str, work: Callable[[], _T]) -> _T:
    """Return what `work` returns in the network namespace whose file this is; the calling thread stays where it is.

    Raises OSError where the namespace cannot be entered, and whatever `work` raises.
    """
    found: list[_T] = []

    def enter(paths: Iterator[str]) -> None:
        for path in paths:
            with open(path, "rb") as namespace:
                setns(namespace.fileno())
            found.append(work())

    in_threads(1, enter, [netns])
    return found[0]


class _Shared(Iterator[_T]):
    """One iterator for several threads; it ends as soon as there is an error."""

    def __init__(self, items: Iterable[_T], errors: Sequence[BaseException]) -> None:
        self._left = iter(list(items))  # next() on a list's iterator is atomic: each item goes to one thread
        self._errors = errors

    def __next__(self) -> _T:
        if self._errors:
            raise StopIteration
        return next(self._left)


@cache
def libc() -> Any:
    """Return the C library, with argument types for what would otherwise be cut to 32 bits."""
    import ctypes

    found = ctypes.CDLL(None, use_errno=True)
    text, number, size = ctypes.c_char_p, ctypes.c_int, ctypes.c_ulong
    found.mount.argtypes = (text, text, text, size, text)
    found.umount2.argtypes = (text, number)
    found.unshare.argtypes = (number,)
    found.setns.argtypes = (number, number)
    found.prctl.argtypes = (number, size, size, size, size)
    return found


def call(number: int, name: str, *arguments: object, path: str = "") -> int:
    """Make a system call by its number, and return its answer; `name` is what messages call it. Raises OSError."""
    import ctypes

    return check(libc().syscall(ctypes.c_long(number), *arguments), name, path)


def check(result: int, call: str, path: str = "") -> int:
    """Return the answer of a call, or raise OSError with the thread's errno where that is -1."""
    if result != -1:
        return result
    ctypes = sys.modules["ctypes"]  # loaded by the call that failed
    errno = ctypes.get_errno()
    raise OSError(errno, f"{call}: {os.strerror(errno)}", *([path] if path else []))
