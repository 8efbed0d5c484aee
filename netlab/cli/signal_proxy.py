"""Stands in for a child: passes signals on to it, stops when it stops, and ends as it ends.

It is for a command in a container, and for one whose output is read: a signal to this process is meant for the command.
"""

import os
import resource
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

from netlab.kernel.signals import ENDINGS

_UNBLOCKABLE = {signal.SIGKILL, signal.SIGSTOP}


def end_as(pid: int, finish: Callable[[int], None] = lambda _: None) -> NoReturn:
    """Wait for a child, and end with its exit code, or by the signal that has ended it.

    Before that `finish` gets the code, or the number of the signal as a negative one. Signals that end a process end
    this one meanwhile. The caller blocks all signals, so that none is lost between its fork and this.
    """
    terminal = _Terminal()
    awaited = signal.valid_signals() - _UNBLOCKABLE
    while True:
        information = signal.sigwaitinfo(awaited)
        if information.si_signo == signal.SIGCHLD:
            _follow(pid, terminal, finish)
        elif information.si_code <= 0:  # a process has sent it; the terminal's signals reach the whole group
            with suppress(ProcessLookupError):
                os.kill(pid, information.si_signo)


def _follow(pid: int, terminal: "_Terminal", finish: Callable[[int], None]) -> None:
    """Do what the child has done, if it has done anything."""
    found, status = os.waitpid(pid, os.WNOHANG | os.WUNTRACED)
    if not found:
        return
    if os.WIFSTOPPED(status):
        terminal.take_back()
        os.kill(os.getpid(), signal.SIGSTOP)
        # Here we go on: whoever has continued us, a shell or a user, means the child.
        os.kill(pid, signal.SIGCONT)
        return
    terminal.take_back()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDINGS)
    finish(os.waitstatus_to_exitcode(status))
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):
            stream.flush()
    if os.WIFEXITED(status):
        os._exit(os.WEXITSTATUS(status))
    _die_by(os.WTERMSIG(status))


def _die_by(number: int) -> NoReturn:
    """End by a signal, without a core dump, which nobody has asked for."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if number not in _UNBLOCKABLE:
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
    os._exit(128 + number)


class _Terminal:
    """The terminal, if this process is in its foreground: a shell in a container cannot give it back to us.

    Such a shell does not see our process group, which is outside its PID namespace.
    """

    def __init__(self) -> None:
        self._descriptor = -1
        with suppress(OSError):
            descriptor = os.open("/dev/tty", os.O_RDWR | os.O_CLOEXEC)
            if os.tcgetpgrp(descriptor) == os.getpgrp():
                self._descriptor = descriptor
            else:
                os.close(descriptor)

    def take_back(self) -> None:
        """Put this process into the foreground again."""
        if self._descriptor >= 0:
            with suppress(OSError):  # the terminal is gone
                os.tcsetpgrp(self._descriptor, os.getpgrp())  # SIGTTOU is blocked, so it does not stop us
