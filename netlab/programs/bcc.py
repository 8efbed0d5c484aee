"""Compiles a file of programs with bcc, and keeps what came of it."""

import ctypes
import errno
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Self

from netlab import paths
from netlab.errors import HostError, refuse_lack
from netlab.kernel import syscalls
from netlab.named_tuple import NamedTuple
from netlab.programs import bpf, btf, build, cache, compiled, event_text, headers, kernel_btf, lab_header
from netlab.programs.build import Build, Refused
from netlab.programs.kept_code import Instructions, numbered
from netlab.programs.loader import Job
from netlab.programs.log_capture import LOG_BYTES, log_with_lines
from netlab.programs.maps import possible_cpus
from netlab.record import mark

if TYPE_CHECKING:
    from bcc import BPF

_NAMES = "LAB_NODE"  # of the lab and the node: what netlab defines for the trace, and nothing else
DEBUG_PREPROCESSOR = 4  # bcc prints what it made of the source: `diagnostics` maps lines with it


class Unit(NamedTuple):
    """What a job is about: the text of its program, and the compiler's options.

    `key` is what is kept of it under; `key_of_silent` the same for programs that print nothing, in which lab and node
    are not to be found. That is "" if the source names them itself.
    """

    job: Job
    text: bytes
    flags: list[str]
    key: str
    key_of_silent: str

    @classmethod
    def of(cls, job: Job, text: bytes, whole: str) -> Self:
        """Return the unit of a job; `text` is the source, and `whole` the source with its headers."""
        path, work_folder = job.path, job.work_folder
        flags = ["-Werror=implicit-function-declaration", *headers.flags(path, work_folder, job.include)]
        more, of_lab = lab_header.flags(job.lab, job.key, path, whole, work_folder)
        flags += [*headers.flags_for(whole), *more]
        text = event_text.with_types(text, whole, is_bcc=True)
        for name, value in [*job.builtins, *job.define, ("NETLAB_CPUS", possible_cpus())]:
            flags += [f"-U{name}", f"-D{name}={value}"]
        names = [f"-U{_NAMES}", f'-D{_NAMES}="{mark.printed(job.lab)}/{job.key}"']

        def key(*chosen: str) -> str:
            # what the work folder has are links to folders of the system's; what is kept is of one kind
            kind = build.kind_at(job.hook).name
            options = [flag.replace(work_folder, "") for flag in (*flags, *chosen, *job.cflags, kind)]
            return cache.key(path, text + of_lab, options)

        is_named = any(_NAMES in each for each in (whole, *flags, *job.cflags))
        return cls(job, text, [*flags, *names, *job.cflags], key(*names), "" if is_named else key())

    @property
    def keys(self) -> list[str]:
        """The keys under which something may be kept."""
        return [key for key in (self.key_of_silent, self.key) if key]

    @property
    def kind(self) -> build.Kind:
        """What programs of the file are for."""
        return build.kind_at(self.job.hook)


def load(unit: Unit) -> Build:
    """Compile and load with bcc. If the kernel accepts the programs, keep their compiled form in the cache."""
    began = time.time()
    rule = os.path.join(unit.job.work_folder, f"{os.getpid()}.d")
    try:
        module = _compiled(unit, ["-MD", "-MF", rule])
        with open(rule, encoding="utf-8", errors="surrogateescape") as file:
            dependencies = file.read()
    finally:
        with suppress(FileNotFoundError):
            os.unlink(rule)
    from bcc import lib  # here, as `_compiled` tells who lacks it what to install

    maps, (names, in_headers, others) = _maps(module), _program_names(module, unit.kind)
    build.refuse_other_kind(unit.job, names, others)
    made = _taken(module, maps, names, unit) if paths.cache_folder() else None
    build.adopt(unit.job, unit.text, _types(), maps)
    entry = build.entry(unit.job, names, in_headers)
    for name in names:
        with _refusal("verify", name):
            _verify(module, name, unit.kind, _attach_type(name, unit.kind) if name != entry else 0)
    if made:
        key = unit.keys[-1 if compiled.prints(made) else 0]
        cache.keep(key, made, dependencies, headers.kernel_source(), began, unit.job.work_folder)
    programs = {name: module.funcs[name.encode()].fd for name in names}

    def code(name: str) -> Instructions:
        return Instructions(
            numbered(_instructions(module, name)), lib.bpf_module_license(module.module), _attach_type(name, unit.kind)
        )

    return Build(entry, maps, programs, code, partial(_forget, module))


def from_cache(unit: Unit, note: Callable[[str], None]) -> Build | None:
    """Load what was compiled of this source before; None when it was not, or the kernel does not take it."""
    if not unit.keys:
        return None
    first, *others = unit.keys
    kept = cache.find(first, note, *others)
    if not isinstance(kept, compiled.Compiled):
        return None
    entry = build.entry(unit.job, [each.name for each in kept.programs])
    try:
        adopt = partial(build.adopt, unit.job, unit.text, kept.btf)
        maps, programs = compiled.load(kept, entry, unit.kind.number, adopt)
    except OSError:
        for key in unit.keys:
            cache.forget(key)
        return None

    def code(name: str) -> Instructions:
        found = next(each for each in kept.programs if each.name == name)
        return Instructions(numbered(compiled.with_maps(found, maps)), kept.license, found.attach_type)

    return Build(entry, maps, programs, code)


def _verify(module: "BPF", name: str, kind: build.Kind, attach_type: int) -> None:
    """Load a program; one that is refused has its lines in the log, also where bcc has left them out."""
    try:
        module.load_func(name, kind.number, None, attach_type or -1)
    except Exception as error:  # bcc raises nothing narrower
        code = ctypes.get_errno()
        log = ""
        if code == errno.E2BIG:  # the verifier has walked for seconds: once more is enough to know that
            log, _ = _attempt(module, name.encode(), kind, attach_type, LOG_BYTES)
        elif code == errno.EINVAL:
            log = log_with_lines(lambda size: _attempt(module, name.encode(), kind, attach_type, size))
        if log:
            sys.stderr.write(f"bpf: Failed to load program: {os.strerror(code)}\n{log}")
            sys.stderr.flush()
        ctypes.set_errno(code)
        raise error from None


def _attempt(module: "BPF", name: bytes, kind: build.Kind, attach_type: int, size: int) -> tuple[str, bool]:
    """Load a program with a log of so many bytes; return the log, and whether that was too small for it."""
    from bcc import lib

    room = ctypes.create_string_buffer(size)
    handle = module.module
    text = (lib.bpf_function_start(handle, name), lib.bpf_function_size(handle, name))
    about = (lib.bpf_module_license(handle), lib.bpf_module_kern_version(handle))
    with syscalls.silenced(2):  # bcc prints each log
        fd = lib.bcc_func_load(handle, kind.number, name, *text, *about, 1, room, size, None, 0, attach_type or -1)
    if fd >= 0:
        os.close(fd)
    return room.value.decode(errors="replace"), fd == -errno.ENOSPC


def _forget(module: "BPF") -> None:
    """Free the compiler's memory; the programs stay open."""
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
    talk = build.talk()
    for name, _ in unit.job.define:
        if f"'{name}' macro redefined" in talk:
            raise Refused("redefined", name)
    return module


def bcc() -> Any:
    """Return bcc's BPF class; HostError if bcc cannot be imported."""
    try:
        from bcc import BPF, lib
    except (ImportError, OSError) as error:
        raise HostError(
            f"{sys.executable} cannot import bcc ({error}): install Debian's package python3-bpfcc, and run netlab "
            "from a virtual environment that /usr/bin/python3 made with --system-site-packages (PyPI's bcc is another)"
        ) from error
    # types of functions that bcc's own Python does not call
    lib.bpf_num_tables.argtypes = [ctypes.c_void_p]
    lib.bpf_table_name.argtypes = lib.bpf_table_fd_id.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    lib.bpf_table_name.restype = ctypes.c_char_p
    return BPF


@contextmanager
def _refusal(kind: str, text: str = "") -> Iterator[None]:
    """Turn exceptions of bcc into Refused, of this kind."""
    try:
        yield
    except Exception as error:  # bcc raises nothing narrower
        if ctypes.get_errno() == errno.EPERM and os.geteuid() != 0:
            raise HostError("loading programs needs root") from error
        for number in (errno.EMFILE, errno.ENFILE):
            if os.strerror(number) in f"{error}{build.talk()}":
                refuse_lack(OSError(number, os.strerror(number)), "a program cannot be loaded")
        raise Refused(kind, text or str(error)) from error


def _program_names(module: "BPF", kind: build.Kind) -> tuple[list[str], list[str], list[str]]:
    """Return the functions of a module that are programs of a kind; such in headers; and those of the other kind."""
    from bcc import lib

    numbers = range(lib.bpf_num_functions(module.module))
    names = [lib.bpf_function_name(module.module, number).decode() for number in numbers]
    names = [name for name in names if not name.startswith(btf.EVENT_OF)]
    programs = kernel_btf.functions_of(kind.context)
    if programs is None:
        return names, [], []
    others = kernel_btf.functions_of(build.other_kind(kind).context) or ()
    own = [name for name in names if name in programs]
    return own, sorted(programs.difference(names)), [name for name in names if name in others]


def _taken(module: "BPF", maps: dict[str, int], names: list[str], unit: Unit) -> compiled.Compiled | None:
    """Return the compiled form as plain data; None if the file has something that `Compiled` cannot express."""
    from bcc import lib

    inner = dict(
        re.findall(r'\bBPF_(?:ARRAY|HASH)_OF_MAPS\s*\(\s*(\w+)\s*,\s*"(\w+)"', unit.text.decode(errors="replace"))
    )
    try:
        shapes, types = compiled.shapes(maps, inner)
        programs = [
            compiled.code(name, _instructions(module, name), maps, _attach_type(name, unit.kind)) for name in names
        ]
    except compiled.CannotBeTaken:
        return None
    return compiled.Compiled(lib.bpf_module_license(module.module), types or _types(), shapes, tuple(programs))


def _instructions(module: "BPF", name: str) -> bytes:
    """Return the instructions of a program, with the descriptors of its maps."""
    from bcc import lib

    size = lib.bpf_function_size(module.module, name.encode())
    return ctypes.string_at(lib.bpf_function_start(module.module, name.encode()), size)


def _types() -> bytes:
    """Return the BTF of what was compiled, which no map may have; nothing if there is none."""
    return next(iter(kernel_btf.compiled()), b"")


def _attach_type(name: str, kind: build.Kind) -> int:
    return bpf.ATTACH_DEVMAP if kind is build.XDP_KIND and name.endswith(build.DEVMAP_SUFFIX) else 0


def _maps(module: "BPF") -> dict[str, int]:
    """Return the descriptors of the module's maps by name."""
    from bcc import lib

    handle = module.module
    numbers = range(lib.bpf_num_tables(handle))
    return {lib.bpf_table_name(handle, n).decode(): lib.bpf_table_fd_id(handle, n) for n in numbers}
