"""The command line → the arguments of a verb."""

import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, NoReturn

from netlab.cli import typed
from netlab.cli.console import say

if TYPE_CHECKING:
    import argparse

    from netlab.cli.verbs import Verb

_LOUDNESS = ("-q", "--quiet", "-v", "--verbose")
_BEFORE = ("--lab", "-q", "-v", "--help", "--version")


def _formatter(prog: str) -> "argparse.HelpFormatter":
    """Return argparse's formatter with a known width: to find the width by itself, argparse loads shutil.

    It makes one formatter for each option, so this would cost every verb 2 ms. It leaves the lines of examples alone.
    """
    from argparse import RawDescriptionHelpFormatter

    return RawDescriptionHelpFormatter(prog, width=_columns() - 2)


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
    found.trusted, found.node, found.command = False, node, [command, *rest]
    found.quiet = found.verbose = False
    return found


def by_argparse(words: list[str]) -> typed.Arguments:
    """Return what argparse makes of the words; only the verb's own options are built, which saves milliseconds."""
    from netlab.cli.verbs import LOUDNESS, VERBS
    from netlab.lazy_import import postponed

    # netlab speaks English only. gettext, which argparse asks for translations, would take more than a millisecond.
    with postponed("gettext", gettext=str, ngettext=_plural):
        from argparse import ArgumentParser

    class Parser(ArgumentParser):
        """A parser whose messages cannot fail."""

        def error(self, message: str) -> NoReturn:
            say(f"{self.format_usage()}{self.prog}: error: {message}")
            sys.exit(2)

    verb, words = _verb_first(words)
    if verb not in VERBS:
        _explain(verb, list(VERBS))
    about = VERBS[verb].help.capitalize() + "."
    parser = Parser(prog=f"netlab {verb}", description=about, allow_abbrev=False, formatter_class=_formatter)
    _fill(parser, VERBS[verb])
    if not {"-h", "--help"}.isdisjoint(words):
        from netlab.cli import overview

        parser.epilog = overview.examples(verb)
    # `link` takes options between its words, too: link a-b --from b set loss=1%
    parse_known = parser.parse_known_intermixed_args if verb == "link" else parser.parse_known_args
    read, more = parse_known(words[1:])
    if more:
        known = ["--help", *(name for argument in VERBS[verb].arguments for name in argument.names)]
        known += [name for argument in LOUDNESS for name in argument.names]
        known += ["--lab"] if VERBS[verb].lab else []
        parser.error(f"unrecognized arguments: {' '.join(more)}{_nearest(more[0].partition('=')[0], known)}")
    found = VERBS[verb].kind()
    vars(found).update(vars(read), verb=verb, words=words, lab_given=read.lab is not None)
    return found


def of_all_verbs(look: "Callable[[argparse.Action], None]" = lambda _: None) -> "argparse.ArgumentParser":
    """Return a parser of all verbs, for completion and the manual page; `look` sees each argument and option."""
    from argparse import ArgumentParser

    from netlab.cli import overview
    from netlab.cli.verbs import LOUDNESS, VERBS

    parser = ArgumentParser(
        prog="netlab",
        description="Build network labs from YAML: namespaces, veth pairs, XDP programs.",
        allow_abbrev=False,
        formatter_class=_formatter,
    )
    look(parser.add_argument("--lab", dest="lab_before", metavar="NAME", help="the lab; also behind the verb"))
    for argument in LOUDNESS:
        look(parser.add_argument(*argument.names, **argument.keywords))
    verbs = parser.add_subparsers(metavar="VERB", required=True, dest="verb")
    for name, verb in VERBS.items():
        about = verb.help.capitalize() + "."
        made = verbs.add_parser(name, help=verb.help, description=about, allow_abbrev=False, formatter_class=_formatter)
        made.epilog = overview.examples(name)
        _fill(made, verb, look)
    return parser


def _fill(
    parser: "argparse.ArgumentParser", verb: "Verb", look: "Callable[[argparse.Action], None]" = lambda _: None
) -> None:
    """Add what a verb takes."""
    from netlab.cli.verbs import LOUDNESS

    if verb.lab:
        look(parser.add_argument("--lab", metavar="NAME", help=f"the lab (default: NETLAB_LAB, or {verb.lab})"))
    else:
        parser.set_defaults(lab=None)
    either = parser.add_mutually_exclusive_group()
    for argument in LOUDNESS:
        look(either.add_argument(*argument.names, **argument.keywords))
    for argument in verb.arguments:
        look(parser.add_argument(*argument.names, **argument.keywords))


def _verb_first(words: list[str]) -> tuple[str, list[str]]:
    """Return the verb, and the words with the options of every verb behind it; "" without a verb."""
    match words:
        case ["--lab", name, verb, *rest]:
            verb, found = _verb_first([verb, *rest])
            return verb, [*found[:1], "--lab", name, *found[1:]]
        case [option, verb, *rest] if option.startswith("--lab=") or option in _LOUDNESS:
            verb, found = _verb_first([verb, *rest])
            return verb, [*found[:1], option, *found[1:]]
        case ["-h" | "--help", *_]:
            return "help", ["help"]
        case ["-V" | "--version", *_]:
            return "version", ["version"]
    return words[0] if words else "", words


def _explain(verb: str, known: list[str]) -> NoReturn:
    """Say which verbs there are, or what was meant instead of one that there is not, and end."""
    if verb:
        problem = f"{verb!r} is no verb{_nearest(verb, known)}"
        if verb.partition("=")[0] == "--lab":
            problem = "expected --lab NAME VERB: a name is missing, or the verb behind it"
        elif verb.startswith("-"):
            problem = f"expected a verb, found {verb}: options stand behind it, but for {', '.join(_BEFORE)}"
        say(f"usage: netlab VERB [OPTION ...]\nnetlab: error: {problem}")
        say("netlab help lists all verbs")
    else:
        from netlab.cli import overview

        say(overview.text())
    sys.exit(2)


def _nearest(word: str, known: list[str]) -> str:
    from difflib import get_close_matches

    near = get_close_matches(word, known, 1)
    return f"; did you mean {near[0]}?" if near else ""
