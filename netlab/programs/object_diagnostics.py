"""Picks what matters to the author of a program in libbpf's dialect from the output of clang, libbpf and the verifier.

clang gets the path of the source, so its places are the author's. The verifier names files without folders, and only
since Linux 6.9. An object may come without its source: then the source line in the object is shown.
"""

import os
import re

from netlab.programs.diagnostics import (
    COMPLAINT,
    MAX_ERRORS,
    MAX_REASONS,
    OPTION,
    STATE,
    Source,
    annotation,
    shown,
)
from netlab.programs.hints import with_hint
from netlab.programs.log_capture import INSTRUCTION
from netlab.topology import dialect

_LOG = re.compile(
    r"^libbpf: prog '(?P<function>[^']*)': -- BEGIN PROG LOAD LOG --\n(?P<log>.*?)^-- END PROG LOAD LOG --",
    re.DOTALL | re.MULTILINE,
)
_WHY = re.compile(r"^libbpf: prog '[^']*': BPF program load failed: (.*)", re.MULTILINE)
_TALK = re.compile(r"^libbpf: (.*)", re.MULTILINE)
_UNIMPORTANT = re.compile(
    r"failed to load object|Error in bpf_object__|BTF is optional|failed to find valid kernel BTF"
)
_BACKEND = re.compile(r"^(?:fatal )?error: (?:error in backend: )?(?P<text>.*)", re.MULTILINE)
_PLACED = re.compile(r"^(?P<file>[^\s:]+):(?P<line>\d+):\d+: in function (?P<function>\w+) .*?: (?P<text>.*)")


def compile_error(said: str, source: Source, how: str) -> str:
    """Return clang's first errors with their source lines; if none is recognised, `how` says how clang ended."""
    errors: list[list[str]] = []
    taking = False
    for line in said.splitlines():
        found = COMPLAINT.match(line)
        if found and found["kind"].endswith("error"):
            place, kind = shown(found["file"]), found["kind"].removeprefix("fatal ")
            text = OPTION.sub("", found["text"])
            errors.append([f"{place}:{found['line']}:{found['column']}: {kind}: {text}"])
            taking = True
        elif found:
            taking = False
        elif taking and line.startswith(" "):
            errors[-1].append(line)
        else:
            taking = False
    if not errors:
        return _backend_error(said, source, how)
    text = "\n".join("\n".join(lines) for lines in errors[:MAX_ERRORS])
    rest = len(errors) - MAX_ERRORS
    return "\n".join([with_hint(text, dialect.LIBBPF), *([f"and {rest} more"] if rest > 0 else [])])


def _backend_error(said: str, source: Source, how: str) -> str:
    """Return the error of clang's code generator, or clang's last lines."""
    found = _BACKEND.search(said)
    if not found:
        return "\n".join([f"{source.shown}: {how}", *said.splitlines()[-MAX_ERRORS:]])
    placed = _PLACED.match(found["text"])
    if not placed:
        return with_hint(f"{source.shown}: {found['text']}", dialect.LIBBPF)
    place = _place(source, placed["file"], int(placed["line"]))
    return with_hint(f"{place}: in {placed['function']}(): {placed['text']}", dialect.LIBBPF)


def verifier_error(said: str, source: Source, function: str) -> str:
    """Return why the kernel refused a program, and the source line of the instruction that the verifier stopped at."""
    logs = {found["function"]: found["log"] for found in _LOG.finditer(said)}
    lines = logs.get(function, "").splitlines()
    last = max((n for n, line in enumerate(lines) if INSTRUCTION.match(line)), default=-1)
    reasons = [line.strip() for line in lines[last + 1 :] if line.strip() and not STATE.match(line)]
    reasons = [line for line in reasons if not line.startswith("processed ")]
    place, text = _looked_at(source, lines[: last + 1])
    place = place or _start_of(source, function)
    if not reasons:
        why = _WHY.search(said)
        return f"{place}: the kernel refused {function}(): {why[1] if why else 'it does not say why'}"
    message = [f"{place}: the verifier refused {function}(): {reasons[0]}", text, *reasons[1 : 1 + MAX_REASONS]]
    return with_hint("\n".join(filter(None, message)), dialect.LIBBPF)


def object_error(said: str, source: Source, text: str) -> str:
    """Return netlab's text about an object that libbpf cannot open or load, and below it libbpf's own lines."""
    lines = [line for line in dict.fromkeys(_TALK.findall(said)) if not _UNIMPORTANT.search(line)]
    message = "\n".join([f"{source.shown}: {text}", *(f"    libbpf: {line}" for line in lines[:MAX_ERRORS])])
    return with_hint(message, dialect.LIBBPF)


def crash(said: str, source: Source, status: int) -> str:
    """Return how the process that loaded a program has ended; `status` is its exit status, negative for a signal."""
    how = f"was killed by signal {-status}" if status < 0 else f"ended with exit status {status}"
    lines = [f"    libbpf: {line}" for line in _TALK.findall(said)[-MAX_ERRORS:]]
    return "\n".join([f"{source.shown}: libbpf {how} while it read the object, which may be damaged", *lines])


def _looked_at(source: Source, log: list[str]) -> tuple[str, str]:
    """Return the place and the text of the last source line in a verifier's log, "" if it names none."""
    text, file, number = next((found for found in map(annotation, reversed(log)) if found[0]), ("", "", 0))
    if not text:
        return "", ""
    if not file:
        file, number = _find(source, text)
    return (_place(source, file, number) if file else source.shown), f"    {text}"


def _place(source: Source, file: str, number: int) -> str:
    """Return FILE:LINE of a file that is named without its folder."""
    if not source.lines:  # it is an object, and the folder of its source is not known
        return f"{source.shown}: {file}:{number}"
    paths = [source.path, *(path for path, _ in source.headers)]
    found = next((path for path in paths if os.path.basename(path) == os.path.basename(file)), file)
    return f"{shown(found) if os.path.isabs(found) else found}:{number}"


def _find(source: Source, text: str) -> tuple[str, int]:
    """Return file and number of the only line with this text, in a source and its headers; "" and 0 if not unique."""
    files = ((source.path, source.lines), *source.headers)
    found = [(file, n) for file, lines in files for n, line in enumerate(lines, start=1) if line.strip() == text]
    return found[0] if len(found) == 1 else ("", 0)


def _start_of(source: Source, function: str) -> str:
    """Return FILE:LINE where a function begins, for complaints that name no line."""
    begins = re.compile(rf"\b{re.escape(function)}\s*\(")
    number = next((n for n, line in enumerate(source.lines, start=1) if begins.search(line)), 0)
    return f"{source.shown}:{number}" if number else source.shown
