"""Becomes a command in a node of a lab, so that terminal, signals and exit code are the command's."""

import os
import signal
import sys
from collections.abc import Mapping, Sequence
from typing import NoReturn

from netlab.cli.console import detail, say
from netlab.errors import HostError, NetlabError
from netlab.kernel import commands, umask
from netlab.lab import launch
from netlab.lab.standing import Standing
from netlab.runtime.base import Command, Entrance

_KEPT = ("TERM", "COLORTERM")  # of the caller's variables: they describe the terminal


def enter(
    lab: Standing, node: str, argv: Sequence[str], variables: Mapping[str, str], *, trusted: bool = False
) -> NoReturn:
    """Become a command in a node, of an untrusted lab a confined one unless it is `trusted`.

    If the command does not exist, this process ends with exit code 127; if it cannot be executed, with 126, as in a
    shell.
    """
    wrapped = launch.command(lab, node, argv, trusted=trusted)
    detail(f"in {node}: {' '.join(wrapped.argv)}")
    umask.give_back()
    if wrapped.place:
        from netlab.cli import signal_proxy

        signal_proxy.end_as(_start(wrapped, argv[0], variables))
    found = {**os.environ, **variables}
    if wrapped.entrance:
        _step_into(wrapped.entrance)
    if code := _complain(argv[0], found):
        sys.exit(code)
    try:
        _execute(wrapped.argv, found)
    except FileNotFoundError:
        raise HostError(f"{wrapped.argv[0]} is not installed; on Debian: apt-get install iproute2") from None


def start(
    lab: Standing,
    node: str,
    argv: Sequence[str],
    variables: Mapping[str, str],
    outputs: tuple[int, int],
    *,
    trusted: bool = False,
) -> int:
    """Start a command in a node as a child of this process, with these two outputs, and return its process id.

    All signals are blocked from now on: signal_proxy.end_as passes them on.
    """
    wrapped = launch.command(lab, node, argv, trusted=trusted)
    umask.give_back()
    return _start(wrapped, argv[0], variables, outputs)


def _start(wrapped: Command, command: str, variables: Mapping[str, str], outputs: tuple[int, int] = (1, 2)) -> int:
    """Start a command with terminal and signals of this process; in a container it sees `variables` besides its own."""
    from netlab.kernel import syscalls
    from netlab.kernel.signals import ENDINGS
    from netlab.runtime import entry

    place, folder = wrapped.place, os.getcwd()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # if the caller ignores it, nobody hears how a child has ended
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        pid = entry.fork(place) if place else os.fork()
    except OSError as error:
        what = f"cannot enter the {_kind(wrapped)}, which has ended" if place else "cannot start a process"
        raise NetlabError(f"{what}: {error.strerror}") from None
    if pid:
        return pid
    try:
        syscalls.die_with_parent()
        for at, output in enumerate(outputs, 1):
            os.dup2(output, at)
        terminal = {name: os.environ[name] for name in _KEPT if name in os.environ}
        own = {**entry.join(place, folder), **terminal} if place else os.environ
        environment = {**own, **variables}
        if wrapped.entrance:
            entry.step_into(wrapped.entrance, folder)
        if code := _complain(command, environment):
            os._exit(code)
        for handled in filter(lambda number: callable(signal.getsignal(number)), ENDINGS):
            signal.signal(handled, signal.SIG_DFL)  # a Ctrl-C that has come meanwhile ends it, as it ends the command
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        _execute(wrapped.argv, environment)
    except BaseException as error:  # noqa: BLE001 - in any case there must not be two of the caller
        say(f"netlab: cannot {f'enter the {_kind(wrapped)}' if place else f'run {wrapped.argv[0]}'}: {error}")
    finally:
        os._exit(1)


def _kind(wrapped: Command) -> str:
    return "room" if wrapped.place and wrapped.place.user else "container"


def _step_into(entrance: Entrance) -> None:
    """Enter a node with files of its own, whose commands may be others than the host's."""
    from netlab.runtime import entry

    try:
        entry.step_into(entrance, os.getcwd())
    except OSError as error:
        raise NetlabError(f"cannot enter the node: {error}; netlab status shows what is gone") from None


def _complain(command: str, variables: Mapping[str, str]) -> int:
    """Say why a command cannot be run here, and return the exit code of a shell for that; 0 if it can."""
    wrong = commands.problem(command, variables)
    if wrong:
        say(f"netlab: {command}: {wrong}")
    return commands.EXIT_CODES[wrong]


def _execute(argv: Sequence[str], variables: Mapping[str, str]) -> NoReturn:
    """Become a command, with exactly these variables; raises OSError if that fails."""
    for ignored in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them, and the new program would, too
        signal.signal(ignored, signal.SIG_DFL)
    os.execvpe(argv[0], list(argv), dict(variables))
