"""The verb `link`: shows and changes what links do to packets, and sets them down and up."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from netlab.api.link import Link
from netlab.cli import typed
from netlab.cli.console import say
from netlab.errors import UsageError
from netlab.lab.link_values import changes

if TYPE_CHECKING:
    from netlab.api.lab import Lab
    from netlab.observe.link_stats import LinkCounts, LinkStats

ACTIONS = {
    "set": "KEY=VALUE ...",
    "down": "",
    "up": "",
    "reset": "",
    "show": "",
}
_COUNTS = ("CARRIED", "LOST", "DOUBLED", "CORRUPTED", "OVERTOOK", "DELAYED NOW", "DROPPED")
_FORM = "netlab link [A-B | A B | NODE:INTERFACE] ACTION"
_MOST_WORDS = 2  # that name a link


def operate(lab: "Lab", args: typed.Link) -> "tuple[LinkStats, ...] | None":
    """Do what the words say in a lab; return what there is to show, None if it was a change."""
    words, action, values = _parts(args.words_of_link)
    if action != "set" and values:
        raise UsageError(f"link {action} takes no {values[0]}: link set does")
    if args.sender and action in ("up", "down"):
        raise UsageError(f"link {action} takes no --from: it sets both ends")
    link, sender = Link(lab.standing, words, say), args.sender or ""
    match action:
        case "show":
            return (link.stats(sender=sender),) if words else lab.links(sender=sender)
        case "set":
            link.set(sender=sender, **dict(each.split("=", 1) for each in values))
        case "reset":
            link.reset(sender=sender)
        case "down":
            link.down()
        case _:
            link.up()
    return None


def check(args: typed.Link) -> None:
    """Raise UsageError for words that cannot mean anything, before anything else is done."""
    _, action, values = _parts(args.words_of_link)
    if action == "set":
        changes(values)


def _parts(words: Sequence[str]) -> tuple[Sequence[str], str, Sequence[str]]:
    """Return the words that name the link, the action, and its values."""
    before = [word for word in words if "=" not in word]
    values = [word for word in words if "=" in word]
    if list(words) != [*before, *values]:
        raise UsageError(f"the values KEY=VALUE are last: {_FORM}")
    if not before or before[-1] not in ACTIONS:
        there = f"found {before[-1]!r}" if before else "found none"
        raise UsageError(f"expected an action, {', '.join(ACTIONS)}, {there}: {_FORM}")
    if len(before) - 1 > _MOST_WORDS:
        raise UsageError(f"expected a link, found {' '.join(before[:-1])!r}: {_FORM}")
    return before[:-1], before[-1], values


def show(found: "Sequence[LinkStats]", *, with_zeros: bool = True) -> None:
    """Print links as a table: each direction, what it does, and what was counted."""
    from netlab.cli import tables

    counts = [_counts(way.counts) for each in found for way in each.directions]
    zeros = [name for at, name in enumerate(_COUNTS) if not any(each[at] for each in counts)]
    table = tables.table("LINK", "FROM", "TO", "STATE", "DOES", *_COUNTS, spare=zeros, below=("DOES",))
    for each in found:
        for at, way in enumerate(each.directions):
            cells = [str(number) if number or with_zeros else "" for number in _counts(way.counts)]
            name = each.link if not at else ""
            state = "down" if each.is_down else "up"
            table.add_row(name, ":".join(way.sender), ":".join(way.receiver), state, way.does, *cells)
    tables.show(table)
    for each in found:
        for problem in each.problems:
            say(f"netlab: {each.link}: {problem}")


def _counts(counts: "LinkCounts | None") -> Sequence[int | str]:
    if not counts:
        return [""] * len(_COUNTS)
    dropped = counts.dropped_by_queue + counts.dropped_by_delay
    of_impairments = (counts.lost, counts.doubled, counts.corrupted, counts.overtaken)
    return counts.carried, *of_impairments, counts.delayed_now, dropped
