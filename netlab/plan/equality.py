"""How steps are compared: by their kind and their values."""

from typing import TypeVar

_Kind = TypeVar("_Kind", bound=type[tuple[object, ...]])


def compared_by_kind(kind: _Kind) -> _Kind:
    """Let named tuples of two kinds differ also where all of their values are the same, as tuples would not."""

    def equal(self: tuple[object, ...], other: object) -> bool:
        return type(other) is kind and tuple.__eq__(self, other)

    def differs(self: tuple[object, ...], other: object) -> bool:
        return not equal(self, other)

    kind.__eq__, kind.__ne__ = equal, differs  # type: ignore[assignment, method-assign]
    return kind
