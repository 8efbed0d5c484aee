"""Compiles a source of libbpf's dialect to a BPF object, by clang: `make install-libbpf`."""

import glob
import os
import re
import resource
import shutil
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from functools import partial

from netlab import assets
from netlab.errors import HostError
from netlab.kernel import syscalls
from netlab.named_tuple import NamedTuple
from netlab.programs import build, headers, kernel_header, lab_header
from netlab.programs.build import Refused
from netlab.programs.loader import Job
from netlab.record import mark
from netlab.topology import program_text

INSTALL = "make install-libbpf installs them (on Debian: apt-get install clang libbpf-dev)"
_ARCHITECTURES = {"x86_64": "x86", "aarch64": "arm64", "riscv64": "riscv", "s390x": "s390", "ppc64le": "powerpc"}
_NO_HELPERS = re.compile(r"fatal error: 'bpf/bpf_\w+\.h' file not found")
# what clang says of an instruction that the oldest BPF CPU lacks; until version 20 clang compiles for that one
_NEEDS_NEWER = re.compile(
    r"[Uu]nsupported atomic operations?, please use 64 bit version|Invalid usage of the XADD return value"
)
_NEWER = "-mcpu=v3"  # Linux 5.12
_FROM_C, _FROM_TEXT = ("-x", "c", "-"), ("-Qunused-arguments", "-x", "cpp-output", "-")
_HELPERS = "/usr/include/bpf/bpf_helpers.h"  # if it exists, a missing header is another one, or of a newer libbpf
_ASKED = "netlab-asked"  # begins the names of files in which names are tried
_NO_OBJECT = re.compile(rf"^{_ASKED}/(\d+):\d+:\d+: error: ", re.MULTILINE)

Define = tuple[tuple[str, str | int], ...]


class Options(NamedTuple):
    """The compiler's options for a job's source; `text` is that of headers that netlab has made for it."""

    compiler: str
    flags: list[str]
    text: bytes


def find() -> str:
    """Return the path of clang; HostError if it is not installed."""
    newest = sorted(glob.glob("/usr/bin/clang-[0-9]*"), key=lambda path: int(re.sub(r"\D", "", path) or 0))
    found = shutil.which("clang") or next((path for path in reversed(newest) if os.access(path, os.X_OK)), "")
    if not found:
        raise HostError(f"programs of libbpf's dialect are compiled by clang, which is not installed: {INSTALL}")
    return found  # not resolved: a link may go to ccache, which finds out by its own name what to run


def options(job: Job, whole: str) -> Options:
    """Return the options for a job's source; `whole` is the source with its headers."""
    machine = os.uname().machine
    own = os.path.join(assets.folder("bpf"), "libbpf")
    folders = [own, os.path.dirname(job.path), *job.include, os.path.join(own, "bpf")]
    if _needs_types(job, whole):
        folders.append(kernel_header.folder(job.work_folder))
    folders += headers.of_libbpf(whole, [*folders, "/usr/include"], job.work_folder)
    more, of_lab = lab_header.flags(job.lab, job.key, job.path, whole, job.work_folder)
    flags = ["-O2", "-g", "-target", "bpf", "-Werror=implicit-function-declaration", "-fno-color-diagnostics"]
    flags += [f"-D__TARGET_ARCH_{_ARCHITECTURES.get(machine, machine)}"]
    flags += [f'-DLAB_NODE="{mark.printed(job.lab)}/{job.key}"']
    flags += [f"-I{folder}" for folder in folders]
    if headers.is_kernels(whole):
        flags += [*headers.flags_for(whole), *headers.of_kernel(job.work_folder)]
    flags += [*more, f"-I/usr/include/{machine}-linux-gnu", "-idirafter", "/usr/include/bpf", *job.cflags]
    return Options(find(), flags, of_lab)


def macros(job: Job, text: bytes, made: Options, cpu_s: float) -> Define:
    """Return the constants of a job that become macros: those whose names are no variables of the source.

    Only the compiler knows, and it must be told before it compiles. So it reads the source once without them, and takes
    the address of each name. All are macros if it cannot read the source to its end.
    """
    if not job.define:
        return ()
    asked = "".join(_asked(n, name) for n, (name, _) in enumerate(job.define))
    argv = [made.compiler, *made.flags, "-fsyntax-only", "-ferror-limit=0", "-w", *_FROM_C]
    limit = partial(_limit, os.getpid(), cpu_s)
    source = _begin(job) + text + asked.encode() + b"\n"
    done = subprocess.run(argv, input=source, check=False, cwd="/", capture_output=True, preexec_fn=limit)
    said = done.stderr.decode(errors="replace")
    if " fatal error: " in said or done.returncode < 0:
        return job.define
    found = {int(number) for number in _NO_OBJECT.findall(said)}
    return tuple(each for n, each in enumerate(job.define) if n in found)


def _asked(number: int, name: str) -> str:
    """Return C that is refused unless there is a variable of a name, and no macro."""
    address = f"static void *netlab_asked_{number} = (void *)&{name};"
    return f'\n# 1 "{_ASKED}/{number}"\n#ifdef {name}\n#error {name}\n#else\n{address}\n#endif'


def defined(define: Define) -> list[str]:
    """Return the options that make constants macros."""
    return [f"-D{name}={value}" for name, value in define]


def _needs_types(job: Job, whole: str) -> bool:
    """Say whether a source includes `vmlinux.h`, and does not bring one along."""
    name = kernel_header.NAME
    own = (os.path.join(folder, name) for folder in (os.path.dirname(job.path), *job.include))
    return program_text.includes(whole, name) and not any(map(os.path.exists, own))


def preprocessed(job: Job, text: bytes, made: Options, cpu_s: float) -> tuple[bytes, str]:
    """Return the preprocessed text, and the make rule with the headers that were read.

    Its line markers name the author's files and lines, so later complaints do, too.
    """
    return _run(job, [made.compiler, *made.flags, "-E", *_FROM_C], _begin(job) + text, cpu_s)


def compiled(job: Job, text: bytes, made: Options, cpu_s: float, *, is_preprocessed: bool = False) -> tuple[bytes, str]:
    """Return the object that is compiled from a text, and the make rule with the headers that were read.

    The rule of a preprocessed text is empty: `preprocessed` has returned it.
    """
    given = _FROM_TEXT if is_preprocessed else _FROM_C
    argv = [made.compiler, *made.flags, "-c", *given]
    text = text if is_preprocessed else _begin(job) + text
    try:
        return _run(job, argv, text, cpu_s)
    except Refused as refusal:
        is_chosen = any(flag.startswith("-mcpu") for flag in job.cflags)
        if is_chosen or refusal.kind != "clang" or not _NEEDS_NEWER.search(build.talk()):
            raise
        return _run(job, [*argv, _NEWER], text, cpu_s)


def _begin(job: Job) -> bytes:
    """Return the line marker that names the author's file."""
    return f'# 1 "{_in_c(job.path)}"\n'.encode()


def _run(job: Job, argv: Sequence[str], text: bytes, cpu_s: float) -> tuple[bytes, str]:
    """Return the compiler's output for a text, and the make rule, or ""."""
    place = os.path.join(job.work_folder, str(os.getpid()))
    out, rule = f"{place}.o", f"{place}.d"
    argv = [*argv, "-o", out, "-MD", "-MF", rule, "-MT", "o"]
    try:
        done = subprocess.run(
            argv, input=text, check=False, cwd="/", stdout=2, preexec_fn=partial(_limit, os.getpid(), cpu_s)
        )
        _judge(job, done.returncode, cpu_s)
        with open(out, "rb") as made:
            data = made.read()
        with suppress(FileNotFoundError), open(rule, encoding="utf-8", errors="surrogateescape") as file:
            return data, file.read()
        return data, ""
    finally:
        for path in (out, rule):
            with suppress(FileNotFoundError):
                os.unlink(path)


def _limit(parent: int, cpu_s: float) -> None:
    """Make the compiler die with its parent, and limit its CPU time."""
    syscalls.die_with_parent(parent)
    # at SIGXCPU the compiler removes its temporary files; SIGKILL follows a second later
    resource.setrlimit(resource.RLIMIT_CPU, (int(cpu_s) + 1, int(cpu_s) + 2))


def _judge(job: Job, status: int, cpu_s: float) -> None:
    """Raise HostError or Refused if the compiler has failed; `status` is its exit status."""
    talk = build.talk()
    if status and _NO_HELPERS.search(talk) and not os.path.exists(_HELPERS):
        raise HostError(f"{job.path} includes headers of libbpf, which are not installed: {INSTALL}")
    if status and _cpu_used_s() > cpu_s:  # not decided by the signal: SIGKILL comes if it is slow to end at SIGXCPU
        raise Refused("limit", f"takes too long to compile: more than {cpu_s:g} s of CPU time")
    if status < 0:
        raise Refused("clang", f"clang was killed by signal {-status}")
    if status:
        raise Refused("clang", "clang refused it")
    for name, _ in job.define:
        if f"'{name}' macro redefined" in talk:
            raise Refused("redefined", name)


def _cpu_used_s() -> float:
    """Return the CPU time of compilers that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _in_c(path: str) -> str:
    return path.replace("\\", "\\\\").replace('"', '\\"')


def without_folder(flags: Sequence[str], work_folder: str) -> list[str]:
    """Return options without the work folder's path, so that they are equal in every lab."""
    return [flag.replace(work_folder, "") for flag in flags]
