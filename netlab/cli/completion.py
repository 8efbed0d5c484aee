"""Completes what a person types, by argcomplete: verbs, options, and names of labs, nodes, processes and maps.

The shell runs netlab for each completion (`netlab completion bash` prints what makes it do so). Nothing asks for root
here: what the caller may not read is not offered.
"""

import argparse
import glob
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import chain

import argcomplete

from netlab import paths
from netlab.balancer import POLICIES
from netlab.cli import arguments, overview
from netlab.cli.values import WORDS_OF_FILTERS
from netlab.errors import NetlabError
from netlab.kernel import files
from netlab.record import links, store
from netlab.record.model import LabRecord
from netlab.topology.link_names import called

SHELLS = ("bash", "zsh", "fish")
_CHANGES = ("set", "delete", "clear")  # of maps
_ACTIONS = ("drain", "undrain", "weight", "policy", "add", "remove")
_Completer = Callable[..., Iterator[str]]


def script(shell: str) -> str:
    """Return what makes a shell complete netlab's words."""
    return str(argcomplete.shellcode(["netlab"], shell=shell))


def complete() -> None:
    """Answer the shell that asks, and end this process."""

    def look(action: argparse.Action) -> None:
        completer = _COMPLETERS.get(str(action.metavar))
        if completer and not action.choices:
            action.completer = completer  # type: ignore[attr-defined]  # argcomplete looks for it there

    argcomplete.autocomplete(arguments.of_all_verbs(look), always_complete_options=False)


def _record(asked: argparse.Namespace) -> LabRecord | None:
    with suppress(NetlabError):
        return store.shown(store.choose(asked.lab or asked.lab_before or os.environ.get("NETLAB_LAB") or None))
    return None


def _labs(**_: object) -> Iterator[str]:
    yield from store.labs()


def _nodes(prefix: str, parsed_args: argparse.Namespace, **_: object) -> Iterator[str]:
    """Yield nodes, and behind NODE/ the names of processes and programs."""
    record = _record(parsed_args)
    if not record:
        return
    node, slash, _name = prefix.partition("/")
    if not slash:
        yield from record.nodes
    elif node in record.nodes:
        found = record.nodes[node]
        names = [each.name for each in found.processes] + [each.name for each in found.programs]
        yield from (f"{node}/{name}" for name in dict.fromkeys(names))


def _words_of_maps(prefix: str, parsed_args: argparse.Namespace, **others: object) -> Iterator[str]:
    """Yield what may stand at this place behind `maps`: a change, a node, a map of it."""
    before = list(parsed_args.target or ())
    if before and before[0] in _CHANGES:
        del before[0]
    elif not before:
        yield from _CHANGES
    if not before:
        yield from _nodes(prefix, parsed_args, **others)
    elif len(before) == 1 and (record := _record(parsed_args)):
        for key, _program in record.programs_of(before[0].partition("/")[0]):
            with suppress(OSError, ValueError, KeyError):
                yield from files.load(paths.layouts(paths.pins(record.folder, key)))["maps"]


def _words_of_balancer(prefix: str, parsed_args: argparse.Namespace, **others: object) -> Iterator[str]:
    if parsed_args.action == "policy":
        yield from POLICIES
    else:
        yield from _nodes(prefix, parsed_args, **others)


def _words_of_link(parsed_args: argparse.Namespace, **_: object) -> Iterator[str]:
    """Yield what may stand at this place behind `link`: a link, what to do with it, a key of what it does."""
    from netlab.cli.links import ACTIONS
    from netlab.topology.validate.directions import KEYS

    before = list(parsed_args.words_of_link or ())
    if "set" in before:
        yield from (f"{key}=" for key in KEYS)
        return
    yield from ACTIONS
    if not before and (record := _record(parsed_args)):
        there = links.links(record)
        yield from (called(each, there) for each in there)


def _places(prefix: str, parsed_args: argparse.Namespace, **_: object) -> Iterator[str]:
    """Yield nodes, and behind NODE: its interfaces."""
    record = _record(parsed_args)
    node, colon, _interface = prefix.partition(":")
    if record and not colon:
        yield from record.nodes
    elif record and node in record.nodes:
        yield from (f"{node}:{name}" for name in record.nodes[node].interfaces)


def _follows_host(asked: argparse.Namespace) -> bool:
    return [*(asked.filter or ())][-1:] == ["host"]


def _words_of_filter(parsed_args: argparse.Namespace, **_: object) -> Iterator[str]:
    """Yield words of filters; behind `host` the nodes."""
    if not _follows_host(parsed_args):
        yield from WORDS_OF_FILTERS
    elif record := _record(parsed_args):
        yield from record.nodes


def _words_behind(parsed_args: argparse.Namespace, **others: object) -> Iterator[str]:
    if "filter" in parsed_args:
        found = _words_of_filter(parsed_args=parsed_args, **others)
        return found if _follows_host(parsed_args) else chain(_places(parsed_args=parsed_args, **others), found)  # type: ignore[arg-type]
    if "words_of_link" in parsed_args:
        return _words_of_link(parsed_args=parsed_args, **others)
    return (_words_of_maps if "target" in parsed_args else _words_of_balancer)(parsed_args=parsed_args, **others)  # type: ignore[arg-type]


def _topologies(prefix: str, **_: object) -> Iterator[str]:
    """Yield topologies, and folders in which there may be some."""
    for path in sorted(glob.glob(f"{glob.escape(prefix)}*")):
        if os.path.isdir(path):
            yield f"{path}/"
        elif path.endswith((".yml", ".yaml")):
            yield path


def _commands(prefix: str, **_: object) -> Iterator[str]:
    for folder in os.get_exec_path():
        with suppress(OSError):
            yield from (name for name in os.listdir(folder) if name.startswith(prefix))


def _demos(**_: object) -> Iterator[str]:
    from netlab.demo import scenes

    yield from scenes.SCENES


def _words(*words: str) -> _Completer:
    return lambda **_: iter(words)


_COMPLETERS: dict[str, _Completer] = {
    "ACTION": _words(*_ACTIONS),
    "COMMAND": _commands,
    "DEMO": _demos,
    "EXERCISE": lambda prefix, **_: chain(_demos(), _topologies(prefix)),
    "FILE": _topologies,
    "FILE|LAB": lambda prefix, **_: chain(_labs(), _topologies(prefix)),
    "FILTER": _words_of_filter,
    "LAB": _labs,
    "NAME": _labs,
    "NODE": _nodes,
    "VERB": _words(*(verb for verbs in overview.GROUPS.values() for verb in verbs)),
    "WORD": _words_behind,
}
