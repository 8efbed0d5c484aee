"""Keeps what the compiler has made, so that the same source is compiled once.

An entry is found by all that goes into a compilation: the source, its options, the compiler and the kernel; and it
counts only while every header that was read has the content that it had then. Source: the direct mode of ccache. What
ccache does not see is not seen here either: a new header that would now be found before one of the same name, in
another folder than the program's.
"""

import base64
import hashlib
import importlib.util
import json
import os
import re
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from netlab import files
from netlab.compiled import Code, Compiled, MapShape

FOLDER = "/var/cache/netlab"
VARIABLE = "NETLAB_CACHE"  # another folder, or nothing: then nothing is kept
ENTRIES = 128  # of which the one that was used least lately goes first
_FORMAT = 1
_VIRTUAL = "/virtual/"  # where bcc has its own headers; they change with it
_WORD = re.compile(r"(?:\\.|[^\s\\])+")


def folder() -> str:
    """Return where entries are kept; "" when none are."""
    return os.environ.get(VARIABLE, FOLDER)


def key(path: str, source: bytes, flags: Sequence[str]) -> str:
    """Return the name of the entry of a source that stands at a path."""
    compiler = importlib.util.find_spec("bcc")
    about = os.stat(compiler.origin) if compiler and compiler.origin else None
    beside = sorted(name for name in os.listdir(os.path.dirname(path)) if name.endswith(".h"))
    parts = [_FORMAT, path, beside, *flags, *os.uname()[2:], about and (about.st_size, about.st_mtime_ns)]
    return hashlib.sha256(json.dumps(parts).encode() + source).hexdigest()


def find(name: str) -> Compiled | None:
    """Return what is kept under a name, if the headers are still what they were."""
    path = os.path.join(folder(), name)
    if not folder() or not os.path.exists(path):
        return None
    try:
        with open(path, "rb") as file:
            digest, _, text = file.read().partition(b"\n")
        if digest != _digest(text):
            forget(name)
            return None
        entry = json.loads(text)
        if any(_digest_of(header) != before for header, before in entry["headers"].items()):
            return None
        os.utime(path)
    except OSError:
        return None
    return _unpacked(entry)


def keep(name: str, what: Compiled, dependencies: str, beside: str, began: float) -> None:
    """Keep what was compiled from `began` on, in seconds of the epoch; a cache that cannot be written is none.

    `dependencies` is the rule for make that the compiler wrote, in which paths are relative to the folder `beside`.
    """
    with suppress(OSError):
        headers = {}
        for header in _paths(dependencies, beside):
            if os.stat(header).st_mtime >= began - 1:  # it may have changed while it was read; clocks are coarse
                return
            headers[header] = _digest_of(header)
        os.makedirs(folder(), mode=0o700, exist_ok=True)
        text = json.dumps({**_packed(what), "headers": headers})
        files.write(os.path.join(folder(), name), f"{_digest(text.encode()).decode()}\n{text}", 0o600)
        _prune()


def forget(name: str) -> None:
    """Remove an entry."""
    with suppress(OSError):
        os.unlink(os.path.join(folder(), name))


def _prune() -> None:
    with os.scandir(folder()) as entries:
        by_use = sorted(entries, key=lambda entry: entry.stat().st_mtime, reverse=True)
    for entry in by_use[ENTRIES:]:
        os.unlink(entry.path)


def _paths(rule: str, beside: str) -> set[str]:
    """Return the files that a rule for make names as what its target is made from, without bcc's own."""
    _, _, words = rule.replace("\\\n", " ").partition(": ")
    plain = (re.sub(r"\\(.)", r"\1", word).replace("$$", "$") for word in _WORD.findall(words))
    return {os.path.realpath(os.path.join(beside, path)) for path in plain if not path.startswith(_VIRTUAL)}


def _digest(text: bytes) -> bytes:
    return hashlib.sha256(text).hexdigest().encode()


def _digest_of(path: str) -> str:
    with open(path, "rb") as file:
        return _digest(file.read()).decode()


def _packed(what: Compiled) -> dict[str, Any]:
    programs = [(each.name, _text(each.instructions), dict(each.maps), each.attach_type) for each in what.programs]
    return {"license": _text(what.license), "btf": _text(what.btf), "maps": what.maps, "programs": programs}


def _unpacked(entry: dict[str, Any]) -> Compiled:
    programs = (
        Code(name, base64.b64decode(text), {int(position): each for position, each in maps.items()}, attach_type)
        for name, text, maps, attach_type in entry["programs"]
    )
    maps = tuple(MapShape(*shape) for shape in entry["maps"])
    return Compiled(base64.b64decode(entry["license"]), base64.b64decode(entry["btf"]), maps, tuple(programs))


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
