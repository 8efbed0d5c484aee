"""The process inside a room: it has no privilege, sees only what `room_view` shows, and compiles there.

`room` starts it. What it asks of the kernel by bpf(2) is answered by `gate`. It answers with two lines: the number of
the filter's listener among its descriptors, and JSON with what is loaded, or what is wrong.
"""

import json
import os
import resource
import socket
import sys
from collections.abc import Iterable
from contextlib import suppress
from typing import NoReturn, TextIO

from netlab import paths
from netlab.errors import HostError, NetlabError
from netlab.kernel import enclosing, rights, seccomp, syscalls
from netlab.programs import build, dialects, failures, outside, room_view
from netlab.programs.build import Refused
from netlab.programs.diagnostics import Source
from netlab.programs.loader import Order
from netlab.programs.room_view import View
from netlab.record import shapes

_SPACES = syscalls.CLONE_NEWNS | syscalls.CLONE_NEWNET | syscalls.CLONE_NEWUTS | syscalls.CLONE_NEWIPC
_PROCESSES, _DESCRIPTORS, _FILE_BYTES = 16, 2048, 64 << 20  # descriptors: more than a gate gives
_FD_FOLDER = "/proc/self/fd"
LAYOUTS = "layouts.json"
# What compilers need, and netlab's own Python; bpf(2) is left to the gate, and everything else is unknown there.
_CALLS = """
access alarm arch_prctl brk capget chdir chmod clock_getres clock_gettime clock_nanosleep close close_range
copy_file_range dup dup2 dup3 epoll_create epoll_create1 epoll_ctl epoll_pwait epoll_wait eventfd2 execve exit
exit_group faccessat faccessat2 fallocate fchdir fchmod fchmodat fcntl fdatasync flock fork fstat fstatfs fsync
ftruncate futex getcpu getcwd getdents getdents64 getegid geteuid getgid getgroups getitimer getpgid getpgrp getpid
getppid getrandom getresgid getresuid getrlimit getrusage gettid gettimeofday getuid ioctl kill lseek lstat madvise
membarrier memfd_create mkdir mkdirat mmap mprotect mremap msync munmap nanosleep newfstatat open openat pause pipe
pipe2 poll ppoll prctl pread64 preadv prlimit64 pselect6 pwrite64 pwritev read readlink readlinkat readv rename renameat
renameat2 restart_syscall rmdir rseq rt_sigaction rt_sigpending rt_sigprocmask rt_sigreturn rt_sigsuspend
rt_sigtimedwait sched_getaffinity sched_getparam sched_getscheduler sched_yield select sendfile set_robust_list
set_tid_address setitimer setpgid setrlimit setsid sigaltstack stat statfs statx symlink symlinkat sysinfo
tgkill time times truncate umask uname unlink unlinkat utimensat vfork wait4 waitid write writev
"""


def run(order: Order, text: bytes, user: int, shared: str, answers: int, go: int) -> NoReturn:
    """Become the process of a room, load the program, answer, and wait to be ended. It is a fork, and ends here."""
    try:
        talk = os.fdopen(answers, "w", encoding="utf-8")
        try:
            _work(order, text, user, shared, talk, go)
        except Refused as refusal:
            _answer(talk, {"error": refusal.kind, "text": refusal.text})
        except (NetlabError, OSError) as error:
            _answer(talk, {"error": "host", "text": f"the room for what nobody trusts cannot be made: {error}"})
        os.read(go, 1)
    except BaseException:  # noqa: BLE001 - nothing of the parent may go on in its copy
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stderr.flush()
        os._exit(1)


def _work(order: Order, text: bytes, user: int, shared: str, talk: TextIO, go: int) -> None:
    os.umask(0o022)
    compiler = _compiler()
    _prepare()
    syscalls.unshare(_SPACES)
    syscalls.mount("", "/", "", syscalls.MS_REC | syscalls.MS_PRIVATE)
    view = room_view.make(order, user, shared, compiler)
    _enter(view)
    chosen = seccomp.Filter(_CALLS.split(), "bpf")
    _limit(order)
    _keep_descriptors((2, talk.fileno(), go))
    _become(user)
    talk.write(f"{chosen.load()}\n")
    talk.flush()
    os.read(go, 1)  # there is a gate; if it has ended, so has this
    _answer(talk, _loaded(order, text, view))


def _compiler() -> str:
    from netlab.programs import clang

    with suppress(HostError):
        return clang.find()
    return ""


def _prepare() -> None:
    """Load every library and module that is needed, which the room does not show."""
    from netlab.programs import bcc, clang, features, global_variables, libbpf, libbpf_calls, old_maps  # noqa: F401

    with suppress(HostError):
        bcc.bcc()
    with suppress(HostError):
        libbpf_calls.library()


def _enter(view: View) -> None:
    """Make the room's files the root of this process, the first of its processes."""
    folder = view.root + _FD_FOLDER
    os.makedirs(folder)
    os.makedirs(f"{view.root}/.proc")
    syscalls.mount("proc", f"{view.root}/.proc", "proc", syscalls.MS_NOSUID)
    syscalls.mount(f"{view.root}/.proc/1/fd", folder, "", syscalls.MS_BIND)
    syscalls.umount(f"{view.root}/.proc")
    os.rmdir(f"{view.root}/.proc")
    enclosing.enter_root(view.root)
    socket.sethostname("room")


def _limit(order: Order) -> None:
    cpu_s = int(order.limits.cpu_s) + 2  # as clang's own
    for what, most in (
        (resource.RLIMIT_CPU, cpu_s),
        (resource.RLIMIT_DATA, order.limits.memory),
        (resource.RLIMIT_NPROC, _PROCESSES),
        (resource.RLIMIT_NOFILE, _DESCRIPTORS),
        (resource.RLIMIT_FSIZE, _FILE_BYTES),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(what, (most, most))


def _keep_descriptors(kept: Iterable[int]) -> None:
    """Close all descriptors but these, and put an empty file in the place of the first two."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1):
        os.dup2(nothing, fd)
    for fd in map(int, os.listdir(_FD_FOLDER)):
        if fd > 1 and fd not in kept:
            with suppress(OSError):
                os.close(fd)


def _become(user: int) -> None:
    """Give up all privilege, and the variables of whoever called netlab."""
    os.environ.clear()
    os.environ.update({"PATH": "/usr/bin:/bin", "HOME": "/tmp", "TMPDIR": "/tmp", paths.CACHE_VARIABLE: ""})  # noqa: S108
    os.setgroups([])
    rights.limit_capabilities(1 << 6 | 1 << 7)  # CAP_SETGID and CAP_SETUID, which go with the user
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)
    syscalls.die_with_parent()


def _loaded(order: Order, text: bytes, view: View) -> dict[str, object]:
    """Load the program; return the descriptors of what was made, or the error's type and message."""
    layouts = os.path.join(view.work, LAYOUTS) if order.job.layouts else ""
    job = order.job._replace(layouts=layouts)
    notes: list[str] = []
    try:
        found = dialects.load(order._replace(job=job), text, notes.append)
    except Refused as refusal:
        return _refusal(order, text, view, refusal.kind, refusal.text)
    except NetlabError as error:
        kind = "host" if isinstance(error, HostError) else "plain"
        return _refusal(order, text, view, kind, str(error))
    except OSError as error:
        return _refusal(order, text, view, "plain", f"{error.strerror}: {error.filename or ''}")
    known = ""
    if layouts and os.path.exists(layouts):
        with open(layouts, encoding="utf-8") as file:
            known = file.read()
    return {
        "entry": found.entry,
        "maps": found.maps,
        "programs": found.programs,
        "notes": notes,
        "layouts": known,
    }


def _refusal(order: Order, text: bytes, view: View, kind: str, words: str) -> dict[str, object]:
    """Return the error, in the words that the author needs; files are named from the caller's folder."""
    job = order.job
    os.chdir(order.here)
    source = Source.of(job.path, text, job.include)
    talk = build.talk()
    refusal = failures.as_refusal(failures.refused(job, kind, words, talk, source), job)
    if reached := outside.reached(talk, job.path, view.folders):
        return {"error": "said-outside", "text": f"{refusal.text}\n{reached}", "shown": source.shown}
    return {"error": refusal.kind, "text": refusal.text, "shown": source.shown}


def _answer(talk: TextIO, answer: object) -> None:
    talk.write(json.dumps(shapes.plain(answer)) + "\n")
    talk.flush()
