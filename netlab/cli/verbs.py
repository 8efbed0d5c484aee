"""What a user may type: every verb with its arguments."""

from collections.abc import Mapping
from typing import Any

from netlab.cli import typed
from netlab.cli.values import (
    LINK_WORDS,
    constant,
    jobs,
    moment,
    number,
    pattern,
    port,
    rotation,
    seconds,
    signal_number,
    threads,
)
from netlab.named_tuple import NamedTuple


class Argument(NamedTuple):
    """An argument for argparse: names and keywords of `add_argument`."""

    names: tuple[str, ...]
    keywords: Mapping[str, Any]


class Verb(NamedTuple):
    """A verb: one line of help, its arguments and their type, and which lab it means ("": none, ever)."""

    help: str
    kind: type[typed.Arguments]
    arguments: tuple[Argument, ...] = ()
    lab: str = "the only one there is"


def _argument(*names: str, **keywords: object) -> Argument:
    return Argument(names, keywords)


_FILE = _argument("file", metavar="FILE", nargs="?", default="", help="the topology (the only one of this folder)")
_SET = _argument(
    "--set",
    action="append",
    default=[],
    metavar="PATH=VALUE",
    help="change the topology, as in nodes.client.args.count=5",
)
_RUNTIME = _argument("--runtime", choices=("netns", "docker"), help="where nodes live (default: what the file says)")
_UNTRUSTED = _argument(
    "--untrusted", action="store_true", help="nobody vouches for the topology: confine all that it runs and loads"
)
_TIMEOUT = _argument(
    "--timeout",
    type=seconds,
    default=30.0,
    metavar="SECONDS",
    help="wait this long for each process to be ready, and for each command of a setup (30)",
)
_PROCESSES = _argument(
    "processes", metavar="NODE", nargs="+", help="the node, or NODE/NAME for one of several processes"
)
_NODE = _argument("node", metavar="NODE", help="the node")
_CHANGED = (
    _PROCESSES,
    _argument(
        "--timeout",
        type=seconds,
        default=30.0,
        metavar="SECONDS",
        help="wait this long for each (30)",
    ),
)
_FORMAT = _argument("--format", choices=("text", "json"), default="text", help="how to print (text)")
_JSON = _argument("--json", dest="format", action="store_const", const="json", help="the same as --format json")
_LAB = _argument("named", metavar="LAB", nargs="?", help="the lab, as with --lab")
_LAST = _argument("-n", "--lines", type=number, metavar="N", help="begin with the last N lines (with all)")
_FOLLOW = _argument("-f", "--follow", action="store_true", help="go on with what comes")
_SINCE = _argument(
    "--since",
    dest="since_ns",
    type=moment,
    default=0,
    metavar="TIME",
    help="begin then: 10s, 5m or 2h ago, or at 16:59:03",
)
_REST = "..."  # argparse.REMAINDER
# Every verb takes one of these.
LOUDNESS = (
    _argument("-q", "--quiet", action="store_true", help="print data and errors, and nothing else"),
    _argument("-v", "--verbose", action="store_true", help="tell on stderr what is done, and why"),
)

VERBS = {
    "up": Verb(
        "build the lab of a topology and start its roles",
        typed.Up,
        (
            _FILE,
            _SET,
            _RUNTIME,
            _UNTRUSTED,
            _argument("--dry-run", action="store_true", help="print the steps as shell commands and build nothing"),
            _TIMEOUT,
        ),
        "the topology's name",
    ),
    "down": Verb(
        "remove a lab", typed.Down, (_LAB, _argument("--all", action="store_true", help="every lab of this machine"))
    ),
    "apply": Verb(
        "change a lab that is up to what its topology says now",
        typed.Apply,
        (
            _FILE,
            _SET,
            _argument("--dry-run", action="store_true", help="print what differs as shell commands, change nothing"),
            _TIMEOUT,
        ),
        "the topology's name",
    ),
    "exec": Verb(
        "run a command in a node",
        typed.Exec,
        (
            _argument("--trusted", action="store_true", help="in an untrusted lab, too, run it as root, unconfined"),
            _NODE,
            _argument("command", metavar="COMMAND", nargs=_REST, help="the command and its arguments"),
        ),
    ),
    "shell": Verb("open a shell in a node", typed.OfNode, (_NODE,)),
    "run": Verb(
        "run a node's process in the foreground",
        typed.Run,
        (
            _argument("process", metavar="NODE", help="the node, or NODE/NAME where it has several processes"),
            _argument("options", metavar="OPTION", nargs=_REST, help="options of the role, over the topology's"),
        ),
    ),
    "start": Verb("start processes of nodes that do not run", typed.Change, _CHANGED),
    "stop": Verb("stop processes of nodes, and leave the nodes as they are", typed.Change, _CHANGED),
    "restart": Verb("stop processes of nodes, and start them again", typed.Change, _CHANGED),
    "kill": Verb(
        "kill processes of nodes, with all of their groups",
        typed.Kill,
        (
            _PROCESSES,
            _argument(
                "--signal",
                type=signal_number,
                default=9,
                metavar="SIGNAL",
                help="by another signal: HUP, SIGHUP, 1 (KILL)",
            ),
        ),
    ),
    "pause": Verb(
        "stop processes of nodes where they are, with all that they have started", typed.OfProcesses, (_PROCESSES,)
    ),
    "resume": Verb("let paused processes go on", typed.OfProcesses, (_PROCESSES,)),
    "fault": Verb(
        "play faults at their times, and restore what they have changed",
        typed.Fault,
        (
            _argument(
                "action",
                metavar="ACTION",
                choices=("run", "restore"),
                help="run, to play a time line; restore, for what one has left that was killed, or was to keep it",
            ),
            _argument("file", metavar="FILE", nargs="?", help="the time line (faults: of the lab's topology)"),
            _argument("--keep", action="store_true", help="leave what is in force at the end"),
            _FORMAT,
            _JSON,
        ),
    ),
    "status": Verb(
        "show the nodes, what runs in them, and their interfaces, as they are now",
        typed.Status,
        (
            _LAB,
            _argument("--wide", action="store_true", help="show all of it, however long or wide it is"),
            _argument("--watch", action="store_true", help="show it again and again, until Ctrl-C"),
            _argument("--every", type=seconds, default=2.0, metavar="SECONDS", help="with --watch, so often (2)"),
            _FORMAT,
            _JSON,
        ),
    ),
    "logs": Verb(
        "show what the roles printed",
        typed.Logs,
        (
            _argument("processes", metavar="NODE", nargs="*", help="only these nodes, or processes NODE/NAME"),
            _LAST,
            _FOLLOW,
            _FORMAT,
        ),
    ),
    "trace": Verb("show what the programs printed, and why frames were lost", typed.Trace, (_LAST, _FOLLOW, _FORMAT)),
    "timeline": Verb(
        "show what processes and programs have printed, and what has happened to them, in one order",
        typed.Timeline,
        (
            _argument("processes", metavar="NODE", nargs="*", help="only these nodes, or processes NODE/NAME"),
            _FOLLOW,
            _SINCE,
            _argument("--grep", type=pattern, metavar="REGEX", help="only lines with this in their text"),
            _argument(
                "--save", metavar="FILE", help="write the lines into a new file, too; .json and .jsonl as JSON lines"
            ),
            _FORMAT,
            _argument("--json", dest="format", action="store_const", const="json", help="as --format json"),
        ),
    ),
    "events": Verb(
        "show everything that happens, of every kind, in one order",
        typed.Events,
        (
            _FOLLOW,
            _SINCE,
            _argument(
                "--interval",
                type=seconds,
                default=0.0,
                metavar="SECONDS",
                help="with -f: so often, tell the rates of interfaces and counters, too",
            ),
            _FORMAT,
            _JSON,
        ),
    ),
    "top": Verb("watch a lab live in the terminal: nodes, links, programs, threads, queue, events", typed.Top, (_LAB,)),
    "stats": Verb(
        "show what the programs count",
        typed.Stats,
        (
            _argument("--all", action="store_true", help="show also what is zero, as a table"),
            _argument("--format", choices=("text", "json", "prometheus"), default="text", help="how to print (text)"),
            _JSON,
        ),
    ),
    "maps": Verb(
        "show, watch and change the maps of programs",
        typed.Maps,
        (
            _argument(
                "target",
                metavar="WORD",
                nargs="*",
                help="NODE, NODE MAP or NODE MAP KEY to show; set NODE MAP KEY VALUE, delete NODE MAP KEY or clear "
                "NODE MAP to change (a queue has no KEY); one of several programs of a node is NODE/NAME",
            ),
            _argument("--watch", action="store_true", help="show what changes, and how fast"),
            _argument(
                "--follow",
                action="store_true",
                help="show events as they come, from ring buffers and perf event arrays: of all, of NODE or NODE MAP",
            ),
            _argument("--every", type=seconds, default=1.0, metavar="SECONDS", help="look so often (1)"),
            _argument(
                "--for", dest="duration", type=seconds, metavar="SECONDS", help="watch or follow so long (until Ctrl-C)"
            ),
            _argument("--limit", type=number, default=1000, metavar="N", help="show at most N entries (1000)"),
            _argument("--all", action="store_true", help="show also the entries of arrays that are zeros"),
            _FORMAT,
            _JSON,
        ),
    ),
    "programs": Verb(
        "show the programs: where, how large, since when, and what a run takes",
        typed.Programs,
        (
            _argument("node", metavar="NODE", nargs="?", help="only this node's, or one of several: NODE/NAME"),
            _argument(
                "--for", dest="duration", type=seconds, metavar="SECONDS", help="count runs and their time for so long"
            ),
            _FORMAT,
            _JSON,
        ),
    ),
    "balancer": Verb(
        "change a running balancer, and lose no request",
        typed.Balancer,
        (
            _argument("action", metavar="ACTION", help="drain, undrain, weight, policy, add or remove"),
            _argument(
                "words_of_action",
                metavar="WORD",
                nargs="*",
                help="NODE ... to drain, undrain, add and remove; NODE ... NUMBER to weight; a policy's name",
            ),
            _argument("--node", metavar="NODE", help="the balancer's node, or NODE/NAME, if there are several"),
            _argument("--capacity", type=threads, metavar="THREADS", help="of what is added (what the others have)"),
            _argument("--timeout", type=seconds, metavar="SECONDS", help="wait this long to remove one (30)"),
            _argument("--now", action="store_true", help="remove it whatever it has in hand"),
        ),
    ),
    "capture": Verb(
        "capture packets at interfaces, and what programs make of each",
        typed.Capture,
        (
            _argument(
                "filter",
                metavar="WORD",
                nargs="*",
                help="interfaces, as NODE or NODE:INTERFACE (all), and then a filter as tcpdump has them (everything)",
            ),
            _argument(
                "-w",
                dest="write",
                metavar="FILE",
                help="write pcapng into a new file, or into a pipe by -, for Wireshark",
            ),
            _argument(
                "--rotate",
                type=rotation,
                metavar="SIZE[:FILES]",
                help="begin a new file after so many bytes (k, M, G), and keep the last FILES of them",
            ),
            _argument("--verdicts", action="store_true", help="let programs tell what becomes of each packet, and why"),
            _argument("--for", dest="duration", type=seconds, metavar="SECONDS", help="end after this time"),
            _argument("-c", "--count", type=number, metavar="N", help="end after N packets"),
            _FORMAT,
            _JSON,
        ),
    ),
    "follow": Verb(
        "follow the packets of a flow through the lab, from place to place, and tell what becomes of each",
        typed.Follow,
        (
            _argument("filter", metavar="FILTER", nargs="+", help="which packets, as tcpdump has it: udp port 8080"),
            _argument("--for", dest="duration", type=seconds, metavar="SECONDS", help="end after this time"),
            _FORMAT,
            _JSON,
        ),
    ),
    "link": Verb(
        "show what links do to packets, change it, and set links down and up",
        typed.Link,
        (
            _argument("words_of_link", metavar="WORD", nargs="+", help=LINK_WORDS),
            _argument("--from", dest="sender", metavar="NODE", help="only what this end of the link sends"),
            _FORMAT,
            _JSON,
        ),
    ),
    "reload": Verb(
        "replace a node's programs by new builds of their sources, and keep the maps",
        typed.Reload,
        (
            _argument("program", metavar="NODE", help="the node, or NODE/NAME for one of several programs"),
            _argument(
                "--define",
                action="append",
                type=constant,
                default=[],
                metavar="NAME=VALUE",
                help="a compile-time constant, over the topology's",
            ),
        ),
    ),
    "validate": Verb("check a topology", typed.Validate, (_FILE, _SET, _UNTRUSTED), "the topology's name"),
    "new": Verb(
        "write a small start of your own, with comments, into a folder",
        typed.New,
        (
            _argument(
                "kind",
                metavar="KIND",
                choices=("dropper", "balancer", "role", "parta", "partb"),
                help="a program that drops, a balancer to be finished, a role, or part A or B of the exercise",
            ),
            _argument("folder", metavar="DIR", help="where to write it; it is made, and nothing is overwritten"),
        ),
        "",
    ),
    "export": Verb(
        "print a topology for another tool",
        typed.Export,
        (_argument("tool", metavar="TOOL", choices=("compose",), help="compose, for Docker Compose"), _FILE, _SET),
        "the topology's name",
    ),
    "graph": Verb(
        "draw a lab that is up, or a topology",
        typed.Graph,
        (
            _argument(
                "file", metavar="FILE|LAB", nargs="?", default="", help="the topology, or a lab (the lab that is up)"
            ),
            _SET,
            _argument(
                "--format",
                choices=("svg", "png", "pdf", "dot", "mermaid"),
                help="by Graphviz: svg, png, pdf, or its text, dot; or the text of Mermaid, which needs nothing",
            ),
            _argument("--save", metavar="FILE", help="write it into a new file; its ending says the format"),
        ),
    ),
    "web": Verb(
        "show a lab in a browser: requests on their way, threads, queue, rates; and replay what has happened",
        typed.Web,
        (
            _LAB,
            _argument(
                "--replay",
                metavar="PATH",
                default="",
                help="a saved run: the folder of `demo --save`, or the JSON lines of `timeline --save`",
            ),
            _argument("--host", metavar="HOST", default="", help="serve other machines, too, at this address (none)"),
            _argument("--port", type=port, metavar="PORT", default=8080, help="at this port; 0 is any (8080)"),
        ),
    ),
    "list": Verb("list the labs of this machine", typed.List, (_FORMAT, _JSON), ""),
    "test": Verb(
        "do the checks of a lab that is up, or of a topology, whose lab is built for that",
        typed.Test,
        (
            _argument(
                "file", metavar="FILE|LAB", nargs="?", default="", help="the lab that is up, or this folder's topology"
            ),
            _SET,
            _RUNTIME,
            _UNTRUSTED,
            _TIMEOUT,
            _argument("--junit", metavar="FILE", help="write the results as JUnit's XML, too (-: to stdout)"),
            _argument("--tap", action="store_true", help="print them in the Test Anything Protocol"),
            _argument("--keep", action="store_true", help="leave the lab of a topology up"),
        ),
        "one of its own",
    ),
    "wait": Verb(
        "wait until something is so in a lab",
        typed.Wait,
        (
            _argument(
                "--for",
                dest="checks",
                metavar="CHECK",
                action="append",
                required=True,
                help="a check as in a topology, such as 'ping: [a, b]'; several come one after the other",
            ),
            _argument("--timeout", type=seconds, default=30.0, metavar="SECONDS", help="wait this long for each (30)"),
        ),
    ),
    "demo": Verb(
        "play a lab, show what happens, and check every claim of its exercise",
        typed.Demo,
        (
            _argument("name", metavar="DEMO", help="parta, partb-low or partb-high"),
            _argument("file", metavar="FILE", nargs="?", help="a topology of your own to play it on"),
            _SET,
            _RUNTIME,
            _UNTRUSTED,
            _argument("--save", metavar="DIR", help="keep timeline, captures, sources and a report in a new folder"),
            _argument("--prints", metavar="FILE", help="patterns that say what the program's lines are about"),
            _TIMEOUT,
            _argument(
                "--time-limit",
                type=seconds,
                default=600.0,
                metavar="SECONDS",
                help="end after this long, judge what was seen, exit with 6 (600)",
            ),
            _FORMAT,
        ),
        "demo-DEMO",
    ),
    "grade": Verb(
        "grade submissions: does each build, is it taken, does it end, and which claims hold",
        typed.Grade,
        (
            _argument(
                "exercise",
                metavar="EXERCISE",
                help="parta, partb-low, partb-high, or a folder, exercise or topology of your own",
            ),
            _argument("submissions", metavar="SUBMISSION", nargs="+", help="a C file, or a folder"),
            _argument("-j", "--jobs", type=jobs, default=1, metavar="N", help="grade N beside each other (1)"),
            _argument(
                "--cluster", metavar="ADDRESS", help="grade on the workers of a Dask scheduler, as tcp://HOST:8786"
            ),
            _argument(
                "--time-limit", type=seconds, default=120.0, metavar="SECONDS", help="end a play after this long (120)"
            ),
            _argument("--points", metavar="FILE", help="what each claim earns, if not what the exercise says"),
            _argument("--seed", type=number, metavar="N", help="draw the hidden variations from N (a new number)"),
            _argument("--save", metavar="DIR", help="keep results and reports in a new folder"),
            _argument("--resume", action="store_true", help="go on with what --save DIR has begun"),
            _argument("--format", choices=("text", "json", "csv"), default="text", help="how to print (text)"),
        ),
        "",
    ),
    "doctor": Verb(
        "look at this host: what it has of all that netlab needs, and what mends the rest",
        typed.Doctor,
        (_FORMAT, _JSON),
        "",
    ),
    "schema": Verb("print the JSON Schema of a topology's file, for editors", typed.Arguments, (), ""),
    "completion": Verb(
        "print what makes a shell complete verbs, options and names",
        typed.Completion,
        (_argument("shell", metavar="SHELL", choices=("bash", "zsh", "fish"), help="bash, zsh or fish"),),
        "",
    ),
    "help": Verb(
        "list the verbs, or tell all of one",
        typed.Help,
        (_argument("about", metavar="VERB", nargs="?", default="", help="the verb"),),
        "",
    ),
    "version": Verb("print the version", typed.Arguments, (), ""),
}
