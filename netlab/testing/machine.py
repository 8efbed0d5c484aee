"""A fake machine that builds nothing: with it, code that makes and builds plans is tested without root, and at once."""

from collections.abc import Sequence

from netlab.errors import NetlabError
from netlab.plan.stages import Stage
from netlab.plan.steps import Step

OPEN, PREPARE, COMPLETE, UNDO = "open", "prepare", "complete", "undo"


class FakeMachine:
    """A Machine (`netlab.lab.bring_up.build`) that only records what it is asked to do.

    `done` has, in order, each step, and for all else one of the words above. At `failing`, a step or one of these
    words, it raises `error` after recording it.
    """

    def __init__(self, failing: object = None, error: BaseException | None = None) -> None:
        self.done: list[object] = []
        self.stages: list[Stage] = []
        self.prepared: tuple[Step, ...] = ()
        self._failing = failing
        self._error = error or NetlabError(f"a fake machine fails at {failing}, as it was told")

    def open(self) -> None:
        """Record it."""
        self._remember(OPEN)

    def prepare(self, steps: Sequence[Step]) -> None:
        """Record it, with its steps."""
        self.prepared = tuple(steps)
        self._remember(PREPARE)

    def do(self, stage: Stage) -> None:
        """Record each step."""
        self.stages.append(stage)
        for step in stage.steps:
            self._remember(step)

    def complete(self) -> None:
        """Record it."""
        self._remember(COMPLETE)

    def undo(self) -> list[str]:
        """Record it; there is nothing to find."""
        self._remember(UNDO)
        return []

    def _remember(self, what: object) -> None:
        self.done.append(what)
        if what == self._failing:
            raise self._error
