"""Loads programs of libbpf's dialect: BPF objects, and sources that clang compiles to objects."""

import errno
import fcntl
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TypeVar

from netlab import paths
from netlab.programs import bpf, btf, build, event_text, map_reuse
from netlab.programs.btf import BadBtfError, MapTypes
from netlab.programs.build import Build, Refused
from netlab.programs.libbpf_calls import (
    ATTACH_CPUMAP,
    ATTACH_DEVMAP,
    ATTACH_INTERFACE,
    UNSPECIFIED,
    XDP,
    ObjectFile,
    ObjectMap,
    Program,
)
from netlab.programs.loader import Job, Order
from netlab.programs.maps import possible_cpus
from netlab.record.layouts import NONE, Layouts
from netlab.topology import object_file

_T = TypeVar("_T")
_NO_PREALLOC = 1  # BPF_F_NO_PREALLOC: the kernel makes no LPM trie without it
_CONSTANT = ("rodata", "kconfig")  # maps of constants: each build has its own
_STRINGS = re.compile(r"rodata_str|rodata_cst")  # maps of literals, which the source does not name
_OWN_ERRORS = 4000  # enum libbpf_errno begins here
_SLOT_BYTES = 4  # of a number, and of a descriptor in a perf event array
_NAME = re.compile(r"\w+")
_REFUSED = re.compile(r"^libbpf: prog '([^']*)': BPF program load failed: ", re.MULTILINE)


def load_source(order: Order, text: bytes, whole: str, say: Callable[[str], None]) -> Build:
    """Compile a source, keep the object in the cache, and load it; `whole` is the source with its headers."""
    from netlab.programs import cache, clang, old_maps

    job, began = order.job, time.time()
    if b"\0" in text:
        raise Refused("plain", "is no C source: it holds a zero byte")
    made = clang.options(job, whole)
    compiled_before = clang.without_folder(made.flags, job.work_folder)
    text = event_text.with_types(text, whole, is_bcc=False)
    key = cache.key(job.path, text + made.text, compiled_before, made.compiler)
    kept = cache.find(key, say)
    macros = {name for name, _ in clang.macros(job, whole)}
    if isinstance(kept, bytes):
        return _load(job, kept, text, macros)
    source = text.decode(errors="surrogateescape")
    new = old_maps.translated(source).encode(errors="surrogateescape") if old_maps.has_any(source) else text
    data, dependencies = clang.compiled(job, new, made, order.limits.cpu_s)
    loaded = _load(job, data, text, macros)
    if paths.cache_folder():
        cache.keep(key, data, dependencies, "/", began, job.work_folder)
    return loaded


def load_object(job: Job, data: bytes) -> Build:
    """Load an object that the user has compiled."""
    return _load(job, data, b"", set())


def _load(job: Job, data: bytes, text: bytes, macros: set[str]) -> Build:
    """Load an object: its XDP programs, and its maps."""
    _check_form(data)
    opened = _open(job, data)
    maps = _by_name("map", ((_map_name(each), each) for each in opened.maps))
    programs = _by_name("program", ((each.name, each) for each in _xdp_programs(opened)))
    entry = _entry(job, opened, programs)
    _choose(programs, entry)
    known = _layouts(job, opened.types(), maps)
    if job.define:
        from netlab.programs import global_variables  # imported here: most objects are loaded as they are

        global_variables.set_all(job, maps, known, macros)
    _size(job, maps)
    with ExitStack() as held:
        _keep(job, maps, known, held)
        held.enter_context(_alone(job, maps))
        _make(opened, maps)
    build.note(job, text, known)
    shown = {name: each.fd for name, each in maps.items() if not _STRINGS.match(name) and each.fd >= 0}
    return Build(entry, shown, {name: each.fd for name, each in programs.items() if each.is_wanted})


def _check_form(data: bytes) -> None:
    try:
        sections = object_file.sections(data)
    except object_file.BadObjectError as error:
        raise Refused("plain", f"is {error}") from None
    if any(name == "maps" or name.startswith("maps/") for name in sections):
        what = 'has maps in the section "maps", which libbpf 1.0 and later do not know: '
        raise Refused("plain", f'{what}declare them in ".maps", or give netlab the source, which it translates')


def _open(job: Job, data: bytes) -> ObjectFile:
    """Open the object; its name has only letters, because the names of its sections' maps begin with it."""
    stem = re.sub(r"\W", "_", os.path.basename(job.path).partition(".")[0]) or "object"
    root = paths.shared_pins(job.successor_of or job.pin_folder, paths.node_of(job.key))
    try:
        return ObjectFile(data, stem, root)
    except OSError as error:
        why = error.strerror if (error.errno or 0) < _OWN_ERRORS else "its form is wrong"
        raise Refused("object", f"libbpf does not open it: {why}") from None


def _map_name(each: ObjectMap) -> str:
    """Return a map's name: as in C, or as its section without characters that a BPF file system refuses."""
    return each.name.partition(".")[2].replace(".", "_") if each.is_internal else each.name


def _by_name(what: str, pairs: Iterable[tuple[str, _T]]) -> dict[str, _T]:
    """Return these by name; Refused if a name is no name of C, or not unique: names become part of paths."""
    found: dict[str, _T] = {}
    for name, each in pairs:
        if not _NAME.fullmatch(name) or len(name) > build.LONGEST_NAME:
            shown = name if len(name) <= build.LONGEST_NAME else f"{name[: build.LONGEST_NAME]}…"
            raise Refused("plain", f"has a {what} called {shown!r}: expected a name of C")
        if name in found:
            raise Refused("plain", f"has two of the name {name}: expected a {what} of each name")
        found[name] = each
    return found


def _xdp_programs(opened: ObjectFile) -> Iterator[Program]:
    """Yield the programs for XDP, with their types set; the other programs will not be loaded."""
    try:
        takers = btf.functions_of(opened.types(), build.CONTEXT)
    except BadBtfError:
        takers = set()
    for each in opened.programs:
        is_xdp = each.type == XDP or each.section.startswith("xdp") or each.name in takers
        if each.type in {UNSPECIFIED, XDP} and is_xdp:
            each.become(XDP, _attach_type(each))
            yield each
        else:
            each.want(False)


def _attach_type(program: Program) -> int:
    """Return a program's attach type, by its section or else its name."""
    known = {ATTACH_DEVMAP, ATTACH_CPUMAP}
    if program.type == XDP and program.attach_type in known:
        return program.attach_type
    if "cpumap" in program.section:
        return ATTACH_CPUMAP
    is_egress = "devmap" in program.section or program.name.endswith(build.DEVMAP_SUFFIX)
    return ATTACH_DEVMAP if is_egress else ATTACH_INTERFACE


def _entry(job: Job, opened: ObjectFile, programs: dict[str, Program]) -> str:
    """Return the program to attach: `function` may name a program, or a section with only one program."""
    wanted = job.function
    if wanted and wanted not in programs:
        inside = [name for name, each in programs.items() if each.section == wanted]
        if len(inside) > 1:
            raise Refused("plain", f"has several programs in the section {wanted}: {', '.join(inside)}")
        wanted = inside[0] if inside else wanted
    if not programs and opened.programs:
        there = ", ".join(f"{each.name} in {each.section}" for each in opened.programs)
        raise Refused("plain", f"has no program for XDP, which takes a struct {build.CONTEXT} *: it has {there}")
    ordinary = [name for name, each in programs.items() if each.attach_type == ATTACH_INTERFACE and each.is_wanted]
    names = list(programs) if wanted or not ordinary else ordinary
    return build.entry(job._replace(function=wanted), names)


def _choose(programs: dict[str, Program], entry: str) -> None:
    """Mark the program to attach: it is loaded in any case, and for an interface."""
    programs[entry].want(True)
    programs[entry].become(XDP, ATTACH_INTERFACE)


def _layouts(job: Job, types: bytes, maps: dict[str, ObjectMap]) -> Layouts:
    """Return the layouts of the maps by the object's BTF; NONE if that is not understood."""
    numbers = {
        name: MapTypes(
            each.number("btf_key_type_id"),
            each.number("btf_value_type_id"),
            each.number("key_size"),
            each.number("value_size"),
        )
        for name, each in maps.items()
    }
    of_events = [name for name, each in maps.items() if each.number("type") in bpf.EVENTS]
    if of_events:
        return build.of_events_too(job, types, numbers, of_events)
    try:
        return btf.layouts(types, numbers) if types else NONE
    except BadBtfError:
        return NONE


def _size(job: Job, maps: dict[str, ObjectMap]) -> None:
    """Set maps' sizes as the topology says, and the flag that the kernel demands of LPM tries."""
    for name, entries in job.map_sizes:
        if name in maps:
            try:
                maps[name].set("max_entries", entries)
            except OSError as error:
                raise Refused("plain", build.cannot_be_sized(name, entries, str(error.strerror))) from None
    for each in maps.values():
        _size_of_values(each)
        flags = each.number("map_flags")
        if each.number("type") == bpf.LPM_TRIE and not flags & _NO_PREALLOC:
            each.set("map_flags", flags | _NO_PREALLOC)


def _size_of_values(each: ObjectMap) -> None:
    """Let maps of events have values as the kernel wants them: a declared type of values is that of the events."""
    if each.number("type") in bpf.EVENTS:
        size = _SLOT_BYTES if each.number("type") == bpf.PERF_ARRAY else 0
        for which in ("key_size", "value_size"):
            if each.number(which) != size:
                each.set(which, size)


def _keep(job: Job, maps: dict[str, ObjectMap], known: Layouts, held: ExitStack) -> None:
    """Use the maps of an earlier build, if there is one, except for maps of constants."""
    if not job.successor_of:
        return
    states = {name: each for name, each in maps.items() if not (each.is_internal and name.startswith(_CONSTANT))}
    shapes = {name: _shape(each) for name, each in states.items()}
    for name, old in map_reuse.kept(shapes, job.successor_of, dict.fromkeys(maps, known), held).items():
        maps[name].reuse(old.fd)


def _shape(each: ObjectMap) -> map_reuse.Shape:
    """Return the shape that the kernel will have for a map of an object."""
    numbers = ("type", "key_size", "value_size", "max_entries", "map_flags")
    shape = map_reuse.Shape(*(each.number(number) for number in numbers))
    if shape.type in bpf.DEVMAPS:
        return shape._replace(flags=shape.flags | bpf.RDONLY_PROG)
    if shape.type == bpf.PERF_ARRAY and not shape.max_entries:
        return shape._replace(max_entries=possible_cpus())
    return shape


@contextmanager
def _alone(job: Job, maps: dict[str, ObjectMap]) -> Iterator[None]:
    """Hold a lock while maps are made that programs of a node share by name: only one program may make each."""
    if not any(each.pin for each in maps.values()):
        yield
        return
    with open(paths.pin_lock(job.work_folder), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _make(opened: ObjectFile, maps: dict[str, ObjectMap]) -> None:
    """Make maps and load programs; Refused says which program was refused, or what is wrong with the object."""
    try:
        opened.load()
    except OSError as error:
        if refused := _REFUSED.search(build.talk()):
            raise Refused("refused", refused[1]) from None
        unsized = [name for name, each in maps.items() if not each.number("max_entries") and each.fd < 0]
        if unsized and error.errno == errno.EINVAL:
            what = f"has maps without a size, which its own loader sets: {', '.join(unsized)}"
            raise Refused("plain", f"{what}; say it by `maps: {{{unsized[0]}: {{max_entries: N}}}}`") from None
        raise Refused("object", f"cannot be loaded: {os.strerror(error.errno or 0)}") from None
