"""Plan → a lab that stands, and a record → nothing left.

`build` takes a Machine through the stages of a plan and undoes everything when one fails; the machine that is really
changed is `Host`. Whatever a stage makes, `Host.undo` finds on the machine itself, from the lab's name alone: that is
what makes `down` work after a kill at any point (docs/adr/0003-the-machine-is-the-journal.md).
"""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from netlab import record
from netlab.errors import NetlabError, UsageError
from netlab.plan import AttachProgram, CreateNode, Plan, StartRole, Step

if TYPE_CHECKING:
    from netlab.loader import Compilation
    from netlab.process import Supervisor
    from netlab.runtime import Runtime

Say = Callable[[str], None]
_Step = TypeVar("_Step", bound=Step)
_ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_LOAD_DEADLINE_S = 60.0
# What nodes have in place of the host's files, beside /etc/hosts: names resolve to IPv4 first, as the labs' programs
# expect, and a name that is not in the lab fails at once, for no name server can be reached from there.
_ETC = {"gai.conf": "precedence ::ffff:0:0/96 100\n", "resolv.conf": "# a lab has no name server\n"}


class Machine(Protocol):
    """What building a lab does to a machine, stage by stage and in this order."""

    def open(self) -> None:
        """Make the lab's folder and write down what the lab is meant to be."""

    def prepare(self) -> None:
        """Begin what takes long and needs no nodes: compile the programs."""

    def create(self) -> None:
        """Make the nodes."""

    def connect(self) -> None:
        """Make the links, with their addresses and routes."""

    def attach(self) -> None:
        """Attach the programs."""

    def start(self) -> None:
        """Start the roles and wait until they are ready."""

    def complete(self) -> None:
        """Write down that the lab stands."""

    def undo(self) -> list[str]:
        """Remove everything that belongs to the lab, whatever stage it is in, and return what was found."""


def build(machine: Machine) -> None:
    """Take a machine through all stages; what fails, or is interrupted, is undone before the error goes on."""
    stages = (machine.open, machine.prepare, machine.create, machine.connect, machine.attach, machine.start)
    with _endings_raise():
        try:
            for stage in stages:
                stage()
            machine.complete()
        except BaseException as error:
            with _endings_wait():
                _undo(machine, error)
            raise


def _undo(machine: Machine, error: BaseException) -> None:
    """Undo after an error, which is what a person has to hear of first, also when not all can be undone."""
    try:
        machine.undo()
    except NetlabError as problem:
        raise NetlabError(f"{str(error) or 'interrupted'}\nnetlab: {problem}") from error


def up(plan: Plan, deadline_s: float, say: Say) -> None:
    """Build a plan's lab on this host, and return when every role is ready.

    Does nothing when the same lab stands already. Raises NetlabError, with everything undone, when a stage fails, when
    the roles are not ready `deadline_s` seconds after they were started, or when another lab of this name is there.
    """
    from netlab.describe import describe

    _refuse_from_inside()
    lab = plan.topology.name
    if plan.topology.runtime != "netns":
        raise NetlabError(f"runtime {plan.topology.runtime}: this version builds labs in network namespaces only")
    data = describe(plan, record.folder_of(lab))
    with record.locked(lab, waiting=lambda: say(f"netlab: waiting for another command to leave the lab {lab}")) as lock:
        if lab in record.labs():
            _refuse_another(lab, data)
            say(f"netlab: {lab} is up already")
            return
        began = time.monotonic()
        build(Host(plan, data, lock, deadline_s, say))
        say(f"netlab: {lab} is up after {time.monotonic() - began:.2f} s")


def down(lab: str, say: Say) -> None:
    """Remove everything that belongs to a lab, whatever is left of it; a lab that is not there is no error."""
    from netlab.runtime.netns import Netns

    _refuse_from_inside()
    folder = record.folder_of(lab)
    with record.locked(lab, waiting=lambda: say(f"netlab: waiting for another command to leave the lab {lab}")):
        state = "up" if record.is_complete(lab) else "half-built"
        with _endings_wait():
            found = remove(lab, Netns(lab, folder))
    if not found:
        say(f"netlab: {lab} is not up, and nothing of it is left")
    elif state == "up":
        say(f"netlab: {lab} is down")
    else:
        say(f"netlab: {lab} was not whole; removed what was left of it: {', '.join(found)}")


def remove(lab: str, runtime: "Runtime") -> list[str]:
    """Remove a lab from this host and return what was found; each part is looked for, so that any may be missing.

    A part that cannot be removed does not keep the others, but the folder, without which it would not be found again.
    NetlabError then says which, and a later `down` tries again.
    """
    from netlab import trace

    folder = record.folder_of(lab)
    parts: tuple[Callable[[], list[str]], ...] = (
        lambda: _stop_processes(folder),
        lambda: ["a trace instance"] if trace.close_instance(folder, lab) else [],
        lambda: [f"the name {name}" for name in runtime.destroy()],
    )
    found: list[str] = []
    problems: list[str] = []
    for part in parts:
        try:
            found += part()
        except Exception as error:  # noqa: BLE001 - whatever it is, the other parts still have to go
            problems.append(str(error))
    if not problems and record.remove(lab):
        found.append(f"the folder {folder}")
    if problems:
        raise NetlabError(
            f"not all of {lab} could be removed: {'; '.join(problems)}; try netlab down --lab {lab} again"
        )
    return found


def labs_with_leftovers() -> list[str]:
    """Return the labs of this machine, also those of which only names of namespaces outlived a reboot."""
    found = dict.fromkeys(record.labs())
    for folder in ("/run/netns", "/etc/netns"):
        if os.path.isdir(folder):
            for entry in os.scandir(folder):
                target = os.readlink(entry.path) if entry.is_symlink() else ""
                if target.startswith(f"{record.ROOT}/"):
                    found[target.split("/")[3]] = None
    return sorted(found)


def _refuse_another(lab: str, data: dict[str, Any]) -> None:
    """Raise NetlabError unless the lab that stands is complete and is the one that `data` describes."""
    if not record.is_complete(lab):
        raise NetlabError(f"{lab} is half-built, because its `up` was cut off: netlab down --lab {lab} removes it")
    there = record.read(lab)
    if {key: value for key, value in there.items() if key != "clock_offset_ns"} != data:
        raise NetlabError(
            f"another lab named {lab} is up (from {there['topology']}, or with other settings): "
            f"netlab down --lab {lab} first, or give this one another name with --lab"
        )


def _stop_processes(folder: str) -> list[str]:
    """Stop the lab's supervisor and whatever else lives in the lab's namespaces."""
    if not os.path.isdir(f"{folder}/netns"):
        return []
    from netlab import process

    process.stop_supervisor(folder)
    stopped = process.stop_all(_namespaces(folder))
    if stopped.spared:
        raise NetlabError(f"{', '.join(stopped.spared)} has called this command from inside the lab; end it first")
    if stopped.left:
        raise NetlabError(f"these processes of the lab cannot be ended: {', '.join(stopped.left)}; try again later")
    return [f"{len(stopped.ended)} processes"] if stopped.ended else []


def _namespaces(folder: str) -> set[tuple[int, int]]:
    """Return the namespaces that a lab holds, each by device and inode number."""
    try:
        found = [entry.stat() for entry in os.scandir(f"{folder}/netns")]
    except FileNotFoundError:
        return set()
    return {(about.st_dev, about.st_ino) for about in found}


def _refuse_from_inside() -> None:
    """Raise UsageError in a node: what is mounted there does not reach the host, and a `down` would end itself."""
    about = os.stat("/proc/self/ns/net")
    for lab in record.labs():
        if (about.st_dev, about.st_ino) in _namespaces(record.folder_of(lab)):
            raise UsageError(f"this is a node of the lab {lab}: labs are built and removed from outside")


@contextmanager
def _endings_raise() -> Iterator[None]:
    """Let SIGTERM and SIGHUP interrupt like Ctrl-C, so that they too are followed by an undo."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = [(number, signal.signal(number, interrupt)) for number in _ENDINGS]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)


@contextmanager
def _endings_wait() -> Iterator[None]:
    """Let what would end this process wait until the undo is through."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDINGS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


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

    def __init__(self, plan: Plan, data: dict[str, Any], lock: int, deadline_s: float, say: Say) -> None:
        from netlab import launch

        self.plan = plan
        self.lab = plan.topology.name
        self.folder: str = data["folder"]
        self.data = data
        self.lock = lock
        self.deadline_s = deadline_s
        self.say = say
        self.runtime = launch.runtime_of(data)
        self.programs = self._steps(AttachProgram)
        self.roles = self._steps(StartRole)
        self.compilations: list[tuple[AttachProgram, Compilation]] = []
        self.supervisor: Supervisor | None = None
        self.tracing: _Beside | None = None

    def _steps(self, kind: type[_Step]) -> list[_Step]:
        return [step for step in self.plan.steps if isinstance(step, kind)]

    def open(self) -> None:
        """Make the lab's folder, with its hosts file and the programs' sources as they are now."""
        from netlab import hosts

        record.create(self.lab, self.data, with_programs=bool(self.programs))
        record.write(f"{self.folder}/etc/hosts", hosts.text(self.plan))
        for name, text in _ETC.items():
            if os.path.exists(f"/etc/{name}"):  # `ip netns exec` can only replace files that exist
                record.write(f"{self.folder}/etc/{name}", text)
        if self.programs:
            os.mkdir(f"{self.folder}/programs")
        for step in self.programs:
            if not step.for_peer:
                with open(step.program.path, encoding="utf-8", errors="replace") as file:
                    record.write(f"{self.folder}/programs/{step.node}.c", file.read())

    def prepare(self) -> None:
        """Start the compilers, the trace and the supervisor, which get ready while the nodes are made."""
        if self.programs:
            from netlab import loader, trace

            for step in self.programs:
                self.compilations.append((step, loader.start(self._job(step), self.lock)))
            self.tracing = _Beside(lambda: trace.open_instance(self.folder, self.lab))
        if self.programs or self.roles:
            from netlab import process

            self.supervisor = process.spawn(self.lab, self.folder, self.lock)

    def _job(self, step: AttachProgram) -> Any:
        from netlab import loader

        program = step.program
        mtu = max(interface.mtu for interface in self.plan.interfaces if interface.node == step.node)
        return loader.Job(
            self.lab,
            step.node,
            program.path,
            pin_folder=self.data["nodes"][step.node]["pins"] + ("_peer" if step.for_peer else ""),
            work_folder=f"{self.folder}/compiler",
            function=program.function,
            mode=program.mode,
            define=program.define,
            builtins=(("MTU", mtu),),
        )

    def create(self) -> None:
        """Make the namespaces."""
        nodes = [step.node for step in self._steps(CreateNode)]
        self.runtime.create(nodes)
        self.say(f"netlab: {self.lab}: {len(nodes)} nodes")

    def connect(self) -> None:
        """Make links, addresses and routes."""
        from netlab import links

        late = (CreateNode, AttachProgram, StartRole)
        steps: Sequence[Any] = [step for step in self.plan.steps if not isinstance(step, late)]
        links.build(self._steps(CreateNode), steps, self.runtime.netns_path)
        self.say(f"netlab: {self.lab}: {len(self.plan.topology.links)} links")

    def attach(self) -> None:
        """Attach each program where it belongs, as soon as it is compiled."""
        for step, compilation in self.compilations:
            compilation.attach(self.runtime.netns_path(step.node), step.interfaces)
        for step, compilation in self.compilations:
            compilation.finish(_LOAD_DEADLINE_S)
            where = ", ".join(step.interfaces)
            self.say(f"netlab: {self.lab}: {step.node}: {step.program.name} attached to {where} ({step.program.mode})")
        if self.tracing:
            self.tracing.result()

    def start(self) -> None:
        """Start the roles that start by themselves, in their order."""
        if not self.supervisor:
            return
        from netlab import launch, process

        starts = []
        for step in self.roles:
            if step.autostart:
                argv, variables = launch.process(self.data, step.node)
                wrapped = tuple(self.runtime.wrap(step.node, argv))
                starts.append(
                    process.Start(step.node, wrapped, tuple(variables.items()), step.after, step.awaits_ready)
                )
        process.start(self.supervisor, starts, bool(self.programs), self.deadline_s, self._tell)

    def _tell(self, event: dict[str, Any]) -> None:
        words = {"ready": "ready", "exited": "has ended"}
        if event["event"] in words:
            self.say(f"netlab: {self.lab}: {event['node']} {words[event['event']]}")

    def complete(self) -> None:
        """Let the supervisor go on without us, and write down that the lab stands."""
        if self.supervisor:
            from netlab import process

            process.keep(self.supervisor)
        record.mark_complete(self.lab)

    def undo(self) -> list[str]:
        """Remove the lab, after ending what this process has begun itself."""
        for _, compilation in self.compilations:
            compilation.kill()
        if self.tracing:
            self.tracing.join()
        if self.supervisor:
            from netlab import process

            process.abandon(self.supervisor)
        return remove(self.lab, self.runtime)
