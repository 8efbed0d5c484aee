"""netlab's named tuples behave as typing's do."""

import copy
import pickle
import typing
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import pytest

from netlab.named_tuple import NamedTuple

_T = TypeVar("_T")


class Ours(NamedTuple):
    """A pair."""

    left: int
    right: str = "r"

    def swapped(self) -> tuple[str, int]:
        return self.right, self.left


class Theirs(typing.NamedTuple):
    """A pair."""

    left: int
    right: str = "r"

    def swapped(self) -> tuple[str, int]:
        return self.right, self.left


class Empty(NamedTuple):
    pass


class Box(NamedTuple, Generic[_T]):
    what: _T


class Derived(Ours):
    """A class like any other."""


USES: list[Callable[[Any], object]] = [
    lambda kind: kind(1),
    lambda kind: kind(1, "x"),
    lambda kind: kind(right="x", left=1),
    lambda kind: repr(kind(1)).removeprefix(kind.__name__),
    lambda kind: kind(1).swapped(),
    lambda kind: kind(1)._replace(right="x"),
    lambda kind: kind(1)._asdict(),
    lambda kind: kind._make([1, "x"]),
    lambda kind: (kind._fields, kind._field_defaults, kind.__annotations__, kind.__match_args__, kind.__doc__),
    lambda kind: (kind(1) == (1, "r"), hash(kind(1)), kind(1) < kind(2), [*kind(1)]),
    lambda kind: (type(kind), isinstance(kind(1), tuple), kind.__slots__),
    lambda kind: kind(1).__getnewargs__(),
]
MISUSES: list[Callable[[Any], object]] = [
    lambda kind: kind(),
    lambda kind: kind(1, "x", 2),
    lambda kind: kind(1, wrong=2),
    lambda kind: kind._make([1]),
    lambda kind: kind(1)._replace(wrong=2),
    lambda kind: setattr(kind(1), "left", 2),
    lambda kind: setattr(kind(1), "other", 2),
]


@pytest.mark.parametrize("use", USES)
def test_it_does_what_typings_does(use: Callable[[Any], object]) -> None:
    """Values, texts, defaults, comparisons."""
    assert use(Ours) == use(Theirs)


@pytest.mark.parametrize("misuse", MISUSES)
def test_it_refuses_what_typings_refuses(misuse: Callable[[Any], object]) -> None:
    """With an error of the same kind."""
    errors = []
    for kind in (Ours, Theirs):
        with pytest.raises((TypeError, ValueError, AttributeError)) as raised:
            misuse(kind)
        errors.append(raised.type)
    assert errors[0] is errors[1]


def test_a_field_without_a_default_comes_first() -> None:
    """As in the arguments of a function."""
    with pytest.raises(TypeError, match="follows one with a default"):

        class Bad(NamedTuple):
            left: int = 1
            right: str  # type: ignore[misc]


def test_instances_are_copied_and_pickled() -> None:
    """Those of derived classes, too, which keep their class."""
    for one in (Ours(1), Derived(2, "x"), Box("b"), Empty()):
        for again in (copy.deepcopy(one), pickle.loads(pickle.dumps(one))):  # noqa: S301 - our own
            assert again == one
            assert type(again) is type(one)


def test_the_first_instance_may_be_of_a_derived_class() -> None:
    """The constructor is compiled for the class with the fields."""

    class Base(NamedTuple):
        left: int
        right: int = 0

    class Above(Base):
        pass

    assert type(Above(1)) is Above
    assert type(Base(1)) is Base
    assert Above(right=2, left=1) == (1, 2)


def test_a_generic_one_can_be_subscripted() -> None:
    """Box[int] is a type, and no item of a tuple."""
    assert Box[int](3).what == 3
    assert match(Ours(4, "x")) == (4, "x")


def match(pair: Ours) -> tuple[int, str]:
    match pair:
        case Ours(left, right):
            return left, right
