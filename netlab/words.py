"""Counts and lists of things, in words."""

from collections.abc import Sequence


def count(number: int, what: str, ending: str = "s") -> str:
    """Return `1 byte`, `2 bytes`; `ending` makes the plural."""
    return f"{number} {what}{'' if number == 1 else ending}"


def entries(number: int) -> str:
    """Return `1 entry`, `2 entries`."""
    return f"{number} entr{'y' if number == 1 else 'ies'}"


def few(names: Sequence[str], most: int = 4) -> str:
    """Return names as a list; of many, only the first ones and how many more there are."""
    more = f" and {len(names) - most} more" if names[most:] else ""
    return ", ".join(names[:most]) + more
