"""Rules: what one value must be. A rule returns the value, or None after adding the mistake to the findings.

A function makes a rule with settings: `integer(1, 1000)`, `sequence(text, "a list of names")`.
"""

from collections.abc import Callable
from collections.abc import Sequence as SequenceOf
from typing import TypeVar

from netlab.topology.document.tree import Item, Mapping, Scalar, Sequence, join, show
from netlab.topology.validate.findings import Findings, Name, Place, one_of, place

T = TypeVar("T")
D = TypeVar("D")
Rule = Callable[[Findings, Item, str], T | None]

LOWER = "abcdefghijklmnopqrstuvwxyz"
DIGITS = "0123456789"
LABEL_LENGTH = 63
LABEL = f"a name of at most {LABEL_LENGTH} lower-case letters, digits and hyphens"
NAME = f"a name of at most {LABEL_LENGTH} letters a-z and A-Z, digits, and inner hyphens and underscores"


def text(findings: Findings, item: Item, path: str) -> str | None:
    """Take text; a number is taken as it was written."""
    if isinstance(item, Scalar) and item.value is not None and not isinstance(item.value, bool):
        return item.text
    hint = "quotes make it text" if isinstance(item, Scalar) and item.text else ""
    findings.wrong(item, path, "text", hint)
    return None


def word(findings: Findings, item: Item, path: str) -> str | None:
    """Take text that is not empty."""
    if isinstance(item, Scalar) and not item.text.strip():
        findings.wrong(item, path, "text")
        return None
    return text(findings, item, path)


def name(findings: Findings, item: Item, path: str) -> Name | None:
    """Take text that is not empty, with its place, to be looked up later."""
    written = word(findings, item, path)
    return None if written is None else Name(written, place(item, path))


def scalar(findings: Findings, item: Item, path: str) -> str | None:
    """Take any single value, as it was written."""
    if isinstance(item, Scalar) and item.value is not None:
        return item.text
    findings.wrong(item, path, "a single value")
    return None


def boolean(findings: Findings, item: Item, path: str) -> bool | None:
    """Take true or false."""
    if isinstance(item, Scalar) and isinstance(item.value, bool):
        return item.value
    findings.wrong(item, path, "true or false")
    return None


def integer(low: int, high: int, what: str = "a whole number") -> Rule[int]:
    """Make the rule of a whole number from `low` to `high`."""

    def rule(findings: Findings, item: Item, path: str) -> int | None:
        if isinstance(item, Scalar) and type(item.value) is int and low <= item.value <= high:
            return item.value
        findings.wrong(item, path, f"{what} from {low} to {high}")
        return None

    return rule


def choice(*words: str) -> Rule[str]:
    """Make the rule of one of a few words."""

    def rule(findings: Findings, item: Item, path: str) -> str | None:
        if isinstance(item, Scalar) and item.text in words:
            return item.text
        near = findings.closest(item.text, words) if isinstance(item, Scalar) else ""
        findings.wrong(item, path, one_of(words), f"did you mean {show(near)}?" if near else "")
        return None

    return rule


def sequence(entry: Rule[T], what: str, least: int = 0) -> Rule[tuple[T, ...]]:
    """Make the rule of a list; wrong entries are left out."""

    def rule(findings: Findings, item: Item, path: str) -> tuple[T, ...] | None:
        if not isinstance(item, Sequence) or len(item.items) < least:
            findings.wrong(item, path, what)
            return None
        values = (entry(findings, child, f"{path}.{index}") for index, child in enumerate(item.items))
        return tuple(value for value in values if value is not None)

    return rule


def one_or_more(entry: Rule[T], what: str, least: int = 1) -> Rule[tuple[T, ...]]:
    """Make the rule of a single value or a list of such values."""
    several = sequence(entry, what, least)

    def rule(findings: Findings, item: Item, path: str) -> tuple[T, ...] | None:
        if not isinstance(item, Scalar):
            return several(findings, item, path)
        value = entry(findings, item, path)
        return None if value is None else (value,)

    return rule


def pairs(key_problem: Callable[[str], str], value: Rule[T], what: str) -> Rule[tuple[tuple[str, T], ...]]:
    """Make the rule of a mapping whose keys the user chooses.

    `key_problem` returns what was expected of a key, or "" for a good one.
    """

    def rule(findings: Findings, item: Item, path: str) -> tuple[tuple[str, T], ...] | None:
        if not isinstance(item, Mapping):
            findings.wrong(item, path, what)
            return None
        good = []
        for key, child in item.pairs:
            below = join(path, key.text)
            if expected := key_problem(key.text):
                findings.add(place(key, below), f"expected {expected}, found {show(key.text)}")
            result = value(findings, child, below)
            if result is not None:
                good.append((key.text, result))
        return tuple(good)

    return rule


def suggest_name(written: str) -> str:
    """Return a hint to a name for a node or process that is like `written`, or ""."""
    if not written.isascii() or len(written) > LABEL_LENGTH:
        return ""
    kept = (character if character in LOWER + LOWER.upper() + DIGITS + "_" else "-" for character in written)
    suggestion = "".join(kept).strip("-_")
    return f"such as {show(suggestion)}" if suggestion else ""


def is_label(written: str) -> bool:
    """Say whether `written` is a DNS label in lower case."""
    return (
        0 < len(written) <= LABEL_LENGTH
        and not written.strip(LOWER + DIGITS + "-")
        and written[0] != "-"
        and written[-1] != "-"
    )


def label(findings: Findings, item: Item, path: str) -> str | None:
    """Take a DNS label, the name of a lab."""
    if not isinstance(item, Scalar) or item.value is None or isinstance(item.value, bool):
        findings.wrong(item, path, LABEL)
    elif not is_label(item.text):
        findings.wrong(item, path, LABEL, suggest_label(item.text))
    else:
        return item.text
    return None


def suggest_label(written: str) -> str:
    """Return a hint to a label that is like `written`, or ""."""
    if not written.isascii() or len(written) > LABEL_LENGTH:
        return ""
    kept = (character if character in LOWER + DIGITS else "-" for character in written.lower())
    suggestion = "".join(kept).strip("-")
    return f"such as {show(suggestion)}" if suggestion else ""


class Fields:
    """The keys of one mapping, read one by one; `known` are all that are allowed."""

    def __init__(self, findings: Findings, item: Item, path: str, known: SequenceOf[str], what: str) -> None:
        self.findings = findings
        self.path = path
        self.place = place(item, path)
        self._pairs: dict[str, tuple[Scalar, Item]] = {}
        if not isinstance(item, Mapping):
            findings.wrong(item, path, what)
            return
        self._pairs = {key.text: (key, child) for key, child in item.pairs}
        for key, child in item.pairs:
            if key.text not in known:
                self._add_unknown(key, child, known)

    def _add_unknown(self, key: Scalar, child: Item, known: SequenceOf[str]) -> None:
        """Add the mistake of an unknown key, and read on as if it were the known key that is most like it."""
        from netlab.topology.validate import levels  # it knows all parts of the file: only for a mistake

        where, message = place(key, join(self.path, key.text)), f"expected a known key, found {show(key.text)}"
        meant = self.findings.closest(key.text, known)
        if elsewhere := levels.hint(known, self.path, key.text, child):
            near = f"did you mean {show(meant)}? Or {key.text} " if meant else ""
            self.findings.add(where, message, elsewhere.replace("did you mean it ", near) if meant else elsewhere)
            return
        self.findings.add(where, message, self.findings.nearest(key.text, known))
        if meant:
            self._pairs.setdefault(meant, (key, child))

    def __contains__(self, key: str) -> bool:
        """Return whether the mapping has the key."""
        return key in self._pairs

    def key_place(self, key: str) -> Place:
        """Return the place of `key`, or of the mapping if it has no such key."""
        pair = self._pairs.get(key)
        return place(pair[0], join(self.path, pair[0].text)) if pair else self.place

    def value_place(self, key: str) -> Place:
        """Return the place of the value of `key`, or of the mapping if it has no such key."""
        pair = self._pairs.get(key)
        return place(pair[1], join(self.path, pair[0].text)) if pair else self.place

    def read(self, key: str, rule: Rule[T], default: D) -> T | D:
        """Return the value of `key`, or `default` if it is missing or wrong."""
        pair = self._pairs.get(key)
        if pair is None:
            return default
        value = rule(self.findings, pair[1], join(self.path, pair[0].text))
        return default if value is None else value

    def require(self, key: str, rule: Rule[T], default: D) -> T | D:
        """Return the value of `key`, which may not be missing."""
        if key not in self._pairs:
            self.findings.add(self.place, f"expected the key {key}, found none")
        return self.read(key, rule, default)
