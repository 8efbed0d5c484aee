"""In the supervisor: in which order the processes start that start by themselves. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any


class Order:
    """Which processes each process waits for; `missing` are those that start by themselves and are not here yet."""

    def __init__(self, starts: Sequence[Mapping[str, Any]]) -> None:
        first = [start["process"] for start in starts if start["autostart"]]
        self.missing = dict.fromkeys(first)
        # One that does not start by itself, or has been started before, is not waited for.
        self._after = {
            start["process"]: self.missing.keys() & start["after"]
            for start in starts
            if start["process"] in self.missing
        }

    def first(self) -> list[str]:
        """Return the processes that wait for no other."""
        return [name for name, others in self._after.items() if not others]

    def here(self, name: str) -> list[str]:
        """Note that a process is here, and return those that have waited only for this one."""
        if name not in self.missing:
            return []
        del self.missing[name]
        found = []
        for other, waits in self._after.items():
            if name in waits:
                waits.discard(name)
                if not waits:
                    found.append(other)
        return found
