"""What both dialects share: a Build (loaded programs and maps), and the steps from a job to it.

A dialect's module loads a job and returns a Build, or raises Refused. The rest is the same for both: which program is
attached, which maps are kept from an earlier build, and what their layouts are.
"""

import os
import re
from collections.abc import Callable, Collection, Mapping, Sequence

from netlab.kernel import files
from netlab.named_tuple import NamedTuple
from netlab.programs import bpf, headers, kernel_btf, map_reuse
from netlab.programs.btf import MapTypes
from netlab.programs.kept_code import Instructions
from netlab.programs.loader import Job
from netlab.record import layouts
from netlab.topology import hooks, program_text

DEVMAP_SUFFIX = "_devmap"
RUN_SUFFIX = "_run"  # of programs that user space runs by BPF_PROG_TEST_RUN, and nobody attaches
REASONS, REASON = "reasons", "reason"  # a map, and the enum that numbers its entries
LONGEST_NAME = 255  # of a file


class Kind(NamedTuple):
    """Programs of one kind: what they are called, the kernel's number of it, the struct that each is given.

    `home` is where the topology has them.
    """

    name: str
    number: int
    context: str
    home: str

    @property
    def shape(self) -> str:
        """How the function of a program is declared."""
        return f"int NAME(struct {self.context} *ctx)"


XDP_KIND = Kind("XDP", bpf.XDP, "xdp_md", "`xdp:`")
TC_KIND = Kind("tc", bpf.SCHED_CLS, "__sk_buff", "`tc: {ingress: …}` or `tc: {egress: …}`")
_USUAL_ENTRIES = {
    hooks.XDP: ("xdp_prog", "xdp"),
    hooks.INGRESS: ("tc_ingress", "ingress", "tc"),
    hooks.EGRESS: ("tc_egress", "egress", "tc"),
}


class Build(NamedTuple):
    """What was loaded: the name of the program to attach, and the descriptors of maps and programs by name."""

    entry: str
    maps: dict[str, int]
    programs: dict[str, int]
    code: Callable[[str], Instructions] | None = None  # of a program, by its name
    forget: Callable[[], None] | None = None  # frees the memory of a compiler that is not needed any more

    @property
    def has_events(self) -> bool:
        """Whether a map is for events: a ring buffer, or a perf event array."""
        return any(bpf.map_info(fd).type in bpf.EVENTS for fd in self.maps.values())


class Refused(Exception):  # noqa: N818 - it is an answer rather than an error
    """The job cannot be done; `kind` says who refuses: compile, verify, redefined, host, limit, outside, or plain."""

    def __init__(self, kind: str, text: str = "") -> None:
        super().__init__(text)
        self.kind = kind
        self.text = text


def kind_at(hook: str) -> Kind:
    """Return the kind of programs that a hook takes."""
    return XDP_KIND if hook == hooks.XDP else TC_KIND


def other_kind(kind: Kind) -> Kind:
    """Return the other kind of programs."""
    return TC_KIND if kind is XDP_KIND else XDP_KIND


def refuse_other_kind(job: Job, names: Collection[str], others: Collection[str]) -> None:
    """Refuse a job for a program of the other kind; `names` are the file's programs of the job's kind."""
    kind = kind_at(job.hook)
    other = other_kind(kind)
    if job.function in others and job.function not in names:
        what = f"attaches {job.function}() as a program for {kind.name}; it"
    elif others and not names:
        what = f"has no program for {kind.name}; {' and '.join(f'{name}()' for name in sorted(others))}"
    else:
        return
    takes = "takes" if job.function in others or len(others) == 1 else "take"
    raise Refused(
        "plain", f"{what} {takes} a struct {other.context} *, as for {other.name}: give it under {other.home}"
    )


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
    return choose_entry(names, job.function, stem, in_headers, others, job.hook)


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
    names: Sequence[str],
    wanted: str,
    stem: str,
    in_headers: Sequence[str] = (),
    others: Sequence[str] = (),
    hook: str = hooks.XDP,
) -> str:
    """Return which of a file's programs, which are all of the hook's kind, is the one to attach.

    That is the one wanted, or else the one named like the file, or as usual at this hook (`xdp`, `tc_ingress`), or the
    only one whose name has the direction of tc, or the only one at all. Those whose names say that they are for
    something else count only if there are no others, and are among `others`. None of `in_headers` can be.
    """
    function = kind_at(hook).shape
    shape = f"`{function}`, not static"
    plain = [name for name in names if not is_for_something_else(name)]
    candidates = plain or others
    if wanted in names:
        return wanted
    if in_headers and (wanted in in_headers or not candidates):
        name = wanted or in_headers[0]
        way_out = f"make it `static inline`, and let a function of the file, `{function}`, call it"
        raise Refused("plain", f"has no program {name} itself: {name}() is in a header, where bcc sees none: {way_out}")
    if wanted:
        it_has = f"it has {', '.join(names)}" if names else f"a program is {shape}"
        raise Refused("plain", f"has no program {wanted}: {it_has}")
    if not candidates:
        raise Refused("plain", f"has no program: a program is a function {shape}")
    for name in (re.sub(r"\W", "_", stem), *_USUAL_ENTRIES[hook]):
        if name in names:
            return name
    apt = [name for name in candidates if hook in hooks.TC and hooks.direction(hook) in name.split("_")]
    if len(apt) == 1:
        return apt[0]
    if len(candidates) > 1:
        raise Refused("plain", f"has several programs, {', '.join(candidates)}: say which one to attach by `function:`")
    return candidates[0]
