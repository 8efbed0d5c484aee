"""Does the steps of a plan on this host: the Machine of `bring_up` that is no test."""

import os
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, assert_never

from netlab import paths
from netlab.kernel import files, signals
from netlab.lab import commands_of_nodes, noted_steps, removal
from netlab.lab.beside import Beside
from netlab.lab.standing import Standing
from netlab.plan.attach_program import AttachProgram
from netlab.plan.file_steps import GiveFiles
from netlab.plan.fill_maps import FillMaps
from netlab.plan.host_steps import JoinHost, OpenInternet
from netlab.plan.middle_steps import CreateMiddle, Impair
from netlab.plan.planner import Plan
from netlab.plan.setup_steps import RunSetup
from netlab.plan.stages import Stage, Work
from netlab.plan.steps import CreateNode, StartRole, Step
from netlab.record import lab_folder, noted_pins, store
from netlab.record.model import LabRecord
from netlab.runtime.base import home_of
from netlab.words import count, few

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from netlab.lab.name_servers import Names
    from netlab.programs.loader import Compilation, Job
    from netlab.supervise.client import Connection

_Step = TypeVar("_Step", bound=Step)
# Steps that network/links does not do.
ELSEWHERE = JoinHost | OpenInternet | GiveFiles | FillMaps | AttachProgram | RunSetup | StartRole
_BASHRC = """[ -f ~/.bashrc ] && . ~/.bashrc
PS1="($NETLAB_LAB/$NETLAB_NODE) ${PS1-\\\\$ }"
"""


def _of(kind: type[_Step], steps: Sequence[Step]) -> list[_Step]:
    return [step for step in steps if isinstance(step, kind)]


class Host:
    """This host, on which a lab is really built. Constructing it touches nothing."""

    def __init__(
        self,
        plan: Plan,
        record: LabRecord,
        lock: int,
        deadline_s: float,
        say: Callable[[str], None],
        before_roles: Callable[[Standing], None] | None = None,
    ) -> None:
        self.plan = plan
        self.lab = plan.topology.name
        self.folder = record.folder
        self.standing = Standing(record)
        self.lock = lock
        self.deadline_s = deadline_s
        self.say = say
        self.before_roles = before_roles
        self.runtime = self.standing.runtime
        self.home = home_of(record)
        self.compilations: dict[AttachProgram, Compilation] = {}
        self.supervisor: Connection | None = None
        self.supervises = False  # whether the supervisor has its job
        self.tracing: Beside | None = None
        self.counting: Beside | None = None  # of what goes wrong with XDP
        self.has_events = False  # whether a program has maps of events
        self.names: Names | None = None  # of a lab with a way outside
        self.told_of_background = False

    def open(self) -> None:
        """Make the lab's folder, with its hosts file."""
        from netlab.plan import hosts

        programs = _of(AttachProgram, self.plan.steps)
        if self._joins_host():
            from netlab.lab import outside

            self.names = outside.names(self.plan.steps, self.plan.interfaces)
        with self._claimed():
            lab_folder.create(self.standing.record, with_programs=bool(programs))
        files.write(f"{self.folder}/{paths.ETC}/hosts", hosts.text(self.plan))
        for name, text in hosts.BESIDE.items():
            if os.path.exists(f"/etc/{name}"):  # `ip netns exec` can only replace files that exist
                own = self.names.text if self.names and name == hosts.RESOLV_CONF else text
                files.write(f"{self.folder}/{paths.ETC}/{name}", own)
        files.write(f"{self.folder}/{paths.BASHRC}", _BASHRC)
        if programs:
            for name in (paths.PROGRAMS, paths.LAYOUTS):
                files.make_folder(f"{self.folder}/{name}", files.FOR_GROUP)

    def _claimed(self) -> "AbstractContextManager[None]":
        """Return what keeps others off the networks of this host until the lab's record is written."""
        if not self._joins_host():
            return nullcontext()
        from netlab.lab import host_networks

        return host_networks.claimed(self.standing.record)

    def _joins_host(self) -> bool:
        return bool(_of(JoinHost, self.plan.steps))

    def prepare(self, steps: Sequence[Step]) -> None:
        """Start the compilers, the trace and the supervisor, which get ready while the nodes are made."""
        programs, roles = _of(AttachProgram, steps), _of(StartRole, steps)
        setups = _of(RunSetup, steps)
        commands_of_nodes.check(self.standing, self.home, roles, any_runs=bool(roles or setups))
        if programs:
            from netlab.lab import xdp_watch
            from netlab.programs import loader
            from netlab.supervise import trace

            for step in programs:
                register = partial(self.compilations.__setitem__, step)
                compilation = loader.start(self.job(step), self.lock, register=register)
                if not step.for_peer:
                    files.write(paths.source(self.folder, step.key, step.program.path), compilation.text, 0o640)
            with signals.waiting():  # between start and assignment one would leave a thread that `undo` cannot join
                self.tracing = Beside(lambda: trace.open_instance(self.folder, self.lab))
                self.counting = Beside(lambda: xdp_watch.begin(self.folder))
        if programs or roles or setups or _of(CreateMiddle, steps):
            from netlab.supervise import client

            self.supervisor = client.spawn(self.lab, self.folder, self.lock)

    def job(self, step: AttachProgram, pin_folder: str = "") -> "Job":
        """Return what a loader is to do for a program; `pin_folder` is another place for its pins than its own."""
        from netlab.lab import program_job

        return program_job.of(self.plan, self.folder, step, pin_folder)

    def do(self, stage: Stage) -> None:
        """Do the steps of a stage."""
        match stage.work:
            case Work.NETWORK:
                self._connect(stage.steps)
            case Work.PROGRAMS:
                self._fill(_of(FillMaps, stage.steps))
                self._attach(_of(AttachProgram, stage.steps))
            case Work.PROCESSES:
                self._start(_of(RunSetup, stage.steps), _of(StartRole, stage.steps))
            case _:
                assert_never(stage.work)

    def _connect(self, steps: Sequence[Step]) -> None:
        """Make the nodes, and links, addresses and routes in them."""
        from netlab.network import links

        nodes = [step.node for step in steps if isinstance(step, CreateNode | JoinHost)]
        self.runtime.create(nodes, {step.node: step.own for step in _of(GiveFiles, steps)})
        if _of(CreateMiddle, steps):
            self.runtime.open_middle()
        self.say(f"netlab: {self.lab}: {count(len(nodes), 'node')}")
        links.build([step for step in steps if not isinstance(step, ELSEWHERE)], self.runtime.netns_path)
        self.say(f"netlab: {self.lab}: {count(len(self.plan.topology.links), 'link')}")
        if self._joins_host():
            from netlab.lab import outside

            outside.opened(steps, self.plan.interfaces, self.names, self.lab, self.say)

    def _fill(self, steps: Sequence[FillMaps]) -> None:
        """Write the topology's entries into maps, before any packet meets their programs."""
        if not steps:
            return
        from netlab.lab import map_filling

        nodes = {step.node for step in steps}
        for attached, compilation in self.compilations.items():
            if attached.node in nodes:
                compilation.pinned()
        map_filling.fill(self.standing, steps, self.plan.topology.path or "the topology")

    def _attach(self, steps: Sequence[AttachProgram]) -> None:
        """Attach each program where it belongs, as soon as it is compiled."""
        from netlab.lab import xdp_watch

        if self.counting:
            xdp_watch.add_nodes(self.standing, self.counting.result, self.say)
        compilations = {step: self.compilations[step] for step in steps}
        for step, compilation in compilations.items():
            compilation.attach(self.runtime.netns_path(step.node), step.interfaces)
            if step.node == paths.MIDDLE:
                from netlab.network import directions

                directions.keep_single(step.interfaces, self.runtime.netns_path)
        notes: dict[str, None] = {}
        pinned = {}
        for step, compilation in compilations.items():
            loaded = compilation.finish()
            notes.update(dict.fromkeys(loaded.notes))
            self.has_events |= loaded.has_events
            pinned[os.path.basename(compilation.job.pin_folder)] = loaded.noted()
            xdp_watch.add_cpumaps(self.standing.record, step.node, loaded.cpumaps)
            where = few(step.interfaces)
            what = f"{step.program.name} attached to {where} ({step.program.where})"
            self.say(f"netlab: {self.lab}: {step.node}: {what}")
        if pinned:
            noted_pins.note(self.folder, pinned)
        for note in notes:
            self.say(f"netlab: note: {note}")
        if self.tracing:
            self.tracing.result()

    def _start(self, prepared: Sequence[RunSetup], steps: Sequence[StartRole]) -> None:
        """Set up the nodes, then start the roles that start by themselves, in their order."""
        self.supervises = True
        if self.before_roles:
            self.before_roles(self.standing)
        if not self.supervisor:
            return
        from netlab.lab import launch, xdp_watch
        from netlab.supervise import client

        setups = [launch.setup(self.standing, step, self.home) for step in prepared]
        processes = dict(self.standing.record.processes())
        starts = []
        for step in steps:
            start, problem = launch.start(self.standing, step, processes[step.key], self.home)
            commands_of_nodes.refuse(step, problem)
            starts.append(start)
        client.start(
            self.supervisor,
            starts,
            bool(self.compilations),
            self.deadline_s,
            self.tell,
            setups,
            errors=xdp_watch.nodes(self.standing.record),
            events=self.has_events,
            holder=(holder := self._holder() if _of(CreateMiddle, self.plan.steps) else None),
        )
        if holder:
            from netlab.network import directions

            directions.await_holder(self.runtime.netns_path)

    def _holder(self) -> Sequence[str]:
        """Return the command that holds packets up in the middle of links, () if none has to."""
        from netlab.network import directions

        return directions.holder([step.impairment for step in _of(Impair, self.plan.steps)], self.runtime.netns_path)

    def tell(self, event: dict[str, Any]) -> None:
        """Say what has happened to a process or to the setup of a node."""
        words = {"prepared": "set up", "ready": "ready", "exited": "has ended"}
        if event["kind"] in words:
            how = f" with exit code {event['exit']}" if event.get("exit") else ""
            how += ", and starts again" if event.get("again") else ""
            who = event.get("process") or event["node"]
            self.say(f"netlab: {self.lab}: {who} {words[event['kind']]}{how}")
        if event.get("unfollowed") and not self.told_of_background:
            from netlab.supervise.readiness import NOT_FOLLOWED

            self.told_of_background = True
            self.say(f"netlab: {self.lab}: note: {NOT_FOLLOWED}")

    def complete(self) -> None:
        """Let the supervisor go on without this process, and mark the lab as complete."""
        if not self.supervises:  # no process was started, but the supervisor keeps the programs' trace lines
            self._start([], [])
        if self.supervisor:
            from netlab.supervise import client

            client.keep(self.supervisor)
        noted_steps.write(self.folder, self.plan.steps)
        store.mark_complete(self.lab)

    def undo(self) -> list[str]:
        """Remove the lab, after ending the work that this process has started."""
        for compilation in self.compilations.values():
            compilation.kill()
        for beside in filter(None, (self.tracing, self.counting)):
            beside.join()
        if self.supervisor:
            from netlab.supervise import client

            client.abandon(self.supervisor)
        return removal.remove(self.lab, self.runtime)
