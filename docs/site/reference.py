"""The pages of the reference, made from what the code itself goes by: verbs, keys, reasons, events, Python."""

import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import netlab
from netlab import errors
from netlab.api import balancer, link, maps, node, processes
from netlab.cli import overview
from netlab.cli.verbs import LOUDNESS, VERBS, Argument
from netlab.demo.wordings import WORDINGS
from netlab.observe.events import Event
from netlab.programs import xdp_reasons
from netlab.topology.schema import TOPOLOGY
from netlab.topology.schema_forms import Schema

ROOT = Path(__file__).parents[2]
STREAMS = {"out": "a role", "trace": "a program", "note": "netlab, in a log", "lost": "netlab, in the trace"}
REASONS = {"The balancer": "bpf/balancer/reasons.h", "The dropper": "bpf/dropper.c"}
ENUM = re.compile(r"^enum (\w+) \{\n(.*?)^\};", re.MULTILINE | re.DOTALL)
ENTRY = re.compile(r"^\t([A-Z][A-Z0-9_]+),[ \t]*(?:/\* (.*?) \*/)?$", re.MULTILINE)
LAB = Argument(("--lab",), {"metavar": "NAME", "help": "the lab; without it NETLAB_LAB, or the only lab that is up"})
SUMS = ("REASONS", "CARRIER_REASONS")  # how many there are


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """Return a table."""
    cells = [head, tuple("---" for _ in head), *(tuple(cell.replace("|", "\\|") for cell in row) for row in rows)]
    return "".join(f"| {' | '.join(row)} |\n" for row in cells)


# ---- verbs -----------------------------------------------------------------------------------------------------------


def verbs() -> str:
    """Return all verbs in their groups, with arguments and examples."""
    text = "# Verbs\n\n`netlab help VERB` says the same.\n"
    text += "\n" + table(("each verb takes", "what it does"), [argument_row(each) for each in (LAB, *LOUDNESS)])
    for group, names in overview.GROUPS.items():
        text += f"\n## {group}\n"
        for name in names:
            text += f"\n### {name}\n\n{VERBS[name].help[0].upper()}{VERBS[name].help[1:]}.\n\n"
            rows = [argument_row(each) for each in VERBS[name].arguments]
            text += table(("argument", "what it says"), rows) + "\n" if rows else ""
            text += "```sh\n" + "".join(f"netlab {line}\n" for line in overview.EXAMPLES[name]) + "```\n"
    return text


def argument_row(argument: Any) -> tuple[str, str]:
    """Return how an argument is written, and what it means."""
    about, choices = argument.keywords, "|".join(argument.keywords.get("choices", ()))
    value = choices or about.get("metavar", "")
    is_option = argument.names[0].startswith("-")
    written = [f"{name} {value}".rstrip() for name in argument.names] if is_option else [value]
    return ", ".join(f"`{each}`" for each in written), about.get("help", "")


# ---- keys of a topology ----------------------------------------------------------------------------------------------


def keys() -> str:
    """Return all keys of a topology's file, place by place."""
    text = "# Every key of a topology\n\n[The topology file](../topology.md) explains them. "
    text += "`netlab schema` prints them for editors.\n"
    for place, properties in PLACES.values():
        rows = [(f"`{key}`", form(each), each.get("description", "")) for key, each in properties.items()]
        text += f"\n## {place or 'The file'} {{ #{anchor(place)} }}\n\n" + table(("key", "value", "meaning"), rows)
    return text


def anchor(place: str) -> str:
    """Return what a link to a place is called."""
    return re.sub(r"\W+", "-", place.replace("[]", "-each")).strip("-").lower() or "the-file"


def places(schema: Schema, place: str) -> Iterator[tuple[str, Mapping[str, Schema]]]:
    """Yield every mapping with its place, such as nodes.NAME.ready, from the top down."""
    for each in (schema, *schema.get("anyOf", ())):
        if "properties" in each:
            yield place, each["properties"]
            for key, inner in each["properties"].items():
                yield from places(inner, f"{place}.{key}".lstrip("."))
        if isinstance(each.get("items"), dict):
            yield from places(each["items"], f"{place}[]")
        if isinstance(each.get("additionalProperties"), dict):
            yield from places(each["additionalProperties"], f"{place}.NAME")
    for each in schema.get("anyOf", ()):
        if each.get("anyOf"):
            yield from places(each, place)


def by_form() -> dict[str, tuple[str, Mapping[str, Schema]]]:
    """Return the first place of each form that a mapping may have."""
    found: dict[str, tuple[str, Mapping[str, Schema]]] = {}
    for place, properties in places(TOPOLOGY, ""):
        found.setdefault(repr(properties), (place, properties))
    return found


def form(schema: Schema) -> str:
    """Return what a value may be."""
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(filter(None, map(form, schema["anyOf"]))))
    if chosen := schema.get("enum", [schema["const"]] if "const" in schema else []):
        return ", ".join(f"`{each}`" for each in chosen)
    if "properties" in schema:
        return f"[a mapping](#{anchor(PLACES[repr(schema['properties'])][0])})"
    kinds = schema.get("type", [])
    if isinstance(schema.get("additionalProperties"), dict):
        return f"names, each with {form(schema['additionalProperties'])}"
    words = {"string": "text", "object": "a mapping", "array": "a list", "boolean": "true, false", "null": "nothing"}
    listed = [kinds] if isinstance(kinds, str) else kinds
    named = [words.get(each, each) for each in listed if "string" not in listed or each not in ("number", "integer")]
    if named == ["a list"] and isinstance(schema.get("items"), dict):
        return f"a list of {form(schema['items'])}"
    examples = "".join(f", `{each}`" for each in schema.get("examples", ()))
    return (" or ".join(named[:1] if examples else named)) + examples


# ---- reasons ---------------------------------------------------------------------------------------------------------


def reasons() -> str:
    """Return the reasons for which netlab's programs let frames go, and for which the kernel loses them."""
    text = (
        "# Reasons\n\n`netlab stats` counts each frame that a program sees once, by one of these reasons. Your own "
        "programs have theirs: [programs](../programs.md).\n"
    )
    for title, path in REASONS.items():
        source = (ROOT / path).read_text(encoding="utf-8")
        for name, body in ENUM.findall(source):
            rows = [(f"`{reason}`", about) for reason, about in ENTRY.findall(body) if reason not in SUMS]
            if "reason" in name:
                text += f"\n## {title}: `enum {name}`\n\n" + table(("reason", "meaning"), rows)
    lost = {(f"`{each.name}`", each.words.replace("{target}", "an interface")) for each in reasons_of_kernel()}
    return text + "\n## Frames that the kernel loses with XDP\n\n" + table(("reason", "meaning"), sorted(lost))


def reasons_of_kernel() -> Iterator[xdp_reasons.Reason]:
    """Yield the reasons that have words of their own; errors without are called by their numbers."""
    for known in vars(xdp_reasons).values():
        several = known.values() if isinstance(known, dict) else [known]
        yield from (each for each in several if isinstance(each, xdp_reasons.Reason))


# ---- lines and events ------------------------------------------------------------------------------------------------


def events() -> str:
    """Return the lines that roles, programs and netlab print, and what each says."""
    rows = []
    for stream, wording, event in WORDINGS:
        names = iter([*event._fields, *"…………"])
        shown = re.sub(r"\{[NFSAWT]\}", lambda _, names=names: f"{{{next(names)}}}", wording)  # type: ignore[misc]
        rows.append((STREAMS[stream], f"`{shown.replace('s?', 's').replace('{…}', '…')}`", first_line(event)))
    return (
        "# Lines and events\n\n`netlab timeline` shows them in one order. Where a line has this form, netlab reads it "
        "as an event. [Roles](../roles.md) says how a role of yours prints them.\n\n"
        + table(("printed by", "line", "what it says"), rows)
    )


# ---- Python ----------------------------------------------------------------------------------------------------------


def python() -> str:
    """Return the interface for Python: classes with their methods, and the errors."""
    text = "# Python\n\n[Labs from Python](../python.md) shows how it is used.\n"
    classes = (netlab.Lab, node.Node, processes.Processes, link.Link, balancer.Balancer, maps.LabMap, Event)
    for kind in (*classes, netlab.Topology):
        text += f"\n## {kind.__name__}\n\n{paragraphs(kind)}\n"
        for name, member in vars(kind).items():
            if name.startswith("_") or not inspect.getdoc(member) or name in getattr(kind, "_fields", ()):
                continue
            text += f"\n### {kind.__name__}.{name}\n\n```python\n{signature(name, member)}\n```\n"
            text += f"\n{paragraphs(member)}\n"
    tree = (errors.__doc__ or "").partition("\n\n")
    return text + f"\n## netlab.errors\n\n{tree[0]}\n\n```text\n{tree[2].rstrip()}\n```\n"


def signature(name: str, member: Any) -> str:
    """Return how a method is called, or that it is read."""
    if isinstance(member, property):
        return name
    function = getattr(member, "__func__", member)
    shown = str(inspect.signature(function)).replace("'", "")
    return f"{name}{shown.replace('(self, ', '(').replace('(self)', '()').replace('(cls, ', '(')}"


def paragraphs(of: Any) -> str:
    """Return a docstring, with what is indented in it as code."""
    text = inspect.getdoc(of) or ""
    block = re.compile(r"(?:^    .*\n?)+", re.MULTILINE)
    return block.sub(lambda found: f"```python\n{inspect.cleandoc(found[0])}\n```\n", text)


def first_line(of: Any) -> str:
    """Return the first line of a docstring."""
    return (inspect.getdoc(of) or "").partition("\n")[0]


PLACES = by_form()
PAGES: dict[str, Callable[[], str]] = {
    "verbs": verbs,
    "keys": keys,
    "reasons": reasons,
    "events": events,
    "python": python,
}
