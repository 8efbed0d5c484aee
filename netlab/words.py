"""How numbers of things, and many things, are said."""

from collections.abc import Sequence


def count(number: int, what: str, ending: str = "s") -> str:
    """Return `1 byte`, `2 bytes`; `ending` is what makes the word mean several."""
    return f"{number} {what}{'' if number == 1 else ending}"


def few(names: Sequence[str], most: int = 4) -> str:
    """Return names as a list, of many only the first and how many more there are."""
    more = f" and {len(names) - most} more" if names[most:] else ""
    return ", ".join(names[:most]) + more
