"""In the supervisor: runs the setup of nodes, before the first process starts, and says what fails."""

import signal
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from netlab.kernel.kill import signal_name
from netlab.supervise import logs
from netlab.supervise.child import Child, Inherited
from netlab.supervise.intake import Intake
from netlab.supervise.loop import Loop
from netlab.supervise.stream import Stream

_AT_ONCE = 8  # nodes


class _Node:
    """A node's setup: the commands that have not begun, and the running one, whose deadline is `due`."""

    def __init__(self, setup: dict[str, Any], log: logs.Writer) -> None:
        about = {**setup, "process": setup["node"], "awaits_ready": False, "is_grouped": False}
        self.name: str = setup["node"]
        self.commands = deque(enumerate(setup["commands"], 1))
        self._about = about
        self._log = log
        self.called = ""
        self.due = float("inf")
        self.running: Child | None = None

    def next(self) -> Child:
        """Return the next command, not started yet."""
        number, (argv, text) = self.commands.popleft()
        self.called = f"command {number} ({text})"
        self.running = Child({**self._about, "argv": argv}, self._log)
        self.running.note(f"{logs.SETUP}{text}")
        return self.running


class Setups:
    """The setups of all nodes: of each node one command after the other, of several nodes beside each other.

    `done` is called when all are done. After the first failure no more commands begin.
    """

    def __init__(
        self,
        setups: list[dict[str, Any]],
        deadline_s: float,
        inherited: Inherited,
        loop: Loop,
        stream: Stream,
        log: Callable[[str], logs.Writer],
        done: Callable[[], None],
    ) -> None:
        self._waiting = deque(_Node(setup, log(setup["node"])) for setup in setups)
        self._running: list[_Node] = []
        self._deadline_s = deadline_s
        self._inherited = inherited
        self._loop = loop
        self._stream = stream
        self._done = done
        self._intake = Intake(loop, stream, lambda _: None, self._reap)
        self._is_over = False

    @property
    def is_over(self) -> bool:
        """Whether no command runs, or will."""
        return self._is_over

    @property
    def due(self) -> float:
        """Return when something is due (CLOCK_MONOTONIC in seconds), infinity if nothing is."""
        if self._is_over:
            return float("inf")
        if self._may_begin():
            return 0.0
        return min((node.due for node in self._running), default=0.0)

    def turn(self) -> None:
        """Begin what can begin, end what takes too long, and say when all is done."""
        if self._is_over:
            return
        for node in [each for each in self._running if each.due <= time.monotonic()]:
            self._fail(node, f"has not ended within {self._deadline_s:g} s")
        while self._may_begin() and not self._is_over:
            node = next((each for each in self._running if not each.running), None) or self._waiting.popleft()
            self._begin(node)
        if not self._running and not self._waiting and not self._is_over:
            self._is_over = True
            self._done()

    def stop(self) -> None:
        """Kill the running commands, and begin no more: the lab is about to be removed."""
        self._is_over = True
        for node in self._running:
            if node.running:
                node.running.signal(signal.SIGKILL)
        self._running.clear()
        self._waiting.clear()

    def _may_begin(self) -> bool:
        between = any(not node.running for node in self._running)
        return between or (bool(self._waiting) and len(self._running) < _AT_ONCE)

    def _begin(self, node: _Node) -> None:
        if node not in self._running:
            self._running.append(node)
        child = node.next()
        node.due = time.monotonic() + self._deadline_s
        try:
            pidfd = child.start(self._inherited)
        except OSError as error:
            self._fail(node, f"cannot be started: {error.strerror}")
            return
        self._stream.tell("setup", child.started_ns, node=node.name, pid=child.pid)
        self._intake.watch(child)
        self._loop.watch(pidfd, partial(self._end, node, child, pidfd))

    def _end(self, node: _Node, child: Child, pidfd: int) -> None:
        self._loop.close(pidfd)
        self._intake.read(child)
        how = child.result()
        node.running, node.due = None, float("inf")
        if not self._is_over and how == {"exit": 0}:
            if not node.commands:
                self._running.remove(node)
                self._stream.tell("prepared", node=node.name)
        elif not self._is_over:
            ended = (
                f"ended with exit code {how['exit']}" if "exit" in how else f"killed by {signal_name(how['signal'])}"
            )
            self._fail(node, f"has {ended}" if "exit" in how else f"was {ended}")
        self._reap(child)

    def _fail(self, node: _Node, why: str) -> None:
        """Say what has failed, and end the others: `up` will remove the lab."""
        if node.running:
            self._intake.read(node.running)  # its last lines belong to the message
        self.stop()
        self._stream.tell("failed", process=node.name, why=f"is not set up: {node.called} {why}")

    def _reap(self, child: Child) -> None:
        if child.end and not child.pipes and not child.reaped:
            child.reap()
