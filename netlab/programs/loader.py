"""The parent's side of programs: one short-lived child a program compiles, loads, pins and attaches.

    compilation = start(job)                    the child compiles, loads and pins, while the parent builds the lab
    compilation.attach(namespace, interfaces)   tells the child where, once that stands
    compilation.finish()                        waits until the program is attached, or raises what went wrong

The child is `loader_child`, so that nothing but it ever carries bcc's compiler. It dies with its parent.
"""

import json
import os
import select
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from netlab import paths
from netlab.errors import BuildLimitError, HostError, NetlabError, reason
from netlab.kernel import progress
from netlab.named_tuple import NamedTuple
from netlab.programs import child_processes, program_source
from netlab.programs.child_processes import Ends
from netlab.record import shapes
from netlab.record.notes import Pinned
from netlab.topology.hooks import XDP

if TYPE_CHECKING:
    from netlab.programs.diagnostics import Source

COMPILE_LIMIT_S = 300  # of CPU time
MEMORY_LIMIT = 2 << 30  # bytes; the balancer takes an eighth of it
PATIENCE_S = 60.0
_SIGKILL = 9
_READ_BYTES = 65536


class Job(NamedTuple):
    """What a child is to load: `key` is the program's key in its lab (paths.program_key).

    `path` is the absolute path of the C file, or of an object, and `function` its entry, or "" for the conventional
    one. `define` and `builtins` become macros of the program, builtins first; a builtin may be overridden. In libbpf's
    dialect there are no builtins, and `define` sets global variables, too. Maps are pinned as `pin_folder`/maps/NAME
    and programs as `pin_folder`/programs/FUNCTION; `pin_folder` is made, in a BPF file system that is there.
    `work_folder` holds files that the children share, and must be the same for all jobs of a lab. What `hook`,
    `dialect`, `include`, `cflags`, `map_sizes` and `event_types` are, topology.model.Program says.

    `code` is the folder to keep the programs' instructions in (see `kept_code`), or "" for none.
    `layouts` is the file to write down how the maps are laid out, or "" for none; its folder is made.
    Nobody trusts an `untrusted` program: it is compiled in a room (`room`), sees only files below `folder`, the
    topology's, or "" for the program's own, and may ask the kernel for packets and maps only.
    `successor_of` is the pin folder of an earlier build, or "": its maps are used, which must have the same shapes (see
    `map_reuse`), and its program is replaced where it is attached.
    """

    lab: str
    key: str
    path: str
    pin_folder: str
    work_folder: str
    function: str = ""
    mode: str = "native"  # native | generic
    define: tuple[tuple[str, str | int], ...] = ()
    builtins: tuple[tuple[str, str | int], ...] = ()
    layouts: str = ""
    successor_of: str = ""
    dialect: str = ""  # bcc | libbpf
    include: tuple[str, ...] = ()
    cflags: tuple[str, ...] = ()
    map_sizes: tuple[tuple[str, int], ...] = ()
    hook: str = XDP
    event_types: tuple[tuple[str, str], ...] = ()
    untrusted: bool = False
    folder: str = ""
    code: str = ""


class Loaded(NamedTuple):
    """What stands after a program has been loaded: the entry that is attached, and the names of all pins.

    `notes` is what a person should be told of how it came about. `cpumaps` are the kernel's numbers of its CPU maps.
    `has_events` says that a map of it is for events.
    """

    function: str
    programs: tuple[str, ...]
    maps: tuple[str, ...]
    notes: tuple[str, ...] = ()
    cpumaps: tuple[int, ...] = ()
    has_events: bool = False

    def noted(self, more: Iterable[str] = ()) -> Pinned:
        """Return what the lab's record notes of it; `more` are other maps that are pinned there."""
        maps = sorted({*self.maps, *more})
        return Pinned(
            self.function, (*(f"programs/{name}" for name in self.programs), *(f"maps/{name}" for name in maps))
        )


class Limits(NamedTuple):
    """What a child may use: CPU time to compile, load and pin, and bytes of memory."""

    cpu_s: float = COMPILE_LIMIT_S
    memory: int = MEMORY_LIMIT

    def at_most(self, other: "Limits") -> "Limits":
        """Return the narrower of each."""
        return Limits(min(self.cpu_s, other.cpu_s), min(self.memory, other.memory))


UNTRUSTED = Limits(60, 1 << 30)


class Order(NamedTuple):
    """The first line for a child: its job, the process that dies with it, and what it may use.

    `source_fd` is the descriptor of the program's text. `here` is the parent's folder, from which messages name files.
    """

    job: Job
    parent: int
    limits: Limits
    source_fd: int
    here: str


class Place(NamedTuple):
    """The second line for a child: the file of a namespace, and the interfaces there, to attach the program to.

    `earlier` are the kernel's numbers of the programs whose places it takes; None if it is the first build.
    """

    netns: str
    interfaces: tuple[str, ...]
    earlier: tuple[int, ...] | None = None


class Refusal(NamedTuple):
    """A child's answer when it has failed: the kind of failure, and a text for the message."""

    error: str
    text: str


def start(
    job: Job,
    lock_fd: int = -1,
    limits: Limits = Limits(),  # noqa: B008 - it is immutable
    register: "Callable[[Compilation], object]" = lambda _: None,
) -> "Compilation":
    """Start a child on a job, and return at once. Many may be started: only one for each CPU compiles at a time.

    `register` gets the compilation before the child does anything, so an undo after a signal knows of it. `lock_fd`
    is the lab's lock, which the child holds, too, until it ends. The child dies with the *thread* that calls this.
    UsageError if the source cannot be read, or if NETLAB_CACHE is no usable path.
    """
    paths.cache_folder()
    text = program_source.read(job)
    source = program_source.in_memory(text)
    job_out, job_in = os.pipe()
    answer_out, answer_in = os.pipe()
    talk = os.memfd_create("netlab-compiler", os.MFD_CLOEXEC)
    try:
        kept = [fd for fd in (source, lock_fd) if fd >= 0]
        pid = child_processes.start(Ends(job_out, answer_in, talk, kept), fresh=job.untrusted)
    except OSError as error:
        for fd in (job_in, answer_out, talk):
            os.close(fd)
        raise HostError(f"cannot start {sys.executable}: {reason(error)}") from error
    finally:
        for fd in (job_out, answer_in, source):
            os.close(fd)
    limits = limits.at_most(UNTRUSTED) if job.untrusted else limits
    compilation = Compilation(job, text, pid, job_in, answer_out, talk, limits)
    register(compilation)
    compilation.tell(Order(job, os.getpid(), limits, source, program_source.here()))
    return compilation


class Compilation:
    """A child at work on a job. Whatever happens, call `finish` or `kill` in the end: each of them reaps the child."""

    def __init__(
        self, job: Job, text: bytes, pid: int, job_in: int, answer_out: int, talk: int, limits: Limits
    ) -> None:
        self.job = job
        self.text = text  # what is compiled
        self.limits = limits
        self.pid = pid  # 0 once the child is reaped
        self._job_in = job_in
        self._answer_out = answer_out
        self._talk = talk
        self._text = b""
        self._loaded: Loaded | None = None

    def pinned(self, patience_s: float = PATIENCE_S) -> Loaded:
        """Wait until everything is loaded and pinned, as `finish` also does; raises the same errors."""
        if self._loaded is None:
            self._loaded = shapes.read(Loaded, self._answer(patience_s))
        return self._loaded

    def attach(self, netns: str, interfaces: Sequence[str], earlier: Iterable[int] | None = None) -> None:
        """Say that the namespace at `netns` stands, and what else Place says; returns at once."""
        self.tell(Place(netns, tuple(interfaces), None if earlier is None else tuple(earlier)))

    def finish(self, patience_s: float = PATIENCE_S) -> Loaded:
        """Wait until the kernel says that the program is attached where it should be.

        Gives up when neither the child nor the children that compile have used CPU time for `patience_s` seconds.
        Raises NetlabError with the lines that matter (`KEY: FILE:LINE:COLUMN: ...`), or HostError if this host cannot
        load programs at all. In each case the child has ended.
        """
        loaded = self.pinned(patience_s)
        self._answer(patience_s)
        self.kill()
        return loaded

    def kill(self) -> None:
        """Kill the child and reap it; does nothing if that was done before."""
        if not self.pid:
            return
        # If a signal interrupts this, the undo calls it again.
        with suppress(ProcessLookupError):
            os.kill(self.pid, _SIGKILL)
        self._reap()

    def tell(self, line: Order | Place) -> None:
        """Send the child a line of JSON; if the child is gone, `finish` will say so."""
        if not self.pid:
            return
        with suppress(BrokenPipeError):
            os.write(self._job_in, json.dumps(shapes.plain(line)).encode() + b"\n")

    def _answer(self, patience_s: float) -> object:
        """Return the child's next answer; raise an error if that is a refusal, or if the child has ended."""
        if not self.pid:
            raise NetlabError(f"{self.job.key}: {self._source().shown}: the loader is gone")
        poll = select.poll()
        poll.register(self._answer_out, select.POLLIN)
        # the child may wait for one of these locks, and then use no CPU time
        turns = [paths.compile_lock(self.job.work_folder, number) for number in range(os.cpu_count() or 1)]
        patience = progress.Patience(lambda: progress.of_holders(*turns, pids=[self.pid]), patience_s)
        while b"\n" not in self._text:
            if not poll.poll(patience.pause_s * 1000):
                if patience.is_over():
                    self.kill()
                    why = f"for {patience_s:g} s it has used no CPU time: does the program include a pipe or a device?"
                    raise BuildLimitError(f"{self.job.key}: {self._source().shown}: the loader does not answer; {why}")
                continue
            text = os.read(self._answer_out, _READ_BYTES)
            if not text:
                raise self._crash()
            self._text += text
        line, _, self._text = self._text.partition(b"\n")
        answer: object = json.loads(line)
        if isinstance(answer, dict) and "error" in answer:
            raise self._failure(*shapes.read(Refusal, answer))
        return answer

    def _failure(self, kind: str, text: str) -> NetlabError:
        """Reap a child that has answered with a refusal, and return the error that says why."""
        from netlab.programs import failures

        talk = self._talk_text()
        self.kill()
        return failures.refused(self.job, kind, text, talk, self._source())

    def _crash(self) -> NetlabError:
        """Reap a child that ended without an answer, and return the error that says why."""
        from netlab.programs import failures

        talk = self._talk_text()
        return failures.crashed(self.job, self._reap(), talk, self._source(), self.limits)

    def _reap(self) -> int:
        """Wait until a child has ended, close its pipes, and return its exit status.

        The exit status is 0 if an interrupted call has reaped the child before, or if the caller ignores SIGCHLD.
        """
        status = 0
        with suppress(ChildProcessError):
            _, status = os.waitpid(self.pid, 0)
        self.pid = 0
        for fd in (self._job_in, self._answer_out, self._talk):
            os.close(fd)
        return os.waitstatus_to_exitcode(status)

    def _talk_text(self) -> str:
        """Return all output of the child, bcc, clang and libbpf."""
        size = os.fstat(self._talk).st_size
        return os.pread(self._talk, size, 0).decode(errors="replace")

    def _source(self) -> "Source":
        """Return the program's file in the form that `diagnostics` needs."""
        from netlab.programs.diagnostics import Source

        return Source.of(self.job.path, self.text, self.job.include)
