"""Stages in order, and everything undone when one fails."""

import os
import signal

import pytest

from netlab.errors import NetlabError
from netlab.lab import apply

STAGES = ["open", "prepare", "create", "connect", "attach", "start", "complete"]


class Remembering:
    """A machine that only remembers what was asked of it, and fails at one stage."""

    def __init__(self, failing: str = "", error: BaseException | None = None) -> None:
        self.done: list[str] = []
        self.failing = failing
        self.error = error or NetlabError("no")

    def _stage(self, name: str) -> None:
        self.done.append(name)
        if name == self.failing:
            raise self.error

    def open(self) -> None:
        self._stage("open")

    def prepare(self) -> None:
        self._stage("prepare")

    def create(self) -> None:
        self._stage("create")

    def connect(self) -> None:
        self._stage("connect")

    def attach(self) -> None:
        self._stage("attach")

    def start(self) -> None:
        self._stage("start")

    def complete(self) -> None:
        self._stage("complete")

    def undo(self) -> list[str]:
        self.done.append("undo")
        return []


def test_a_lab_is_built_stage_by_stage() -> None:
    """Nothing is undone when all goes well."""
    machine = Remembering()
    apply.build(machine)

    assert STAGES == machine.done


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("error", [NetlabError("no"), KeyboardInterrupt(), OSError("disk"), MemoryError()])
def test_a_stage_that_fails_is_undone(stage: str, error: BaseException) -> None:
    """Whatever is raised, no later stage begins, the undo runs once, and the error goes on."""
    machine = Remembering(stage, error)
    with pytest.raises(type(error)):
        apply.build(machine)

    assert [*STAGES[: STAGES.index(stage) + 1], "undo"] == machine.done


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_what_ends_a_process_interrupts_and_undoes(number: int) -> None:
    """SIGTERM and SIGHUP are treated as Ctrl-C is."""

    class Interrupted(Remembering):
        def connect(self) -> None:
            os.kill(os.getpid(), number)

    machine = Interrupted()
    with pytest.raises(KeyboardInterrupt):
        apply.build(machine)

    assert ["open", "prepare", "create", "undo"] == machine.done


def test_a_signal_during_the_undo_waits_for_its_end() -> None:
    """A second Ctrl-C cannot leave half a lab behind."""

    class Impatient(Remembering):
        def undo(self) -> list[str]:
            os.kill(os.getpid(), signal.SIGINT)
            return super().undo()

    machine = Impatient("create")
    with pytest.raises((NetlabError, KeyboardInterrupt)):
        apply.build(machine)

    assert "undo" == machine.done[-1]
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
