"""How a command runs in a node of a lab that stands: its argv and its environment."""

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from netlab import paths
from netlab.errors import NetlabError
from netlab.lab.standing import Standing
from netlab.record.model import ProcessRecord
from netlab.runtime.base import Command

if TYPE_CHECKING:
    from netlab.plan.setup_steps import RunSetup
    from netlab.plan.steps import StartRole
    from netlab.supervise.job import Setup, Start
    from netlab.topology.model import SetupCommand

_OF_SETUPS = ("NET_ADMIN",)  # an untrusted node's setup may change its interfaces
_SHOWN = 60  # characters of a command in a message


def process(
    lab: Standing, node: str, process: ProcessRecord, more: Sequence[str] = ()
) -> tuple[list[str], dict[str, str]]:
    """Return the argv and the variables of a node's process; `more` follows its arguments.

    The argv is not yet wrapped by the runtime. A role runs under netlab's own interpreter, or the one of its node's
    image, and can import netlab's modules.
    """
    argv, variables = [*process.argv, *more], {**lab.record.variables(node), **process.env}
    if process.role:
        if not lab.runtime.has_files or runs_freely(lab, process):
            argv[0] = sys.executable
        there = variables.get("PYTHONPATH", os.environ.get("PYTHONPATH", ""))
        variables["PYTHONPATH"] = paths.IMPORTED_FROM + (os.pathsep + there if there else "")
        variables["PYTHONUNBUFFERED"] = "1"
    return argv, variables


def runs_freely(lab: Standing, process: ProcessRecord) -> bool:
    """Say whether a process of an untrusted lab is not confined: a role of netlab's own that needs more."""
    if not lab.record.untrusted or not process.role:
        return False
    from netlab.topology import trust

    return trust.is_privileged(process.argv[1])


def start(lab: Standing, step: "StartRole", planned: ProcessRecord, home: str) -> "tuple[Start, str]":
    """Return how a supervisor starts a process in the folder `home`, and what is wrong with it ("" for nothing)."""
    from netlab.runtime import entry
    from netlab.supervise.job import Start

    argv, variables = process(lab, step.node, planned)
    wrapped, group = lab.runtime.wrap(step.node, argv, None if runs_freely(lab, planned) else ()), ""
    problem = (
        entry.problem(wrapped.place, argv[0], variables, home) if wrapped.place else ""
    )  # before its group is there
    if wrapped.groups and not planned.role:
        wrapped, group = _grouped(wrapped, step.key)
    sign = planned.ready
    looked = lab.runtime.wrap(step.node, sign.argv).argv if sign and sign.argv else ()
    found = Start(
        step.key,
        tuple(wrapped.argv),
        tuple(variables.items()),
        step.after,
        planned.awaits_ready,
        home,
        wrapped.place,
        step.autostart,
        planned.stays,
        planned.may_exit,
        wrapped.entrance,
        bool(planned.role),
        (sign.kind, sign.what, tuple(looked), sign.within) if sign else None,
        (planned.restart.when, planned.restart.at_most),
        not planned.role,
        group,
    )
    return found, problem


def _grouped(command: Command, key: str) -> tuple[Command, str]:
    """Give a process of a node with limits its own control group below the node's; return command and group.

    The group is "" without control groups of version 2. With version 2 a process is in one group only: its own replaces
    the lab's.
    """
    for group in (each for each in command.groups if os.path.exists(f"{each}/cgroup.controllers")):
        own = f"{group}/{key.replace('/', '.')}"
        if command.place:
            entered = tuple(own if each == group else each for each in command.place.groups)
            return command._replace(place=command.place._replace(groups=entered)), own
        if command.entrance:
            entered = tuple(own if each == group else each for each in command.entrance.groups)
            return command._replace(entrance=command.entrance._replace(groups=entered)), own
        at = command.argv.index(group)  # the first match is the runtime's: the command itself comes after it
        return command._replace(argv=[*command.argv[:at], own, *command.argv[at + 1 :]]), own
    return command, ""


def setup(lab: Standing, step: "RunSetup", home: str) -> "Setup":
    """Return how a node is set up, from the folder `home`."""
    from netlab.supervise.job import Setup

    commands, wrapped = [], None
    for each in step.commands:
        wrapped = lab.runtime.wrap(step.node, each.argv, _OF_SETUPS)
        commands.append((tuple(wrapped.argv), _called(each)))
    how = (wrapped.place, wrapped.entrance) if wrapped else (None, None)
    return Setup(step.node, tuple(commands), tuple(lab.record.variables(step.node).items()), home, *how)


def _called(command: "SetupCommand") -> str:
    """Return the name of a command in messages: its line in the file, and its text, shortened."""
    words = command.argv[-1] if command.argv[:2] == ("sh", "-c") else " ".join(command.argv)
    first, *more = words.strip().splitlines()
    text = first if len(first) <= _SHOWN and not more else f"{first[:_SHOWN]} …"
    return f"line {command.line}: {text}"


def command(lab: Standing, node: str, argv: Sequence[str], *, trusted: bool = False) -> Command:
    """Return how a command runs in a node; NetlabError if the node does not exist any more.

    In an untrusted lab it is confined unless it is `trusted`.
    """
    name = lab.record.lab
    if not os.path.exists(lab.runtime.netns_path(node)):
        if not os.path.isdir(paths.folder_of(name)):
            from netlab.record import store

            raise store.gone(name)
        raise NetlabError(f"{node} has no namespace: the lab {name} is not whole; netlab down --lab {name}")
    return lab.runtime.wrap(node, argv, None if trusted else ())


def shell(lab: Standing) -> list[str]:
    """Return the argv of an interactive shell; the prompt of bash shows where it is."""
    settings = f"{lab.record.folder}/{paths.BASHRC}"
    if lab.runtime.has_files:  # an image may have no bash
        return ["sh", "-c", 'command -v bash >/dev/null && exec bash --rcfile "$0"; exec sh', settings]
    program = os.environ.get("SHELL") or "/bin/sh"
    return [program, "--rcfile", settings] if os.path.basename(program) == "bash" else [program]
