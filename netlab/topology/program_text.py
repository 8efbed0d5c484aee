"""The text of a program and of the headers that it includes, as far as they are found without a compiler."""

import errno
import os
import re
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from functools import cache

from netlab import assets
from netlab.kernel import files
from netlab.named_tuple import NamedTuple

MAX_BYTES = 1 << 24  # of a program, and of all headers that it includes
KERNEL_TYPES = "vmlinux.h"  # a header with all types of a kernel, three megabytes, which say nothing of a program
_INCLUDE = re.compile(r'#[ \t]*include[ \t]*["<]([^">\n]+)[">]')  # at the start of a line: that would be slow to seek
_SETTING = re.compile(r"^#ifndef (\w+)$", re.MULTILINE)
_STRING_OR_COMMENT = re.compile(r'"(?:\\.|[^"\\\n])*"?|\'(?:\\.|[^\'\\\n])*\'?|/\*.*?(?:\*/|\Z)|//[^\n]*', re.DOTALL)
_INCLUDE_OF_A_MACROS = re.compile(r'^[ \t]*#[ \t]*include[ \t]*[^\s"<]', re.MULTILINE)
_ASSEMBLER = re.compile(r"\basm\b|\b__asm")
_NAME = "XDP"
_NAMED = re.compile(r"\bXDP(?:_(?:TX?)?)?\b")  # whole, or a beginning, to which a macro may put the rest
_TRANSMIT = 3  # XDP_TX in linux/bpf.h
_NUMBER = re.compile(r"(?:0[xX]0*3|0[bB]0*11|0*3)[uUlL]*")
_DEFINED = re.compile(rf"^[ \t]*#[ \t]*define[ \t]+(\w+)[ \t]+\(*{_NUMBER.pattern}\)*[ \t]*$", re.MULTILINE)
_ENUM = re.compile(r"\benum\b(?:\s+(\w+))?\s*\{([^{}]*)\}")
_ENUMERATOR = re.compile(r"\s*([A-Za-z_]\w*)\s*(?:=\s*(0[xX][0-9a-fA-F]+|0|[1-9][0-9]*)[uUlL]*\s*)?")
_REASON = "reason"  # the enum by which a program counts: see bpf/verdict.h
_TOKEN = re.compile(r"\w+|[][;{}]")
_COMPARED = ("==", "!=", "<", ">")
_NEAR = 8


class Header(NamedTuple):
    """A header of a program: its name, which is relative to the folder it is in, its path, and its text.

    The text is None where it cannot be read, or all headers together are longer than MAX_BYTES; `problem` says why.
    """

    name: str
    path: str
    text: str | None
    problem: str = ""


def read(path: str) -> str:
    """Return the text of a program; raises OSError where it is no regular file, cannot be read or is too long."""
    return read_bytes(path).decode(errors="replace")


def read_bytes(path: str) -> bytes:
    """Return a program, source or object; raises OSError as `read` does."""
    return files.read(path, MAX_BYTES)


def headers(program: str, source: str, include: Sequence[str] = ()) -> Iterator[Header]:
    """Yield the headers that a program includes, directly or not, each once.

    `program` is the path of the program, `source` its text. They are looked for in the program's folder, then in those
    of `include`, and then in netlab's. Those that are in none are left out, and so is `vmlinux.h`.
    """
    found: set[str] = set()
    known: dict[str, str] = {}  # a program's headers include the same few again and again
    folders = tuple(dict.fromkeys((os.path.dirname(program), *include, assets.folder("bpf"))))
    waiting = [("", source)]
    left = MAX_BYTES
    while waiting:
        beside, text = waiting.pop()
        for name in included(text):
            if os.path.basename(name) == KERNEL_TYPES:
                continue
            for candidate in (os.path.normpath(os.path.join(beside, name)), name):
                if candidate not in known:
                    known[candidate] = _in(folders, candidate)
                path = known[candidate]
                if path and candidate not in found:
                    found.add(candidate)
                    header = _header(candidate, path, left)
                    left -= len(header.text or "")
                    waiting.append((os.path.dirname(candidate), header.text or ""))
                    yield header
                if path:
                    break


def includes(text: str, name: str) -> bool:
    """Say whether a text includes a header of this name."""
    return name in text and name in included(text)


def included(text: str) -> list[str]:
    """Return the names of the headers that a text includes."""
    found = _INCLUDE.finditer(text)
    return [each[1] for each in found if not text[text.rfind("\n", 0, each.start()) + 1 : each.start()].strip(" \t")]


def includes_from(text: str, folder: str) -> bool:
    """Say whether a text includes a header from a folder of this name."""
    return any(name.startswith(f"{folder}/") for name in included(text))


def with_headers(program: str, source: str, include: Sequence[str] = ()) -> str:
    """Return the text of a program, followed by that of all its headers."""
    return "\n".join([source, *(header.text or "" for header in headers(program, source, include))])


def settings(program: str) -> set[str]:
    """Return the constants of a program that may be set from outside: `#ifndef NAME`, in it or in its headers."""
    return set(_SETTING.findall(with_headers(program, read(program))))


def enumerators(body: str) -> dict[str, int]:
    """Return the names of an enum, by what stands between its braces without comments, each with its number.

    {} where one has a value that is neither a decimal nor a hexadecimal number.
    """
    numbers: dict[str, int] = {}
    following = 0
    for each in body.split(","):
        if not each.strip():
            continue
        found = _ENUMERATOR.fullmatch(each)
        if not found:
            return {}
        numbers[found[1]] = int(found[2], 0) if found[2] else following
        following = numbers[found[1]] + 1
    return numbers


def without_comments(text: str, *, strings: bool = True) -> str:
    """Return C text with a space for each comment, and an empty string for each string if there are to be none."""

    def kept(found: re.Match[str]) -> str:
        if found[0][0] == "/":
            return " "
        return found[0] if strings else '""'

    return _STRING_OR_COMMENT.sub(kept, text)


def may_transmit(
    program: str,
    source: str,
    define: Iterable[tuple[str, str | int]],
    include: Sequence[str] = (),
    cflags: Sequence[str] = (),
) -> bool:
    """Say whether a program may return XDP_TX: whether its text, its headers and constants cannot rule that out.

    Options of the compiler (`cflags`) may define constants, too.

    They can where they name neither it nor its number, but in comments, strings, comparisons and brackets, nor as a
    reason to count by. Numbers in netlab's own headers are no verdicts. A header that cannot be read, or whose name is
    a macro's, may say anything. What a program returns out of a map or reckons is not seen.
    """
    found = list(headers(program, source, include))
    if any(header.text is None for header in found):
        return True
    constants = "\n".join([*(f"#define {name} {value}" for name, value in define), *cflags])
    ours = {header.path for header in found if header.path.startswith(os.path.join(assets.folder("bpf"), ""))}
    texts = (source, *(header.text or "" for header in found if header.path not in ours))
    return _may_transmit((constants, *texts), tuple(header.text or "" for header in found if header.path in ours))


@cache  # a thousand nodes may have one program
def _may_transmit(own: tuple[str, ...], brought: tuple[str, ...]) -> bool:
    """Say whether texts of a program's own, or the headers that netlab brings for it, speak of XDP_TX."""
    if any(map(_names_it, (*own, *brought))):
        return True
    return _has_its_number("\n".join(map(_code, own)))


def _names_it(text: str) -> bool:
    """Say whether C text names XDP_TX, or includes a header whose name is a macro's.

    Most texts do neither, not even in comments, which take long to remove.
    """
    text = _joined(text)
    is_named = _NAME in text and _NAMED.search(text)
    if not is_named and text.count("include") == len(_INCLUDE.findall(text)):
        return False
    code = _code(text)
    return bool(_NAMED.search(code) or _INCLUDE_OF_A_MACROS.search(code))


def _code(text: str) -> str:
    """Return C text without comments and, where no assembler stands in them, without strings."""
    text = _joined(text)
    return without_comments(text, strings=bool(_ASSEMBLER.search(text)))


def _joined(text: str) -> str:
    """Return C text with each line whole that is continued by a backslash."""
    return text.replace("\r\n", "\n").replace("\\\n", "")


def _has_its_number(code: str) -> bool:
    """Say whether the number of XDP_TX, or a name for it, stands where it may be a verdict."""
    names = set(_DEFINED.findall(code))

    def named(found: re.Match[str]) -> str:
        numbers = enumerators(found[2])
        if found[1] != _REASON:
            names.update(name for name, number in numbers.items() if number == _TRANSMIT)
        return " " if numbers else found[0]

    code = _ENUM.sub(named, _DEFINED.sub("", code))
    if not re.search(rf"\b(?:{'|'.join((_NUMBER.pattern, *names))})\b", code):
        return False
    depth = 0
    for found in _TOKEN.finditer(code):
        word = found[0]
        if word in "[]":
            depth = max(depth + (1 if word == "[" else -1), 0)
        elif word in ";{}":
            depth = 0
        elif not depth and (word in names or _NUMBER.fullmatch(word)) and not _is_compared(code, *found.span()):
            return True
    return False


def _is_compared(code: str, start: int, end: int) -> bool:
    """Say whether what stands there is one side of a comparison, a distance to shift by, or the label of a case."""
    before, after = code[max(start - _NEAR, 0) : start].rstrip(), code[end : end + _NEAR].lstrip()
    return before.endswith((*_COMPARED, "<=", ">=", "case")) or after.startswith(_COMPARED)


def _in(folders: Iterable[str], name: str) -> str:
    """Return the path of a header in the first of these folders that has it; "" if none has."""
    for path in (os.path.join(folder, name) for folder in folders):
        with suppress(OSError, ValueError):
            if not stat.S_ISDIR(os.stat(path).st_mode):
                return path
    return ""


def _header(name: str, path: str, most: int) -> Header:
    try:
        return Header(name, path, files.read(path, most).decode(errors="replace"))
    except OSError as error:
        is_much = error.errno == errno.EFBIG
        return Header(
            name, path, None, f"all headers are longer than {MAX_BYTES:,} bytes" if is_much else str(error.strerror)
        )
