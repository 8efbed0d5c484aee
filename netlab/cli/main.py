"""The command line: one function for each verb, which imports only what it needs, because most verbs must be fast."""

import os
import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NoReturn, TypeVar

from netlab import paths
from netlab.cli import arguments, chosen, typed
from netlab.cli.console import Loudness, complain, detail, have_streams, say
from netlab.errors import NetlabError, UsageError, explain
from netlab.record import store

if TYPE_CHECKING:
    from netlab.api.lab import Lab
    from netlab.api.processes import Processes
    from netlab.plan.stages import Stage

_T = TypeVar("_T")


def main(argv: Sequence[str] | None = None) -> int:
    """Run netlab, and return its exit code: 0 done, 1 failed and undone, 2 usage or bad topology, 3 host unfit."""
    Loudness.quiet = Loudness.verbose = False
    try:
        have_streams()
        return _run(list(sys.argv[1:] if argv is None else argv))
    except (Exception, KeyboardInterrupt) as error:
        if os.environ.get("NETLAB_DEBUG") and not isinstance(error, NetlabError):
            raise
        text, code = explain(error)
        if text:
            complain(text)
        if Loudness.verbose:
            _tell_causes(error)
        if isinstance(error, OSError) or isinstance(error.__cause__, BrokenPipeError):
            # stdout may be what failed: the exit must not write to it again
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return code


def _run(words: list[str]) -> int:
    if "_ARGCOMPLETE" in os.environ:  # a shell asks, through `netlab completion`
        from netlab.cli import completion

        completion.complete()
    try:
        args = arguments.parse(words)
    except SystemExit:  # argparse has printed everything already
        sys.stdout.flush()
        raise
    Loudness.quiet, Loudness.verbose = args.quiet, args.verbose
    named = args.named if isinstance(args, typed.Named) else None
    if "" in (args.lab, named):
        raise UsageError("the lab's name is empty")
    if named and args.lab_given and args.lab != named:
        raise UsageError(f"one lab at a time: {named}, or --lab {args.lab}")
    if named:
        args.lab, args.lab_given = named, True
    args.lab = args.lab or os.environ.get("NETLAB_LAB") or None
    if args.verbose:
        _tell_lab(args)
    code = _VERBS[args.verb](args) or 0
    sys.stdout.flush()
    return code


def _tell_lab(args: typed.Arguments) -> None:
    """Tell which lab is meant, and why."""
    if args.lab:
        detail(f"the lab is {args.lab}, {'as the command says' if args.lab_given else 'as NETLAB_LAB says'}")
    elif not isinstance(args, typed.OfTopology) and len(there := store.labs()) == 1:
        detail(f"{there[0]} is the only lab that is up")


def _tell_causes(error: BaseException) -> None:
    """Tell from what an error has come."""
    while cause := error.__cause__ or (None if error.__suppress_context__ else error.__context__):
        detail(f"because of {type(cause).__name__}: {cause}")
        error = cause


# ---- the verbs -------------------------------------------------------------------------------------------------------


def up(args: typed.Up) -> None:
    """Build the lab of a topology and start its roles."""
    lab = chosen.planned(args)
    chosen.note(lab)
    if args.dry_run:
        print("\n".join(str(step) for step in lab.steps))
        return
    chosen.elevate(args)
    from netlab.lab import bring_up

    _end_with_what_is_called()
    bring_up.up(lab, args.timeout, say, again=lambda: chosen.planned(args), done=_step_by_step())
    if lab.topology.message:
        say(lab.topology.message.rstrip("\n"))


def down(args: typed.Down) -> None:
    """Remove a lab with everything that belongs to it."""
    from netlab.lab import bring_up, removal

    if args.all and args.lab_given:
        raise UsageError("down takes a lab or --all, not both")
    if args.all:
        chosen.elevate(args)
        from netlab.grade import owner

        owner.sweep(say)
        bring_up.down_all(say)
        return
    if args.lab:
        paths.folder_of(args.lab)  # a wrong name is reported without asking for root
        there = [args.lab]
    else:
        there = removal.labs_with_leftovers()
    if not there:
        say("netlab: no lab is up")
        return
    if len(there) > 1:
        raise UsageError(f"several labs are up ({', '.join(there)}): choose one with netlab down LAB, or --all")
    chosen.elevate(args)
    for part in bring_up.down(there[0], say):
        detail(f"removed {part}")


def apply(args: typed.Apply) -> None:
    """Change a lab that is up to what its topology says now; what is the same goes on."""
    lab = chosen.planned(args)
    chosen.note(lab)
    chosen.elevate(args)
    from netlab.lab import changing

    if args.dry_run:
        for line in changing.shown(lab, say):
            print(line)
        return
    if args.verbose:
        for line in changing.shown(lab, lambda _: None):
            detail(line)
    _end_with_what_is_called()
    changing.apply(lab, args.timeout, say)
    if lab.topology.message:
        say(lab.topology.message.rstrip("\n"))


def exec_(args: typed.Exec) -> NoReturn:
    """Run a command in a node; its exit code is netlab's."""
    lab = chosen.lab_of(args)
    if not args.command:
        raise UsageError(f"exec needs a command: netlab exec {args.node} COMMAND [ARGUMENT ...]")
    from netlab.cli import become

    become.enter(lab, args.node, args.command, lab.record.variables(args.node), trusted=args.trusted)


def shell(args: typed.OfNode) -> NoReturn:
    """Open a shell in a node."""
    lab = chosen.lab_of(args)
    from netlab.cli import become
    from netlab.lab import launch

    say(f"netlab: a shell in {args.node} of {lab.record.lab}; leave it with exit")
    become.enter(lab, args.node, launch.shell(lab), lab.record.variables(args.node))


def run(args: typed.Run) -> NoReturn:
    """Run a process of a node again in the foreground, with other options behind its own."""
    lab = chosen.standing(args)
    from netlab.cli import foreground

    foreground.run(lab, args.process, args.options)


def change(args: typed.Change) -> None:
    """Start, stop or restart processes of nodes."""
    meant = _processes(args)
    do = {"start": meant.start, "stop": meant.stop, "restart": meant.restart}
    do[args.verb](args.timeout)


def interfere(args: typed.OfProcesses) -> None:
    """Kill, pause or resume processes of nodes."""
    meant = _processes(args)
    if isinstance(args, typed.Kill):
        meant.kill(args.signal)
    else:
        {"pause": meant.pause, "resume": meant.resume}[args.verb]()


def fault(args: typed.Fault) -> int:
    """Play faults at their times, or restore what a time line has left."""
    from netlab.cli.fault import operate

    return operate(args, say)


def status(args: typed.Status) -> int:
    """Show the lab's nodes, what runs in them and how it fares; exit code 1 when it is not as planned."""
    from netlab.cli import looking

    return looking.status(args)


def lines(args: typed.Trace | typed.Timeline | typed.Events) -> None:
    """Show lines: what processes and programs have printed, and what has happened to them."""
    from netlab.cli import printed

    printed.VERBS[args.verb](args)


def top(args: typed.Top) -> int:
    """Show a lab live in the terminal."""
    from netlab.cli import top as screen

    return screen.show(args)


def stats(args: typed.Stats) -> None:
    """Show what the programs count: free threads, queue, packets and bytes by reason."""
    found = _attached(args).stats()
    if args.format == "prometheus":
        from netlab.observe import prometheus

        print(prometheus.text(found), end="")
    else:
        from netlab.cli import show

        _show(args.format, found, lambda _: show.stats(found, with_zeros=args.all))
    for node, problem in found.problems.items():
        say(f"netlab: {node}: {problem}")


def inside(args: typed.Maps | typed.Programs) -> None:
    """Look into programs: their maps, and what a run of each takes."""
    from netlab.cli import inside as verbs

    verbs.VERBS[args.verb](args)


def balancer(args: typed.Balancer) -> None:
    """Change a running balancer: drain, weigh, add and remove backends, choose the policy."""
    lab = store.choose(args.lab)
    chosen.elevate(args, lab)
    from netlab.cli.balancer import operate
    from netlab.lab.standing import Standing

    operate(Standing.read(lab), args, say)


def packets(args: typed.Capture) -> None:
    """Capture packets, and show or write them."""
    from netlab.cli.capture import capture

    capture(args)


def follow(args: typed.Follow) -> None:
    """Follow packets through the lab."""
    from netlab.cli.flow import follow

    follow(args)


def link(args: typed.Link) -> None:
    """Show and change what links do to packets."""
    from netlab.cli import links

    links.check(args)
    if found := links.operate(_attached(args), args):
        _show(args.format, {"links": found}, lambda _: links.show(found))


def reload(args: typed.Reload) -> None:
    """Replace programs of a node by new builds of their sources, under traffic, and keep the maps."""
    lab = store.choose(args.lab)
    chosen.elevate(args, lab)
    from netlab.lab.reload import reload

    _end_with_what_is_called()
    reload(lab, args.program, tuple(args.define), say)


def validate(args: typed.Validate) -> None:
    """Check a topology and build nothing."""
    lab = chosen.planned(args)
    chosen.note(lab)
    from netlab.words import count

    counts = f"{count(len(lab.topology.nodes), 'node')}, {count(len(lab.topology.links), 'link')}"
    say(f"netlab: {args.file} is a good topology: {counts}")


def new(args: typed.New) -> None:
    """Write a small start of a lab."""
    from netlab.cli.new import write

    for line in write(args.kind, args.folder):
        say(line)


def export(args: typed.Export) -> None:
    """Print a topology for another tool, and tell what that cannot say."""
    from netlab.plan.compose_file import compose
    from netlab.topology.document.dump import dump

    lab = chosen.planned(args)
    data, notes = compose(lab)
    about = f"The lab {lab.topology.name} for Docker Compose, by `netlab export compose`. What Compose cannot say:"
    print(dump(data, [about, *(f"- {note}" for note in notes)]), end="")
    for note in notes:
        say(f"netlab: note: {note}")


def demo(args: typed.Demo) -> int:
    """Play a lab, show what happens in it, and check every claim of its exercise."""
    chosen.elevate(args)
    from netlab.cli.demo import play

    return play(args)


def grade(args: typed.Grade) -> int:
    """Grade submissions."""
    if not args.cluster:  # its workers are root
        chosen.elevate(args)
    from netlab.cli.grade import grade as grade_all

    return grade_all(args)


def test(args: typed.Test) -> int:
    """Do the checks of a lab."""
    from netlab.cli import checking

    return checking.test(args, say)


def wait(args: typed.Wait) -> int:
    """Wait until something is so in a lab."""
    from netlab.cli import checking

    return checking.wait(args)


def graph(args: typed.Graph) -> None:
    """Draw a lab that is up, or a topology."""
    from netlab.cli.drawing import draw

    draw(args)


def web(args: typed.Web) -> None:
    """Show a lab, or a saved run, in a browser."""
    from netlab.cli.web import show

    show(args, say)


def list_(args: typed.List) -> None:
    """List the labs of this machine."""
    from netlab.cli import show
    from netlab.observe import labs

    found = labs.read()
    _show(args.format, {"version": labs.VERSION, "labs": found}, lambda _: show.labs(found))


def doctor(args: typed.Doctor) -> int:
    """Look at this host, and say what it lacks."""
    from netlab.cli.doctor import examine

    return examine(args)


def schema(_: typed.Arguments) -> None:
    """Print the JSON Schema of a topology's file."""
    import json

    from netlab.topology.schema import TOPOLOGY

    print(json.dumps(TOPOLOGY, indent=2))


def completion(args: typed.Completion) -> None:
    """Print what makes a shell complete netlab's words."""
    from netlab.cli.completion import script

    print(script(args.shell))


def help_(args: typed.Help) -> None:
    """List the verbs, or tell all of one."""
    from netlab.cli import overview

    if args.about:
        arguments.parse([args.about, "--help"])
    print(overview.text())


def version(_: typed.Arguments) -> None:
    """Print the version."""
    from netlab import __version__

    print(f"netlab {__version__}")


_VERBS: dict[str, Callable[..., int | None]] = {
    "up": up,
    "down": down,
    "apply": apply,
    "exec": exec_,
    "shell": shell,
    "run": run,
    "start": change,
    "stop": change,
    "restart": change,
    "kill": interfere,
    "pause": interfere,
    "resume": interfere,
    "fault": fault,
    "status": status,
    "logs": lines,
    "trace": lines,
    "timeline": lines,
    "events": lines,
    "top": top,
    "stats": stats,
    "maps": inside,
    "programs": inside,
    "balancer": balancer,
    "capture": packets,
    "follow": follow,
    "link": link,
    "reload": reload,
    "validate": validate,
    "new": new,
    "export": export,
    "demo": demo,
    "grade": grade,
    "test": test,
    "wait": wait,
    "graph": graph,
    "web": web,
    "list": list_,
    "doctor": doctor,
    "schema": schema,
    "completion": completion,
    "help": help_,
    "version": version,
}


# ---- what verbs share ------------------------------------------------------------------------------------------------


def _end_with_what_is_called() -> None:
    """From now on, accept signals that would end this process only while the called code accepts them.

    A later signal comes too late, until the process ends: the exit code says whether the lab stands.
    """
    import signal

    from netlab.kernel.signals import ENDINGS

    signal.pthread_sigmask(signal.SIG_BLOCK, ENDINGS)


def _attached(args: typed.Arguments) -> "Lab":
    """Return the lab that the verb means, as root."""
    lab = store.choose(args.lab)
    chosen.elevate(args, lab)
    from netlab.api.lab import Lab

    return Lab.attach(lab)


def _processes(args: typed.OfProcesses) -> "Processes":
    """Return the processes that the verb means, as root."""
    lab = store.choose(args.lab)
    chosen.elevate(args, lab)
    from netlab.api.processes import Processes

    return Processes(store.read(lab), args.processes, say)


def _step_by_step() -> "Callable[[Stage], None]":
    """Return what tells each step of a stage that is done, and how long after now that was."""
    begun = time.monotonic()

    def tell(stage: "Stage") -> None:
        if Loudness.verbose:
            for step in stage.steps:
                detail(f"{time.monotonic() - begun:.3f} s  {step}".replace("\n", "\n        "))

    return tell


def _show(style: str, data: _T, table: Callable[[_T], None]) -> None:
    if style == "json":
        from netlab.cli import json_data

        json_data.show(data)
    else:
        table(data)
