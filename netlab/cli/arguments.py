"""The command line → the arguments of a verb."""

import os
import sys
from typing import TYPE_CHECKING, NoReturn, TypeVar

from netlab.cli import typed
from netlab.cli.console import say

if TYPE_CHECKING:
    import argparse

    from netlab.cli.verbs import Verb

    _Parser = TypeVar("_Parser", bound=argparse.ArgumentParser)


def _formatter(prog: str) -> "argparse.HelpFormatter":
    """Return argparse's formatter with a known width: to find the width by itself, argparse loads shutil.

    It makes one formatter for each option, so this would cost every verb 2 ms.
    """
    from argparse import HelpFormatter

    return HelpFormatter(prog, width=_columns() - 2)


def _plural(one: str, many: str, number: int) -> str:
    return one if number == 1 else many


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


def parse(words: list[str]) -> typed.Arguments:
    """Parse the command line, and return the arguments in the type of the verb."""
    return plain_exec(words) or by_argparse(words)


def plain_exec(words: list[str]) -> typed.Exec | None:
    """Return what argparse would make of a common form of `exec`, without loading argparse; None for anything else."""
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
    found = typed.Exec()
    found.verb, found.words, found.lab, found.lab_given = "exec", words, lab, lab is not None
    found.node, found.command = node, [command, *rest]
    return found


def by_argparse(words: list[str]) -> typed.Arguments:
    """Return what argparse makes of the words; only the verb's own options are built, which saves milliseconds."""
    from netlab.cli.verbs import VERBS
    from netlab.lazy_import import postponed

    # netlab speaks English only. gettext, which argparse asks for translations, would take more than a millisecond.
    with postponed("gettext", gettext=str, ngettext=_plural):
        from argparse import ArgumentParser

    class Parser(ArgumentParser):
        """A parser whose messages cannot fail."""

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
    read = parser.parse_args(words)
    found = VERBS[read.verb].kind()
    vars(found).update(vars(read), words=words, lab_given=read.lab is not None)
    return found


def _add(verbs: "argparse._SubParsersAction[_Parser]", name: str, verb: "Verb") -> None:
    about = verb.help.capitalize() + "."
    parser = verbs.add_parser(name, help=verb.help, description=about, allow_abbrev=False, formatter_class=_formatter)
    parser.set_defaults(verb=name)
    parser.add_argument("--lab", metavar="NAME", help=f"the lab; before NODE (default: NETLAB_LAB, or {verb.lab})")
    for argument in verb.arguments:
        parser.add_argument(*argument.names, **argument.keywords)


def _version() -> str:
    from netlab import __version__

    return f"netlab {__version__}"
