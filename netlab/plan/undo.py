"""The inverse of each step, as data."""

from collections.abc import Iterable
from typing import Any, Generic, TypeVar, overload

from netlab.named_tuple import NamedTuple
from netlab.plan.equality import compared_by_kind
from netlab.plan.steps import Step

_Step = TypeVar("_Step", bound=Step)


@compared_by_kind
class Undo(NamedTuple, Generic[_Step]):
    """The inverse of a step: afterwards everything is as if the step had not been done."""

    step: _Step

    def __str__(self) -> str:
        """Return the equivalent lines."""
        return self.step.undone()


@overload
def inverse(change: Undo[_Step]) -> _Step: ...
@overload
def inverse(change: _Step) -> Undo[_Step]: ...
def inverse(change: Step | Undo[Any]) -> Step | Undo[Any]:
    """Return what undoes a step; for an inverse, the step itself."""
    return change.step if isinstance(change, Undo) else Undo(change)


def inverses(steps: Iterable[_Step]) -> list[Undo[_Step]]:
    """Return what undoes several steps, the last one first, because it may depend on those before it."""
    return [Undo(step) for step in reversed(tuple(steps))]
