"""Compiles a file of XDP programs with bcc, and keeps what came of it."""

import ctypes
import errno
import os
import re
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from netlab import paths
from netlab.errors import HostError, refuse_lack
from netlab.kernel import files, syscalls
from netlab.programs import bpf, cache, compiled, headers, kernel_btf, lab_header, map_reuse
from netlab.programs.loader import Job
from netlab.programs.log_capture import LOG_BYTES, log_with_lines
from netlab.programs.maps import possible_cpus
from netlab.record import layouts, mark
from netlab.topology import program_text

if TYPE_CHECKING:
    from bcc import BPF

DEBUG_PREPROCESSOR = 4  # bcc prints what it made of the source: `diagnostics` maps lines with it
DEVMAP_SUFFIX = "_devmap"
RUN_SUFFIX = "_run"  # of programs that user space runs by BPF_PROG_TEST_RUN, and nobody attaches
CONTEXT = "xdp_md"  # the struct that a program is given
REASONS, REASON = "reasons", "reason"  # a map, and the enum that numbers its entries
USUAL_ENTRIES = ("xdp_prog", "xdp")


class Unit(NamedTuple):
    """What a job is about: the text of its program, and the compiler's options."""

    job: Job
    text: bytes
    flags: list[str]
    key: str

    @classmethod
    def of(cls, job: Job, text: bytes) -> Self:
        """Put a job and its source together; raises OSError, and refuses what would keep the compiler for ever."""
        path, work_folder = job.path, job.work_folder
        flags = ["-Werror=implicit-function-declaration", *headers.flags(path, work_folder)]
        whole = _whole(path, text.decode(errors="replace"))
        more, of_lab = lab_header.flags(job.lab, job.key, path, whole, work_folder)
        flags += [*headers.flags_for(whole), *more]
        own = [("LAB_NODE", f'"{mark.printed(job.lab)}/{job.key}"'), ("NETLAB_CPUS", possible_cpus())]
        for name, value in [*job.builtins, *job.define, *own]:
            flags += [f"-U{name}", f"-D{name}={value}"]
        # what the work folder has are links to folders of the system's
        return cls(job, text, flags, cache.key(path, text + of_lab, [flag.replace(work_folder, "") for flag in flags]))

    def entry(self, names: list[str], in_headers: Sequence[str] = ()) -> str:
        """Return which of its programs is the one to attach."""
        stem = os.path.basename(self.job.path).partition(".")[0]
        # where another program was attached, one for something else does not take its place
        others = () if self.job.successor_of else names
        return choose_entry(names, self.job.function, stem, in_headers, others)

    def adopt(self, maps: dict[str, int]) -> None:
        """Write down how the maps are laid out, and let their descriptors mean those of an earlier build, if any."""
        found = kernel_btf.layouts(maps)
        if self.job.successor_of:
            map_reuse.adopt(maps, self.job.successor_of, found)
        if path := self.job.layouts:
            files.ensure_folder(os.path.dirname(path), files.FOR_GROUP)
            layouts.write(path, self._with_reasons(kernel_btf.whole(found.values())))

    def _with_reasons(self, known: layouts.Layouts) -> layouts.Layouts:
        """Add the names of reasons, by the text that is loaded, where the program does without bpf/verdict.h."""
        if REASONS not in known.maps or REASON in known.enums:
            return known
        text = program_text.with_headers(self.job.path, self.text.decode(errors="replace"))
        found = headers.enum_in(text, REASON)
        return known._replace(enums={**known.enums, REASON: found}) if found else known


class Build(NamedTuple):
    """What the kernel has: the program to attach, and the descriptors of maps and programs by name."""

    entry: str
    maps: dict[str, int]
    programs: dict[str, int]
    module: "BPF | None" = None  # what has compiled it, if it was compiled now


class Refused(Exception):  # noqa: N818 - it is an answer rather than an error
    """The job cannot be done; `kind` says who refuses: compile, verify, redefined, host, or plain."""

    def __init__(self, kind: str, text: str = "") -> None:
        super().__init__(text)
        self.kind = kind
        self.text = text


def load(unit: Unit) -> Build:
    """Compile and load with bcc, and keep what it has made, once the kernel has taken it."""
    began = time.time()
    rule = os.path.join(unit.job.work_folder, f"{os.getpid()}.d")
    try:
        module = _compiled(unit, ["-MD", "-MF", rule])
        with open(rule, encoding="utf-8", errors="surrogateescape") as file:
            dependencies = file.read()
    finally:
        with suppress(FileNotFoundError):
            os.unlink(rule)
    maps, (names, in_headers) = _maps(module), _program_names(module)
    made = _taken(module, maps, names, unit) if paths.cache_folder() else None
    unit.adopt(maps)
    entry = unit.entry(names, in_headers)
    for name in names:
        with _refusal("verify", name):
            _verify(module, name, _attach_type(name) if name != entry else 0)
    if made:
        cache.keep(unit.key, made, dependencies, headers.kernel_source(), began, unit.job.work_folder)
    return Build(entry, maps, {name: module.funcs[name.encode()].fd for name in names}, module)


def _verify(module: "BPF", name: str, attach_type: int) -> None:
    """Load a program; one that is refused has its lines in the log, also where bcc has left them out."""
    try:
        module.load_func(name, module.XDP, None, attach_type or -1)
    except Exception as error:  # bcc raises nothing narrower
        code = ctypes.get_errno()
        log = ""
        if code == errno.E2BIG:  # the verifier has walked for seconds: once more is enough to know that
            log, _ = _attempt(module, name.encode(), attach_type, LOG_BYTES)
        elif code == errno.EINVAL:
            log = log_with_lines(lambda size: _attempt(module, name.encode(), attach_type, size))
        if log:
            sys.stderr.write(f"bpf: Failed to load program: {os.strerror(code)}\n{log}")
            sys.stderr.flush()
        ctypes.set_errno(code)
        raise error from None


def _attempt(module: "BPF", name: bytes, attach_type: int, size: int) -> tuple[str, bool]:
    """Load a program with a log of so many bytes; return the log, and whether that was too small for it."""
    from bcc import lib

    room = ctypes.create_string_buffer(size)
    handle = module.module
    text = (lib.bpf_function_start(handle, name), lib.bpf_function_size(handle, name))
    about = (lib.bpf_module_license(handle), lib.bpf_module_kern_version(handle))
    with syscalls.silenced(2):  # bcc prints each log
        fd = lib.bcc_func_load(handle, module.XDP, name, *text, *about, 1, room, size, None, 0, attach_type or -1)
    if fd >= 0:
        os.close(fd)
    return room.value.decode(errors="replace"), fd == -errno.ENOSPC


def forget(module: "BPF") -> None:
    """Give back what the compiler holds; the programs stay open."""
    from bcc import lib

    lib.bpf_module_destroy(module.module)
    module.module = None
    lib.malloc_trim(0)


def _compiled(unit: Unit, more_flags: list[str]) -> "BPF":
    """Return bcc's module of a source, with its maps made."""
    if b"\0" in unit.text:
        raise Refused("plain", "is no C source: it holds a zero byte")
    for name in ("ARCH", "BCC_LINUX_VERSION_CODE", "BCC_KERNEL_MODULES_SUFFIX"):
        os.environ.pop(name, None)
    os.environ["BCC_KERNEL_SOURCE"] = headers.kernel_source()
    compiler = bcc()
    # bcc reads all of it to choose a helper that only tracing programs use: a quarter of the time of a compilation
    with syscalls.hidden("/proc/kallsyms"), _refusal("compile"):
        module = compiler(text=unit.text, debug=DEBUG_PREPROCESSOR, cflags=[*unit.flags, *more_flags])
    talk = _talk()
    for name, _ in unit.job.define:
        if f"'{name}' macro redefined" in talk:
            raise Refused("redefined", name)
    return module


def bcc() -> Any:
    """Return bcc's BPF class; HostError where there is none."""
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
        for number in (errno.EMFILE, errno.ENFILE):
            if os.strerror(number) in f"{error}{_talk()}":
                refuse_lack(OSError(number, os.strerror(number)), "a program cannot be loaded")
        raise Refused(kind, text or str(error)) from error


def _talk() -> str:
    """Return what has been said on stderr so far, which is a file."""
    return os.pread(2, os.fstat(2).st_size, 0).decode(errors="replace")


def _program_names(module: "BPF") -> tuple[list[str], list[str]]:
    """Return the functions of a module that are XDP programs, and those that would be, but stand in a header."""
    from bcc import lib

    numbers = range(lib.bpf_num_functions(module.module))
    names = [lib.bpf_function_name(module.module, number).decode() for number in numbers]
    programs = kernel_btf.functions_of(CONTEXT)
    if programs is None:
        return names, []
    return [name for name in names if name in programs], sorted(programs.difference(names))


def _taken(module: "BPF", maps: dict[str, int], names: list[str], unit: Unit) -> compiled.Compiled | None:
    """Return what the compiler has made as plain data, or None when there is more to it than that can hold."""
    from bcc import lib

    inner = dict(
        re.findall(r'\bBPF_(?:ARRAY|HASH)_OF_MAPS\s*\(\s*(\w+)\s*,\s*"(\w+)"', unit.text.decode(errors="replace"))
    )
    try:
        shapes, types = compiled.shapes(maps, inner)
        programs = []
        for name in names:
            size = lib.bpf_function_size(module.module, name.encode())
            text = ctypes.string_at(lib.bpf_function_start(module.module, name.encode()), size)
            programs.append(compiled.code(name, text, maps, _attach_type(name)))
    except compiled.CannotBeTaken:
        return None
    return compiled.Compiled(lib.bpf_module_license(module.module), types, shapes, tuple(programs))


def _attach_type(name: str) -> int:
    return bpf.ATTACH_DEVMAP if name.endswith(DEVMAP_SUFFIX) else 0


def is_for_something_else(name: str) -> bool:
    """Say whether a program's name tells that it is not for an interface: see DEVMAP_SUFFIX and RUN_SUFFIX."""
    return name.endswith((DEVMAP_SUFFIX, RUN_SUFFIX))


def choose_entry(
    names: Sequence[str], wanted: str, stem: str, in_headers: Sequence[str] = (), others: Sequence[str] = ()
) -> str:
    """Return which of a file's XDP programs is the one to attach.

    That is the one wanted, or else the one named like the file, or `xdp_prog`, or `xdp`, or the only one, among those
    whose names do not say that they are for something else, or, if there is none, of `others`. None of `in_headers` can
    be.
    """
    shape = "`int NAME(struct xdp_md *ctx)`, not static"
    plain = [name for name in names if not is_for_something_else(name)]
    candidates = plain or others
    if wanted in names:
        return wanted
    if in_headers and (wanted in in_headers or not candidates):
        name = wanted or in_headers[0]
        way_out = "make it `static inline`, and let a function of the file, `int NAME(struct xdp_md *ctx)`, call it"
        raise Refused("plain", f"has no program {name} itself: {name}() is in a header, where bcc sees none: {way_out}")
    if wanted:
        it_has = f"it has {', '.join(names)}" if names else f"a program is {shape}"
        raise Refused("plain", f"has no program {wanted}: {it_has}")
    if not candidates:
        raise Refused("plain", f"has no program: a program is a function {shape}")
    for name in (re.sub(r"\W", "_", stem), *USUAL_ENTRIES):
        if name in names:
            return name
    if len(candidates) > 1:
        raise Refused("plain", f"has several programs, {', '.join(candidates)}: say which one to attach by `function:`")
    return candidates[0]


def _whole(path: str, source: str) -> str:
    """Return a source with its headers; refuse one of which the compiler would see no end."""
    found = list(program_text.headers(path, source))
    for header in found:
        if header.text is None:
            raise Refused("plain", f"includes {header.path}: {header.problem}")
    return "\n".join([source, *(header.text or "" for header in found)])


def _maps(module: "BPF") -> dict[str, int]:
    """Return the descriptors of the module's maps by name."""
    from bcc import lib

    handle = module.module
    numbers = range(lib.bpf_num_tables(handle))
    return {lib.bpf_table_name(handle, n).decode(): lib.bpf_table_fd_id(handle, n) for n in numbers}
