"""This host as a machine to build labs on: what each stage of a plan really does to it."""

import os
import signal
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from netlab import paths
from netlab.errors import HostError, NetlabError
from netlab.kernel import commands, files
from netlab.lab import removal
from netlab.plan.planner import Plan
from netlab.plan.steps import AttachProgram, CreateNode, StartRole, Step
from netlab.record import store

if TYPE_CHECKING:
    from netlab.programs.loader import Compilation
    from netlab.supervise.client import Connection

_Step = TypeVar("_Step", bound=Step)
ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_BASHRC = """[ -f ~/.bashrc ] && . ~/.bashrc
PS1="($NETLAB_LAB/$NETLAB_NODE) ${PS1-\\\\$ }"
"""


def _some(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


class _Beside(threading.Thread):
    """A piece of work done beside the main thread; `result` waits for it and raises what it raised."""

    def __init__(self, work: Callable[[], None]) -> None:
        super().__init__(daemon=True)
        self._work = work
        self._error: Exception | None = None
        self.start()

    def run(self) -> None:
        try:
            self._work()
        except Exception as error:  # noqa: BLE001 - carried to `result`
            self._error = error

    def result(self) -> None:
        self.join()
        if self._error:
            raise self._error


class Host:
    """This host, on which a lab is really built. Constructing it touches nothing."""

    def __init__(
        self,
        plan: Plan,
        data: dict[str, Any],
        lock: int,
        deadline_s: float,
        say: Callable[[str], None],
        before_roles: Callable[[dict[str, Any]], None] | None = None,
    ) -> None:
        from netlab.lab import launch

        self.plan = plan
        self.lab = plan.topology.name
        self.folder: str = data["folder"]
        self.data = data
        self.lock = lock
        self.deadline_s = deadline_s
        self.say = say
        self.before_roles = before_roles
        self.runtime = launch.runtime_of(data)
        self.home = launch.home_of(data)
        self.programs = self._steps(AttachProgram)
        self.roles = self._steps(StartRole)
        self.compilations: list[tuple[AttachProgram, Compilation]] = []
        self.supervisor: Connection | None = None
        self.tracing: _Beside | None = None

    def _steps(self, kind: type[_Step]) -> list[_Step]:
        return [step for step in self.plan.steps if isinstance(step, kind)]

    def open(self) -> None:
        """Make the lab's folder, with its hosts file and the programs' sources as they are now."""
        from netlab.plan import hosts

        store.create(self.lab, self.data, with_programs=bool(self.programs))
        files.write(f"{self.folder}/{paths.ETC}/hosts", hosts.text(self.plan))
        for name, text in hosts.BESIDE.items():
            if os.path.exists(f"/etc/{name}"):  # `ip netns exec` can only replace files that exist
                files.write(f"{self.folder}/{paths.ETC}/{name}", text)
        files.write(f"{self.folder}/{paths.BASHRC}", _BASHRC)
        if self.programs:
            files.make_folder(f"{self.folder}/{paths.PROGRAMS}", files.FOR_GROUP)
        for step in self.programs:
            if not step.for_peer:
                files.write(paths.source(self.folder, step.node), files.source(step.program.path), 0o640)

    def prepare(self) -> None:
        """Start the compilers, the trace and the supervisor, which get ready while the nodes are made."""
        self._check_commands()
        if self.programs:
            from netlab.programs import loader
            from netlab.supervise import trace

            for step in self.programs:
                self.compilations.append((step, loader.start(self._job(step), self.lock)))
            before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDINGS)  # nobody would wait for a thread without a name
            try:
                self.tracing = _Beside(lambda: trace.open_instance(self.folder, self.lab))
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, before)
        if self.programs or self.roles:
            from netlab.supervise import client

            self.supervisor = client.spawn(self.lab, self.folder, self.lock)

    def _check_commands(self) -> None:
        """Refuse what could not be started in the end."""
        if self.runtime.has_files:  # which come with the nodes
            return
        if self.roles and commands.problem("ip", os.environ):
            raise HostError("ip is not installed; on Debian: apt-get install iproute2")
        for step in self.roles:
            self._check(step, commands.problem(step.argv[0], {**os.environ, **dict(step.env)}, self.home))

    def _check(self, step: StartRole, problem: str) -> None:
        """Refuse a command with a problem; a role says READY, or else."""
        if problem and not step.awaits_ready:
            raise NetlabError(f"{step.node}: command {step.argv[0]}: {problem}")

    def _job(self, step: AttachProgram) -> Any:
        from netlab.programs import loader

        program = step.program
        mtu = max(interface.mtu for interface in self.plan.interfaces if interface.node == step.node)
        return loader.Job(
            self.lab,
            step.node,
            program.path,
            pin_folder=self.data["nodes"][step.node]["pins"] + ("_peer" if step.for_peer else ""),
            work_folder=f"{self.folder}/{paths.COMPILER}",
            function=program.function,
            mode=program.mode,
            define=program.define,
            builtins=(("MTU", mtu),),
        )

    def create(self) -> None:
        """Make the nodes."""
        nodes = [step.node for step in self._steps(CreateNode)]
        self.runtime.create(nodes)
        self.say(f"netlab: {self.lab}: {_some(len(nodes), 'node')}")

    def connect(self) -> None:
        """Make links, addresses and routes."""
        from netlab.network import links

        late = (CreateNode, AttachProgram, StartRole)
        steps: Sequence[Any] = [step for step in self.plan.steps if not isinstance(step, late)]
        links.build(self._steps(CreateNode), steps, self.runtime.netns_path)
        self.say(f"netlab: {self.lab}: {_some(len(self.plan.topology.links), 'link')}")

    def attach(self) -> None:
        """Attach each program where it belongs, as soon as it is compiled."""
        for step, compilation in self.compilations:
            compilation.attach(self.runtime.netns_path(step.node), step.interfaces)
        notes: dict[str, None] = {}
        pinned = {}
        for step, compilation in self.compilations:
            loaded = compilation.finish()
            notes.update(dict.fromkeys(loaded.notes))
            pinned[os.path.basename(compilation.job.pin_folder)] = loaded.noted()
            where = ", ".join(step.interfaces)
            self.say(f"netlab: {self.lab}: {step.node}: {step.program.name} attached to {where} ({step.program.mode})")
        if pinned:
            store.note_pins(self.folder, pinned)
        for note in notes:
            self.say(f"netlab: note: {note}")
        if self.tracing:
            self.tracing.result()

    def start(self) -> None:
        """Start the roles that start by themselves, in their order."""
        if self.before_roles:
            self.before_roles(self.data)
        if not self.supervisor:
            return
        from netlab.lab import launch
        from netlab.runtime import entry
        from netlab.supervise import client

        starts = []
        for step in self.roles:
            argv, variables = launch.process(self.data, step.node)
            wrapped = self.runtime.wrap(step.node, argv)
            if wrapped.place:
                self._check(step, entry.problem(wrapped.place, argv[0], variables, self.home))
            about = (tuple(variables.items()), step.after, step.awaits_ready, self.home, wrapped.place, step.autostart)
            starts.append(client.Start(step.node, tuple(wrapped.argv), *about))
        client.start(self.supervisor, starts, bool(self.programs), self.deadline_s, self._tell)

    def _tell(self, event: dict[str, Any]) -> None:
        words = {"ready": "ready", "exited": "has ended"}
        if event["kind"] in words:
            self.say(f"netlab: {self.lab}: {event['process']} {words[event['kind']]}")

    def complete(self) -> None:
        """Let the supervisor go on without us, and write down that the lab stands.

        Whatever would end this process comes too late from here on: either the lab is undone, or `up` has succeeded.
        """
        signal.pthread_sigmask(signal.SIG_BLOCK, ENDINGS)
        if self.supervisor:
            from netlab.supervise import client

            client.keep(self.supervisor)
        store.mark_complete(self.lab)

    def undo(self) -> list[str]:
        """Remove the lab, after ending what this process has begun itself."""
        for _, compilation in self.compilations:
            compilation.kill()
        if self.tracing:
            self.tracing.join()
        if self.supervisor:
            from netlab.supervise import client

            client.abandon(self.supervisor)
        return removal.remove(self.lab, self.runtime)
