"""The mistakes found so far, and where each of them stands."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from netlab.errors import Mistake
from netlab.topology.document.tree import Document, Item, closest, found, nearest, printable

MAX_SEARCHES = 40  # for the nearest name: each costs some milliseconds among thousands of names


class Place(NamedTuple):
    """A place in the file: line and column from 1, and the path of what stands there."""

    line: int
    column: int
    path: str


class Name(NamedTuple):
    """A piece of text and where it was written."""

    text: str
    place: Place


def place(item: Item, path: str) -> Place:
    """Return where `item`, whose path is `path`, stands."""
    return Place(item.line, item.column, path)


class Findings:
    """Collects mistakes; each is kept once."""

    def __init__(self, document: Document) -> None:
        self._mistakes = dict.fromkeys(document.mistakes)
        self._overridden = document.overridden
        self._searches = 0

    def __len__(self) -> int:
        """Return how many mistakes there are."""
        return len(self._mistakes)

    def mistakes(self) -> list[Mistake]:
        """Return the mistakes in the order they were found; those in values from `--set` say so."""
        return [self._with_origin(mistake) for mistake in self._mistakes]

    def add(self, where: Place, message: str, hint: str = "") -> None:
        """Add a mistake; `message` says what was expected and what was found, `hint` the way out."""
        self._mistakes[Mistake(*where, printable(message), printable(hint))] = None

    def wrong(self, item: Item, path: str, expected: str, hint: str = "") -> None:
        """Add the mistake that `item` is not what was expected."""
        self.add(place(item, path), f"expected {expected}, found {found(item)}", hint)

    def nearest(self, name: str, known: Iterable[str]) -> str:
        """Return a hint at the known name that is most like `name`; "" once that was asked very often."""
        self._searches += 1
        return nearest(name, list(known)) if self._searches <= MAX_SEARCHES else ""

    def closest(self, name: str, known: Sequence[str]) -> str:
        """Return the known name that `name` may be a misspelling of, or ""; "" once that was asked very often."""
        self._searches += 1
        return closest(name, known) if self._searches <= MAX_SEARCHES else ""

    def _with_origin(self, mistake: Mistake) -> Mistake:
        path = mistake.path
        if any(path == place or path.startswith(f"{place}.") for place in self._overridden):
            return mistake._replace(message=f"{mistake.message} (set by --set)")
        return mistake


def one_of(words: Sequence[str]) -> str:
    """Return `a, b or c`."""
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " or " + words[-1]
