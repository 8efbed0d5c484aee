"""What is in the maps of a lab's programs, by the types of these programs."""

import errno
import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from itertools import islice
from typing import Any, Self

from netlab import paths
from netlab.errors import NetlabError, UsageError
from netlab.named_tuple import NamedTuple
from netlab.programs import bpf, map_reader, map_types, pinned
from netlab.programs.lab_names import LabNames, packed
from netlab.programs.map_types import TypedMap
from netlab.programs.maps import LoadedProgram, Map
from netlab.programs.shown_values import Shower, is_set
from netlab.record import layouts, named
from netlab.record.model import LabRecord

_NUMBER_BYTES = 4
_VALUES = {  # what a person knows as the value
    **dict.fromkeys(bpf.DEVMAPS, "interface"),
    **dict.fromkeys(bpf.MAPS_OF_MAPS, "map"),
    bpf.PROG_ARRAY: "program",
    bpf.CPUMAP: "frames that may wait",
    **dict.fromkeys(bpf.EVENTS, "events"),
}
_DEEPEST = 2  # maps in maps: the kernel allows no more levels
_UNREADABLE = (errno.ENOTSUP, 524, errno.EINVAL, errno.EPERM)  # 524 is the kernel's own ENOTSUPP


class EntryView(NamedTuple):
    """An entry: its key, None for the next value of a queue; its value, or the sum over all CPUs and what each has.

    The sum is None if the values cannot be added. `map` is what an entry of a map of maps contains.
    """

    key: Any
    value: Any
    per_cpu: tuple[Any, ...] = ()
    map: "MapView | None" = None


class MapAbout(NamedTuple):
    """What a map is, and whose: `program` is NODE, or NODE/NAME of one of several.

    `key` and `value` are types in C, or how many bytes they have.
    """

    node: str
    program: str
    name: str
    kind: str
    id: int
    key: str
    value: str
    max_entries: int
    memory_bytes: int


class MapView(NamedTuple):
    """What is in a map: entries; how many more are all zeros and left out, and whether there are others.

    `problem` says why entries cannot be read.
    """

    about: MapAbout
    entries: tuple[EntryView, ...]
    zeros: int = 0
    more: bool = False
    problem: str = ""


class Viewer:
    """Reads the maps of one program, given by its key in the lab. Maps are open until it is closed."""

    def __init__(self, lab: LabRecord, program: str) -> None:
        self.program = program
        self.node = node = paths.node_of(program)
        self.names = LabNames(lab, node)
        self._opened = ExitStack()
        self._pins = dict(lab.programs_of(node))[program].pins
        self._all_pins = [each.pins for each in lab.nodes[node].programs]
        there = pinned.maps(self._pins)
        maps = {name: self._opened.enter_context(Map.open(path)) for name, path in there.items()}
        self.maps = map_types.typed(maps)
        # maps for which the file has entries by addresses, which are often plain numbers in the program
        self._of_addresses = {name for name, text in lab.nodes[node].maps.items() if _has_addresses(text)}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    def of(self, name: str) -> TypedMap:
        """Return the map of this name; UsageError if there is none."""
        if name not in self.maps:
            raise _no_map(self.program, name, self.maps)
        return self.maps[name]

    def about(self, of: TypedMap) -> MapAbout:
        """Say what a map is."""
        key = "number" if of.map.type in bpf.ARRAYS and not of.key.type else of.words(of.key)
        value = _VALUES.get(of.map.type) or of.words(of.value)
        if of.map.type in bpf.EVENTS:
            key, value = "none", self._event(of.name) or value
        return MapAbout(
            self.node, self.program, of.name, of.kind, of.map.id, key, value, of.map.max_entries, _memory(of.map)
        )

    def _event(self, name: str) -> str:
        """Return the type of the events in a map, as far as the program or the topology says it."""
        try:
            known = layouts.read(paths.layouts(self._pins)).maps
        except NetlabError:
            return ""
        return known[name].value.type if name in known else ""

    def view(self, of: TypedMap, most: int, with_zeros: bool = False, depth: int = 0) -> MapView:
        """Return what is in a map, at most so many entries; zeros of an array are left out unless they are wanted."""
        shown: list[EntryView] = []
        zeros, more = 0, False
        is_array = of.map.type in bpf.FULL_ARRAYS and not of.value.type.startswith("section ")
        leave_out = is_array and not with_zeros
        try:
            for entry in self._entries(of):
                if leave_out and not any(map(any, entry.values)):
                    zeros += 1
                elif len(shown) >= most:
                    more = True
                    break
                else:
                    shown.append(self._entry(of, entry, most, depth))
        except OSError as error:
            if error.errno not in _UNREADABLE:
                raise
            return MapView(self.about(of), (), problem=self._why_not(of))
        return MapView(self.about(of), tuple(shown), zeros, more)

    def _why_not(self, of: TypedMap) -> str:
        if of.map.type not in bpf.EVENTS:
            return f"entries of a {of.kind} map cannot be read from outside"
        return f"its events are shown by: netlab maps --follow {self.program} {of.name}"

    def entry(self, of: TypedMap, key: bytes) -> EntryView:
        """Return the entry with this key; NetlabError if there is none."""
        try:
            return self._entry(of, map_reader.Entry(key, tuple(of.map.get_per_cpu(key))), 1 << 16, 0)
        except KeyError:
            raise NetlabError(f"{of.name} of {self.program} has no such key") from None

    def entries(self, of: TypedMap, most: int, only: bytes | None = None) -> list[EntryView]:
        """Return at most so many entries, also those that are zeros, or the one with this key, if it is there."""
        if only is None:
            return [self._entry(of, entry, most, 0) for entry in islice(self._entries(of), most)]
        try:
            return [self.entry(of, only)]
        except NetlabError:
            return []

    def _entries(self, of: TypedMap) -> Iterator[map_reader.Entry]:
        if of.map.type not in bpf.QUEUES:
            yield from map_reader.entries(of.map)
            return
        try:
            yield map_reader.Entry(b"", (of.map.get(b""),))
        except KeyError:
            return

    def _entry(self, of: TypedMap, entry: map_reader.Entry, most: int, depth: int) -> EntryView:
        shower = Shower(of.known, self.names)
        key = self._key(of, shower, entry.key)
        if of.map.is_per_cpu:
            values = tuple(shower.value(of.value, value) for value in entry.values)
            return EntryView(key, _sum(values), values)
        (value,) = entry.values
        number = int.from_bytes(value[:_NUMBER_BYTES], sys.byteorder)
        if of.map.type in bpf.MAPS_OF_MAPS and depth < _DEEPEST:
            return EntryView(key, number, map=self._inner(of, number, most, depth))
        if of.map.type == bpf.PROG_ARRAY:
            return EntryView(key, self._program(number))
        if of.map.type in (*bpf.DEVMAPS, bpf.CPUMAP):
            return EntryView(key, self._device(of, number, value[_NUMBER_BYTES:]))
        return EntryView(key, shower.value(of.value, value))

    def _key(self, of: TypedMap, shower: Shower, key: bytes) -> Any:
        if of.map.type in bpf.QUEUES:
            return None
        if of.map.type in bpf.ARRAYS:
            number = int.from_bytes(key, sys.byteorder)
            return next((name for name, each in of.key_names.items() if each == number), number)
        if of.map.type == bpf.LPM_TRIE:
            return shower.prefix(of.key, key)
        return shower.key(of.key, key, of.name in self._of_addresses)

    def _inner(self, of: TypedMap, number: int, most: int, depth: int) -> "MapView | None":
        try:
            inner = Map.by_id(number)
        except FileNotFoundError:  # replaced meanwhile
            return None
        name = bpf.map_info(inner.fd).name.partition(b"\0")[0].decode(errors="replace") or of.name
        with inner:
            return self.view(map_types.typed({name: inner})[name], most, depth=depth + 1)

    def _device(self, of: TypedMap, number: int, program: bytes) -> Any:
        name = (self.names.device_called(number) or number) if of.map.type in bpf.DEVMAPS else number
        which = int.from_bytes(program[:_NUMBER_BYTES], sys.byteorder)
        first = "interface" if of.map.type in bpf.DEVMAPS else "qsize"
        return {first: name, "program": self._program(which)} if which else name

    def _program(self, number: int) -> Any:
        """Return the name of a program, in full if it is one of the node's."""
        for folder in self._all_pins:
            for name, path in pinned.functions(folder).items():
                with LoadedProgram.open(path) as program:
                    if program.id == number:
                        return name
        try:
            with bpf.Object(bpf.open_by_id(bpf.PROG_BY_ID, number, "open a program")) as program:
                return bpf.program_info(program.fd).name.partition(b"\0")[0].decode(errors="replace")
        except FileNotFoundError:
            return number


def _sum(values: tuple[Any, ...]) -> Any:
    """Return the sum of what the CPUs have: of numbers, and of numbers in structs and arrays; None for others."""
    first = values[0] if values else None
    if isinstance(first, int):
        return sum(values)
    if isinstance(first, dict):
        return {name: _sum(tuple(each[name] for each in values)) for name in first}
    if isinstance(first, list):
        return [_sum(each) for each in zip(*values, strict=True)]
    return (
        next((each for each in values if is_set(each)), first) if len({*map(str, filter(is_set, values))}) < 2 else None
    )


def _has_addresses(text: str) -> bool:
    """Say whether the entries in a record's JSON have addresses as keys."""
    content = json.loads(text)
    return isinstance(content, dict) and any(packed(key) for key in content)


def _memory(of: Map) -> int:
    """Return how many bytes of memory the kernel counts for a map; 0 if it does not tell."""
    try:
        with open(f"/proc/self/fdinfo/{of.fd}", encoding="ascii") as file:
            fields: Mapping[str, str] = dict(line.rstrip("\n").split(":", 1) for line in file if ":" in line)
    except OSError:
        return 0
    return int(fields.get("memlock", "0"))


def programs(lab: LabRecord, called: str = "") -> list[str]:
    """Return the keys of all programs, or of those that NODE or NODE/NAME means; UsageError if it means none."""
    return list(named.programs(lab, called)) if called else [key for key, _ in lab.programs()]


def program_with(lab: LabRecord, called: str, name: str) -> str:
    """Return the key of the only program with a map of this name, of those that are meant; UsageError if none."""
    meant = named.programs(lab, called)
    there = {key: pinned.maps(program.pins) for key, program in meant.items()}
    found = [key for key, maps in there.items() if name in maps]
    if not found:
        raise _no_map(called, name, [each for maps in there.values() for each in maps])
    if len(found) > 1:
        raise UsageError(f"several programs of {called} have a map {name}: name one of {', '.join(found)}")
    return found[0]


def refuse_events(lab: LabRecord, called: str, name: str) -> None:
    """Raise UsageError if a map is for events: it has no entries."""
    pins = dict(lab.programs())[program_with(lab, called, name)].pins
    with Map.open(pinned.maps(pins)[name]) as of:
        if of.type in bpf.EVENTS:
            raise UsageError(f"{name} of {called} has events, and no entries: netlab maps --follow {called} {name}")


def _no_map(whose: str, name: str, there: Iterable[str]) -> UsageError:
    import difflib

    known = list(there)
    near = difflib.get_close_matches(name, known, 1)
    it_has = f"it has {', '.join(known)}" if known else "it has none"
    return UsageError(f"{whose} has no map {name}; " + (f"did you mean {near[0]}?" if near else it_has))


def all_of(lab: LabRecord, called: str = "") -> list[MapAbout]:
    """Return what the maps of a lab are, or of the programs that are meant."""
    found = []
    for key in programs(lab, called):
        with Viewer(lab, key) as viewer:
            found += [viewer.about(each) for each in viewer.maps.values()]
    return found
