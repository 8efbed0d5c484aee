"""Finds in a compiler's output what a program that nobody trusts has reached for outside its folder.

In its room such a file does not exist. So the compiler only says that it has not found it, as of any missing header.
"""

import os
import re
from collections.abc import Iterator, Sequence

_MISSING = re.compile(
    r"^(?:(?P<file>[^\s:][^:\n]*):\d+:\d+: )?(?:fatal )?error: (?:<inline asm>:\d+:\d+: )?(?:"
    r"'(?P<header>[^'\n]+)' file not found"
    r"|[Cc]ould not find (?:incbin|include) file '(?P<bytes>[^'\n]+)'"
    r"|(?:cannot|could not) open (?:source )?file '(?P<closed>[^'\n]+)'"
    r"|error opening '(?P<opened>[^'\n]+)')",
    re.MULTILINE,
)
_MAIN = "/virtual/main.c"  # what bcc calls the source


def reached(talk: str, program: str, folders: Sequence[str]) -> str:
    """Return one line on the first file outside these folders that a program names; "" if it names none."""
    for found in _MISSING.finditer(talk):
        name = found["header"] or found["bytes"] or found["closed"] or found["opened"]
        place = found["file"] or _MAIN
        beside = os.path.dirname(program if place == _MAIN else place)
        if _is_outside(os.path.join(beside, name), folders):
            seen = "what nobody trusts sees the files of its own folder, and the system's headers"
            return f"{name} is outside {folders[0]}: {seen}"
    return ""


def _is_outside(path: str, folders: Sequence[str]) -> bool:
    """Say whether a path that leads to nothing, or a link on it, leads out of all of these folders."""
    return any(not _is_below(each, folders) for each in _stages(os.path.normpath(path), folders))


def _stages(path: str, folders: Sequence[str]) -> Iterator[str]:
    yield path
    if _is_below(path, folders):
        yield os.path.realpath(path)


def _is_below(path: str, folders: Sequence[str]) -> bool:
    return any(path.startswith(os.path.join(folder, "")) for folder in folders)
