"""Finds in a source of which type the events are that it puts into maps: text in, text out.

BTF has the types of functions' parameters and of maps' values, and none of local variables. So a source gets, behind
its last line, a function for each such map, `event_of_MAP`, which takes a pointer to the type and which nobody runs.
"""

import re
from collections.abc import Iterator
from itertools import islice

from netlab.programs.btf import EVENT_OF
from netlab.topology import program_text

# Where the map, the event and its size stand among the arguments; a method of bcc's has its map before it.
_HELPERS = {
    "bpf_ringbuf_output": (0, 1, 2),
    "bpf_ringbuf_reserve": (0, None, 1),
    "bpf_perf_event_output": (1, 3, 4),
}
_METHODS = {
    "perf_submit": (None, 1, 2),
    "perf_submit_skb": (None, 2, 3),
    "ringbuf_output": (None, 0, 1),
    "ringbuf_reserve": (None, None, 0),
}
_CALL = re.compile(rf"\b(?:({'|'.join(_HELPERS)})|(\w+)\s*\.\s*({'|'.join(_METHODS)}))\s*\(")
_WHOLE = r"\b(?!\s*(?:\.|->|\[))"  # and no part of it
_SIZE_OF = re.compile(rf"\bsizeof\b\s*\(?\s*(struct\s+\w+|\*?\s*\w+){_WHOLE}")
_MAP, _OBJECT = re.compile(r"(\w+)\W*$"), re.compile(rf"^\W*(\w+){_WHOLE}")
_QUIETLY = b'#pragma clang diagnostic ignored "-Weverything"'  # whatever the author wants to be warned of
_LONGEST = 1000  # characters of a call
_MOST = 1000  # calls
_NEAR = 50_000  # characters before a call in which its variable is declared
_TYPEDEF = r"\btypedef\s+struct\b[^{{}};]*\{{[^{{}}]*(?:\{{[^{{}}]*\}}[^{{}}]*)*\}}[^;{{}}]*\b{name}\s*;"  # of a struct
_NO_TYPES = {"return", "else", "goto", "sizeof", "case", "struct", "const", "volatile", "static"}


def with_types(source: bytes, whole: str, *, is_bcc: bool) -> bytes:
    """Return a source that shows the types of its events to BTF; `whole` is the same with its headers."""
    if not any(name in whole for name in (*_HELPERS, *_METHODS)):
        return source
    code = program_text.without_comments(whole)
    known = {name: what for name, what in types(code).items() if f"{EVENT_OF}{name}" not in code}
    head = "" if is_bcc else "static __attribute__((used)) "
    more = [f"{head}int {EVENT_OF}{name}({what} *event_) {{ return 0; }}" for name, what in known.items()]
    return b"\n".join([source, _QUIETLY, *(each.encode() for each in more), b""]) if more else source


def types(code: str) -> dict[str, str]:
    """Return the type in C of the events of each map, as far as the text of a program shows it."""
    found: dict[str, str] = {}
    for call in islice(_CALL.finditer(code), _MOST):
        helper, owner, method = call.groups()
        at, event, size = _HELPERS[helper] if helper else _METHODS[method]
        words = list(_arguments(code, call.end()))
        if len(words) <= max(each for each in (at, event, size) if each is not None):
            continue
        name = _MAP.search(words[at]) if at is not None else None
        what = _type(
            code[max(0, call.start() - _NEAR) : call.start()],
            code,
            words[size],
            words[event] if event is not None else "",
        )
        if what and (owner or name):
            found.setdefault(owner or (name[1] if name else ""), what)
    return found


def _arguments(code: str, at: int) -> Iterator[str]:
    """Yield the arguments of a call whose bracket is open."""
    depth, begin = 0, at
    for place in range(at, min(len(code), at + _LONGEST)):
        letter = code[place]
        if letter in "([{":
            depth += 1
        elif letter in ")]}" and depth:
            depth -= 1
        elif letter in ")," and not depth:
            yield code[begin:place]
            begin = place + 1
            if letter == ")":
                return


def _type(before: str, code: str, size: str, event: str) -> str:
    """Return the type of an event, by what its size is of, or else by its variable; "" if it is not shown."""
    counted, named = _SIZE_OF.search(size), _OBJECT.search(event)
    what = " ".join(counted[1].lstrip("* \t\n").split()) if counted else named[1] if named else ""
    if not what:
        return ""
    if not what.startswith("struct "):
        declared = rf"\b(struct\s+\w+|[A-Za-z_]\w*)\s*(?:\*|\s)\s*{what}\s*(?:=|;|,|\[|__attribute__)"
        places = [" ".join(each.split()) for each in re.findall(declared, before)]
        places = [each for each in places if each not in _NO_TYPES]
        what = places[-1] if places else what
    if what.startswith("struct "):
        return what if re.search(rf"\b{what.replace(' ', chr(92) + 's+')}\b[^;{{}}]*\{{", code) else ""
    # a name that is hidden by an #if would be an error
    return what if re.search(_TYPEDEF.format(name=what), code) and "#if" not in code else ""
