"""The text of a program and of the headers that it includes, as far as they are found without a compiler."""

import os
import re
from collections.abc import Iterable, Iterator
from functools import cache
from typing import NamedTuple

from netlab import assets
from netlab.kernel import files

MAX_BYTES = 1 << 24  # of a program, and of each header
_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*["<]([^">\n]+)[">]', re.MULTILINE)
_COMMENT = re.compile(r'("(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\')|/\*.*?\*/|//[^\n]*', re.DOTALL)
_INCLUDE_OF_A_MACROS = re.compile(r'^[ \t]*#[ \t]*include[ \t]*[^\s"<]', re.MULTILINE)
_NAMED = re.compile(r"XDP_TX\b|XDP\w*\s*##")  # whole, or put together by a macro
_NUMBER = r"\(*(?:0[xX])?0*3[uUlL]*\)*"  # of XDP_TX in linux/bpf.h
_DEFINED = re.compile(rf"^[ \t]*#[ \t]*define[ \t]+(\w+)[ \t]+{_NUMBER}[ \t]*(?:$|/[/*])", re.MULTILINE)
_SET = re.compile(rf"=[ \t]*{_NUMBER}[ \t]*(?:[,;}}\n]|/[/*])")
_WORD = re.compile(r"(\w+)[ \t]*$")
_LONGEST_WORD = 80


class Header(NamedTuple):
    """A header of a program: its name, which is relative to the folder it is in, its path, and its text.

    The text is None where it cannot be read, or is longer than MAX_BYTES; `problem` says why.
    """

    name: str
    path: str
    text: str | None
    problem: str = ""


def read(path: str) -> str:
    """Return the text of a program; raises OSError where it is no regular file, cannot be read or is too long."""
    return files.read(path, MAX_BYTES).decode(errors="replace")


def headers(program: str, source: str) -> Iterator[Header]:
    """Yield the headers that a program includes, directly or not, each once.

    `program` is the path of the program, `source` its text. They are looked for in the program's folder, and then in
    netlab's. Those that are in neither are left out.
    """
    found: set[str] = set()
    waiting = [("", source)]
    while waiting:
        beside, text = waiting.pop()
        for name in _INCLUDE.findall(text):
            for candidate in (os.path.normpath(os.path.join(beside, name)), name):
                path = _beside(program, candidate)
                if path and candidate not in found:
                    found.add(candidate)
                    header = _header(candidate, path)
                    waiting.append((os.path.dirname(candidate), header.text or ""))
                    yield header
                if path:
                    break


def with_headers(program: str, source: str) -> str:
    """Return the text of a program, followed by that of all its headers."""
    return "\n".join([source, *(header.text or "" for header in headers(program, source))])


def may_transmit(program: str, source: str, define: Iterable[tuple[str, str | int]]) -> bool:
    """Say whether a program may return XDP_TX: whether its text, its headers and constants cannot rule that out.

    They can where they name it in comments only, and return no such number. A header that cannot be read, or whose name
    is a macro's, may say anything. What a program returns out of a map is not seen.
    """
    constants = [f"#define {name} {value}" for name, value in define]
    texts = [source, *(header.text for header in headers(program, source))]
    return None in texts or _may_transmit("\n".join([*constants, *filter(None, texts)]))


@cache  # a thousand nodes may have one program
def _may_transmit(text: str) -> bool:
    text = text.replace("\r\n", "\n").replace("\\\n", "")
    return _speaks_of_it(text) and _speaks_of_it(_COMMENT.sub(lambda found: found[1] or " ", text))


def _speaks_of_it(text: str) -> bool:
    """Say whether a text names XDP_TX, includes what nobody knows, or returns its number or what is set to that."""
    if _NAMED.search(text) or _INCLUDE_OF_A_MACROS.search(text):
        return True
    before = (_WORD.search(text, max(found.start() - _LONGEST_WORD, 0), found.start()) for found in _SET.finditer(text))
    names = {*_DEFINED.findall(text), *(word[1] for word in before if word)}
    numbers = "|".join([_NUMBER, *names])
    return bool(re.search(rf"\breturn\b(?:[^;]*[?:])?\s*\(?(?:{numbers})\s*\)?\s*[;:]", text))


def _beside(program: str, name: str) -> str:
    """Return the path of a header in the program's folder or else in netlab's; "" if it is in neither."""
    paths = (os.path.join(folder, name) for folder in (os.path.dirname(program), assets.folder("bpf")))
    return next((path for path in paths if os.path.exists(path) and not os.path.isdir(path)), "")


def _header(name: str, path: str) -> Header:
    try:
        return Header(name, path, read(path))
    except OSError as error:
        return Header(name, path, None, str(error.strerror))
