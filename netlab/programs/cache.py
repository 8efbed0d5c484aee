"""Keeps the output of the compiler, so that the same source is compiled once.

An entry's key is made from everything that goes into a compilation: the source, its options, the compiler and the
kernel. The entry is used only if every header that was read then still has the same content. This works like the direct
mode of ccache, and has the same limit: a new header of the same name in a folder that is searched earlier, other than
the program's, is not noticed.
"""

import base64
import hashlib
import importlib.util
import json
import os
import re
import stat
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from netlab import paths
from netlab.kernel import files
from netlab.programs.compiled import Code, Compiled, MapShape
from netlab.topology import program_text

ENTRIES = 128  # if there are more, the least recently used one is removed
_FORMAT = 1
_INSTRUCTION_BYTES = 8
_VIRTUAL = "/virtual/"  # the folder of bcc's own headers, which change only with bcc
_WORD = re.compile(r"(?:\\.|[^\s\\])+")
_NAME = re.compile(r"[0-9a-f]{64}")  # of an entry's file, or how the name begins while the file is written
_AS_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_AS_ENTRY = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC

Say = Callable[[str], None]
Made = Compiled | bytes  # the output of a compiler: bcc's as plain data, clang's as a BPF object


def key(path: str, source: bytes, flags: Sequence[str], compiler: str = "") -> str:
    """Return the name of the entry for the source at a path, "" if nothing is kept.

    `compiler` is the compiler's file, "" for bcc.
    """
    if not paths.cache_folder():
        return ""
    bcc = None if compiler else importlib.util.find_spec("bcc")
    file = compiler or (bcc.origin if bcc else None)
    about = os.stat(file) if file else None
    beside = sorted(name for name in os.listdir(os.path.dirname(path)) if name.endswith(".h"))
    made_by = [compiler, os.path.realpath(compiler)] if compiler else []
    parts = [_FORMAT, path, beside, *flags, *os.uname()[2:], about and (about.st_size, about.st_mtime_ns), *made_by]
    return hashlib.sha256(json.dumps(parts).encode() + source).hexdigest()


def find(name: str, say: Say, *others: str) -> Made | None:
    """Return the entry of a name, or else of the first of the others, if its headers have not changed.

    An entry that another user than root could have written is not used: `say` is called with the reason.
    """
    folder = _folder(say)
    if folder < 0:
        return None
    found = None
    for each in (name, *others):
        with suppress(OSError):
            found = found or _found(folder, each, say)
    os.close(folder)
    return found


def _found(folder: int, name: str, say: Say) -> Made | None:
    path = os.path.join(paths.cache_folder(), name)
    with open(os.open(name, _AS_ENTRY, dir_fd=folder), "rb") as file:
        about = os.fstat(file.fileno())
        if wrong := "it is no file" if not stat.S_ISREG(about.st_mode) else files.problem(about):
            say(f"{path} is not used, because {wrong}: remove it")
            return None
        digest, _, text = file.read().partition(b"\n")
    try:
        entry = json.loads(text if digest == _digest(text) else b"")
        headers, what = dict(entry["headers"]), _unpacked(entry)
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        say(f"{path} is not used, because it is damaged ({error})")
        os.unlink(name, dir_fd=folder)
        return None
    if any(_digest_of(header) != before for header, before in headers.items()):
        return None
    os.utime(name, dir_fd=folder, follow_symlinks=False)
    return what


def keep(name: str, what: Made, dependencies: str, beside: str, began: float, work_folder: str = "") -> None:
    """Keep what was compiled since `began`, in seconds of the epoch. A cache that cannot be written is no error.

    `dependencies` is the make rule that the compiler wrote; its paths are relative to the folder `beside`. netlab has
    made the headers in `work_folder` and in the cache: the key covers their text, or the kernel they were made from.
    """
    with suppress(OSError):
        headers = {}
        folders = filter(None, (work_folder, paths.cache_folder()))
        ours = tuple(os.path.join(os.path.realpath(folder), "") for folder in folders)
        for header in _paths(dependencies, beside):
            if header.startswith(ours):
                continue
            if os.stat(header).st_mtime >= began - 1:  # it may have changed during the compilation; clocks are coarse
                return
            headers[header] = _digest_of(header)
        if not files.problem_around(paths.cache_folder()):
            os.makedirs(paths.cache_folder(), mode=files.FOR_OWNER, exist_ok=True)
        folder = _folder(lambda _: None)  # `find` has already said why the cache is not used
        if folder < 0:
            return
        try:
            text = json.dumps({**_packed(what), "headers": headers})
            files.write(f"/proc/self/fd/{folder}/{name}", f"{_digest(text.encode()).decode()}\n{text}", 0o600)
            _prune(folder)
        finally:
            os.close(folder)


def forget(name: str) -> None:
    """Remove an entry."""
    folder = _folder(lambda _: None)
    if folder >= 0:
        with suppress(OSError):
            os.unlink(name, dir_fd=folder)
        os.close(folder)


def _folder(say: Say) -> int:
    """Open the cache's folder; return its descriptor, or -1 if there is none, or if other users can write to it.

    Entries are opened relative to the descriptor, so that nobody can replace the folder after the check.
    """
    path = paths.cache_folder()
    try:
        folder = os.open(path, _AS_FOLDER)
    except NotADirectoryError:
        say(f"the cache {path} is not used, because it is no folder, but a link or a file")
        return -1
    except OSError:
        return -1
    if wrong := files.problem(os.fstat(folder)) or files.problem_around(path):
        os.close(folder)
        say(f"the cache {path} is not used, because {wrong}: expected an empty one that nobody but root can change")
        return -1
    return folder


def problem() -> str:
    """Return why the cache is not used; "" if it is, or will be made."""
    said: list[str] = []
    if (folder := _folder(said.append)) >= 0:
        os.close(folder)
    return "".join(said)


def _prune(folder: int) -> None:
    """Remove the least recently used entries; other files in the folder stay."""
    with os.scandir(folder) as found:
        entries = [
            (entry.stat(follow_symlinks=False).st_mtime, entry.name) for entry in found if _NAME.match(entry.name)
        ]
    for _, name in sorted(entries, reverse=True)[ENTRIES:]:
        os.unlink(name, dir_fd=folder)


def _paths(rule: str, beside: str) -> set[str]:
    """Return the files that a make rule's target depends on, without bcc's own."""
    _, _, words = rule.replace("\\\n", " ").partition(": ")
    plain = (re.sub(r"\\(.)", r"\1", word).replace("$$", "$") for word in _WORD.findall(words))
    return {os.path.realpath(os.path.join(beside, path)) for path in plain if not path.startswith(_VIRTUAL)}


def _digest(text: bytes) -> bytes:
    return hashlib.sha256(text).hexdigest().encode()


def _digest_of(path: str) -> str:
    return _digest(files.read(path, program_text.MAX_BYTES)).decode()


def _packed(what: Made) -> dict[str, Any]:
    if isinstance(what, bytes):
        return {"object": _text(what)}
    programs = [(each.name, _text(each.instructions), dict(each.maps), each.attach_type) for each in what.programs]
    return {"license": _text(what.license), "btf": _text(what.btf), "maps": what.maps, "programs": programs}


def _unpacked(entry: dict[str, Any]) -> Made:
    """Return the content of an entry; ValueError, TypeError or the like if `_packed` cannot have made it."""
    if "object" in entry:
        return _bytes(entry["object"])
    maps = tuple(_shape(*each) for each in entry["maps"])
    names = {each.name: each.name for each in maps}
    programs = []
    for name, text, places, attach_type in entry["programs"]:
        named = {int(position): names[each] for position, each in places.items()}
        instructions = _bytes(text)
        if any(not 0 <= position < len(instructions) // _INSTRUCTION_BYTES for position in named):
            raise ValueError(f"{name} has no such instruction")
        programs.append(Code(_text_of(name), instructions, named, _number(attach_type)))
    return Compiled(_bytes(entry["license"]), _bytes(entry["btf"]), maps, tuple(programs))


def _shape(name: object, *numbers: object) -> MapShape:
    *shape, inner = numbers
    kind, key_size, value_size, entries, flags, key_type, value_type = map(_number, shape)
    sizes = (key_size, value_size, entries)
    return MapShape(_text_of(name), kind, *sizes, flags, key_type, value_type, _text_of(inner))


def _text_of(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no name")
    return value


def _number(value: object) -> int:
    if not isinstance(value, int) or not 0 <= value < 1 << 32:
        raise ValueError(f"{value!r} is no number of 32 bits")
    return value


def _bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
