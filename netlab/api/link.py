"""A link of a lab from Python: what it does to packets, and what was counted. `netlab link` are words for it."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from netlab.lab.standing import Standing
from netlab.record import store

if TYPE_CHECKING:
    from netlab.observe.link_stats import LinkStats

Value = str | int | float


class Link:
    """A link of a lab that is up, by the names of its nodes, or by one end as NODE:INTERFACE.

    `sender` is a node at one of its ends: then only what that node sends is meant, otherwise both directions. Values
    are written as in a topology: delay="20ms", loss="1%", rate="10mbit" (docs/links.md).
    """

    def __init__(self, lab: Standing, words: Sequence[str], note: Callable[[str], None]) -> None:
        self._lab = lab
        self._words = words
        self._note = note

    def __repr__(self) -> str:
        return f"<link {' '.join(self._words)} of lab {self._lab.record.lab}>"

    def set(self, *, sender: str = "", **values: Value) -> None:
        """Change what it does to packets, and only what is named; UsageError for what does not fit."""
        from netlab.lab import link_changes
        from netlab.lab.link_values import changes

        found = changes([f"{key}={value}" for key, value in values.items()])
        link_changes.set_values(self._lab.record.lab, self._words, sender, found, self._note)

    def reset(self, *, sender: str = "") -> None:
        """Set it as the topology has it, and up."""
        from netlab.lab import link_changes

        link_changes.reset(self._lab.record.lab, self._words, sender, self._note)

    def down(self) -> None:
        """Set both ends down."""
        from netlab.lab import link_changes

        link_changes.down(self._lab.record.lab, self._words, self._note)

    def up(self) -> None:
        """Set both ends up, with the addresses and routes that they had."""
        from netlab.lab import link_changes

        link_changes.up(self._lab.record.lab, self._words, self._note)

    def stats(self, *, sender: str = "") -> "LinkStats":
        """Return what it does, and what was counted in each direction, or in that of one sender."""
        from netlab.observe import link_view

        if self._lab.record.lab not in store.labs():
            raise store.gone(self._lab.record.lab)
        (found,) = link_view.read(self._lab, self._words, sender)
        return found
