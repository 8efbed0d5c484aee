"""Rules for single values of `faults:`: times, signals, what a link is set to, groups of nodes."""

import re
import signal
from collections.abc import Callable

from netlab.topology import faults
from netlab.topology.document.tree import Item, Mapping, Scalar, Sequence
from netlab.topology.faults import Fault
from netlab.topology.impairment import PLAIN
from netlab.topology.validate import impairments
from netlab.topology.validate.findings import Findings, Name, place
from netlab.topology.validate.rules import Fields, choice, name, one_or_more, sequence

_UNITS = {"ms": 1_000_000, "s": faults.SECOND_NS, "m": 60 * faults.SECOND_NS}
_TIME = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)(ms|s|m)?", re.ASCII)
_A_TIME = "a time such as 500ms, 3s or 1m, up to 1440m"


def moment(least: int) -> Callable[[Findings, Item, str], int | None]:
    """Make the rule of a time, at least so many nanoseconds; a number without a unit is seconds."""

    def rule(findings: Findings, item: Item, path: str) -> int | None:
        found = _TIME.fullmatch(item.text) if isinstance(item, Scalar) else None
        value = round(float(found[1]) * _UNITS[found[2] or "s"]) if found else -1
        if least <= value <= faults.LONGEST_NS:
            return value
        findings.wrong(item, path, _A_TIME)
        return None

    return rule


def signal_number(findings: Findings, item: Item, path: str) -> int | None:
    """Take a signal: its name, with or without SIG, or its number."""
    if isinstance(item, Scalar):
        named = item.text.upper() if item.text.upper().startswith("SIG") else f"SIG{item.text.upper()}"
        if named in signal.Signals.__members__:
            return int(signal.Signals[named])
        if type(item.value) is int and item.value in signal.valid_signals():
            return item.value
    findings.wrong(item, path, "a signal such as HUP, SIGTERM or 9")
    return None


def change(findings: Findings, item: Item, path: str) -> Fault | None:
    """Take what a link is set to: up, down, or what it does to packets, as in a topology; both directions."""
    if not isinstance(item, Mapping):
        word = choice(faults.UP, faults.DOWN)(findings, item, path)
        return Fault(0, faults.LINK, change=word) if word else None
    fields = Fields(findings, item, path, impairments.KEYS, "up, down, or a mapping such as {delay: 20ms, loss: 1%}")
    if not item.pairs:
        findings.wrong(item, path, "up, down, or a mapping such as {delay: 20ms, loss: 1%}")
    changes = impairments.read(fields)
    return Fault(0, faults.LINK, change=faults.IMPAIRED, sets=tuple(changes), does=PLAIN._replace(**changes))


def groups(findings: Findings, item: Item, path: str) -> tuple[tuple[Name, ...], ...] | None:
    """Take groups of nodes: a list of lists, a list that is the only group, or text such as "a, b | c"."""
    what = "groups of nodes, such as [[a, b], [c]] or a, b | c"
    if isinstance(item, Scalar) and isinstance(item.value, str):
        where = place(item, path)
        words = [re.split(r"[\s,]+", part.strip(" []")) for part in item.text.split("|")]
        if all(all(group) for group in words):
            return tuple(tuple(Name(word, where) for word in group) for group in words)
    elif isinstance(item, Sequence) and item.items:
        if any(isinstance(child, Sequence) for child in item.items):
            return sequence(one_or_more(name, "a group: a list of nodes"), what, least=1)(findings, item, path)
        only = sequence(name, what, least=1)(findings, item, path)
        return (only,) if only else None
    findings.wrong(item, path, what)
    return None
