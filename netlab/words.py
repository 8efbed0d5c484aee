"""How numbers of things are said."""


def count(number: int, what: str, ending: str = "s") -> str:
    """Return `1 byte`, `2 bytes`; `ending` is what makes the word mean several."""
    return f"{number} {what}{'' if number == 1 else ending}"
