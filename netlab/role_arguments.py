"""The command line of a role, by the description of its options."""

import os
import sys
from collections import deque
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from netlab.options import Option, Options, problem, unmet, value_of

if TYPE_CHECKING:
    import argparse


class Namespace(SimpleNamespace):
    """The options of a role under their names, as argparse has them."""

    def __contains__(self, name: str) -> bool:
        return name in vars(self)


class _WrongError(Exception):
    """An option has a wrong value; the arguments are its name and what is wrong."""


def parse(options: Options, description: str, argv: Sequence[str] | None) -> Namespace:
    """Do what `options.parse` says."""
    words = sys.argv[1:] if argv is None else list(argv)
    read = _plain(options, words)
    try:
        return _typed(options, _parser(options, description).parse_args(words).__dict__ if read is None else read)
    except _WrongError as error:
        name, wrong = error.args
        _parser(options, description).error(f"--{_dashed(name)}: {wrong}")


def _typed(options: Options, read: Mapping[str, Any]) -> Namespace:
    """Return the options with the values that their texts mean; raises _WrongError."""
    found = dict(read)
    given = {}
    for name, option in options.items():
        value = read[_key(name)]
        texts = value if isinstance(value, list) else [value]
        if not all(isinstance(text, str) for text in texts):
            continue  # A default, which has its type already, or a flag.
        if wrong := problem(option, texts):
            raise _WrongError(name, wrong)
        given[name] = texts
        values = [value_of(option, text) for text in texts]
        found[_key(name)] = values if "values" in option else values[0]
    for name, wrong in unmet(options, given):
        raise _WrongError(name, wrong)
    return Namespace(**found)


def _plain(options: Options, words: Sequence[str]) -> dict[str, Any] | None:
    """Return what argparse would read, but without loading it: that takes a role a fifth of its start.

    None for what is not `--name TEXT ...`, such as `--name=TEXT`, `--help` and mistakes.
    """
    read = {
        _key(name): False if option["type"] == "flag" else option.get("default") for name, option in options.items()
    }
    names = {f"--{spelled(name)}": name for name in options for spelled in (_dashed, _key)}
    missing = {name for name, option in options.items() if option.get("required")}
    rest = deque(words)
    while rest:
        name = names.get(rest.popleft())
        if name is None:
            return None
        option = options[name]
        if option["type"] == "flag":
            read[_key(name)] = True
            continue
        texts: list[str] = []
        while rest and not rest[0].startswith("-") and (not texts or "values" in option):
            texts.append(rest.popleft())
        if not texts:
            return None
        read[_key(name)] = texts if "values" in option else texts[0]
        missing.discard(name)
    return None if missing else read


def _parser(options: Options, description: str) -> "argparse.ArgumentParser":
    import argparse

    parser = argparse.ArgumentParser(
        prog=os.path.basename(sys.argv[0]) or None, description=description, allow_abbrev=False
    )
    for name, option in options.items():
        _add(parser, name, option)
    return parser


def _add(parser: "argparse.ArgumentParser", name: str, option: Option) -> None:
    spellings = dict.fromkeys((f"--{_dashed(name)}", f"--{_key(name)}"))
    settings: dict[str, Any] = {"dest": _key(name), "help": _help(option), "default": option.get("default")}
    if option["type"] == "flag":
        parser.add_argument(*spellings, action="store_true", **{**settings, "default": False})
        return
    if "values" in option:
        settings["nargs"] = "+"
    metavar = option["type"].upper()
    parser.add_argument(*spellings, required=option.get("required", False), metavar=metavar, **settings)


def _help(option: Option) -> str:
    text = str(option.get("help", ""))
    default = option.get("default")
    if default is None or option["type"] == "flag":
        return text.replace("%", "%%")
    shown = " ".join(map(str, default)) if isinstance(default, list) else default
    return f"{text} (default: {shown})".replace("%", "%%")


def _key(name: str) -> str:
    return name.replace("-", "_")


def _dashed(name: str) -> str:
    return name.replace("_", "-")
