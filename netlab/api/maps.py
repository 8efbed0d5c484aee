"""A map of a program from Python."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from netlab.lab import map_changes
from netlab.lab.standing import Standing
from netlab.observe.map_view import EntryView, Viewer
from netlab.record import store

_MOST = 1 << 20  # entries


class LabMap:
    """A map of a program, as people see it: keys and values by their types, with names of fields, enums and nodes.

    `map[key]` is a value, the sum over all CPUs where each has its own; `map[key] = value` writes it. Keys and values
    are written as in a topology (docs/programs.md): numbers, addresses, names, mappings of fields.
    """

    def __init__(self, lab: Standing, program: str, name: str) -> None:
        self._lab = lab
        self.program = program
        self.name = name

    def __repr__(self) -> str:
        return f"<map {self.name} of {self.program} in lab {self._lab.record.lab}>"

    def entries(self, *, zeros: bool = False) -> tuple[EntryView, ...]:
        """Return all entries, also what each CPU has; of an array, zeros only if they are wanted."""
        with Viewer(self._lab.record, self.program) as viewer:
            return viewer.view(viewer.of(self.name), _MOST, zeros).entries

    def items(self) -> Iterator[tuple[Any, Any]]:
        """Yield keys with their values, also those that are zeros."""
        return ((each.key, each.value) for each in self.entries(zeros=True))

    def __getitem__(self, key: object) -> Any:
        """Return the value of a key; NetlabError if there is no such key, UsageError if no key of the map can be so."""
        with Viewer(self._lab.record, self.program) as viewer:
            of = viewer.of(self.name)
            return viewer.entry(of, map_changes.key_of(self._lab, self.program, of, _text(key))).value

    def __setitem__(self, key: object, value: object) -> None:
        with self._changing() as viewer:
            map_changes.put(self._lab, self.program, viewer.of(self.name), _text(key), _text(value))

    def __delitem__(self, key: object) -> None:
        with self._changing() as viewer:
            map_changes.delete(self._lab, self.program, viewer.of(self.name), _text(key))

    def clear(self) -> int:
        """Remove all entries, or set those of an array to zeros; return how many."""
        with self._changing() as viewer:
            return map_changes.clear(self.program, viewer.of(self.name))

    @contextmanager
    def _changing(self) -> Iterator[Viewer]:
        """Yield the program's maps, while nobody else changes the lab."""
        with store.locked(self._lab.record.lab), Viewer(self._lab.record, self.program) as viewer:
            yield viewer


def _text(value: object) -> str:
    """Return a value as it would be typed; JSON is YAML."""
    return value if isinstance(value, str) else json.dumps(value)
