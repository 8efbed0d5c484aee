"""Translates declarations of maps from before libbpf 1.0, `struct bpf_map_def SEC("maps")`, into those of `.maps`.

Text in, text out. The text is what the preprocessor has made, so that maps in headers, and those that are made by
macros, are found, too. All lines stay in their places: complaints about the translation are about the author's lines.
"""

import re

_MAY_BE = re.compile(r"\bbpf_(?:map_def|elf_map)|\"maps\b|\b__section_maps")
_SECTION = (
    r"(?:(?:SEC|__section)\s*\(\s*\"maps[^\"]*\"\s*\)|__attribute__\s*\(\(\s*section\s*\(\s*\"maps[^\"]*\"\s*\)[^;={]{0,200}?\)\)"
    r"|__section_maps\w*)"
)
_DECLARED = re.compile(
    rf"(?P<before>(?:(?:\bstatic\b|\bconst\b|{_SECTION})\s*){{0,8}})\bstruct\s+\w+\s+(?P<between>{_SECTION}\s*)?(?P<name>\w+)"
    rf"(?P<behind>\s*{_SECTION})?\s*=\s*\{{(?P<body>[^{{}};]*)\}}\s*;"
)
# what a section's macro says around it, on lines of its own; the last says which line goes on behind it
_PRAGMAS = re.compile(
    r'^(?P<line>[^\n]*)\n# \d+ "[^\n]*(?:\n#pragma GCC diagnostic [^\n]*\n(?P<goes_on># \d+ "[^\n]*))+\n', re.MULTILINE
)
_PINS = {"PIN_NONE": "0", "PIN_OBJECT_NS": "1", "PIN_GLOBAL_NS": "1"}  # iproute2's, whose header may be missing
_FIELD = re.compile(r"(?:\.\s*(\w+)\s*=|\b(\w+)\s*:)\s*")
_SIZE_OF = re.compile(r"sizeof\s*\(([^()]+)\)")
_NAMES = {
    "size_key": "key_size",
    "size_value": "value_size",
    "max_elem": "max_entries",
    "flags": "map_flags",
    "map_type": "type",
}
_KNOWN = ("type", "key_size", "value_size", "max_entries", "map_flags", "numa_node", "pinning")


def may_be_in(text: str) -> bool:
    """Say whether a source, given with its headers, may declare maps in the old way."""
    return bool(_MAY_BE.search(text))


def translated(text: str) -> str | None:
    """Return a preprocessed source whose old declarations are new ones; None if it has none."""
    joined = _PRAGMAS.sub(_joined, text)
    made = _DECLARED.sub(_declaration, joined)
    return made if made != joined else None


def _joined(found: re.Match[str]) -> str:
    """Return a line to which the rest of it is added; a line of the preprocessor's own has none."""
    if found["line"].startswith("#"):
        return f"{found['line']}\n{found['goes_on']}\n"
    return f"{found['line']} "


def _declaration(found: re.Match[str]) -> str:
    if not (found["between"] or found["behind"] or "(" in found["before"] or "__section" in found["before"]):
        return found[0]  # a struct that is no map
    head, tail = found[0][: found.start("body") - found.start()], found[0][found.end("body") - found.start() :]
    end = f'}}{_lines(tail)} {found["name"]} __attribute__((section(".maps"), used));'
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
        return f"int (*pinning)[{_PINS.get(kept.strip(), f'!!({kept})')}];{space}"
    return f"int (*{name})[{kept}];{space}" if name in _KNOWN else _lines(value)
