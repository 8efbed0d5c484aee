"""Compiles, loads, pins and attaches one node's XDP programs: the only user of bcc, and a process of its own.

`python -m netlab.programs`, started by netlab.loader, reads two lines of JSON: the job, and later where to attach. It
answers each with one: what is pinned, or that it is attached; or else `error`, its kind, and `text`. Everything that
bcc, clang and libbpf have to say goes to stderr, where the loader finds what matters.
"""

import ctypes
import errno
import json
import os
import re
import select
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

from netlab import handover, headers, syscalls, turns
from netlab.errors import HostError, NetlabError

if TYPE_CHECKING:
    from bcc import BPF

DEBUG_PREPROCESSOR = 4  # bcc prints what it made of the source: the diagnosis maps lines with it
ATTACH_TYPE_DEVMAP = 33  # enum bpf_attach_type: BPF_XDP_DEVMAP
DEVMAP_SUFFIX = "_devmap"
RUN_SUFFIX = "_run"  # of programs that user space runs by BPF_PROG_TEST_RUN, and nobody attaches
USUAL_ENTRIES = ("xdp_prog", "xdp")

_ATTACH_PROBLEMS = {
    errno.ENODEV: "the node has no such interface",
    errno.ERANGE: "the peer's packets may be too large for {mode} mode: give the link an `mtu` of at most 3500",
    errno.EBUSY: "another program is attached there",
    errno.EEXIST: "another program is attached there, in another mode",
    errno.EOPNOTSUPP: "its driver has no {mode} mode: try `mode: generic`",
}


class Refused(Exception):  # noqa: N818 - it is an answer rather than an error
    """The job cannot be done; `kind` says who refuses: compile, verify, redefined, host, or plain."""

    def __init__(self, kind: str, text: str = "") -> None:
        super().__init__(text)
        self.kind = kind
        self.text = text


def main() -> None:
    """Do one job, and end without undoing anything: what is pinned and attached stays."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle, and it ends us
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # bcc talks on its standard output too
    job = _line()
    if not job:
        return
    syscalls.die_with_parent(job["parent"])
    os.chdir("/")  # bcc looks for headers in the current folder before all others
    try:
        _work(job, answers)
    except Refused as refusal:
        _answer(answers, {"error": refusal.kind, "text": refusal.text})
    except HostError as error:
        _answer(answers, {"error": "host", "text": str(error)})
    except NetlabError as error:
        _answer(answers, {"error": "plain", "text": str(error)})
    except OSError as error:
        where = f": {error.filename}" if error.filename else ""
        _answer(answers, {"error": "plain", "text": f"{error.strerror}{where}"})
    sys.stderr.flush()
    os._exit(0)  # taking the compiler down in good order takes longer than it is worth


def _work(job: dict[str, Any], answers: TextIO) -> None:
    """Load and pin, say so, and attach when the parent has said where."""
    with turns.turn(job["work_folder"]):
        # the compiler is C++ and hears no Python: the kernel ends the process when time is up
        signal.setitimer(signal.ITIMER_REAL, job["limit_s"])
        module = _compiled(job)
        if job["successor_of"]:
            handover.adopt(_maps(module), job["successor_of"])
        entry = _load(module, job)
        maps = _pin(module, job["pin_folder"])
        signal.setitimer(signal.ITIMER_REAL, 0)
    _answer(answers, {"function": entry, "programs": [name.decode() for name in module.funcs], "maps": maps})
    if not select.select([sys.stdin], [], [], 0)[0]:
        _forget_compiler(module)  # the wait for the rest of the lab may be long
    where = _line()
    if not where:
        return
    fd = os.open(where["netns"], os.O_RDONLY | os.O_CLOEXEC)
    syscalls.setns(fd)
    _attach_all(module.funcs[entry.encode()], where["interfaces"], job["mode"], replaces=bool(job["successor_of"]))
    _answer(answers, {"attached": where["interfaces"]})


def _line() -> dict[str, Any]:
    """Return the parent's next line; nothing when the parent has gone."""
    line = sys.stdin.readline()
    message: dict[str, Any] = json.loads(line) if line.endswith("\n") else {}
    return message


def _answer(answers: TextIO, answer: dict[str, Any]) -> None:
    answers.write(json.dumps(answer) + "\n")
    answers.flush()


def _compiled(job: dict[str, Any]) -> "BPF":
    """Return bcc's module of the job's program, with its maps made."""
    flags = headers.flags(job["path"], job["work_folder"])
    for name, value in [*job["builtins"], *job["define"], ("LAB_NODE", f'"{job["lab"]}/{job["node"]}"')]:
        flags += [f"-U{name}", f"-D{name}={value}"]
    with open(job["path"], "rb") as file:
        text = file.read()
    if b"\0" in text:
        raise Refused("plain", "is no C source: it holds a zero byte")
    for name in ("ARCH", "BCC_LINUX_VERSION_CODE", "BCC_KERNEL_MODULES_SUFFIX"):
        os.environ.pop(name, None)
    os.environ["BCC_KERNEL_SOURCE"] = headers.kernel_source()
    bpf = _bcc()
    # bcc reads all of it to choose a helper that only tracing programs use: a quarter of the time of a compilation
    with syscalls.hidden("/proc/kallsyms"), _refusal("compile"):
        module = bpf(text=text, debug=DEBUG_PREPROCESSOR, cflags=["-Werror=implicit-function-declaration", *flags])
    talk = _talk()
    for name, _ in job["define"]:
        if f"'{name}' macro redefined" in talk:
            raise Refused("redefined", name)
    return module


def _bcc() -> Any:
    """Return bcc's BPF class."""
    try:
        from bcc import BPF, lib
    except (ImportError, OSError) as error:
        raise HostError(
            f"{sys.executable} cannot import bcc ({error}): install Debian's package python3-bpfcc, and run netlab "
            "from a virtual environment that /usr/bin/python3 made with --system-site-packages (PyPI's bcc is another)"
        ) from error
    # types for what bcc's own Python does not call
    lib.bpf_num_tables.argtypes = [ctypes.c_void_p]
    lib.bpf_table_name.argtypes = lib.bpf_table_fd_id.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    lib.bpf_table_name.restype = ctypes.c_char_p
    return BPF


@contextmanager
def _refusal(kind: str, text: str = "") -> Iterator[None]:
    """Turn what bcc raises into a refusal."""
    try:
        yield
    except Exception as error:  # bcc raises nothing narrower
        if ctypes.get_errno() == errno.EPERM and os.geteuid() != 0:
            raise HostError("loading programs needs root") from error
        raise Refused(kind, text or str(error)) from error


def _talk() -> str:
    """Return what has been said on stderr so far, which is a file."""
    return os.pread(2, os.fstat(2).st_size, 0).decode(errors="replace")


def _load(module: "BPF", job: dict[str, Any]) -> str:
    """Load every program of the module, and return the name of the entry, the one to attach."""
    from bcc import lib

    with open(job["path"], encoding="utf-8", errors="replace") as file:
        text = file.read()
    handle = module.module
    functions = [lib.bpf_function_name(handle, n).decode() for n in range(lib.bpf_num_functions(handle))]
    programs = [name for name in functions if re.search(rf"\b{name}\s*\(\s*struct\s+xdp_md\s*\*\s*\w+\s*\)", text)]
    stem = os.path.basename(job["path"]).partition(".")[0]
    entry = choose_entry(
        [name for name in programs if not name.endswith((DEVMAP_SUFFIX, RUN_SUFFIX))], job["function"], stem
    )
    for name in programs:
        attach_type = ATTACH_TYPE_DEVMAP if name.endswith(DEVMAP_SUFFIX) else -1
        with _refusal("verify", name):
            module.load_func(name, module.XDP, None, attach_type)
    return entry


def choose_entry(candidates: list[str], wanted: str, stem: str) -> str:
    """Return which of a file's XDP programs is the one to attach.

    That is the one wanted, or else the one named like the file, or `xdp_prog`, or `xdp`, or the only one.
    """
    shape = "`int NAME(struct xdp_md *ctx)`, not static"
    names = ", ".join(candidates)
    if wanted:
        if wanted in candidates:
            return wanted
        raise Refused("plain", f"has no program {wanted}: {f'it has {names}' if names else 'a program is ' + shape}")
    if not candidates:
        raise Refused("plain", f"has no program: a program is a function {shape}")
    for name in (re.sub(r"\W", "_", stem), *USUAL_ENTRIES):
        if name in candidates:
            return name
    if len(candidates) > 1:
        raise Refused("plain", f"has several programs, {names}: say which one to attach by `function:`")
    return candidates[0]


def _maps(module: "BPF") -> dict[str, int]:
    """Return the descriptors of the module's maps by name."""
    from bcc import lib

    handle = module.module
    numbers = range(lib.bpf_num_tables(handle))
    return {lib.bpf_table_name(handle, n).decode(): lib.bpf_table_fd_id(handle, n) for n in numbers}


def _pin(module: "BPF", folder: str) -> list[str]:
    """Pin every map and program of the module, and return the names of the maps; all are pinned or none."""
    from bcc import lib

    maps = _maps(module)
    pins = {f"{folder}/maps/{name}": fd for name, fd in maps.items()}
    pins |= {f"{folder}/programs/{name.decode()}": function.fd for name, function in module.funcs.items()}
    done: list[str] = []
    for kind in ("maps", "programs"):
        os.makedirs(f"{folder}/{kind}", exist_ok=True)
    for path, fd in pins.items():
        if lib.bpf_obj_pin(fd, path.encode()) < 0:
            number = ctypes.get_errno()
            for pinned in done:
                os.unlink(pinned)
            raise OSError(number, f"cannot pin {path}: {os.strerror(number)}")
        done.append(path)
    return list(maps)


def _forget_compiler(module: "BPF") -> None:
    """Give back what the compiler holds; the programs stay open."""
    from bcc import lib

    lib.bpf_module_destroy(module.module)
    module.module = None
    lib.malloc_trim(0)


def _attach_all(function: "BPF.Function", interfaces: list[str], mode: str, *, replaces: bool) -> None:
    """Attach a loaded program to these interfaces of this process's namespace.

    When it `replaces` others, it takes their places without a gap; if it cannot take all of them, they get them back.
    """
    from bcc import BPF, lib

    flag = BPF.XDP_FLAGS_DRV_MODE if mode == "native" else BPF.XDP_FLAGS_SKB_MODE
    before: dict[str, int] = {}
    try:
        for interface in interfaces:
            if replaces:
                before[interface] = lib.bpf_prog_get_fd_by_id(_attached(interface, flag))
            _attach(function, interface, mode, flag if replaces else flag | BPF.XDP_FLAGS_UPDATE_IF_NOEXIST)
    except Refused:
        for interface, fd in before.items():
            lib.bpf_attach_xdp(interface.encode(), fd, flag)
        raise


def _attach(function: "BPF.Function", interface: str, mode: str, flags: int) -> None:
    """Attach a loaded program to an interface, and see that the kernel agrees."""
    from bcc import BPF

    try:
        with _refusal("plain"):
            BPF.attach_xdp(interface, function, flags)
    except Refused as refusal:
        number = ctypes.get_errno()
        problem = _ATTACH_PROBLEMS.get(number, os.strerror(number)).format(mode=mode)
        raise Refused("plain", f"cannot be attached to {interface}: {problem}") from refusal
    if _attached(interface, flags) != _program_id(function.fd):
        raise Refused("plain", f"is not attached to {interface} in {mode} mode, though the kernel said so")


def _attached(interface: str, flags: int) -> int:
    """Return the kernel's number of the program that is attached in the mode of these flags; 0 when there is none."""
    from bcc import lib

    number = ctypes.c_uint32()
    lib.bpf_xdp_query_id(lib.if_nametoindex(interface.encode()), flags, ctypes.byref(number))
    return number.value


def _program_id(fd: int) -> int:
    """Return the kernel's number of a loaded program."""
    with open(f"/proc/self/fdinfo/{fd}", encoding="ascii") as file:
        return int(dict(line.split(":", 1) for line in file)["prog_id"])


if __name__ == "__main__":
    main()
