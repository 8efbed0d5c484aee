"""Turns keys and values that a user has written into the bytes that the kernel expects for a map of this kind."""

import sys
from collections.abc import Callable
from contextlib import ExitStack

from netlab.programs import bpf, pinned
from netlab.programs.lab_names import LabNames, UnknownNameError
from netlab.programs.map_types import TypedMap
from netlab.programs.maps import LoadedProgram, Map
from netlab.programs.written_values import Misfit, Writer
from netlab.topology.document.tree import Item, Mapping, Scalar, Sequence, join, nearest

_Read = Callable[[Item, str], bytes]

_NUMBER_BYTES = 4
_INTERFACE, _PROGRAM = ("interface", "ifindex"), ("program", "bpf_prog", "fd")
_WRITABLE = (
    *(bpf.HASH, bpf.ARRAY, bpf.LRU_HASH, bpf.LPM_TRIE, *bpf.PER_CPU, *bpf.QUEUES),
    *(bpf.PROG_ARRAY, bpf.CPUMAP, *bpf.DEVMAPS, *bpf.MAPS_OF_MAPS),
)


class MapWriter:
    """Turns keys and values of one map of a program into bytes; `pins` is the folder of the program's pins.

    Programs and maps that values name stay open until `close`, because their descriptors are in the bytes.
    """

    def __init__(self, target: TypedMap, names: LabNames, pins: str) -> None:
        self.target = target
        self.names = names
        # its own pins come first, then those of the node's other programs
        others = [program.pins for program in names.lab.nodes[names.node].programs if program.pins != pins]
        self._folders = (*others, pins)
        self._writer = Writer(target.known, names)
        self._opened = ExitStack()

    def close(self) -> None:
        """Close the programs and maps that values have named."""
        self._opened.close()

    def check_kind(self, item: Item, path: str) -> None:
        """Raise Misfit for a map that user space cannot write."""
        if self.target.map.type not in _WRITABLE:
            hint = f"{self.target.name} is a map of the kind {self.target.kind}, which takes no values from outside"
            raise Misfit(item, path, "a map that can be written", hint)

    def key(self, item: Item, path: str) -> bytes:
        """Return a key; Misfit if it cannot be one."""
        of = self.target
        if of.map.type in bpf.ARRAYS:
            if not isinstance(item, Scalar):
                raise Misfit(item, path, "a number")
            if item.text in of.key_names:
                item = item._replace(value=of.key_names[item.text])
            key = self._writer.value(of.key, item, path)
            if int.from_bytes(key, sys.byteorder) >= of.map.max_entries:
                raise Misfit(
                    item, path, f"a number from 0 to {of.map.max_entries - 1}, as {of.name} has no more entries"
                )
            return key
        if of.map.type == bpf.LPM_TRIE:
            return self._writer.prefix(of.key, item, path)
        return self._writer.value(of.key, item, path)

    def values(self, item: Item, path: str) -> list[bytes]:
        """Return a value, or one for each CPU if the map is per-CPU; Misfit if it cannot be one."""
        of = self.target
        match of.map.type:
            case kind if kind in bpf.DEVMAPS:
                return [self._device(item, path)]
            case bpf.PROG_ARRAY:
                return [self._program(item, path)]
            case bpf.CPUMAP:
                return [self._queue_of_cpu(item, path)]
            case kind if kind in bpf.MAPS_OF_MAPS:
                return [self._inner(item, path)]
        return self._per_cpu(item, path) if of.map.is_per_cpu else [self._writer.value(of.value, item, path)]

    def _per_cpu(self, item: Item, path: str) -> list[bytes]:
        """Return the values of all CPUs: one value for all, or those of a list or of `{cpu0: …}`, the rest zeros."""
        field, cpus = self.target.value, self.target.map.cpus
        if isinstance(item, Sequence) and not field.counts:
            if len(item.items) > cpus:
                raise Misfit(item, path, f"values for at most {cpus} CPUs", f"this list has {len(item.items)}")
            found = [self._writer.value(field, each, f"{path}.{at}") for at, each in enumerate(item.items)]
            return [*found, *[bytes(field.size)] * (cpus - len(found))]
        names = {f"cpu{number}": number for number in range(cpus)}
        if isinstance(item, Mapping) and item.pairs and all(key.text[:3] == "cpu" for key, _ in item.pairs):
            room = [bytes(field.size)] * cpus
            for key, each in item.pairs:
                if key.text not in names:
                    raise Misfit(key, join(path, key.text), f"a CPU from cpu0 to cpu{cpus - 1}")
                room[names[key.text]] = self._writer.value(field, each, join(path, key.text))
            return room
        return [self._writer.value(field, item, path)] * cpus

    def _device(self, item: Item, path: str) -> bytes:
        """Return an entry of a devmap: an interface of the node, and perhaps a program for frames that leave by it."""
        return self._holder(item, path, _INTERFACE, self._interface)

    def _interface(self, item: Item, path: str) -> bytes:
        if isinstance(item, Scalar) and type(item.value) is int:
            return _number(item.value) if item.value >= 0 else self._misfit(item, path)
        if not isinstance(item, Scalar):
            return self._misfit(item, path)
        try:
            return _number(self.names.device(item.text))
        except UnknownNameError as error:
            raise Misfit(item, path, error.expected, error.hint) from None

    def _misfit(self, item: Item, path: str) -> bytes:
        raise Misfit(item, path, f"an interface of {self.names.node}")

    def _queue_of_cpu(self, item: Item, path: str) -> bytes:
        def size(item: Item, path: str) -> bytes:
            if isinstance(item, Scalar) and type(item.value) is int and 0 < item.value < 1 << 31:
                return _number(item.value)
            raise Misfit(item, path, "how many frames may wait for the CPU")

        return self._holder(item, path, ("qsize",), size)

    def _holder(self, item: Item, path: str, first: tuple[str, ...], read: _Read) -> bytes:
        """Return a number, and after it a program's descriptor if the values have room for it."""
        size = self.target.map.value_size
        if not isinstance(item, Mapping):
            return read(item, path).ljust(size, b"\0")
        parts: dict[bool, bytes] = {}
        known = (*first, *(_PROGRAM if size > _NUMBER_BYTES else ()))
        for key, each in item.pairs:
            below = join(path, key.text)
            if key.text not in known or (key.text in _PROGRAM) in parts:
                raise Misfit(key, below, " and ".join([first[0], *_PROGRAM[: int(size > _NUMBER_BYTES)]]))
            parts[key.text in _PROGRAM] = (self._program if key.text in _PROGRAM else read)(each, below)
        if False not in parts:
            raise Misfit(item, path, f"the key {first[0]}")
        return (parts[False] + parts.get(True, b"")).ljust(size, b"\0")

    def _program(self, item: Item, path: str) -> bytes:
        """Return the descriptor of a program of the node."""
        if isinstance(item, Mapping) and len(item.pairs) == 1 and item.pairs[0][0].text in ("fd", "id"):
            return self._program(item.pairs[0][1], join(path, item.pairs[0][0].text))
        there = {name: path for folder in self._folders for name, path in pinned.functions(folder).items()}
        if not isinstance(item, Scalar) or item.text not in there:
            hint = nearest(item.text, list(there)) if isinstance(item, Scalar) else ""
            raise Misfit(item, path, f"a program of {self.names.node}", hint)
        return _number(self._opened.enter_context(LoadedProgram.open(there[item.text])).fd)

    def _inner(self, item: Item, path: str) -> bytes:
        """Return the descriptor of a map of the node."""
        there = {name: path for folder in self._folders for name, path in pinned.maps(folder).items()}
        if not isinstance(item, Scalar) or item.text not in there:
            hint = nearest(item.text, list(there)) if isinstance(item, Scalar) else ""
            raise Misfit(item, path, f"a map of {self.names.node}, to be an entry of {self.target.name}", hint)
        return _number(self._opened.enter_context(Map.open(there[item.text])).fd)


def _number(number: int) -> bytes:
    return number.to_bytes(_NUMBER_BYTES, sys.byteorder)
