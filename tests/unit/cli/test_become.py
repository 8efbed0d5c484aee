"""A command as if it were the process that starts it."""

import signal
import subprocess
import sys

from netlab.testing.waiting import PATIENCE_S

SCRIPT = """
import os, signal
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
from netlab.cli import become
from netlab.runtime import entry
entry.fork, entry.join = lambda place: os.fork(), lambda place, folder: os.environ
from netlab.cli import signal_proxy
from netlab.runtime.base import Command, Place
signal_proxy.end_as(become._start(Command(["sh", "-c", "exit 7"], Place(1, 1)), "sh", {}))
"""

INTERRUPTED = """
import os, signal
from netlab.cli import become, signal_proxy
from netlab.runtime import entry
from netlab.runtime.base import Command, Entrance
entry.step_into = lambda *_: os.kill(os.getpid(), signal.SIGINT)
signal_proxy.end_as(become._start(Command(["sleep", "9"], None, Entrance((), ())), "sleep", {}))
"""


def test_a_container_s_command_gives_its_exit_code_to_who_ignores_the_ends_of_children() -> None:
    """As after `trap '' CHLD` in a shell."""
    assert 7 == subprocess.run([sys.executable, "-c", SCRIPT], check=False, timeout=PATIENCE_S).returncode


def test_an_interrupt_before_the_command_is_there_ends_it_as_one_after_that() -> None:
    """Python's own handler would make exit code 1 and a message of it."""
    ended = subprocess.run([sys.executable, "-c", INTERRUPTED], capture_output=True, check=False, timeout=PATIENCE_S)
    assert (-signal.SIGINT, b"", b"") == (ended.returncode, ended.stdout, ended.stderr)
