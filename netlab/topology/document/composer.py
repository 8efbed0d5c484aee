"""YAML text → tree.

The tree is built from the parser's events, not from PyYAML's node graph. Composing that graph recurses in C, and a file
with nothing but `- - - -` ends the process with a segmentation fault. Events need no recursion, so depth and size can
be limited in time.
"""

from typing import TYPE_CHECKING, Any, NoReturn

from netlab.errors import Mistake
from netlab.topology.document.scalars import control_character, resolve
from netlab.topology.document.tree import Item, Mapping, Scalar, Sequence, found, join, show

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import yaml

MAX_VALUES = 200_000  # with every alias expanded
MAX_DEPTH = 40
MERGE = "<<"

SYNTAX_HINTS = (
    ("cannot start any token", "quote text that begins with a special character, and indent with spaces, not tabs"),
    ("mapping values are not allowed", "quote text that holds a colon and a space, or mend the indentation"),
    ("did not find expected ',' or", "a bracket, brace or comma is missing"),
    ("did not find expected key", "keys of one mapping begin in the same column"),
    ("did not find expected '-' indicator", "entries of one list begin in the same column"),
    ("could not find expected ':'", "a key ends with a colon and a space"),
    ("did not find expected node content", "a value is missing, or quotes around one that begins with [ or {"),
    ("expected <document start>", "a topology is one mapping, and its keys begin in the first column"),
    ("unexpected end of stream", "a quote is not closed"),
    ("unknown escape character", "in double quotes a backslash is written twice"),
)


class ComposeError(Exception):
    """A mistake after which the rest of the file cannot be understood."""

    def __init__(self, line: int, column: int, path: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.mistake = Mistake(line, column, path, message, hint)


def compose(text: str, mistakes: list[Mistake], *, what: str = "a value", empty: bool = False) -> Item:
    """Return the tree of the one document in `text`, which should be `what`; null only if `empty` is true.

    Appends mistakes to `mistakes` if it can go on after them. Raises ComposeError at the first one after which it
    cannot.
    """
    builder = _Builder(mistakes)
    for event in _events(text):
        builder.take(event)
    root = builder.root
    if root is None:
        raise ComposeError(1, 1, "", f"expected {what}, found nothing")
    if isinstance(root, Scalar) and root.value is None and not empty:
        raise ComposeError(root.line, root.column, "", f"expected {what}, found nothing")
    return root


def _events(text: str) -> "Iterator[yaml.Event]":
    """Yield the parser's events of `text`; syntax errors become ComposeError."""
    from netlab.topology.document import parser

    parser_of = parser.load()
    from yaml.error import MarkedYAMLError, YAMLError

    try:
        reading = parser_of(text)
        while reading.check_event():
            yield reading.get_event()
    except MarkedYAMLError as error:
        raise _syntax(error) from None
    except YAMLError as error:
        raise _character(text, error) from None
    except UnicodeEncodeError:  # An argument of --set may have bytes that are not UTF-8.
        raise ComposeError(1, 1, "", "expected YAML text in UTF-8, found bytes that are none") from None


def _character(text: str, error: "yaml.YAMLError") -> ComposeError:
    from yaml.reader import Reader

    bad = Reader.NON_PRINTABLE.search(text)
    position = bad.start() if bad else 0
    line, column = text.count("\n", 0, position) + 1, position - text.rfind("\n", 0, position)
    what = f"the control character {text[position]!r}" if bad else getattr(error, "reason", error)
    return ComposeError(line, column, "", f"expected YAML text, found {what}")


def _syntax(error: "yaml.MarkedYAMLError") -> ComposeError:
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    problem = error.problem or "it cannot be parsed"
    context = f" {error.context}" if error.context else ""
    if context and error.context_mark:
        context += f" that begins at {error.context_mark.line + 1}:{error.context_mark.column + 1}"
    hint = next((hint for part, hint in SYNTAX_HINTS if part in problem), "")
    return ComposeError(line, column, "", f"expected YAML: {problem}{context}", hint)


def _where(event: "yaml.Event") -> tuple[int, int]:
    """Return the line and column of an event, from 1."""
    mark = event.start_mark
    return (mark.line + 1, mark.column + 1) if mark else (1, 1)


class _Frame:
    """A list or mapping that is still open; `size` counts its values, `height` its levels."""

    def __init__(self, event: "yaml.CollectionStartEvent", *, mapping: bool) -> None:
        self.line, self.column = _where(event)
        self.anchor: str | None = event.anchor
        self.mapping = mapping
        self.items: list[Item] = []
        self.pairs: list[tuple[Scalar, Item]] = []
        self.key: Item | None = None
        self.size = self.height = 1

    def step(self) -> str | None:
        """Return the key or the index of the next value; None if that is a key itself."""
        if self.mapping:
            return self.key.text if isinstance(self.key, Scalar) else None
        return str(len(self.items))

    def add(self, item: Item) -> None:
        """Add the next key or value; a value whose key is not text is left out."""
        if not self.mapping:
            self.items.append(item)
        elif self.key is None:
            self.key = item
        else:
            if isinstance(self.key, Scalar):
                self.pairs.append((self.key, item))
            self.key = None


class _Builder:
    """Builds the tree from events; `root` is complete after the last event."""

    def __init__(self, mistakes: list[Mistake]) -> None:
        self.root: Item | None = None
        self._mistakes = mistakes
        self._open: list[_Frame] = []
        self._anchors: dict[str, tuple[Item, int, int]] = {}  # with size and height
        self._values = 0
        self._handlers: dict[str, Callable[[Any], None]] = {
            "ScalarEvent": self._scalar,
            "AliasEvent": self._alias,
            "SequenceStartEvent": self._start,
            "MappingStartEvent": self._start,
            "SequenceEndEvent": self._end,
            "MappingEndEvent": self._end,
            "DocumentStartEvent": self._document,
        }

    def take(self, event: "yaml.Event") -> None:
        """Take the next event of the parser."""
        handler = self._handlers.get(type(event).__name__)
        if handler:
            handler(event)

    def _path(self) -> str:
        """Return the path of the value that comes next."""
        path = ""
        for frame in self._open:
            step = frame.step()
            path = path if step is None else join(path, step)
        return path

    def _stop(self, event: "yaml.Event", message: str, hint: str = "") -> NoReturn:
        raise ComposeError(*_where(event), self._path(), message, hint)

    def _mistake(self, line: int, column: int, message: str, hint: str = "", key: str = "") -> None:
        path = join(self._path(), key) if key else self._path()
        self._mistakes.append(Mistake(line, column, path, message, hint))

    def _document(self, event: "yaml.DocumentStartEvent") -> None:
        if self.root is not None:
            self._stop(event, "expected one document, found a second", "remove the line `---`")

    def _scalar(self, event: "yaml.ScalarEvent") -> None:
        text: str = event.value
        line, column = _where(event)
        self._check_tag(event)
        if control := control_character(text):
            self._mistake(line, column, f"expected text, found the control character {control!r}")
        self._count(event, 1)
        value = resolve(text) if event.implicit[0] else text
        self._add(Scalar(line, column, value, text), 1, 0, event.anchor)

    def _start(self, event: "yaml.CollectionStartEvent") -> None:
        self._check_tag(event)
        if len(self._open) >= MAX_DEPTH:
            self._stop(event, f"expected at most {MAX_DEPTH} levels, found more")
        self._count(event, 1)
        self._open.append(_Frame(event, mapping=type(event).__name__ == "MappingStartEvent"))

    def _end(self, _event: "yaml.CollectionEndEvent") -> None:
        frame = self._open.pop()
        item: Item
        if frame.mapping:
            item = Mapping(frame.line, frame.column, tuple(self._merged(self._unique(frame.pairs))))
        else:
            item = Sequence(frame.line, frame.column, tuple(frame.items))
        self._add(item, frame.size, frame.height, frame.anchor)

    def _alias(self, event: "yaml.AliasEvent") -> None:
        name = event.anchor
        if any(frame.anchor == name for frame in self._open):
            self._stop(event, f"expected a value that ends, found the alias *{name} inside what it stands for")
        if name not in self._anchors:
            known = ", ".join(f"&{anchor}" for anchor in list(self._anchors)[:8]) or "none"
            self._stop(event, f"expected an alias of an anchor above, found *{name}", f"known anchors: {known}")
        item, size, height = self._anchors[name]
        if len(self._open) + height > MAX_DEPTH:
            self._stop(event, f"expected at most {MAX_DEPTH} levels, found more through the alias *{name}")
        self._count(event, size)
        self._add(item, size, height, None)

    def _count(self, event: "yaml.Event", size: int) -> None:
        self._values += size
        if self._values > MAX_VALUES:
            self._stop(event, f"expected at most {MAX_VALUES:,} values, found more (aliases count as written out)")

    def _add(self, item: Item, size: int, height: int, anchor: str | None) -> None:
        """Put a finished value in its place: the root, a list, a key, or the value of the last key."""
        if anchor:
            self._anchors[anchor] = (item, size, height)
        if not self._open:
            self.root = item
            return
        frame = self._open[-1]
        frame.size += size
        frame.height = max(frame.height, height + 1)
        if frame.mapping and frame.key is None and not isinstance(item, Scalar):
            self._mistake(item.line, item.column, f"expected text as a key, found {found(item)}")
        frame.add(item)

    def _unique(self, pairs: list[tuple[Scalar, Item]]) -> list[tuple[Scalar, Item]]:
        """Return `pairs` without those whose key was there before; each of these is a mistake."""
        first: dict[str, tuple[Scalar, Item]] = {}
        for pair in pairs:
            key, earlier = pair[0], first.setdefault(pair[0].text, pair)
            if earlier is not pair:
                message = f"expected each key once, found {show(key.text)} again (first on line {earlier[0].line})"
                self._mistake(key.line, key.column, message, key=key.text)
        return list(first.values())

    def _merged(self, pairs: list[tuple[Scalar, Item]]) -> list[tuple[Scalar, Item]]:
        """Return `pairs` with the mappings under `<<` merged in; written keys win, then the first mapping."""
        merge = next((item for key, item in pairs if key.text == MERGE), None)
        if merge is None:
            return pairs
        result = {key.text: (key, item) for key, item in pairs if key.text != MERGE}
        for source in merge.items if isinstance(merge, Sequence) else (merge,):
            if not isinstance(source, Mapping):
                message = f"expected a mapping to merge, found {found(source)}"
                self._mistake(source.line, source.column, message, key=MERGE)
                continue
            for key, item in source.pairs:
                result.setdefault(key.text, (key, item))
        return list(result.values())

    def _check_tag(self, event: "yaml.ScalarEvent | yaml.CollectionStartEvent") -> None:
        if event.tag is not None:
            tag = show(event.tag.replace("tag:yaml.org,2002:", "!!"))
            self._mistake(*_where(event), f"expected a plain value, found the tag {tag}", "remove it; quotes make text")
