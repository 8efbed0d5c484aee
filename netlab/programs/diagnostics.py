"""Picks what matters to the author of a program from the output of bcc, clang and the verifier.

bcc compiles the source as /virtual/main.c, twice: as written, and as bcc has rewritten it, which moves lines. In
between it prints the rewritten text. So its output has three parts:

    complaints about the source as written
    #if defined(BPF_LICENSE) ... the rewritten source ... #include <bcc/footer.h>
    complaints about the rewritten source, or the verifier's log of the rewritten lines and their numbers
"""

import difflib
import os
import re
from collections import Counter
from collections.abc import Sequence
from functools import cached_property

from netlab.named_tuple import NamedTuple
from netlab.programs.hints import with_hint
from netlab.programs.log_capture import INSTRUCTION
from netlab.topology import object_file, program_text

MAX_ERRORS = 3  # the rest mostly follow from the first
MAX_REASONS = 3  # lines of the verifier after the one that names the reason

_VIRTUAL_MAIN = ("/virtual/main.c", "main.c")
_REWRITTEN = re.compile(r"^#if defined\(BPF_LICENSE\)\n", re.MULTILINE)
_FOOTER = re.compile(r"^#include <bcc/footer\.h>\n", re.MULTILINE)
_MOST_ALIKE = 1_000_000  # pairs of a rewritten line and one of the source: comparing them all takes half a second
_SECOND_TRY = "WARNING: compilation failure, trying with system bpf.h"
COMPLAINT = re.compile(r"^(?P<file>[^\s:][^:]*):(?P<line>\d+):(?P<column>\d+): (?P<kind>[a-z ]+): (?P<text>.*)")
OPTION = re.compile(r" \[-W[^]]*\]$")
_BACKEND = re.compile(
    r"^error: (?P<file>[^:]+):(?P<line>\d+):\d+: in function (?P<function>\w+) .*?\): (?P<text>.*)", re.MULTILINE
)
_FATAL = re.compile(
    r"^(?:LLVM ERROR|fatal error: error in backend): (?:line (?P<line>\d+): )?(?P<text>.*)", re.MULTILINE
)
_NO_MAP = re.compile(r"^could not open bpf map: (?P<map>\w+), error: (?P<text>.*)", re.MULTILINE)
_NOISE = re.compile(
    r"\s*$|In file included from |\d+ (?:warning|error)s?\b.* generated|clang -cc1 |Running from kernel directory"
    r"|PLEASE submit a bug report|Stack dump:| ?#\d+ 0x|Traceback "
)
_REFUSED = re.compile(
    r"^bpf: Failed to load program: (?P<text>[^\n]*)\n(?P<log>.*?)(?=^processed \d+ insns|^HINT:|^Traceback|\Z)",
    re.DOTALL | re.MULTILINE,
)
_ANNOTATED = "; "
_PLACE = re.compile(r"(\S+):(\d+)")
STATE = re.compile(
    r"\s*(?:\d+: |;|from \d+ to |R\d+\w*=|frame\d|fp-?\d|(?:cur|old) state:|last_idx|regs=|parent |caller|callee"
    r"|mark_precise|propagating)"
)
_CALLED = re.compile(r"0x[0-9a-f]+: i64 = Constant<(\d+)>")
_LINKS = re.compile(r"^/.*/headers/uapi/")  # where `headers` links to the system's headers


_INDIRECT_CALL = "unknown opcode 8d"  # a map's method that is called in a header, where bcc does not translate it
_METHOD = re.compile(
    r"\b\w+\.(?:lookup\w*|update|insert|delete|\w*increment|redirect_map|perf_submit\w*|push|pop|peek|call|ringbuf_\w+)\s*\("
)


class Source(NamedTuple):
    """The file of a program: its path, its name in messages, and its lines.

    `headers` has path and lines of each header that `program_text` finds.
    """

    path: str
    shown: str
    lines: tuple[str, ...]
    headers: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @classmethod
    def of(cls, path: str, text: bytes, include: Sequence[str] = ()) -> "Source":
        """Return the file at `path`, whose content is `text`, with its headers. `include` are folders of headers.

        A header that cannot be read has no lines, nor has a BPF object.
        """
        if object_file.is_object(text):
            return cls(path, shown(path), ())
        source = text.decode(errors="replace")
        found = {
            each.path: each.text or "" for each in program_text.headers(path, source, include) if each.path != path
        }
        headers = tuple((header, tuple(lines.splitlines())) for header, lines in found.items())
        return cls(path, shown(path), tuple(source.splitlines()), headers)


def shown(path: str) -> str:
    """Return the name of a file for people: relative if it is below the current folder."""
    path = _LINKS.sub("/usr/include/", path)
    below = os.path.relpath(path)
    return path if below.startswith("..") else below


class _Talk:
    """The output of the tools: the part about the source as written, and the part about the rewritten source."""

    def __init__(self, text: str, source: Source) -> None:
        self.source = source
        text = text.partition(_SECOND_TRY)[0]
        begin = _REWRITTEN.search(text)
        end = _FOOTER.search(text, begin.end()) if begin else None
        self.before = text[: begin.start()] if begin and end else text
        self.after = text[end.end() :] if end else ""
        self._rewritten = text[begin.start() : end.end()].splitlines() if begin and end else []

    def place(self, file: str, number: int, *, moved: bool) -> str:
        """Return FILE:LINE of the author's file; if `moved`, `number` is a line of the rewritten source."""
        if file not in _VIRTUAL_MAIN:
            name = shown(file) if file[0] == "/" else file
            return f"{name}:{number}" if number else name
        number = self.original(number) if moved else number
        return f"{self.source.shown}:{number}" if number else self.source.shown

    def original(self, number: int) -> int:
        """Return the author's line for a line of the rewritten source; 0 if there is none."""
        if not 0 < number <= len(self._rewritten) or not self.source.lines:
            return 0
        for begin, end, first, last in self._blocks:
            if begin < number <= end:  # bcc adds lines before what it rewrites, so count from the end
                return min(max(last - (end - number), first + 1), len(self.source.lines))
        return 0

    @cached_property
    def _blocks(self) -> list[list[int]]:
        """Return the matching blocks: their lines in the rewritten source, and in the author's; none if too slow.

        The time of the comparison grows with the pairs of equal lines. In large sources only rare lines count.
        """
        equal = Counter(self.source.lines)
        alike = [equal[line] for line in self._rewritten]
        is_large = sum(alike) > _MOST_ALIKE
        rare = len(self.source.lines) // 100 + 1  # difflib's own limit
        if is_large and sum(number for number in alike if number <= rare) > _MOST_ALIKE:
            return []
        match = difflib.SequenceMatcher(None, self._rewritten, self.source.lines, autojunk=is_large)
        blocks = match.get_opcodes()
        if is_large and all(kind != "equal" for kind, *_ in blocks):
            return []
        return [numbers for _, *numbers in blocks]

    def find(self, text: str) -> tuple[str, int]:
        """Return file and number of the line with this text, for older kernels, which name neither.

        The number is a line of the rewritten source, or of a header. It is 0 if several lines of one file have the
        text. The file is "" if no line has it, or lines of several files.
        """
        files = ((_VIRTUAL_MAIN[0], self._rewritten), *self.source.headers)
        found = [(file, n) for file, lines in files for n, line in enumerate(lines, start=1) if line.strip() == text]
        if len(found) == 1:
            return found[0]
        return found[0][0] if len({file for file, _ in found}) == 1 else "", 0

    def start_of(self, function: str) -> str:
        """Return FILE:LINE where a program begins, for complaints that name no line."""
        begins = rf"\b{re.escape(function)}\b"
        lines = self.source.lines
        unfinished = [line.rpartition(";")[2] for line in lines]
        for shape, among in (
            (rf"{begins}\s*\(\s*struct\s+(?:xdp_md|__sk_buff)\b", lines),
            (rf"{begins}\s*\(", unfinished),
            (begins, lines),
        ):
            entry = re.compile(shape)
            number = next((n for n, line in enumerate(among, start=1) if entry.search(line)), 0)
            if number:
                break
        return self.place(_VIRTUAL_MAIN[0], number, moved=False)

    def method_in_header(self) -> tuple[str, str] | None:
        """Return place and text of the first line of a header that calls a method of a map."""
        for file, lines in self.source.headers:
            for number, line in enumerate(lines, start=1):
                if _METHOD.search(line):
                    return self.place(file, number, moved=False), f"    {line.strip()}"
        return None

    def line(self, number: int) -> str:
        """Return a line of the author's file; "" if there is none."""
        return self.source.lines[number - 1].strip() if 0 < number <= len(self.source.lines) else ""


def compile_error(said: str, source: Source) -> str:
    """Return clang's first errors with their source lines, or why a map could not be made."""
    no_map = _NO_MAP.search(said)
    if no_map:
        return with_hint(f"{source.shown}: the map {no_map['map']} cannot be made: {no_map['text']}")
    talk = _Talk(said, source)
    errors = _errors(talk, talk.before, moved=False) + _errors(talk, talk.after, moved=True)
    if not errors:
        return crash(said, source, 1)
    rest = len(errors) - MAX_ERRORS
    return "\n".join([with_hint("\n".join(errors[:MAX_ERRORS])), *([f"and {rest} more"] if rest > 0 else [])])


def redefinition(said: str, source: Source, name: str) -> str:
    """Return the message for a program that itself defines a name of the topology's `define:`."""
    found = re.search(rf"^([^\s:]+):(\d+):\d+: warning: '{re.escape(name)}' macro redefined", said, re.MULTILINE)
    place = _Talk(said, source).place(found[1], int(found[2]), moved=False) if found else source.shown
    return f"{place}: {name} is set by the topology's `define:`, which this overrides: put `#ifndef {name}` around it"


def verifier_error(said: str, source: Source, function: str) -> str:
    """Return why the kernel refused a program, and the source line of the instruction that the verifier stopped at."""
    talk = _Talk(said, source)
    # a second log has the source lines, if there is one: see `log_capture`
    refused = max(_REFUSED.finditer(talk.after), key=re.Match.start, default=None)
    if refused is None:
        return f"{source.shown}: the kernel refused {function}()\n{_last_lines(talk)}"
    lines = refused["log"].splitlines()
    last = max((n for n, line in enumerate(lines) if INSTRUCTION.match(line)), default=-1)
    reasons = [line.strip() for line in lines[last + 1 :] if line.strip() and not STATE.match(line)]
    place, line = _looked_at(talk, lines[: last + 1]) or (talk.start_of(function), "")
    if reasons and reasons[0] == _INDIRECT_CALL:
        place, line = talk.method_in_header() or (place, line)
    if not reasons:
        return f"{place}: the kernel refused {function}(): {refused['text']}"
    message = [f"{place}: the verifier refused {function}(): {reasons[0]}", line, *reasons[1 : 1 + MAX_REASONS]]
    return with_hint("\n".join(filter(None, message)))


def crash(said: str, source: Source, status: int) -> str:
    """Return how the compiler crashed, and why if it says so; `status` is its exit status, negative for a signal."""
    talk = _Talk(said, source)
    found = _BACKEND.search(said) or _FATAL.search(said)
    if found is None:
        how = f"was killed by signal {-status}" if status < 0 else f"ended with exit status {status}"
        return f"{source.shown}: the compiler {how}\n{_last_lines(talk)}".rstrip()
    known = {"file": _VIRTUAL_MAIN[0], "function": "", **found.groupdict()}
    number = int(known["line"] or 0)
    place = talk.place(known["file"], number, moved=True)
    if known["function"] and not number:
        place = talk.start_of(known["function"])
    text = _CALLED.sub(r"helper \1", known["text"])
    what = f"in {known['function']}()" if known["function"] else "the compiler gave up"
    line = talk.line(talk.original(number)) if known["file"] in _VIRTUAL_MAIN else ""
    message = [f"{place}: {what}: {text}", f"    {line}" if line else ""]
    return with_hint("\n".join(filter(None, message)))


def _errors(talk: _Talk, text: str, *, moved: bool) -> list[str]:
    """Return each error of clang with the lines and notes that belong to it."""
    errors: list[list[str]] = []
    taking = False
    for line in text.splitlines():
        found = COMPLAINT.match(line)
        if found is None:
            taking = taking and not _NOISE.match(line)
            if taking:
                errors[-1].append(line)
            continue
        if found["kind"].endswith("error"):
            errors.append([])
        taking = found["kind"].endswith("error") or (taking and found["kind"] == "note" and _is_authors(found["file"]))
        if taking:
            place = talk.place(found["file"], int(found["line"]), moved=moved)
            kind = found["kind"].removeprefix("fatal ")
            errors[-1].append(f"{place}:{found['column']}: {kind}: {OPTION.sub('', found['text'])}")
    return ["\n".join(lines) for lines in errors]


def _is_authors(file: str) -> bool:
    """Whether a file that clang names may be the author's own, rather than bcc's, netlab's or the system's."""
    return file in _VIRTUAL_MAIN or not (file.startswith(("/virtual/", "<", "include/", "./")) or _LINKS.match(file))


def _looked_at(talk: _Talk, log: list[str]) -> tuple[str, str] | None:
    """Return the place and the text of the last source line in a verifier's log; None if it has none."""
    text, file, number = next((found for found in map(annotation, reversed(log)) if found[0]), ("", "", 0))
    if not text:
        return None
    if not file:
        file, number = talk.find(text)
    if not file:
        return talk.source.shown, f"    {text}"
    line = talk.line(talk.original(number)) if file in _VIRTUAL_MAIN else text
    return talk.place(file, number, moved=True), f"    {line or text}"


def annotation(entry: str) -> tuple[str, str, int]:
    """Return the source line that a line of the verifier's log quotes, its file and number; "" and 0 if unknown."""
    if not entry.startswith(_ANNOTATED):
        return "", "", 0
    whole = entry.removeprefix(_ANNOTATED)
    text, _, place = whole.rpartition("@ ")
    found = _PLACE.fullmatch(place)
    return (text.rstrip(), found[1], int(found[2])) if found else (whole.rstrip(), "", 0)


def _last_lines(talk: _Talk) -> str:
    """Return the last lines of the output, for when nothing in it is recognised."""
    said = [line for line in (talk.before + talk.after).splitlines() if not _NOISE.match(line)]
    return "\n".join(said[-MAX_ERRORS:])
