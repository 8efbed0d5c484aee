"""A command in a node is as one started by hand: exit code, stdin, signals, terminal; on both runtimes."""

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from netlab.testing.waiting import PATIENCE_S, eventually
from tests.contract.terminal import Terminal
from tests.lab.lab import ROOT, background, inside, netlab

pytestmark = pytest.mark.root

TOPOLOGY = """
name: commands
nodes:
  a: {env: {COLOUR: blue and green}}
  b: {}
links:
  - [a, b]
"""
SHELL = [sys.executable, "-m", "netlab", "shell", "a"]
PYTHON = shlex.quote(sys.executable)  # for a shell: the checkout may lie in a folder with a space in its name


@pytest.fixture
def shell(one: str) -> Iterator[Terminal]:
    """A shell in a node, at its prompt."""
    terminal = Terminal(SHELL, ROOT)
    terminal.type("PS1='>''> '\n")
    terminal.until(">> ")
    yield terminal
    terminal.close()


@pytest.mark.parametrize("code", [0, 1, 9, 255])
def test_exit_code(one: str, code: int) -> None:
    """It is the command's own."""
    inside("a", "sh", "-c", f"exit {code}", code=code)


def test_killed_by_a_signal(one: str) -> None:
    """What kills the command is what has killed `exec`."""
    inside("a", "sh", "-c", "kill -9 $$", code=-signal.SIGKILL)
    inside("a", "sh", "-c", "kill -TERM $$", code=-signal.SIGTERM)


def test_commands_that_cannot_be_run(one: str) -> None:
    """They end as in a shell, and it is said why."""
    assert "nosuch: no such command" in inside("a", "nosuch", code=127).stderr
    assert "/etc/passwd: cannot be executed" in inside("a", "/etc/passwd", code=126).stderr
    assert "/nowhere/at/all: no such command" in inside("a", "/nowhere/at/all", code=127).stderr


def test_input_and_output_go_through(one: str) -> None:
    """Every byte, to the end of file, and the two outputs apart."""
    data = "line of text\n" * 100_000
    echoed = inside("a", "sh", "-c", "cat; echo done >&2", stdin=None, input=data)

    assert echoed.stdout == data
    assert echoed.stderr == "done\n"


def test_output_that_nobody_reads(one: str) -> None:
    """The command ends by SIGPIPE, as it does everywhere."""
    found = subprocess.run(
        ["sh", "-c", f"{PYTHON} -m netlab exec a yes | head -n 1; true"],
        cwd=ROOT, capture_output=True, text=True, check=True, timeout=PATIENCE_S,
    )  # fmt: skip

    assert (found.stdout, found.stderr) == ("y\n", "")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGQUIT])
def test_signals_reach_the_command(one: str, number: signal.Signals) -> None:
    """Whoever signals `exec` signals the command, which may do with that what it likes."""
    name = number.name.removeprefix("SIG")
    code = f"trap 'echo got {name}; exit 5' {name}; echo up; while :; do sleep 0.02; done"
    with background("a", ["sh", "-c", code]) as running:
        assert running.stdout
        assert running.stdout.readline() == "up\n"
        running.send_signal(number)
        rest = running.stdout.read()

        assert running.wait(PATIENCE_S) == 5
    assert rest == f"got {name}\n"


def test_ignored_signals_stay_ignored(one: str) -> None:
    """As under nohup."""
    words = [sys.executable, "-m", "netlab", "exec", "a", "sh", "-c", "kill -HUP $$; echo alive"]
    shown = subprocess.run(
        ["sh", "-c", 'trap "" HUP; exec "$@"', "sh", *words], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout

    assert shown == "alive\n"


def test_killing_exec_kills_the_command(one: str) -> None:
    """Nothing of it goes on unseen."""
    with background("a", ["sh", "-c", "echo up; exec sleep 987654"]) as running:
        assert running.stdout
        running.stdout.readline()
        running.kill()
        assert running.wait(PATIENCE_S) == -signal.SIGKILL
    eventually(lambda: not _running("sleep 987654"))


def _running(text: str, states: str = "RSDT") -> bool:
    """Say whether a process with this command line is in one of these states; T is stopped."""
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/cmdline", "rb") as file:
                if file.read().replace(b"\0", b" ").decode(errors="replace").strip() == text:
                    with open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as stat:
                        return stat.read().rpartition(")")[2].split()[0] in states
        except OSError:
            continue
    return False


def test_environment(one: str) -> None:
    """A command finds what the topology and netlab give it, and the lab's file where that says."""
    shown = inside("a", "sh", "-c", 'echo "$NETLAB_LAB $NETLAB_NODE $COLOUR"; cat "$NETLAB_NODE_FILE"').stdout

    assert shown.startswith(f'{one} a blue and green\n{{"lab":"{one}"')


def test_a_role_to_run_where_there_is_none(one: str) -> None:
    """It is a mistake in usage."""
    assert "neither a role nor a command" in netlab("run", "a", code=2).stderr


def test_names_resolve_and_answer(one: str) -> None:
    """Every node's name, in every node, by both protocols; other names fail at once."""
    inside("a", "ping", "-c", "1", "-W", "5", "b")
    inside("b", "ping", "-6", "-c", "1", "-W", "5", "a")
    inside("a", "ping", "-c", "1", "-W", "5", "example.org", code=2)


def test_shell_has_a_terminal(shell: Terminal) -> None:
    """Ctrl-C interrupts what runs in it and not the shell; its exit code is that of `shell`."""
    shell.type("test -t 0 && test -t 1 && echo ter''minal\n")
    shell.until("terminal")
    shell.until(">> ")
    shell.type("sleep 1000; echo le''ft\n")
    shell.until("sleep 1000")
    eventually(lambda: _running("sleep 1000"))
    shell.type("\x03")
    shell.until(">> ")
    shell.type("echo code=$?\n")
    shell.until("code=130")
    shell.type("exit 7\n")

    assert shell.wait() == 7


def test_shell_has_job_control(shell: Terminal) -> None:
    """Ctrl-Z stops what runs in it, `fg` goes on with it."""
    shell.type("sleep 2000\n")
    eventually(lambda: _running("sleep 2000"))
    shell.type("\x1a")
    eventually(lambda: _running("sleep 2000", "T"))
    shell.until("Stopped")
    shell.until(">> ")
    shell.type("fg\n")
    eventually(lambda: _running("sleep 2000", "S"))  # by then it has the terminal
    shell.type("\x03")
    shell.until(">> ")
    shell.type("exit 0\n")

    assert shell.wait() == 0


def test_exec_is_a_job_of_the_shell_that_has_started_it(one: str) -> None:
    """It stops by Ctrl-Z, goes on by `fg`, ends by Ctrl-C, and gives the terminal back."""
    outer = Terminal(["bash", "--norc", "-i"], ROOT)
    try:
        outer.type("PS1='>''> '\n")
        outer.until(">> ")
        outer.type(f"{PYTHON} -m netlab exec a sleep 3000\n")
        eventually(lambda: _running("sleep 3000"))
        outer.type("\x1a")
        eventually(lambda: _running("sleep 3000", "T"))
        outer.until("Stopped")
        outer.until(">> ")
        outer.type("fg\n")
        eventually(lambda: _running("sleep 3000", "S"))
        outer.type("\x03")
        outer.until(">> ")
        outer.type("echo code=$?\n")
        outer.until("code=130")
        outer.type(f"{PYTHON} -m netlab shell a\n")
        outer.until("leave it with exit")
        outer.type("exit 3\n")
        outer.until(">> ")
        outer.type("echo code=$?; exit\n")
        outer.until("code=3")

        assert outer.wait() == 0
    finally:
        outer.close()
