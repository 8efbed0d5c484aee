"""Translates declarations of maps from before libbpf 1.0, `struct bpf_map_def SEC("maps")`, into those of `.maps`.

Text in, text out. All lines keep their numbers, so that the compiler's complaints name the author's lines.
"""

import re

_SECTION = (
    r"(?:(?:SEC|__section)\s*\(\s*\"maps[^\"]*\"\s*\)|__attribute__\s*\(\(\s*section\s*\(\s*\"maps[^\"]*\"\s*\)[^;={]*?\)\)"
    r"|__section_maps\w*)"
)
_DECLARED = re.compile(
    rf"(?:\bstatic\s+)?\bstruct\s+bpf_(?:map_def|elf_map)\s+(?:{_SECTION}\s*(?P<first>\w+)|(?P<last>\w+)\s*{_SECTION})"
    r"\s*=\s*\{(?P<body>[^{};]*)\}\s*;"
)
_FIELD = re.compile(r"(?:\.\s*(\w+)\s*=|\b(\w+)\s*:)\s*")
_SIZE_OF = re.compile(r"sizeof\s*\(([^()]+)\)")
_NAMES = {"size_key": "key_size", "size_value": "value_size", "max_elem": "max_entries", "flags": "map_flags"}
_KNOWN = ("type", "key_size", "value_size", "max_entries", "map_flags", "numa_node", "pinning")


def has_any(text: str) -> bool:
    """Say whether a source declares maps in the old way."""
    return bool(_DECLARED.search(text))


def translated(text: str) -> str:
    """Return the source with old declarations translated."""
    return _DECLARED.sub(_declaration, text)


def _declaration(found: re.Match[str]) -> str:
    head, tail = found[0][: found.start("body") - found.start()], found[0][found.end("body") - found.start() :]
    name = found["first"] or found["last"]
    end = f'}}{_lines(tail)} {name} __attribute__((section(".maps"), used));'
    return f"struct{_lines(head)} {{{_fields(found['body'])}{end}"


def _lines(text: str) -> str:
    return "\n" * text.count("\n")


def _fields(body: str) -> str:
    """Return the fields of a declaration in the new form; the text between them is kept."""
    made, at = [], 0
    while found := _FIELD.search(body, at):
        end = _end(body, found.end())
        made += [body[at : found.start()], _lines(found[0]) + _field(found[1] or found[2], body[found.end() : end])]
        at = min(end + 1, len(body))  # without the comma
    return "".join([*made, body[at:]])


def _end(body: str, at: int) -> int:
    """Return where a value ends: at a comma outside of brackets, or at the end of the text."""
    depth = 0
    while at < len(body) and (depth or body[at] != ","):
        depth += {"(": 1, ")": -1}.get(body[at], 0)
        at += 1
    return at


def _field(name: str, value: str) -> str:
    name = _NAMES.get(name, name)
    kept, space = value.rstrip(), value[len(value.rstrip()) :]
    size = _SIZE_OF.fullmatch(kept.strip())
    if name in {"key_size", "value_size"} and size:
        return f"typeof({size[1]}) *{name.removesuffix('_size')};{space}"
    if name == "pinning":
        return f"int (*pinning)[!!({kept})];{space}"
    return f"int (*{name})[{kept}];{space}" if name in _KNOWN else _lines(value)
