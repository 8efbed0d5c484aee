"""JSON → frozen types: every value, at every depth, is what its annotation says, or an error gives its place.

A person, a crash or another version may have changed any file. An annotation is `str`, `int`, `float`, `bool` or
`str | int`; one of these `Annotated` with a Rule; a NamedTuple, for an object with exactly its fields; `tuple[X, ...]`
or `tuple[X, Y]`, for a list; `Mapping[K, X]` or `dict[K, X]`; or `X | None`.
"""

import builtins
import json
from collections import abc
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from itertools import repeat
from typing import Annotated, Any, TypeVar, cast

_T = TypeVar("_T")
_Reader = Callable[[object], Any]
_SHOWN = 60  # characters of a value in a message


class Rule:
    """What a value must be besides its type: in words, and as a function."""

    def __init__(self, expected: str, holds: Callable[[Any], bool]) -> None:
        self.expected = expected
        self.holds = holds


class MisfitError(ValueError):
    """A value that is not what it must be; `keys` lead to it, the innermost first."""

    def __init__(self, expected: str, found: object) -> None:
        super().__init__(expected)
        self.expected = expected
        self.found = found
        self.keys: list[str | int] = []

    def __str__(self) -> str:
        """Return the place, such as nodes.a.routes[0].via, what was expected there, and what was found."""
        place = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in reversed(self.keys))
        return f"{place.removeprefix('.') or 'the whole'}: expected {self.expected}, found {_words(self.found)}"


def read(kind: type[_T], value: object, is_part: bool = False) -> _T:
    """Return a JSON value as this type; MisfitError if it is not one.

    With `is_part`, fields with a default may be missing.
    """
    return cast("_T", _reader(kind, is_part)(value))


def plain(value: object) -> Any:
    """Return a value that `read` could return as plain JSON data."""
    if hasattr(value, "_asdict"):
        return {key: plain(one) for key, one in value._asdict().items()}
    if isinstance(value, Mapping):
        return {key: plain(one) for key, one in value.items()}
    return [plain(one) for one in value] if isinstance(value, tuple | list) else value


def count(value: int) -> bool:
    """Say whether a whole number can be a count of the kernel's."""
    return 0 <= value < 1 << 64


Count = Annotated[int, Rule("a whole number from 0 on", count)]


_known: dict[tuple[type, bool], _Reader] = {}  # the reader of an object, by its type


def _reader(kind: Any, is_part: bool) -> _Reader:
    """Return the reader of a type. Attributes are read directly, because typing's functions for them are slow."""
    if type(kind) is type:
        return _PLAIN.get(kind) or _known.get((kind, is_part)) or _object(kind, is_part)
    inner: tuple[Any, ...] = getattr(kind, "__args__", ())
    match getattr(kind, "__origin__", None):
        case origin if hasattr(kind, "__metadata__"):
            types: tuple[Any, ...] = (int, float) if origin is float else (origin,)
            return partial(_ruled, types, kind.__metadata__[0])
        case builtins.tuple:
            is_open = inner[-1] is Ellipsis
            readers = [_reader(one, is_part) for one in (inner[:1] if is_open else inner)]
            return partial(_list, repeat(*readers) if is_open else readers, None if is_open else len(readers))
        case builtins.dict | abc.Mapping:
            return partial(_mapping, *(_reader(one, is_part) for one in inner))
    if inner == (str, int):
        return _scalar
    return partial(_optional, _reader(inner[0], is_part))


def _object(kind: Any, is_part: bool) -> _Reader:
    """Return the reader of an object with the fields of a NamedTuple."""
    readers = {name: _reader(hint, is_part) for name, hint in kind.__annotations__.items()}
    optional = kind._field_defaults if is_part else {}

    def read_object(value: object) -> object:
        if type(value) is not dict:
            raise MisfitError("an object", value)
        if value.keys() != readers.keys():
            _check_keys(value, readers, optional)
        name, found = "", {}
        try:
            for name, one in value.items():
                found[name] = readers[name](one)
        except MisfitError as misfit:
            misfit.keys.append(name)
            raise
        return kind(**found)

    _known[kind, is_part] = read_object
    return read_object


def _check_keys(value: dict[str, object], names: Mapping[str, _Reader], optional: Mapping[str, object]) -> None:
    for name in names:
        if name not in value and name not in optional:
            raise MisfitError(f"the key {name}", tuple(value))
    for name in value:
        if name not in names:
            raise MisfitError(f"no key but {', '.join(names)}", (name,))


def _optional(reader: _Reader, value: object) -> object:
    return None if value is None else reader(value)


def _list(readers: Iterable[_Reader], length: int | None, value: object) -> tuple[object, ...]:
    """Read a list, each value by its reader; `length` None means any number of values."""
    if type(value) is not list or len(value) != (len(value) if length is None else length):
        raise MisfitError("a list" if length is None else f"a list of {length}", value)
    found: list[object] = []
    try:
        for one, reader in zip(value, readers, strict=False):  # there may be endlessly many readers
            found.append(reader(one))
    except MisfitError as misfit:
        misfit.keys.append(len(found))
        raise
    return tuple(found)


def _mapping(key_reader: _Reader, reader: _Reader, value: object) -> dict[str, object]:
    if type(value) is not dict:
        raise MisfitError("an object", value)
    key, found = "", {}
    try:
        for key, one in value.items():
            key = key_reader(key)  # noqa: PLW2901 - the same key
            found[key] = reader(one)
    except MisfitError as misfit:
        misfit.keys.append(key)
        raise
    return found


def _ruled(types: tuple[type, ...], rule: Rule, value: object) -> object:
    if type(value) not in types or not rule.holds(value):
        raise MisfitError(rule.expected, value)
    return value


def _text(value: object) -> str:
    """Take a text that can be the name of a file or an argument."""
    if type(value) is not str or "\0" in value or not (value.isascii() or _is_encodable(value)):
        raise MisfitError("text", value)
    return value


def _is_encodable(text: str) -> bool:
    try:
        text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return False
    return True


def _integer(value: object) -> int:
    if type(value) is not int:
        raise MisfitError("a whole number", value)
    return value


def _number(value: object) -> float:
    if type(value) not in (int, float):
        raise MisfitError("a number", value)
    return cast("float", value)


def _truth(value: object) -> bool:
    if type(value) is not bool:
        raise MisfitError("true or false", value)
    return value


def _scalar(value: object) -> str | int:
    return value if type(value) is int else _text(value)


_PLAIN: dict[type, _Reader] = {str: _text, int: _integer, float: _number, bool: _truth}


def _words(found: object) -> str:
    """Return a value for a message, shortened."""
    if isinstance(found, tuple):  # keys
        return ", ".join(found)[:_SHOWN] or "none"
    if isinstance(found, dict | list):
        return "an object" if isinstance(found, dict) else "a list"
    return json.dumps(found)[:_SHOWN]
