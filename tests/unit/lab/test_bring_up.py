"""Steps in order, and everything undone when one fails."""

import os
import signal

import pytest

from netlab.errors import NetlabError
from netlab.lab import bring_up
from netlab.plan.attach_program import AttachProgram
from netlab.plan.stages import Stage, Work
from netlab.plan.steps import AddLink, AddRoute, CreateNode, Interface, StartRole, Step
from netlab.testing.machine import FakeMachine
from netlab.topology.model import Program

STEPS: list[Step] = [
    CreateNode("a"),
    CreateNode("b"),
    AddLink(
        Interface("a", "eth0", 16, "", 1500, (), "", "b", "eth0"), Interface("b", "eth0", 16, "", 1500, (), "", "a", "")
    ),
    AddRoute("a", "default", "10.0.0.2"),
    AttachProgram("b", Program("pass", "/pass.c"), ("eth0",), "b"),
    StartRole("a", ("sleep", "9")),
]
STAGES: list[object] = ["open", "prepare", *STEPS, "complete"]


def test_a_lab_is_built_stage_by_stage() -> None:
    """Every step is done once, in order, and nothing is undone when all goes well."""
    machine = FakeMachine()
    bring_up.build(machine, STEPS)

    assert STAGES == machine.done
    assert [Work.NETWORK, Work.PROGRAMS, Work.PROCESSES] == [stage.work for stage in machine.stages]
    assert tuple(STEPS) == machine.prepared


@pytest.mark.parametrize("stage", STAGES, ids=str)
@pytest.mark.parametrize("error", [NetlabError("no"), KeyboardInterrupt(), OSError("disk"), MemoryError()])
def test_a_stage_that_fails_is_undone(stage: object, error: BaseException) -> None:
    """Whatever is raised, no later step begins, the undo runs once, and the error goes on."""
    machine = FakeMachine(stage, error)
    with pytest.raises(type(error)):
        bring_up.build(machine, STEPS)

    assert [*STAGES[: STAGES.index(stage) + 1], "undo"] == machine.done


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_what_ends_a_process_interrupts_and_undoes(number: int) -> None:
    """SIGTERM and SIGHUP are treated as Ctrl-C is."""

    class Interrupted(FakeMachine):
        def do(self, stage: Stage) -> None:
            if stage.work == Work.PROGRAMS:
                os.kill(os.getpid(), number)
            super().do(stage)

    machine = Interrupted()
    with pytest.raises(KeyboardInterrupt):
        bring_up.build(machine, STEPS)

    assert [*STAGES[: STAGES.index(STEPS[4])], "undo"] == machine.done


def test_a_signal_during_the_undo_waits_for_its_end() -> None:
    """A second Ctrl-C cannot leave half a lab behind."""

    class Impatient(FakeMachine):
        def undo(self) -> list[str]:
            os.kill(os.getpid(), signal.SIGINT)
            return super().undo()

    machine = Impatient(STEPS[0])
    with pytest.raises((NetlabError, KeyboardInterrupt)):
        bring_up.build(machine, STEPS)

    assert "undo" == machine.done[-1]
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
