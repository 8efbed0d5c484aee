"""What a person may type: every verb with its arguments, and the parser of the command line."""

import os
import re
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from netlab.cli.console import say

if TYPE_CHECKING:
    import argparse


LONGEST_S = 1e6  # eleven days


class Verb(NamedTuple):
    """A verb's one line of help, its arguments (names and keywords of `add_argument`), and which lab it means."""

    help: str
    arguments: tuple[tuple[tuple[str, ...], dict[str, Any]], ...] = ()
    lab: str = "the only one there is"


def _argument(*names: str, **keywords: Any) -> tuple[tuple[str, ...], dict[str, Any]]:
    return names, keywords


def number(text: str) -> int:
    """Return a number of lines, for argparse; nobody has more than a machine can count."""
    if int(text) < 0:
        raise ValueError
    return min(int(text), sys.maxsize)


def seconds(text: str) -> float:
    """Return a number of seconds, for argparse; the system calls that wait take no more than some weeks."""
    if not 0 < float(text) < float("inf"):
        raise ValueError
    return min(float(text), LONGEST_S)


def threads(text: str) -> int:
    """Return a number of threads, for argparse."""
    if not 0 < int(text) < 1 << 16:
        raise ValueError
    return int(text)


def constant(text: str) -> tuple[str, str]:
    """Return name and value of a C constant, for argparse."""
    name, found, value = text.partition("=")
    if not found or not re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII) or "\n" in value:
        from argparse import ArgumentTypeError

        raise ArgumentTypeError(f"expected NAME=VALUE, with a C constant's name, found {text!r}")
    return name, value


_FILE = _argument("file", metavar="FILE", help="the topology")
_SET = _argument(
    "--set",
    action="append",
    default=[],
    metavar="PATH=VALUE",
    help="change the topology, as in nodes.client.args.count=5",
)
_RUNTIME = _argument("--runtime", choices=("netns", "docker"), help="where nodes live (default: what the file says)")
_TIMEOUT = _argument("--timeout", type=seconds, default=30.0, metavar="SECONDS", help="wait for READY this long (30)")
_NODE = _argument("node", metavar="NODE", help="the node")
_FORMAT = _argument("--format", choices=("text", "json"), default="text", help="how to print (text)")
_LAB = _argument("named", metavar="LAB", nargs="?", help="the lab, as with --lab")
_LAST = _argument("-n", "--lines", type=number, metavar="N", help="begin with the last N lines (with all)")
_FOLLOW = _argument("-f", "--follow", action="store_true", help="go on with what comes")
_REST = "..."  # argparse.REMAINDER

VERBS = {
    "up": Verb(
        "build the lab of a topology and start its roles",
        (
            _FILE,
            _SET,
            _RUNTIME,
            _argument("--dry-run", action="store_true", help="print the steps as shell commands and build nothing"),
            _TIMEOUT,
        ),
        "the topology's name",
    ),
    "down": Verb("remove a lab", (_LAB, _argument("--all", action="store_true", help="every lab of this machine"))),
    "exec": Verb(
        "run a command in a node",
        (_NODE, _argument("command", metavar="COMMAND", nargs=_REST, help="the command and its arguments")),
    ),
    "shell": Verb("open a shell in a node", (_NODE,)),
    "run": Verb(
        "run a node's role in the foreground",
        (_NODE, _argument("options", metavar="OPTION", nargs=_REST, help="options of the role, over the topology's")),
    ),
    "status": Verb("show the nodes and what runs in them", (_LAB, _FORMAT)),
    "logs": Verb(
        "show what the roles printed",
        (_argument("nodes", metavar="NODE", nargs="*", help="only these nodes"), _LAST, _FOLLOW, _FORMAT),
    ),
    "trace": Verb("show what the programs printed", (_LAST, _FOLLOW, _FORMAT)),
    "stats": Verb(
        "show what the programs count",
        (_argument("--format", choices=("text", "json", "prometheus"), default="text", help="how to print (text)"),),
    ),
    "balancer": Verb(
        "change a running balancer, and lose no request",
        (
            _argument("action", metavar="ACTION", help="drain, undrain, weight, policy, add or remove"),
            _argument(
                "words_of_action",
                metavar="WORD",
                nargs="*",
                help="NODE ... to drain, undrain, add and remove; NODE ... NUMBER to weight; a policy's name",
            ),
            _argument("--node", metavar="NODE", help="the balancer's node, if there are several"),
            _argument("--capacity", type=threads, metavar="THREADS", help="of what is added (what the others have)"),
            _argument("--timeout", type=seconds, metavar="SECONDS", help="wait this long to remove one (30)"),
            _argument("--now", action="store_true", help="remove it whatever it has in hand"),
        ),
    ),
    "reload": Verb(
        "replace a node's program by a new build of its source, and keep the maps",
        (
            _NODE,
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
    "validate": Verb("check a topology", (_FILE, _SET), "the topology's name"),
    "export": Verb(
        "print a topology for another tool",
        (_argument("tool", metavar="TOOL", choices=("compose",), help="compose, for Docker Compose"), _FILE, _SET),
        "the topology's name",
    ),
    "demo": Verb(
        "play a lab, show what happens, and check every claim of its exercise",
        (
            _argument("name", metavar="DEMO", help="parta, partb-low or partb-high"),
            _argument("file", metavar="FILE", nargs="?", help="a topology of your own to play it on"),
            _SET,
            _RUNTIME,
            _argument("--save", metavar="DIR", help="keep timeline, captures, sources and a report in a new folder"),
            _TIMEOUT,
            _FORMAT,
        ),
        "demo-DEMO",
    ),
}


def _formatter(prog: str) -> "argparse.HelpFormatter":
    """Return what argparse lays its texts out with, told the width: to learn it by itself, argparse loads shutil.

    It needs one for each option that it is told of, so that would cost every verb 2 ms.
    """
    from argparse import HelpFormatter

    return HelpFormatter(prog, width=_columns() - 2)


def _columns() -> int:
    """Return the terminal's width as shutil.get_terminal_size does."""
    try:
        return int(os.environ["COLUMNS"])
    except (KeyError, ValueError):
        pass
    try:
        return os.get_terminal_size(sys.__stdout__.fileno()).columns if sys.__stdout__ else 80
    except (OSError, ValueError):
        return 80


def parse(words: list[str]) -> Any:
    """Parse the command line: argparse's namespace, or one like it."""
    return plain_exec(words) or by_argparse(words)


def plain_exec(words: list[str]) -> Any:
    """Return what argparse makes of an `exec` as it is mostly typed, without loading argparse; None for all else."""
    lab: str | None = None
    match words:
        case ["exec", "--lab", name, node, command, *rest]:
            lab = name
        case ["exec", node, command, *rest]:
            pass
        case _:
            return None
    if any(word.startswith("-") for word in (lab or "", node, command)):
        return None
    return SimpleNamespace(verb="exec", lab=lab, lab_given=lab is not None, node=node, command=[command, *rest])


def by_argparse(words: list[str]) -> Any:
    """Return what argparse makes of it; only the verb that is named has its options built, which saves milliseconds."""
    from argparse import ArgumentParser

    class Parser(ArgumentParser):
        """One whose words cannot fail."""

        def error(self, message: str) -> NoReturn:
            say(f"{self.format_usage()}{self.prog}: error: {message}")
            sys.exit(2)

    parser = Parser(
        prog="netlab",
        description="Build network labs from YAML: namespaces, veth pairs, XDP programs.",
        allow_abbrev=False,
        formatter_class=_formatter,
    )
    parser.add_argument("--version", action="version", version=_version())
    verbs = parser.add_subparsers(metavar="VERB", required=True, parser_class=Parser)
    wanted = words[0] if words and words[0] in VERBS else None
    for name, verb in VERBS.items():
        if wanted in (None, name):
            _add(verbs, name, verb)
    args = parser.parse_args(words)
    args.lab_given = args.lab is not None
    return args


def _add(verbs: Any, name: str, verb: Verb) -> None:
    texts = {"help": verb.help, "description": verb.help.capitalize() + "."}
    parser = verbs.add_parser(name, **texts, allow_abbrev=False, formatter_class=_formatter)
    parser.set_defaults(verb=name)
    parser.add_argument("--lab", metavar="NAME", help=f"the lab; before NODE (default: NETLAB_LAB, or {verb.lab})")
    for names, keywords in verb.arguments:
        parser.add_argument(*names, **keywords)


def _version() -> str:
    from netlab import __version__

    return f"netlab {__version__}"
