"""The command line: one function a verb, which imports what it needs and no more, because most verbs must be fast."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, NoReturn

from netlab import record
from netlab.errors import HostError, NetlabError, UsageError, explain

Arguments = Any  # argparse.Namespace, whose attributes no type checker can know


def say(text: str) -> None:
    """Tell the person something; stdout is for data."""
    print(text, file=sys.stderr, flush=True)


def main(argv: Sequence[str] | None = None) -> int:
    """Run netlab and return its exit code: 0 done, 1 failed and undone, 2 usage or bad topology, 3 host unfit."""
    try:
        return _run(list(sys.argv[1:] if argv is None else argv))
    except (Exception, KeyboardInterrupt) as error:
        if os.environ.get("NETLAB_DEBUG") and not isinstance(error, NetlabError):
            raise
        text, code = explain(error)
        if text:
            say(text)
        if isinstance(error, OSError):  # stdout may be what failed: the exit must not try to write to it once more
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return code


def _run(words: list[str]) -> int:
    args = _parse(words)
    args.words = words
    if args.lab == "":
        raise UsageError("--lab is empty")
    args.lab = args.lab or os.environ.get("NETLAB_LAB") or None
    code = int(args.verb(args) or 0)
    sys.stdout.flush()
    return code


# ---- the verbs -------------------------------------------------------------------------------------------------------


def up(args: Arguments) -> None:
    """Build the lab of a topology and start its roles."""
    from netlab import document, validate
    from netlab.plan import plan

    topology = validate.topology(document.load(args.file, args.set))
    if args.lab:
        record.folder_of(args.lab)
        topology = topology._replace(name=args.lab)
    lab = plan(topology)
    for note in lab.notes:
        say(f"netlab: note: {note}")
    if any(any(node.limits) for node in topology.nodes):
        say("netlab: note: limits are checked, but not yet applied")
    if args.dry_run:
        print("\n".join(str(step) for step in lab.steps))
        return
    _elevate(args)
    from netlab import apply

    apply.up(lab, args.timeout, say)
    if topology.message:
        say(topology.message.rstrip("\n"))


def down(args: Arguments) -> None:
    """Remove a lab with everything that belongs to it."""
    from netlab import apply, removal

    if args.all and args.lab_given:
        raise UsageError("down takes --lab or --all, not both")
    there = removal.labs_with_leftovers()
    if not there and not args.lab:
        say("netlab: no lab is up")
        return
    if not args.all and not args.lab and len(there) > 1:
        raise UsageError(f"several labs are up ({', '.join(there)}): choose one with --lab NAME, or --all")
    _elevate(args)
    for lab in there if args.all else [args.lab or there[0]]:
        apply.down(lab, say)


def exec_(args: Arguments) -> NoReturn:
    """Run a command in a node; its exit code is ours."""
    data = _lab_of(args)
    if not args.command:
        raise UsageError(f"exec needs a command: netlab exec {args.node} COMMAND [ARGUMENT ...]")
    from netlab import launch

    launch.enter(data, args.node, args.command, launch.environment(data, args.node))


def shell(args: Arguments) -> NoReturn:
    """Open a shell in a node."""
    data = _lab_of(args)
    from netlab import launch

    say(f"netlab: a shell in {args.node} of {data['lab']}; leave it with exit")
    launch.enter(data, args.node, launch.shell(data), launch.environment(data, args.node))


def run(args: Arguments) -> NoReturn:
    """Run a node's own role again in the foreground, with other options behind its own."""
    data = _lab_of(args)
    from netlab import launch

    argv, variables = launch.process(data, args.node, args.options)
    os.chdir(launch.home_of(data))
    launch.enter(data, args.node, argv, variables)


def status(args: Arguments) -> None:
    """Show the lab's nodes, what runs in them and how it fares."""
    if args.lab is None and not record.labs():
        _show(args, {"lab": None, "state": "down", "nodes": {}}, lambda _: say("netlab: no lab is up"))
        return
    from netlab import report

    _show(args, report.status(record.choose(args.lab)), report.print_status)


def logs(args: Arguments) -> None:
    """Show what the roles printed, in the order of time."""
    from netlab import report

    data = record.read(record.choose(args.lab))
    for node in args.nodes:
        record.node_of(data, node)
    report.print_logs(data, args.nodes or list(data["nodes"]), args.follow, args.format)


def trace(args: Arguments) -> None:
    """Show what the programs of this lab printed."""
    from netlab import report

    report.print_trace(record.read(record.choose(args.lab)), args.follow, args.format)


def stats(args: Arguments) -> None:
    """Show what the programs count: free threads, queue, packets and bytes by reason."""
    lab = record.choose(args.lab)
    _elevate(args, lab)
    from netlab import report

    _show(args, report.stats(record.read(lab)), report.print_stats)


def validate(args: Arguments) -> None:
    """Check a topology and build nothing."""
    from netlab import document, validate
    from netlab.plan import plan

    topology = validate.topology(document.load(args.file, args.set))
    plan(topology)
    say(f"netlab: {args.file} is a good topology: {len(topology.nodes)} nodes, {len(topology.links)} links")


# ---- what verbs share ------------------------------------------------------------------------------------------------


def _lab_of(args: Arguments) -> dict[str, Any]:
    """Return the lab that the verb means, as root and with the node it names in it."""
    lab = record.choose(args.lab)
    _elevate(args, lab)
    data = record.read(lab)
    record.node_of(data, args.node)
    return data


def _elevate(args: Arguments, lab: str | None = None) -> None:
    """Go on as root: start this very command again through sudo when we are not.

    sudo drops the environment, so the lab goes with it as an option.
    """
    if os.geteuid() == 0:
        return
    lab = lab or args.lab
    words = [args.words[0], *(("--lab", lab) if lab and not args.lab_given else ()), *args.words[1:]]
    program = sys.argv[0]
    start = [program] if os.access(program, os.X_OK) else [sys.executable, "-P", "-m", "netlab"]
    try:
        os.execvp("sudo", ["sudo", "--", *start, *words])
    except OSError:
        raise HostError(f"{args.words[0]} needs root, and there is no sudo here: run it as root") from None


def _show(args: Arguments, data: dict[str, Any], table: Callable[[dict[str, Any]], None]) -> None:
    if args.format == "json":
        import json

        print(json.dumps(data, indent=2))
    else:
        table(data)


# ---- the options -----------------------------------------------------------------------------------------------------


class Verb(NamedTuple):
    """What a verb does, its one line of help, and its arguments: names and keywords of `add_argument`."""

    function: Callable[[Arguments], object]
    help: str
    arguments: tuple[tuple[tuple[str, ...], dict[str, Any]], ...] = ()


def _argument(*names: str, **keywords: Any) -> tuple[tuple[str, ...], dict[str, Any]]:
    return names, keywords


def seconds(text: str) -> float:
    """Return a number of seconds, for argparse."""
    if not 0 < float(text) < float("inf"):
        raise ValueError
    return float(text)


_FILE = _argument("file", metavar="FILE", help="the topology")
_SET = _argument(
    "--set",
    action="append",
    default=[],
    metavar="PATH=VALUE",
    help="change the topology, as in nodes.client.args.count=5",
)
_NODE = _argument("node", metavar="NODE", help="the node")
_FORMAT = _argument("--format", choices=("text", "json"), default="text", help="how to print (text)")
_FOLLOW = _argument("-f", "--follow", action="store_true", help="go on with what comes")
_REST = argparse.REMAINDER

VERBS = {
    "up": Verb(
        up,
        "build the lab of a topology and start its roles",
        (
            _FILE,
            _SET,
            _argument("--dry-run", action="store_true", help="print the steps as shell commands and build nothing"),
            _argument("--timeout", type=seconds, default=30.0, metavar="SECONDS", help="wait for READY this long (30)"),
        ),
    ),
    "down": Verb(down, "remove a lab", (_argument("--all", action="store_true", help="every lab of this machine"),)),
    "exec": Verb(
        exec_,
        "run a command in a node",
        (_NODE, _argument("command", metavar="COMMAND", nargs=_REST, help="the command and its arguments")),
    ),
    "shell": Verb(shell, "open a shell in a node", (_NODE,)),
    "run": Verb(
        run,
        "run a node's role in the foreground",
        (_NODE, _argument("options", metavar="OPTION", nargs=_REST, help="options of the role, over the topology's")),
    ),
    "status": Verb(status, "show the nodes and what runs in them", (_FORMAT,)),
    "logs": Verb(
        logs,
        "show what the roles printed",
        (_argument("nodes", metavar="NODE", nargs="*", help="only these nodes"), _FOLLOW, _FORMAT),
    ),
    "trace": Verb(trace, "show what the programs printed", (_FOLLOW, _FORMAT)),
    "stats": Verb(stats, "show what the programs count", (_FORMAT,)),
    "validate": Verb(validate, "check a topology", (_FILE, _SET)),
}


def _parse(words: list[str]) -> Arguments:
    """Parse the command line; only the verb that it names has its options built, which saves milliseconds."""
    parser = argparse.ArgumentParser(
        prog="netlab",
        description="Build network labs from YAML: namespaces, veth pairs, XDP programs.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=_version())
    verbs = parser.add_subparsers(metavar="VERB", required=True, parser_class=argparse.ArgumentParser)
    wanted = words[0] if words and words[0] in VERBS else None
    for name, verb in VERBS.items():
        if wanted in (None, name):
            _add(verbs, name, verb)
    args = parser.parse_args(words)
    args.lab_given = args.lab is not None
    return args


def _add(verbs: Any, name: str, verb: Verb) -> None:
    parser = verbs.add_parser(name, help=verb.help, description=verb.help.capitalize() + ".", allow_abbrev=False)
    parser.set_defaults(verb=verb.function)
    default = "the topology's name" if "file" in (names[0] for names, _ in verb.arguments) else "the only one there is"
    parser.add_argument("--lab", metavar="NAME", help=f"the lab; before NODE (default: NETLAB_LAB, or {default})")
    for names, keywords in verb.arguments:
        parser.add_argument(*names, **keywords)


def _version() -> str:
    from netlab import __version__

    return f"netlab {__version__}"
