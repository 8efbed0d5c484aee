"""Loads programs of libbpf's dialect: BPF objects, and sources that clang compiles to objects."""

import errno
import fcntl
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, TypeVar

from netlab import paths
from netlab.programs import bpf, btf, build, event_text, libbpf_programs, map_reuse
from netlab.programs.btf import BadBtfError, MapTypes
from netlab.programs.build import Build, Refused
from netlab.programs.kept_code import Instructions, numbered
from netlab.programs.libbpf_calls import (
    ATTACH_INTERFACE,
    ObjectFile,
    ObjectMap,
)
from netlab.programs.loader import Job, Order
from netlab.programs.maps import Map, possible_cpus
from netlab.record.layouts import NONE, Layouts
from netlab.topology import object_file

if TYPE_CHECKING:
    from netlab.programs.clang import Options

_T = TypeVar("_T")
_NO_PREALLOC = 1  # BPF_F_NO_PREALLOC: the kernel makes no LPM trie without it
_DESCRIPTOR_BYTES = 4
_CONSTANT = ("rodata", "kconfig")  # maps of constants: each build has its own
_STRINGS = re.compile(r"rodata_str|rodata_cst")  # maps of literals, which the source does not name
_NO_TERMS = object_file.Section(b"", is_code=False)
_OWN_ERRORS = 4000  # enum libbpf_errno begins here
_NAME = re.compile(r"\w+")
_REFUSED = re.compile(r"^libbpf: prog '([^']*)': BPF program load failed: ", re.MULTILINE)


def load_source(order: Order, text: bytes, whole: str, say: Callable[[str], None]) -> Build:
    """Compile a source, keep the object in the cache, and load it; `whole` is the source with its headers."""
    from netlab.programs import cache, clang

    job, began = order.job, time.time()
    if b"\0" in text:
        raise Refused("plain", "is no C source: it holds a zero byte")
    made = clang.options(job, whole)
    compiled_before = clang.without_folder([*made.flags, *clang.defined(job.define)], job.work_folder)
    text = event_text.with_types(text, whole, is_bcc=False)
    key = cache.key(job.path, text + made.text, compiled_before, made.compiler)
    kept = cache.find(key, say)
    if isinstance(kept, bytes):
        return _load(job, kept, text, {name for name, _ in job.define})
    macros = clang.macros(job, text, made, order.limits.cpu_s)
    made = made._replace(flags=[*made.flags, *clang.defined(macros)])
    data, dependencies = _compiled(order, text, whole, made)
    loaded = _load(job, data, text, {name for name, _ in macros})
    if paths.cache_folder():
        cache.keep(key, data, dependencies, "/", began, job.work_folder)
    return loaded


def _compiled(order: Order, text: bytes, whole: str, made: "Options") -> tuple[bytes, str]:
    """Return the object that is compiled from a source, and the make rule with its headers.

    Old maps may be declared in headers and by macros, so the preprocessed text is translated.
    """
    from netlab.programs import clang, old_maps

    job, cpu_s = order.job, order.limits.cpu_s
    if not old_maps.may_be_in(whole):
        return clang.compiled(job, text, made, cpu_s)
    plain, dependencies = clang.preprocessed(job, text, made, cpu_s)
    new = old_maps.translated(plain.decode(errors="surrogateescape"))
    if new is None:
        return clang.compiled(job, text, made, cpu_s)
    data, _ = clang.compiled(job, new.encode(errors="surrogateescape"), made, cpu_s, is_preprocessed=True)
    return data, dependencies


def load_object(job: Job, data: bytes) -> Build:
    """Load an object that the user has compiled."""
    return _load(job, data, b"", set())


def _load(job: Job, data: bytes, text: bytes, macros: set[str]) -> Build:
    """Load an object: its programs of the job's kind, and its maps."""
    _check_form(data)
    opened = _open(job, data)
    maps = _by_name("map", ((_map_name(each), each) for each in opened.maps))
    kind = build.kind_at(job.hook)
    found = libbpf_programs.of_kind(opened, kind)
    programs = _by_name("program", ((each.name, each) for each in found))
    libbpf_programs.set_types(opened, kind, found)
    entry = libbpf_programs.entry(job, opened, programs)
    programs[entry].want(True)  # in any case, and for an interface
    programs[entry].become(kind.number, ATTACH_INTERFACE if kind is build.XDP_KIND else 0)
    known = _layouts(job, opened.types(), maps)
    if job.define:
        from netlab.programs import global_variables  # imported here: most objects are loaded as they are

        global_variables.set_all(job, maps, known, macros)
    _size(job, maps)
    with ExitStack() as held:
        _keep(job, maps, known, held)
        held.enter_context(_alone(job, maps))
        _share(maps, held)
        _make(opened, maps)
    build.note(job, text, known)
    shown = {name: each.fd for name, each in maps.items() if not _STRINGS.match(name) and each.fd >= 0}
    terms = object_file.sections(data).get("license", _NO_TERMS).content.rstrip(b"\0")

    def code(name: str) -> Instructions:
        each = programs[name]
        return Instructions(numbered(each.instructions), terms, each.attach_type, each.flags)

    return Build(entry, shown, {name: each.fd for name, each in programs.items() if each.is_wanted}, code)


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
        _set_sizes(each)
        flags = each.number("map_flags")
        if each.number("type") == bpf.LPM_TRIE and not flags & _NO_PREALLOC:
            each.set("map_flags", flags | _NO_PREALLOC)


def _set_sizes(each: ObjectMap) -> None:
    """Give maps of descriptors, and ring buffers, the sizes that the kernel wants.

    Some declarations leave them out; for maps of events others declare the type of the events.
    """
    kind = each.number("type")
    if kind in bpf.OF_DESCRIPTORS or kind == bpf.RING_BUFFER:
        size = 0 if kind == bpf.RING_BUFFER else _DESCRIPTOR_BYTES
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


def _share(maps: dict[str, ObjectMap], held: ExitStack) -> None:
    """Use pinned devmaps, which libbpf refuses: it compares flags, and the kernel has added one to theirs."""
    for each in maps.values():
        pinned = Map.open_if_there(each.pin) if each.number("type") in bpf.DEVMAPS and each.pin else None
        if pinned and not map_reuse.differences(held.enter_context(pinned), _shape(each)):
            each.reuse(pinned.fd)


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
