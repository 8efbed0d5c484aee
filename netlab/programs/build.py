"""What both dialects share: a Build (loaded programs and maps), and the steps from a job to it.

A dialect's module loads a job and returns a Build, or raises Refused. The rest is the same for both: which program is
attached, which maps are kept from an earlier build, and what their layouts are.
"""

import os
import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from netlab.kernel import files
from netlab.programs import bpf, headers, kernel_btf, map_reuse
from netlab.programs.btf import MapTypes
from netlab.programs.loader import Job
from netlab.record import layouts
from netlab.topology import program_text

DEVMAP_SUFFIX = "_devmap"
RUN_SUFFIX = "_run"  # of programs that user space runs by BPF_PROG_TEST_RUN, and nobody attaches
CONTEXT = "xdp_md"  # the struct that a program is given
REASONS, REASON = "reasons", "reason"  # a map, and the enum that numbers its entries
LONGEST_NAME = 255  # of a file
USUAL_ENTRIES = ("xdp_prog", "xdp")


class Build(NamedTuple):
    """What was loaded: the name of the program to attach, and the descriptors of maps and programs by name."""

    entry: str
    maps: dict[str, int]
    programs: dict[str, int]
    forget: Callable[[], None] | None = None  # frees the memory of a compiler that is not needed any more

    @property
    def has_events(self) -> bool:
        """Whether a map is for events: a ring buffer, or a perf event array."""
        return any(bpf.map_info(fd).type in bpf.EVENTS for fd in self.maps.values())


class Refused(Exception):  # noqa: N818 - it is an answer rather than an error
    """The job cannot be done; `kind` says who refuses: compile, verify, redefined, host, or plain."""

    def __init__(self, kind: str, text: str = "") -> None:
        super().__init__(text)
        self.kind = kind
        self.text = text


def whole(job: Job, source: str) -> str:
    """Return a source with its headers; Refused if it includes something unfit, such as a pipe or a device."""
    found = list(program_text.headers(job.path, source, job.include))
    for header in found:
        if header.text is None:
            raise Refused("plain", f"includes {header.path}: {header.problem}")
    return "\n".join([source, *(header.text or "" for header in found)])


def talk() -> str:
    """Return what compilers and libbpf have printed so far on this process's stderr, which is a file."""
    return os.pread(2, os.fstat(2).st_size, 0).decode(errors="replace")


def entry(job: Job, names: Sequence[str], in_headers: Sequence[str] = ()) -> str:
    """Return which of a job's programs is the one to attach."""
    stem = os.path.basename(job.path).partition(".")[0]
    # in a reload, a program that is not for an interface must not replace the attached one
    others = () if job.successor_of else names
    return choose_entry(names, job.function, stem, in_headers, others)


def adopt(job: Job, text: bytes, types: bytes, maps: dict[str, int]) -> None:
    """Let maps, of which no program knows yet, be as the job says, and write down how they are laid out.

    Their descriptors then mean maps of the size that the topology says, or those of an earlier build. `types` is the
    program's BTF, or empty.
    """
    for name, entries in job.map_sizes:
        if name in maps:
            _resize(name, maps[name], entries)
    found = kernel_btf.layouts(maps)
    if job.successor_of:
        map_reuse.adopt(maps, job.successor_of, found)
    of_events = [name for name, fd in maps.items() if bpf.map_info(fd).type in bpf.EVENTS]
    events = [of_events_too(job, types, {}, of_events)] if of_events else []
    note(job, text, kernel_btf.whole([*found.values(), *events]))


def of_events_too(job: Job, types: bytes, maps: Mapping[str, MapTypes], of_events: Sequence[str]) -> layouts.Layouts:
    """Return what a program's BTF says of maps, among them some for events; refuse what the topology says wrongly."""
    from netlab.programs import event_types  # here, as few programs have events

    try:
        return event_types.layouts(types, maps, of_events, dict(job.event_types))
    except event_types.UnknownTypeError as error:
        if not job.successor_of:  # `up` then tells the place in the file
            return event_types.layouts(types, maps, of_events, {})
        raise Refused("plain", str(error)) from None


def _resize(name: str, fd: int, entries: int) -> None:
    """Replace the map behind a descriptor by one of the same kind with `entries` entries."""
    about = bpf.map_info(fd)
    if about.max_entries == entries:
        return
    types = bpf.Object(bpf.open_by_id(bpf.BTF_BY_ID, about.btf, "open its types") if about.btf else -1)
    flags = about.flags & ~(bpf.RDONLY_PROG if about.type in bpf.DEVMAPS else 0)
    sizes = about.key_size, about.value_size, entries
    try:
        with types:
            known = (types.fd, about.key_type, about.value_type) if about.btf else (0, 0, 0)
            made = bpf.create_map(about.type, sizes, "make it", flags=flags, name=name, types=known)
    except OSError as error:
        raise Refused("plain", cannot_be_sized(name, entries, os.strerror(error.errno or 0))) from None
    os.dup2(made, fd, inheritable=False)
    os.close(made)


def cannot_be_sized(name: str, entries: int, why: str) -> str:
    """Return the message for a map that cannot have the size that the topology sets."""
    return f"cannot have {entries:,} entries in the map {name}: {why}"


def note(job: Job, text: bytes, known: layouts.Layouts) -> None:
    """Write the layouts of a job's maps to the job's file."""
    if path := job.layouts:
        files.ensure_folder(os.path.dirname(path), files.FOR_GROUP)
        layouts.write(path, _with_reasons(job, text, known))


def _with_reasons(job: Job, text: bytes, known: layouts.Layouts) -> layouts.Layouts:
    """Add the names of reasons as the source has them, for a program that does not use bpf/verdict.h."""
    if REASONS not in known.maps or REASON in known.enums:
        return known
    source = program_text.with_headers(job.path, text.decode(errors="replace"), job.include)
    found = headers.enum_in(source, REASON)
    enums: Mapping[str, Mapping[str, int]] = {**known.enums, REASON: found}
    return known._replace(enums=enums) if found else known


def is_for_something_else(name: str) -> bool:
    """Say whether a program's name ends in DEVMAP_SUFFIX or RUN_SUFFIX: such a program is not for an interface."""
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
