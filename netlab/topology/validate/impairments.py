"""`delay:`, `loss:` and so on, of a link or of what one of its ends sends; `netlab link set` reads the same values."""

from collections.abc import Mapping
from typing import Any

from netlab.topology import impairment_words
from netlab.topology.document.tree import Item, Scalar
from netlab.topology.document.tree import Mapping as Pairs
from netlab.topology.impairment import (
    BURSTS,
    EVERY,
    INDEPENDENT,
    MAX_SEED,
    MILLION,
    NONE,
    NUMBERS,
    PLAIN,
    Choice,
    Impairment,
)
from netlab.topology.validate.findings import Findings
from netlab.topology.validate.rules import DIGITS, Fields, Rule, choice, integer, sequence

__all__ = ["PLAIN", "amount", "problem", "read", "read_value"]

# Each key, and the field of an impairment that it means.
FIELDS = {
    "delay": "delay_ns",
    "jitter": "jitter_ns",
    "loss": "loss",
    "duplicate": "duplicate",
    "reorder": "reorder",
    "corrupt": "corrupt",
    "rate": "rate",
    "queue": "queue_bytes",
    "seed": "seed",
}
KEYS = tuple(FIELDS)
NEEDS = {"jitter": "delay", "reorder": "delay", "queue": "rate"}  # what each makes sense with only
MODEL_KEYS = ("model", "p", "r", "bad", "good")
LONGEST_NS = 60 * 10**9
SLOWEST, FASTEST = 1_000, 100 * 10**9  # bits per second
SMALLEST, LARGEST = 1, 1 << 30  # bytes of a queue
LAST_NUMBER = (1 << 32) - 1
MOST_NUMBERS = 1024
_TIMES = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9}
_RATES = {"bit": 1, "kbit": 10**3, "mbit": 10**6, "gbit": 10**9}
_SIZES = {"b": 1, "kb": 10**3, "mb": 10**6, "kib": 1 << 10, "mib": 1 << 20}
_PERCENT = {"%": MILLION // 100}
_LONGEST_NUMBER = 12  # characters

Changes = Mapping[str, Any]  # values by the fields of Impairment; each has its field's type


def amount(text: str, units: Mapping[str, int]) -> int | None:
    """Return a number with one of these units, in the smallest; None if it is not one, or no whole number of these.

    0 needs no unit.
    """
    bare = text.replace(" ", "").lower()
    number = bare.rstrip("abcdefghijklmnopqrstuvwxyz%")
    whole, dot, part = number.partition(".")
    factor = units.get(bare[len(number) :], 0 if number.strip("0.") else 1)
    if not factor or not whole or len(number) > _LONGEST_NUMBER or (whole + part).strip(DIGITS) or (dot and not part):
        return None
    value, rest = divmod(int(whole + part) * factor, 10 ** len(part))
    return None if rest else value


def _measured(units: Mapping[str, int], low: int, high: int, expected: str) -> Rule[int]:
    """Make the rule of a number with a unit; 0 is always good, and means none."""

    def rule(findings: Findings, item: Item, path: str) -> int | None:
        value = amount(item.text, units) if isinstance(item, Scalar) else None
        if value is None or (value and not low <= value <= high):
            findings.wrong(item, path, expected)
            return None
        return value

    return rule


_TIME = _measured(_TIMES, 1, LONGEST_NS, "a time such as 20ms or 1.5s, at most 60s")
_RATE = _measured(_RATES, SLOWEST, FASTEST, "a rate such as 10mbit or 500kbit, from 1kbit to 100gbit")
_QUEUE = _measured(_SIZES, SMALLEST, LARGEST, "a size such as 100kB or 64KiB, at most 1GiB")
_SHARE = _measured(_PERCENT, 1, MILLION, "a share such as 1% or 0.05%, at most 100%")
_FORMS = "{every: 10}, {numbers: [3, 7]} or {model: gilbert-elliott, p: 1%, r: 20%}"
_CHANCE = _measured(_PERCENT, 1, MILLION, f"a share of the packets such as 1% or 0.05%, at most 100%, or {_FORMS}")
_EVERY = integer(1, LAST_NUMBER)
_LISTED = sequence(integer(1, LAST_NUMBER, "the number of a packet"), "a list of numbers such as [3, 7]", least=1)


def _choice(findings: Findings, item: Item, path: str) -> Choice | None:
    """Take which packets something happens to."""
    if not isinstance(item, Pairs):
        chance = _CHANCE(findings, item, path)
        return None if chance is None else Choice(INDEPENDENT, chance) if chance else NONE
    if any(key.text == EVERY for key, _ in item.pairs):
        fields = Fields(findings, item, path, (EVERY,), _FORMS)
        every = fields.read(EVERY, _EVERY, 0)
        return Choice(EVERY, every=every) if every else None
    if any(key.text == NUMBERS for key, _ in item.pairs):
        fields = Fields(findings, item, path, (NUMBERS,), _FORMS)
        return _numbers(fields.read(NUMBERS, _LISTED, ()), findings, item, path)
    fields = Fields(findings, item, path, MODEL_KEYS, _FORMS)
    if "model" not in fields:
        findings.wrong(item, path, _FORMS)
        return None
    if fields.require("model", choice(BURSTS), "") != BURSTS:
        return None
    worsens, recovers = fields.require("p", _SHARE, 0), fields.require("r", _SHARE, 0)
    good, bad = fields.read("good", _SHARE, 0), fields.read("bad", _SHARE, MILLION)
    return Choice(BURSTS, good, worsens, recovers, bad)


def _numbers(numbers: tuple[int, ...], findings: Findings, item: Item, path: str) -> Choice | None:
    chosen = tuple(sorted(set(numbers)))
    if len(chosen) > MOST_NUMBERS:
        findings.wrong(item, path, f"at most {MOST_NUMBERS:,} numbers", "every or a share take more packets")
        return None
    return Choice(NUMBERS, numbers=chosen) if chosen else None


_SEED = integer(1, MAX_SEED)
_RULES: Mapping[str, Rule[Any]] = {
    "delay": _TIME,
    "jitter": _TIME,
    **dict.fromkeys(("loss", "duplicate", "reorder", "corrupt"), _choice),
    "rate": _RATE,
    "queue": _QUEUE,
    "seed": _SEED,
}


def read(fields: Fields) -> Changes:
    """Return what is written of these keys, by the fields of an impairment."""
    written = {FIELDS[key]: fields.read(key, _RULES[key], None) for key in KEYS if key in fields}
    return {field: value for field, value in written.items() if value is not None}


def read_value(findings: Findings, key: str, item: Item) -> Changes:
    """Return what one key with its value changes; {} after adding the mistake."""
    value = _RULES[key](findings, item, key)
    return {} if value is None else {FIELDS[key]: value}


def problem(found: Impairment) -> tuple[str, str]:
    """Return which key of an impairment does not fit the others, and how; "" twice if all do."""
    for key, needed in NEEDS.items():
        if _is_set(found, key) and not _is_set(found, needed):
            return key, f"expected a {needed} beside {key}, found none"
    if found.jitter_ns > found.delay_ns:
        longest, jitter = impairment_words.time(found.delay_ns), impairment_words.time(found.jitter_ns)
        return "jitter", f"expected a jitter of at most the delay, {longest}, found {jitter}"
    return "", ""


def _is_set(found: Impairment, key: str) -> bool:
    value = getattr(found, FIELDS[key])
    return bool(value.model) if isinstance(value, Choice) else bool(value)
