"""Reads what a role declares (`options.py`) from its file, without running it."""

from functools import cache
from typing import Any

from netlab import options
from netlab.kernel import files
from netlab.kernel.capabilities import NAMES

MAX_BYTES = 1 << 20


def read(path: str) -> options.Options | None:
    """Return the OPTIONS of the role in the Python file `path`, None if it has none. The file is not run.

    Raises OSError if it cannot be read. Raises ValueError, with a message for the role's author, if it is not Python or
    if its OPTIONS are not as described in options.py.
    """
    found: options.Options | None = _literal(path, "OPTIONS")
    if wrong := "" if found is None else _wrong(found):
        raise ValueError(wrong)
    return found


@cache
def capabilities(path: str) -> tuple[str, ...]:
    """Return the CAPABILITIES of the role in the Python file `path`; raises as `read` does."""
    found = _literal(path, "CAPABILITIES")
    if found is None:
        return ()
    if not isinstance(found, list | tuple) or any(name not in NAMES for name in found):
        raise ValueError("its CAPABILITIES are not a list of capabilities(7) without CAP_")
    return tuple(found)


@cache
def stays(path: str) -> bool:
    """Say whether the role in the Python file `path` declares STAYS = True; raises as `read` does."""
    found = _literal(path, "STAYS")
    if found is not None and not isinstance(found, bool):
        raise ValueError("its STAYS is neither True nor False")
    return bool(found)


def _literal(path: str, name: str) -> Any:
    """Return the literal that a Python file assigns to this name, None if there is none."""
    with files.opened(path) as file:
        source = file.read(MAX_BYTES + 1)
    if name.encode() not in source:
        return None
    if len(source) > MAX_BYTES:
        raise ValueError(f"it is longer than {MAX_BYTES:,} bytes")
    import ast

    for statement in _statements(source):
        targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
        value = getattr(statement, "value", None)
        if value is not None and any(isinstance(target, ast.Name) and target.id == name for target in targets):
            try:
                return ast.literal_eval(value)
            except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
                raise ValueError(f"its {name} are not a literal") from None
    return None


@cache
def _statements(source: bytes) -> list[Any]:
    """Return the statements of a Python file; ValueError if it is not Python."""
    import ast

    try:
        return list(ast.parse(source).body)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ValueError(f"it is no Python: {error}") from None


def _wrong(found: object) -> str:
    """Return why OPTIONS cannot be understood, or ""."""
    if not isinstance(found, dict):
        return "its OPTIONS are not a dict"
    for name, option in found.items():
        if not isinstance(name, str) or not isinstance(option, dict):
            return f"its OPTIONS hold {name!r}, which is not a name with a dict"
        if wrong := _wrong_option(option):
            return f"its option {name!r} has {wrong}"
        if not _are_needs(option.get("needs", {}), found):
            return f"its option {name!r} has `needs` that are not {{value: [[option or option=value]]}}"
    return ""


def _wrong_option(option: dict[object, object]) -> str:
    if unknown := sorted(str(key) for key in option if key not in options.KEYS):
        return f"the unknown key {unknown[0]!r}"
    if option.get("type") not in list(options.EXPECTED):  # a list, because what is there may not be hashable
        return f"no type of {', '.join(options.EXPECTED)}"
    if not _is_range(option.get("values", options.ONE_VALUE)):
        return "`values` that are not [least, most]"
    if not isinstance(option.get("choices", []), list):
        return "`choices` that are not a list"
    numbers = (option.get(key, 0) for key in ("minimum", "maximum"))
    return "" if all(isinstance(number, int | float) for number in numbers) else "a limit that is no number"


def _are_needs(needs: object, found: dict[object, object]) -> bool:
    lists = list(needs.values()) if isinstance(needs, dict) else [None]
    alternatives = [each for one in lists for each in (one if isinstance(one, list) else [None])]
    conditions = [each for one in alternatives for each in (one if isinstance(one, list) else [None])]
    return all(isinstance(each, str) and each.partition("=")[0] in found for each in conditions)


def _is_range(values: object) -> bool:
    return isinstance(values, list) and [type(value) for value in values] == [int, int]
