"""How steps are compared: by their kind and their values."""

from typing import TypeVar

_Kind = TypeVar("_Kind", bound=type[tuple[object, ...]])


def compared_by_kind(kind: _Kind) -> _Kind:
    """Make steps of two kinds unequal even if all their values are equal: plain tuples would be equal then."""

    def equal(self: tuple[object, ...], other: object) -> bool:
        return type(other) is kind and tuple.__eq__(self, other)

    def differs(self: tuple[object, ...], other: object) -> bool:
        return not equal(self, other)

    kind.__eq__, kind.__ne__ = equal, differs  # type: ignore[assignment, method-assign]
    return kind
