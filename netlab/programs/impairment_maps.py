"""The program in the middle of impaired links with its maps: made, found again, and its settings as values.

Nothing is pinned. The filters of the middle's interfaces hold the program, and the program its maps. So all of it goes
with the middle, and who wants to change or read something finds it by the number of a filter's program.
"""

import errno
import struct
from collections.abc import Iterable
from typing import Self

from netlab.errors import HostError, NetlabError
from netlab.named_tuple import NamedTuple
from netlab.programs import bpf, impairment_code
from netlab.programs import impairment_layout as layout
from netlab.programs.map_reader import entries
from netlab.programs.maps import LoadedProgram, Map
from netlab.topology import impairment as model
from netlab.topology.chosen_packets import KINDS, threshold
from netlab.topology.impairment import Choice, Impairment

_MOST_DIRECTIONS, _MOST_FLOWS, _MOST_NUMBERS = 1 << 14, 1 << 14, 1 << 20
_INDEX = struct.Struct("=I")
_MMAPABLE = 1 << 10
_PREFIX = "nl_"
_MODELS = {
    "": layout.NO_MODEL,
    model.INDEPENDENT: layout.INDEPENDENT,
    model.BURSTS: layout.BURSTS,
    model.EVERY: layout.EVERY,
    model.NUMBERS: layout.NUMBERS,
}


class Settings(NamedTuple):
    """What the program does with packets of one direction: `stage` is the interface where they are held up (0: none).

    `place` is where the process that holds them counts, `until_ns` until when packets go by the stage though nothing
    holds them up, and `epoch` how often choices or the seed have changed.
    """

    target: int
    flags: int = 0
    seed: int = 0
    delay_ns: int = 0
    jitter_ns: int = 0
    stage: int = 0
    place: int = 0
    until_ns: int = 0
    epoch: int = 0
    choices: bytes = bytes(len(KINDS) * layout.CHOICE.size)

    def packed(self) -> bytes:
        """Return them as the program reads them."""
        return layout.HEAD.pack(*self[:-1]) + self.choices

    @classmethod
    def read(cls, data: bytes) -> Self:
        """Return what `packed` has made."""
        return cls._make((*layout.HEAD.unpack_from(data), data[layout.HEAD.size :]))


def packed_choices(impairment: Impairment) -> bytes:
    """Return the choices of every kind as the program reads them; lists of numbers are in a map of their own."""
    return b"".join(_packed(choice_of(impairment, kind)) for kind in KINDS)


def choice_of(impairment: Impairment, kind: str) -> Choice:
    """Return the choice of one of KINDS."""
    found: Choice = getattr(impairment, kind)
    return found


def _packed(choice: Choice) -> bytes:
    chances = (choice.chance, choice.worsens, choice.recovers, choice.bad_chance)
    return layout.CHOICE.pack(_MODELS[choice.model], *map(threshold, chances), choice.every)


class MiddleProgram:
    """The program of one middle, and its maps, open."""

    def __init__(self, program: LoadedProgram, maps: dict[str, Map]) -> None:
        self.program = program
        self._settings, self._counts, self._numbers = maps["settings"], maps["counts"], maps["numbers"]
        self.held = maps["held"]
        self._maps = maps
        self._chosen: dict[tuple[int, int], set[int]] | None = None

    @classmethod
    def load(cls) -> Self:
        """Make the maps, and load the program; HostError if this kernel refuses it."""
        what = "impair links"
        try:
            made = layout.MiddleMaps(
                settings=_made("settings", bpf.HASH, (4, layout.SETTINGS_BYTES, _MOST_DIRECTIONS), bpf.NO_PREALLOC),
                counts=_made("counts", bpf.PERCPU_HASH, (4, layout.COUNTS.size, _MOST_DIRECTIONS), bpf.NO_PREALLOC),
                flows=_made("flows", bpf.LRU_HASH, (layout.FLOW_KEY_BYTES, layout.FLOW_STATE.size, _MOST_FLOWS)),
                numbers=_made("numbers", bpf.HASH, (layout.NUMBER_KEY.size, 1, _MOST_NUMBERS), bpf.NO_PREALLOC),
                held=_made("held", bpf.ARRAY, (4, layout.HELD.size, _MOST_DIRECTIONS), _MMAPABLE),
            )
            maps = {name: Map(fd) for name, fd in zip(layout.MiddleMaps._fields, made, strict=True)}
            instructions = impairment_code.program(made)
            program = LoadedProgram(bpf.load_program(instructions, what, name=layout.NAME, kind=bpf.SCHED_CLS))
        except OSError as error:
            raise HostError(f"this kernel does not let netlab {what}: {error}") from error
        return cls(program, maps)

    @classmethod
    def find(cls, number: int) -> Self | None:
        """Return the program with this number (the kernel's) if it is one of a middle."""
        try:
            program = LoadedProgram(bpf.open_by_id(bpf.PROG_BY_ID, number, "open the program of a middle"))
        except FileNotFoundError:
            return None
        if bpf.program_info(program.fd).name.rstrip(b"\0") != layout.NAME.encode()[: bpf.NAME_BYTES]:
            program.close()
            return None
        maps = {}
        for each in program.map_numbers():
            found = Map.by_id(each)
            maps[bpf.map_info(found.fd).name.rstrip(b"\0").decode().removeprefix(_PREFIX)] = found
        return cls(program, maps)

    def close(self) -> None:
        """Close the descriptors; what is attached stays."""
        self.program.close()
        for each in self._maps.values():
            each.close()

    def settings(self, index: int) -> Settings | None:
        """Return what is done with packets that come in at an interface, by its index; None if nothing is set."""
        try:
            return Settings.read(self._settings.get(_INDEX.pack(index)))
        except KeyError:
            return None

    def all_settings(self) -> dict[int, Settings]:
        """Return all settings by interface."""
        return {_INDEX.unpack(each.key)[0]: Settings.read(each.values[0]) for each in entries(self._settings)}

    def change(self, index: int, settings: Settings) -> None:
        """Change what is done with packets that come in at an interface; its counts begin if they are not there."""
        key = _INDEX.pack(index)
        if not settings.flags & layout.RELAYS:
            try:
                self._counts.get(key)
            except KeyError:
                self._counts.set(key, bytes(layout.COUNTS.size))
        self._settings.set(key, settings.packed())

    def set_numbers(self, index: int, kind: int, numbers: Iterable[int]) -> bool:
        """Choose these packets by their numbers, and no others; returns whether that is a change."""
        wanted = set(numbers)
        there = self._numbers_by_place().setdefault((index, kind), set())
        try:
            for number in wanted - there:
                self._numbers.set(layout.NUMBER_KEY.pack(index, kind, number), b"\1")
        except OSError as error:
            if error.errno != errno.E2BIG:
                raise
            raise NetlabError(f"the links of a lab can choose {_MOST_NUMBERS} packets by number at most") from error
        for number in there - wanted:
            self._numbers.delete(layout.NUMBER_KEY.pack(index, kind, number))
        self._numbers_by_place()[index, kind] = wanted
        return wanted != there

    def remove(self, index: int) -> None:
        """Forget an interface."""
        for each in (self._settings, self._counts):
            try:
                each.delete(_INDEX.pack(index))
            except KeyError:
                pass
        for place, kind in list(self._numbers_by_place()):
            if place == index:
                self.set_numbers(index, kind, ())

    def counts(self, index: int) -> tuple[int, ...]:
        """Return what the program has counted at an interface, as in layout.COUNTS."""
        try:
            values = self._counts.get_per_cpu(_INDEX.pack(index))
        except KeyError:
            return (0,) * (layout.COUNTS.size // 8)
        return tuple(map(sum, zip(*(layout.COUNTS.unpack(value) for value in values), strict=True)))

    def held_counts(self, place: int) -> tuple[int, ...]:
        """Return what the process that holds packets up has counted at a place, as in layout.HELD."""
        return layout.HELD.unpack(self.held.get(_INDEX.pack(place)))

    def clear_held(self, place: int) -> None:
        """Let the counts at a place begin anew."""
        self.held.set(_INDEX.pack(place), bytes(layout.HELD.size))

    def _numbers_by_place(self) -> dict[tuple[int, int], set[int]]:
        if self._chosen is None:
            self._chosen = {}
            for each in entries(self._numbers):
                index, kind, number = layout.NUMBER_KEY.unpack(each.key)
                self._chosen.setdefault((index, kind), set()).add(number)
        return self._chosen


def _made(name: str, kind: int, sizes: tuple[int, int, int], flags: int = 0) -> int:
    return bpf.create_map(kind, sizes, "make a map", flags=flags, name=f"{_PREFIX}{name}")
