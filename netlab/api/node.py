"""A node of a lab from Python: commands in it, its processes and programs."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import IO, Any

from netlab.api import lines
from netlab.api.maps import LabMap
from netlab.api.processes import Processes
from netlab.errors import CommandError, NetlabError, TimeLimitError, UsageError
from netlab.lab import launch
from netlab.lab.reload import reload
from netlab.lab.standing import Standing
from netlab.observe import map_view
from netlab.observe.events import Event
from netlab.record.model import NodeRecord

Command = str | Sequence[str | os.PathLike[str]]
Note = Callable[[str], None]
_TIMEOUT_S = 60.0
_RESTART_S = 30.0
_BY_SHELL = ("sh", "-c", 'exec "$@"', "sh")  # which says 127 and why, where a command does not exist


class Node:
    """A node of a lab that is up. Nothing here prints; what there is to note goes to the lab's `notes`."""

    def __init__(self, lab: Standing, name: str, note: Note) -> None:
        self._lab = lab
        self._note = note
        self.name = name

    def __repr__(self) -> str:
        return f"<node {self.name} of lab {self._lab.record.lab}>"

    @property
    def record(self) -> NodeRecord:
        """What the node is meant to be: interfaces, processes, programs, routes."""
        return self._lab.record.nodes[self.name]

    @property
    def addresses(self) -> list[str]:
        """The planned addresses without prefix lengths, in the order of the interfaces, loopback addresses last."""
        return [each.partition("/")[0] for port in self.record.all_addresses().values() for each in port]

    @property
    def address(self) -> str:
        """The first IPv4 address, or else the first one; NetlabError if there is none."""
        found = self.addresses
        if not found:
            raise NetlabError(f"{self.name} has no address")
        return next((each for each in found if ":" not in each), found[0])

    # ---- commands ----------------------------------------------------------------------------------------------------

    def run(
        self,
        command: Command,
        *,
        check: bool = False,
        timeout: float = _TIMEOUT_S,
        input: str | None = None,  # noqa: A002 - as subprocess.run calls it
        env: Mapping[str, str] = {},
        cwd: str | os.PathLike[str] | None = None,
    ) -> "subprocess.CompletedProcess[str]":
        """Run a command in the node to its end, and return its exit code and output; a text is run by `sh -c`.

        `env` is added to the variables of this process and the node's. TimeLimitError if it is not over in `timeout`
        seconds: it is killed then, with all that it has started in its session. With `check`, CommandError for an exit
        code that is not 0. A command that does not exist gives 127.
        """
        how: dict[str, Any] = {"stdin": subprocess.DEVNULL if input is None else subprocess.PIPE}
        # A file of an untrusted command can have only so many bytes; a pipe brings as many as it likes.
        kept = [tempfile.TemporaryFile() for _ in range(2)] if self._lab.record.untrusted else []  # noqa: SIM115
        how |= dict(zip(("stdout", "stderr"), kept or (subprocess.PIPE, subprocess.PIPE), strict=True))
        with self.popen(
            command, env=env, cwd=cwd, text=True, errors="replace", start_new_session=True, **how
        ) as process:
            try:
                out, err = process.communicate(input, timeout)
            except subprocess.TimeoutExpired:
                _end(process)
                raise TimeLimitError(f"{self.name}: {_shown(command)} is not over after {timeout:g} s") from None
            except BaseException:
                _end(process)
                raise
        out, err = map(_all_of, kept) if kept else (out, err)
        done = subprocess.CompletedProcess(_words(command), process.returncode, out, err)
        if check and done.returncode:
            raise CommandError(self.name, _shown(command), done.returncode, out, err)
        return done

    def popen(
        self, command: Command, *, env: Mapping[str, str] = {}, cwd: str | os.PathLike[str] | None = None, **how: Any
    ) -> "subprocess.Popen[Any]":
        """Start a command in the node; `how` is for subprocess.Popen. `down` kills it, if nobody has ended it."""
        argv = _words(command)
        if cwd is not None and not os.path.isdir(cwd):
            raise UsageError(f"{self.name}: {_shown(command)}: expected a folder as cwd, found no {os.fspath(cwd)}")
        wrapped = launch.command(self._lab, self.name, [*_BY_SHELL, *argv])
        variables = {**os.environ, **self._lab.record.variables(self.name), **env}
        words = wrapped.argv
        if wrapped.place or wrapped.entrance:  # entering takes more than a command can do
            name = self._lab.record.lab
            words = [sys.executable, "-m", "netlab", "exec", "--lab", name, self.name, *argv]
        return subprocess.Popen(words, env=variables, cwd=cwd, **how)

    # ---- processes ---------------------------------------------------------------------------------------------------

    def start(self, process: str = "", timeout: float = _RESTART_S) -> None:
        """Start the node's processes, or one of them, and wait until they are ready."""
        self._processes(process).start(timeout)

    def stop(self, process: str = "", timeout: float = _RESTART_S) -> None:
        """Stop the node's processes, or one of them, and wait for their end."""
        self._processes(process).stop(timeout)

    def restart(self, process: str = "", timeout: float = _RESTART_S) -> None:
        """Stop the node's processes, or one of them, and start them again."""
        self._processes(process).restart(timeout)

    def kill(self, process: str = "", number: int = signal.SIGKILL) -> None:
        """Send a signal to the node's processes, or one of them, with all that they have started."""
        self._processes(process).kill(number)

    def pause(self, process: str = "") -> None:
        """Pause the node's processes, or one of them."""
        self._processes(process).pause()

    def resume(self, process: str = "") -> None:
        """Let paused processes go on."""
        self._processes(process).resume()

    def logs(self, process: str = "") -> Sequence[Event]:
        """Return what the node's processes, or one of them, have printed until now, and what has happened to them."""
        lines.catch_up(self._lab.record)
        return list(lines.read(self._lab.record, [self._called(process)], 0, "", follow=False))

    # ---- programs ----------------------------------------------------------------------------------------------------

    def reload(self, program: str = "", define: Mapping[str, str | int] = {}) -> None:
        """Replace the node's programs, or one of them, by new builds of their sources, and keep the maps."""
        constants = tuple((name, str(value)) for name, value in define.items())
        reload(self._lab.record.lab, self._called(program), constants, self._note)

    def map(self, name: str, program: str = "") -> LabMap:
        """Return a map of the node's programs; UsageError, with the nearest name, if there is none of this name."""
        return LabMap(self._lab, map_view.program_with(self._lab.record, self._called(program), name), name)

    def maps(self) -> Iterator[LabMap]:
        """Yield the maps of the node's programs."""
        for each in map_view.all_of(self._lab.record, self.name):
            yield LabMap(self._lab, each.program, each.name)

    def _processes(self, name: str) -> Processes:
        return Processes(self._lab.record, [self._called(name)], self._note)

    def _called(self, name: str) -> str:
        return f"{self.name}/{name}" if name else self.name


def _all_of(file: IO[bytes]) -> str:
    """Return what is in a file, and close it."""
    with file:
        file.seek(0)
        return file.read().decode(errors="replace")


def _words(command: Command) -> list[str]:
    words = ["sh", "-c", command] if isinstance(command, str) else [os.fspath(word) for word in command]
    if not words:
        raise UsageError("expected a command, found an empty list")
    return words


def _shown(command: Command) -> str:
    return command if isinstance(command, str) else " ".join(_words(command))


def _end(process: "subprocess.Popen[Any]") -> None:
    """Kill a command, with its session, and forget its output."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    pipes: tuple[IO[Any] | None, ...] = (process.stdin, process.stdout, process.stderr)
    for pipe in pipes:
        if pipe:
            pipe.close()
    process.wait()
