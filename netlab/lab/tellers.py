"""The functions that tell of packets (`telling`): the maps that they share, and where each of them is."""

import os
import struct
from collections.abc import Mapping
from contextlib import suppress

from netlab import paths
from netlab.errors import NetlabError
from netlab.lab.standing import Standing
from netlab.named_tuple import NamedTuple
from netlab.programs import bpf, verdict_code
from netlab.programs.maps import Map

RING_BYTES = 1 << 24
Place = tuple[int, int]


class Teller(NamedTuple):
    """A function that tells: its place in a list has its number. `reasons` are the names of reasons by map and number.

    `leaves` says that it sees frames as they leave by an interface.
    """

    key: str
    function: str
    hook: str
    leaves: bool
    reasons: tuple[Mapping[int, str], ...]

    @property
    def node(self) -> str:
        """The node that it is on."""
        return paths.node_of(self.key)


class Telling:
    """Functions that tell into one ring buffer; the constructor makes the maps, which live as long as this."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.ring = Map(bpf.create_map(bpf.RING_BUFFER, (0, 0, RING_BYTES), "make a ring buffer"))
        self.scratch = Map.create(bpf.PERCPU_ARRAY, 4, verdict_code.SCRATCH_BYTES, most)
        self.tellers: list[Teller] = []
        self.places: dict[str, Place] = {}  # of pins, by the key of the program
        self.refused: set[str] = set()  # keys in `places` of programs that do not tell

    def number_of(self, key: str, function: str) -> int:
        """Return the place of a function in `tellers`; NetlabError if there is no room for a new one."""
        known = [(each.key, each.function) for each in self.tellers]
        number = known.index((key, function)) if (key, function) in known else len(known)
        if number >= self._most:
            raise NetlabError(f"{function} is new, and this capture has room for {self._most} functions: begin it anew")
        return number

    def add(self, teller: Teller) -> None:
        """Take a function that tells; one of its key and name gives it its place."""
        number = self.number_of(teller.key, teller.function)
        self.tellers[number : number + 1] = [teller]

    def lost(self) -> list[int]:
        """Return how many packets of each teller had no room in the ring."""
        return [
            sum(
                verdict_code.STATE.unpack_from(value)[0]
                for value in self.scratch.get_per_cpu(struct.pack("=I", number))
            )
            for number in range(len(self.tellers))
        ]

    def changed(self, lab: Standing) -> list[str]:
        """Return the keys of programs that tell no more, as a reload or a change has put in others."""
        pins = {key: paths.pins(lab.record.folder, key) for key in self.places}
        return [key for key, before in self.places.items() if place(pins[key]) != before]


def place(pins: str) -> Place:
    """Return the numbers of the folders with a program and with what tells of it; 0 for one that is gone."""
    return _number(paths.program_pins(pins)), _number(paths.program_pins(paths.successor_pins(pins)))


def _number(folder: str) -> int:
    with suppress(FileNotFoundError):
        return os.stat(folder).st_ino
    return 0
