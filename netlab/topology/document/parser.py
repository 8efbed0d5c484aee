"""PyYAML's C parser, or its Python parser if there is no other.

From the rest of its package the C parser needs only classes of errors, for which it loads nine modules. The whole
package takes 14 ms to import, the parser alone 2. So the modules are stand-ins until other code needs them. All errors
are MarkedYAMLError itself, except the one about characters.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from netlab import lazy_import

_ERRORS = {
    "scanner": "ScannerError",
    "parser": "ParserError",
    "composer": "ComposerError",
    "constructor": "ConstructorError",
    "emitter": "EmitterError",
    "serializer": "SerializerError",
    "representer": "RepresenterError",
}


def load() -> Any:
    """Return the class of parsers: of a text, with `check_event` and `get_event`, which raise yaml.error.YAMLError."""
    try:
        return lazy_import.imported("yaml", _stand_ins, _in_c)
    except ImportError:
        import yaml

        return yaml.SafeLoader


def _in_c() -> Any:
    from yaml._yaml import CParser

    return CParser


@contextmanager
def _stand_ins() -> Iterator[None]:
    lazy_import.module("yaml")
    from yaml.error import MarkedYAMLError, YAMLError

    class ReaderError(YAMLError):
        """A character that YAML does not allow."""

        def __init__(self, name: str, position: int, character: int, encoding: str, reason: str) -> None:
            super().__init__(name, position, character, encoding, reason)
            self.reason = reason

    lazy_import.module("yaml.reader", ReaderError=ReaderError)
    for name, error in _ERRORS.items():
        lazy_import.module(f"yaml.{name}", **{error: MarkedYAMLError})
    yield
