"""`nodes:`: each node by itself. What it says of others is kept until they are known."""

from typing import NamedTuple

from netlab.topology.document.tree import Item, Mapping, Scalar, join, show
from netlab.topology.model import Limits, Node
from netlab.topology.validate.args import Arg, WrittenRole, read_args
from netlab.topology.validate.files import Files
from netlab.topology.validate.findings import Findings, Name, place
from netlab.topology.validate.names import Declared
from netlab.topology.validate.programs import WrittenProgram, read_program
from netlab.topology.validate.routes import WrittenRoute, read_routes
from netlab.topology.validate.rules import (
    LABEL,
    LABEL_LENGTH,
    Fields,
    boolean,
    choice,
    integer,
    is_label,
    name,
    one_or_more,
    suggest_label,
)
from netlab.topology.validate.settings import capabilities, command, environment, image, limits, sysctls

KIND = choice("host", "switch")
REPLICAS = integer(1, 1000)
AFTER = one_or_more(name, "a list of nodes", least=0)
SWITCH_KEYS = ("kind", "replicas", "sysctls")
NODE_KEYS = (
    *SWITCH_KEYS,
    *(
        "role",
        "args",
        "command",
        "after",
        "autostart",
        "may_exit",
        "xdp",
        "routes",
        "env",
        "limits",
        "image",
        "capabilities",
    ),
)
PROCESS_KEYS = ("args", "after", "autostart", "may_exit")  # they say something about the process of a node
TAKEN_NAMES = ("localhost", "ip6-localhost", "ip6-loopback")


class Draft(NamedTuple):
    """A node, or replicated node, as written. `node` has all that needs no other node and no link."""

    declared: Declared
    node: Node
    role: WrittenRole | None
    program: WrittenProgram | None
    after: tuple[Name, ...]
    routes: tuple[WrittenRoute, ...]
    has_process: bool


def read_nodes(files: Files, findings: Findings, item: Item, path: str) -> list[Draft] | None:
    """Read `nodes:`."""
    if not isinstance(item, Mapping) or not item.pairs:
        findings.wrong(item, path, "a mapping with at least one node")
        return None
    return [_read_node(files, findings, key, value, join(path, key.text)) for key, value in item.pairs]


def _read_node(files: Files, findings: Findings, key: Scalar, item: Item, path: str) -> Draft:
    if isinstance(item, Scalar) and item.value is None:
        item = Mapping(item.line, item.column, ())  # A plain node has nothing to say.
    fields = Fields(findings, item, path, NODE_KEYS, "a mapping")
    kind = fields.read("kind", KIND, None if "kind" in fields else "host")
    replicas = fields.read("replicas", REPLICAS, None if "replicas" in fields else 0)
    declared = Declared(key.text, place(key, path), replicas, None if kind is None else kind == "switch")
    _check_name(findings, declared)
    _check_kind(findings, fields, kind)
    node = Node(
        key.text,
        kind or "host",
        command=fields.read("command", command, ()),
        autostart=fields.read("autostart", boolean, default=True),
        may_exit=fields.read("may_exit", boolean, default=False),
        sysctls=fields.read("sysctls", sysctls, ()),
        env=fields.read("env", environment, ()),
        limits=fields.read("limits", limits, Limits()),
        image=fields.read("image", image, ""),
        capabilities=fields.read("capabilities", capabilities, ()),
    )
    return Draft(
        declared,
        node,
        _read_role(files, fields) if kind != "switch" else None,
        fields.read("xdp", lambda *at: read_program(files, *at), None) if kind != "switch" else None,
        fields.read("after", AFTER, ()),
        fields.read("routes", read_routes, ()),
        kind != "switch" and ("role" in fields or "command" in fields),
    )


def _read_role(files: Files, fields: Fields) -> WrittenRole | None:
    none: tuple[Arg, ...] = ()
    args = fields.read("args", read_args, none)
    found = fields.read("role", lambda *at: files.rule("roles", *at), None)
    if found is None:
        return None
    return WrittenRole(*found, fields.key_place("role"), args, fields.key_place("args"))


def _check_name(findings: Findings, declared: Declared) -> None:
    """Add the mistake of a name that no host can have, with its longest replica's number."""
    written = declared.name
    longest = written + (str(declared.replicas) if declared.replicas else "")
    if not is_label(written):
        findings.add(declared.place, f"expected {LABEL}, found {show(written)}", suggest_label(written))
    elif len(longest) > LABEL_LENGTH:
        message = f"expected a name of at most {LABEL_LENGTH} characters with its number, found {show(longest)}"
        findings.add(declared.place, message)
    elif written in TAKEN_NAMES:
        findings.add(declared.place, f"expected a name of your own, found {show(written)}, which every host has")
    elif _reads_as_number(written):
        message = f"expected a name with a letter, found {show(written)}, which programs take for an address"
        findings.add(declared.place, message, f"such as n{written}")


def _reads_as_number(written: str) -> bool:
    """Return whether inet_aton() would take the name for an IPv4 address: digits, or 0x and hexadecimal ones."""
    return written.isdigit() or (written.startswith("0x") and not written[2:].strip("0123456789abcdef"))


def _check_kind(findings: Findings, fields: Fields, kind: str | None) -> None:
    """Add the mistakes of keys that do not go together."""
    if kind == "switch":
        for key in NODE_KEYS:
            if key in fields and key not in SWITCH_KEYS:
                message = f"expected no such key on a switch, found {key}"
                findings.add(fields.key_place(key), message, "a switch only forwards frames, use kind: host")
        return
    if "role" in fields and "command" in fields:
        message = "expected a role or a command, found both"
        findings.add(fields.key_place("command"), message, "leave one of them out")
    if "args" in fields and "command" in fields and "role" not in fields:
        findings.add(fields.key_place("args"), "expected a role for these args, found a command", "add them to it")
    if "role" in fields or "command" in fields:
        return
    for key in PROCESS_KEYS:
        if key in fields:
            wanted = "a role" if key == "args" else "a role or a command"
            findings.add(fields.key_place(key), f"expected {wanted} that {key} can apply to, found none")
