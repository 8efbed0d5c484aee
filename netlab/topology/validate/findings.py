"""The mistakes found so far, each with its place."""

from collections.abc import Iterable, Sequence

from netlab.errors import Mistake
from netlab.named_tuple import NamedTuple
from netlab.topology.document.tree import Document, Item, closest, found, nearest, printable

MAX_SEARCHES = 40  # for the nearest name: each costs some milliseconds among thousands of names


class Place(NamedTuple):
    """A place in the file: line and column from 1, and the path of what is there."""

    line: int
    column: int
    path: str


class Name(NamedTuple):
    """A piece of text and where it was written."""

    text: str
    place: Place


def place(item: Item, path: str) -> Place:
    """Return the place of `item`, whose path is `path`."""
    return Place(item.line, item.column, path)


class Findings:
    """Collects mistakes; each is kept once. `untrusted` says that nobody vouches for the topology."""

    def __init__(self, document: Document, *, untrusted: bool = False) -> None:
        self.untrusted = untrusted
        self._mistakes = dict.fromkeys(document.mistakes)
        self._overridden = document.overridden
        self._searches = 0

    def __len__(self) -> int:
        """Return how many mistakes there are."""
        return len(self._mistakes)

    def mistakes(self) -> list[Mistake]:
        """Return the mistakes in the order they were found, with a remark if the value is from `--set`."""
        return [self._with_origin(mistake) for mistake in self._mistakes]

    def add(self, where: Place, message: str, hint: str = "") -> None:
        """Add a mistake; `message` says what was expected and found, `hint` what to do."""
        self._mistakes[Mistake(*where, printable(message), printable(hint))] = None

    def wrong(self, item: Item, path: str, expected: str, hint: str = "") -> None:
        """Add the mistake that `item` is not what was expected."""
        self.add(place(item, path), f"expected {expected}, found {found(item)}", hint)

    def nearest(self, name: str, known: Iterable[str]) -> str:
        """Return a hint to the known name that is most like `name`; "" after MAX_SEARCHES searches."""
        self._searches += 1
        return nearest(name, list(known)) if self._searches <= MAX_SEARCHES else ""

    def closest(self, name: str, known: Sequence[str]) -> str:
        """Return the known name that `name` may be a misspelling of, or ""; also "" after MAX_SEARCHES searches."""
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
