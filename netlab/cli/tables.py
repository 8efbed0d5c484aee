"""Tables for people, that fit a terminal.

A pipe or a file is as wide as its lines: nothing is cut or folded there.
"""

import re
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from netlab.cli.console import is_painted, is_terminal

_NUMBERS = {  # columns that are aligned to the right
    "PACKETS", "BYTES", "PID", "CPU", "MEMORY", "FREE THREADS", "CAPACITY", "WEIGHT",
    "COUNT", "NODES", "ENTRIES", "ID", "INSTRUCTIONS", "XLATED", "JITED", "RUNS", "RUNS/S", "NS/RUN",
    "CARRIED", "LOST", "DOUBLED", "CORRUPTED", "OVERTOOK", "DELAYED NOW", "DROPPED",
    "LOST REQUESTS", "LOST COMPLETIONS", "DOUBLED COMPLETIONS", "POINTS", "OF",
}  # fmt: skip
_BETWEEN, _INDENT = 2, 2
_NARROWEST = 6
_PAINT = re.compile(r"(\x1b\[[\d;]*m)")
_WORD = re.compile(r"(?:\x1b\[[\d;]*m[^\x1b]*\x1b\[0m|[^ ])+")  # a painted text is one word


class Table:
    """Rows below titles, without columns that are empty.

    Where it is too wide for a terminal, columns of `spare` are left out, the first one first. Then those of `below` are
    folded between words, or shown below their rows, the last one first. At last the widest columns are folded.
    """

    def __init__(self, titles: Sequence[str], spare: Sequence[str] = (), below: Sequence[str] = ()) -> None:
        self.titles, self.spare, self.below = titles, spare, below
        self.rows: list[Sequence[str]] = []

    def add_row(self, *cells: str) -> None:
        """Add a row; a cell may be painted, in whole or in words."""
        self.rows.append([_printable(cell) for cell in cells])

    def lines(self, width: int) -> Iterator[str]:
        """Yield it as lines of at most this width, as far as that is possible."""
        there, under = self._chosen(width)
        widths = self._folded(there, width)
        title = "\x1b[1m{}\x1b[0m" if is_painted() else "{}"
        for row in (self.titles, *self.rows):
            cells = [folded(row[at], widths[at]) for at in there]
            for number in range(max(map(len, cells))):
                texts = [
                    _padded(cell[number] if number < len(cell) else "", widths[at], self.titles[at] in _NUMBERS)
                    for at, cell in zip(there, cells, strict=True)
                ]
                line = (" " * _BETWEEN).join(texts).rstrip()
                yield title.format(line) if row is self.titles else line
            for at in under if row is not self.titles else ():
                yield from (" " * _INDENT + text for text in folded(row[at], width - _INDENT) if text)

    def _chosen(self, width: int) -> tuple[list[int], list[int]]:
        """Return the columns that stand beside each other, and those below."""
        there = [at for at in range(len(self.titles)) if not self.rows or any(row[at] for row in self.rows)]
        under: list[int] = []
        for title in (*self.spare, *reversed(self.below)):
            at = self.titles.index(title)
            if self._least(there) > width and at in there:
                there.remove(at)
                if title in self.below:
                    under.insert(0, at)
        return there, under

    def _least(self, there: Sequence[int]) -> int:
        """Return how wide it is when columns that may be folded are."""
        return sum(map(self._narrowest, there)) + _BETWEEN * (len(there) - 1)

    def _narrowest(self, at: int) -> int:
        if self.titles[at] not in self.below:
            return self._widest(at)
        words = (word for row in self.rows for word in _WORD.findall(row[at]))
        return max(map(_length, (self.titles[at], *words)))

    def _widest(self, at: int) -> int:
        return max(map(_length, (self.titles[at], *(row[at] for row in self.rows))))

    def _folded(self, there: Sequence[int], width: int) -> dict[int, int]:
        """Return the widths of columns; those that may be folded, and then the widest, lose so much that all fit."""
        widths = {at: self._widest(at) for at in there}
        over = sum(widths.values()) + _BETWEEN * (len(there) - 1) - width
        for at in reversed(there):
            less = min(max(over, 0), widths[at] - self._narrowest(at))
            widths[at] -= less
            over -= less
        while over > 0 and (widest := max(widths, key=lambda at: widths[at])) >= 0 and widths[widest] > _NARROWEST:
            widths[widest] -= 1
            over -= 1
        return widths


def table(*titles: str, spare: Sequence[str] = (), below: Sequence[str] = ()) -> Table:
    """Return an empty table with these columns."""
    return Table(titles, spare, below)


def width(*, is_wide: bool = False) -> int:
    """Return how wide lines may be on stdout; `is_wide` is as wide as they are."""
    return shutil.get_terminal_size().columns if is_terminal() and not is_wide else 10_000


def show(made: Table) -> None:
    """Print a table on stdout."""
    for line in made.lines(width()):
        print(line)


@contextmanager
def progress(what: str, total: int, named: Callable[[Any], str]) -> Iterator[Callable[[Any], None]]:
    """Show on stderr how far something is; what is yielded gets each thing that is done, of which `named` tells."""
    done: set[str] = set()

    def tell(thing: Any) -> None:
        done.add(thing.name)
        print(f"\r\x1b[K{named(thing)}\n{what}: {len(done)} of {total}", end="", file=sys.stderr, flush=True)

    print(f"{what}: 0 of {total}", end="", file=sys.stderr, flush=True)
    try:
        yield tell
    finally:
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def _printable(text: str) -> str:
    """Return a text whose only control characters are those of colours."""
    if text.isprintable():
        return text
    parts = _PAINT.split(text)
    own = ("".join(each if each.isprintable() else repr(each)[1:-1] for each in part) for part in parts[::2])
    return "".join(f"{part}{paint}" for part, paint in zip(own, (*parts[1::2], ""), strict=True))


def _length(text: str) -> int:
    """Return how many columns of a terminal a text takes."""
    if text.isascii() and "\x1b" not in text:
        return len(text)
    return sum(map(_columns, _PAINT.sub("", text)))


def _columns(letter: str) -> int:
    import unicodedata  # most tables are ASCII

    if unicodedata.combining(letter):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "FW" else 1


def _padded(text: str, width: int, is_number: bool) -> str:
    room = " " * (width - _length(text))
    return room + text if is_number else text + room


def folded(text: str, width: int) -> list[str]:
    """Return a text as lines: broken between words, and inside those that are too long."""
    if _length(text) <= width:
        return [text]
    lines = [""]
    for word in _pieces(_WORD.findall(text), width):
        joined = f"{lines[-1]} {word}" if lines[-1] else word
        if _length(joined) <= width:
            lines[-1] = joined
        else:
            lines.append(word)
    return lines


def _pieces(words: Iterable[str], width: int) -> Iterator[str]:
    """Yield words, cut where they are longer than a line; a piece of a painted word is painted as it was."""
    for word in words:
        if _length(word) <= width:
            yield word
            continue
        found = re.fullmatch(r"(\x1b\[[\d;]*m)([^\x1b]*)(\x1b\[0m)", word)
        before, inner, after = found.groups() if found else ("", _PAINT.sub("", word), "")
        yield from (f"{before}{inner[at : at + width]}{after}" for at in range(0, len(inner), width))
