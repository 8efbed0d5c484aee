"""Writes the entries that a topology has for maps into the maps of loaded programs."""

import errno
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, closing, suppress
from functools import partial

from netlab import paths
from netlab.errors import Mistake, TopologyError, reason
from netlab.kernel import syscalls
from netlab.lab.standing import Standing
from netlab.named_tuple import NamedTuple
from netlab.plan.fill_maps import FillMaps
from netlab.programs import bpf, event_types, map_types, pinned
from netlab.programs.lab_names import LabNames
from netlab.programs.map_writer import MapWriter
from netlab.programs.maps import Map
from netlab.programs.written_values import Misfit
from netlab.record import layouts
from netlab.topology.document.tree import Item, Mapping, Scalar, join, nearest
from netlab.topology.document.tree import Sequence as List
from netlab.topology.model import MapEntries

MOST = 20  # mistakes in one message


def fill(standing: Standing, steps: Sequence[FillMaps], file: str) -> None:
    """Write the entries of these steps into the maps of nodes whose programs are loaded.

    Raises TopologyError if entries do not fit their maps: it has all such mistakes, and nothing was written. If the
    kernel refuses an entry, TopologyError has this one.
    """
    mistakes: dict[Mistake, None] = {}
    with ExitStack() as opened:
        ready = []
        for step in steps:
            fills = []
            for each in step.maps:
                found = _fillings(standing, step.node, each, opened)
                mistakes.update(dict.fromkeys(_mistake(misfit) for misfit in found.misfits))
                fills += found.ready
            ready.append((step.node, fills))
        if mistakes:
            raise TopologyError(file, list(mistakes)[:MOST])
        for node, fills in ready:
            try:
                # the kernel looks up a devmap's interface in the namespace of the process that writes the entry
                syscalls.inside(standing.runtime.netns_path(node), partial(_write, fills))
            except Misfit as misfit:
                raise TopologyError(file, [_mistake(misfit)]) from None


def forget(gone: tuple[Standing, Sequence[FillMaps]], kept: tuple[Standing, Sequence[FillMaps]]) -> None:
    """Remove the entries of some steps, as far as others do not have them; of an array they become zeros.

    Each list of steps has the lab that they are for. Entries of a queue stay: nobody can tell them from others.
    """
    with ExitStack() as opened:
        stay = {place for filling in _all(*kept, opened) for place in filling.places()}
        works: dict[str, list[_Filling]] = {}
        for step in gone[1]:
            works.setdefault(step.node, []).extend(_all(gone[0], [step], opened))
        for node, fillings in works.items():
            syscalls.inside(gone[0].runtime.netns_path(node), partial(_remove, fillings, stay))


def _all(standing: Standing, steps: Sequence[FillMaps], opened: ExitStack) -> "Iterator[_Filling]":
    for step in steps:
        for each in step.maps:
            yield from _fillings(standing, step.node, each, opened).ready


def _remove(fillings: "list[_Filling]", stay: Collection[tuple[str, str, bytes]]) -> None:
    for each in fillings:
        each.remove(stay)


def _mistake(misfit: Misfit) -> Mistake:
    return Mistake(misfit.item.line, misfit.item.column, misfit.path, misfit.message, misfit.hint)


def _write(fills: "list[_Filling]") -> None:
    for each in fills:
        each.write()


class _Found(NamedTuple):
    """The maps that entries are for, and the entries that do not fit."""

    ready: "list[_Filling]"
    misfits: list[Misfit]


def _fillings(standing: Standing, node: str, entries: MapEntries, opened: ExitStack) -> _Found:
    """Find the maps of this name: each of the node's programs may have one."""
    folders = [program.pins for program in standing.record.nodes[node].programs]
    there = {folder: pinned.maps(folder) for folder in folders}
    ready = []
    for folder, maps in there.items():
        if entries.name.text in maps:
            of = opened.enter_context(Map.open(maps[entries.name.text]))
            target = map_types.typed({entries.name.text: of})[entries.name.text]
            writer = MapWriter(target, LabNames(standing.record, node), folder)
            ready.append(_Filling(entries, opened.enter_context(closing(writer)), folder))
    if ready:
        return _Found(ready, [misfit for each in ready for misfit in each.misfits])
    hint = nearest(entries.name.text, [name for maps in there.values() for name in maps])
    what = "a map of the program" if len(folders) == 1 else "a map of one of the programs"
    return _Found([], [Misfit(entries.name, entries.path, f"{what} on {node}", hint)])


class _Filling:
    """The entries for one map, in bytes as the kernel takes them; `misfits` are the entries that do not fit."""

    def __init__(self, entries: MapEntries, writer: MapWriter, folder: str) -> None:
        self._folder = folder
        self.name = entries.name
        self.entries = entries
        self.path = entries.path
        self.misfits: list[Misfit] = []
        self._writer = writer
        self._map = writer.target.map
        self._ready: list[tuple[Item, str, bytes, list[bytes]]] = []
        self._read()

    def _check_type(self, item: Scalar) -> None:
        known, name = layouts.read(paths.layouts(self._folder)).structs, event_types.called(item.text)
        if name not in known:
            raise Misfit(
                item, f"{self.path}.type", "a struct that the program's types tell of", nearest(name, list(known))
            )

    def _check_kind(self) -> None:
        of_events = self.entries.event or not self.entries.follow
        if of_events and self._map.type not in bpf.EVENTS:
            raise Misfit(self.name, self.path, "a ring buffer or a perf event array, as this is said of events")
        if self.entries.event:
            self._check_type(self.entries.event)
        if self.entries.content[2] or not of_events:
            self._writer.check_kind(self.name, self.path)

    def _read(self) -> None:
        try:
            self._check_kind()
            pairs = list(self._pairs())
        except Misfit as misfit:
            self.misfits.append(misfit)
            return
        seen: dict[bytes, Item] = {}
        for key_item, item, path in pairs:
            try:
                key = self._writer.key(key_item, path) if self._map.key_size else b""
                self._ready.append((key_item, path, key, self._writer.values(item, path)))
            except Misfit as misfit:
                self.misfits.append(misfit)
                continue
            first = seen.setdefault(key, key_item)
            if key and first is not key_item:
                self.misfits.append(Misfit(key_item, path, "each key once", f"line {first.line} has the same one"))
        if len(pairs) > self._map.max_entries:
            hint = f"there are {len(pairs)}"
            self.misfits.append(Misfit(self.name, self.path, f"at most {self._map.max_entries} entries", hint))

    def _pairs(self) -> Iterator[tuple[Item, Item, str]]:
        """Yield keys and values with their paths."""
        content, of = self.entries.content, self._writer.target
        if isinstance(content, List):
            for number, item in enumerate(content.items):
                path = f"{self.path}.{number}"
                if of.map.type in bpf.QUEUES:
                    yield item, item, path
                elif of.map.type in bpf.ARRAYS:
                    yield Scalar(item.line, item.column, number, str(number)), item, path
                else:
                    yield (*_key_and_value(item, path), path)
        elif of.map.type in bpf.QUEUES:
            raise Misfit(content, self.path, f"a list of values, as {of.name} is a {of.kind}, which has no keys")
        else:
            for key, item in content.pairs:
                yield key, item, join(self.path, key.text)

    def places(self) -> "Iterator[tuple[str, str, bytes]]":
        """Yield what tells each entry from all others of the lab: pins, map and key."""
        return ((self._folder, self.name.text, key) for _, _, key, _ in self._ready)

    def remove(self, stay: Collection[tuple[str, str, bytes]]) -> None:
        """Remove all entries but these; one that is gone already does no harm."""
        for (_, _, key, values), place in zip(self._ready, self.places(), strict=True):
            if place in stay or not key:
                continue
            with suppress(KeyError, OSError):
                if self._map.type in bpf.ARRAYS:
                    self._map.set_per_cpu(key, [bytes(len(value)) for value in values])
                else:
                    self._map.delete(key)

    def write(self) -> None:
        """Write all entries; Misfit for one that the kernel refuses."""
        for item, path, key, values in self._ready:
            try:
                self._map.set_per_cpu(key, values)
            except OSError as error:
                raise Misfit(item, path, f"an entry that the kernel takes for {self.name.text}", _why(error)) from None


def _why(error: OSError) -> str:
    words = {errno.E2BIG: "the map is full", errno.EINVAL: "the kernel says: Invalid argument"}
    return words.get(error.errno or 0, f"the kernel says: {reason(error)}")


def _key_and_value(item: Item, path: str) -> tuple[Item, Item]:
    """Return both parts of an entry that is written as `{key: …, value: …}`."""
    pairs = {key.text: each for key, each in item.pairs} if isinstance(item, Mapping) else {}
    if pairs.keys() != {"key", "value"}:
        raise Misfit(item, path, "a mapping with key and value")
    return pairs["key"], pairs["value"]
