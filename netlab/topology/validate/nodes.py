"""`nodes:`: each node by itself. What it says of other nodes is kept until these are known."""

from typing import TYPE_CHECKING

from netlab.named_tuple import NamedTuple
from netlab.paths import is_name, label_of
from netlab.topology.document.tree import Item, Mapping, Scalar, join, show
from netlab.topology.model import Limits, Node
from netlab.topology.validate import host, processes, untrusted
from netlab.topology.validate.files import Files
from netlab.topology.validate.findings import Findings, Name, place
from netlab.topology.validate.links import ADDRESSES, NO_ADDRESS
from netlab.topology.validate.maps import read_maps
from netlab.topology.validate.names import Declared
from netlab.topology.validate.processes import WrittenProcess, read_processes
from netlab.topology.validate.programs import WrittenProgram, read_programs
from netlab.topology.validate.routes import WrittenRoutes, read_routes
from netlab.topology.validate.rules import LABEL_LENGTH, NAME, Fields, boolean, choice, integer, suggest_name
from netlab.topology.validate.settings import capabilities, environment, image, limits, sysctls
from netlab.topology.validate.setup import setup

if TYPE_CHECKING:
    from netlab.topology.validate.own_files import WrittenFiles

KIND = choice("node", "switch", "host")
REPLICAS = integer(1, 1000)
OWN = ("files", "private")
OF_SWITCHES = ("stp", "vlan_filtering")
SWITCH_KEYS = ("kind", "replicas", "sysctls", "setup", *OF_SWITCHES)
HAS_NOTHING = ("switch", "host")  # kinds of nodes in which nothing of the lab runs
NODE_KEYS = (
    *SWITCH_KEYS,
    *processes.KEYS,
    *(processes.LIST, "xdp", "tc", "maps", "address", "loopback", "routes", "env", "limits", "image", "capabilities"),
    *(*OWN, "internet"),
)
DEFAULTS = ("routes", "addresses")  # of what a lab says once for all
TAKEN_NAMES = ("localhost", "ip6-localhost", "ip6-loopback")


class Draft(NamedTuple):
    """A node, or replicated node, as written. `node` has everything that needs no other node and no link."""

    declared: Declared
    node: Node
    processes: tuple[WrittenProcess, ...]
    programs: tuple[WrittenProgram, ...]
    routes: WrittenRoutes
    loopback: tuple[Name, ...]
    has_process: bool
    own: "WrittenFiles | None"


def read_nodes(files: Files, findings: Findings, item: Item, path: str) -> list[Draft] | None:
    """Read `nodes:`."""
    if not isinstance(item, Mapping) or not item.pairs:
        findings.wrong(item, path, "a mapping with at least one node")
        return None
    drafts = [_read_node(files, findings, key, value, join(path, key.text)) for key, value in item.pairs]
    host.check_only(findings, [draft.declared for draft in drafts])
    return drafts


def _read_node(files: Files, findings: Findings, key: Scalar, item: Item, path: str) -> Draft:
    if isinstance(item, Scalar) and item.value is None:
        item = Mapping(item.line, item.column, ())  # A plain node needs no keys.
    fields = Fields(findings, item, path, NODE_KEYS, "a mapping")
    kind = fields.read("kind", KIND, None if "kind" in fields else "node")
    replicas = fields.read("replicas", REPLICAS, None if "replicas" in fields else 0)
    joins = fields.read("address", choice(NO_ADDRESS), "") == NO_ADDRESS
    is_switch = None if kind is None else kind == "switch"
    stp, filters = fields.read("stp", boolean, False), fields.read("vlan_filtering", boolean, None)
    declared = Declared(key.text, place(key, path), replicas, is_switch, joins, kind == "host", stp, filters)
    _check_name(findings, declared)
    if kind == "switch":
        _check_switch(findings, fields)
    elif kind == "host":
        host.check_keys(findings, fields, NODE_KEYS)
    elif kind == "node":
        _check_ordinary(findings, fields)
    if findings.untrusted:
        untrusted.check_node(findings, fields, kind)
    has_own = kind not in HAS_NOTHING
    node = Node(
        key.text,
        kind or "node",
        sysctls=fields.read("sysctls", sysctls, ()),
        env=fields.read("env", environment, ()),
        limits=fields.read("limits", limits, Limits()),
        image=fields.read("image", image, ""),
        capabilities=fields.read("capabilities", capabilities, ()),
        maps=fields.read("maps", read_maps, ()) if has_own else (),
        internet=fields.read("internet", boolean, False),
        stp=stp,
        setup=fields.read("setup", setup, ()),
    )
    written = read_processes(files, fields) if has_own else ()
    if findings.untrusted:
        untrusted.check_processes(findings, fields, node, written)
        untrusted.check_limits(findings, fields, node.limits)
    return Draft(
        declared,
        node,
        written,
        read_programs(files, findings, fields) if has_own else (),
        fields.read("routes", read_routes, WrittenRoutes()),
        fields.read("loopback", ADDRESSES, ()),
        has_own and processes.is_written(fields),
        _read_own(fields) if has_own else None,
    )


def _read_own(fields: Fields) -> "WrittenFiles | None":
    """Read what a node has of the file system for itself; None if nothing is written."""
    if not any(key in fields for key in OWN):
        return None
    from netlab.topology.validate import own_files  # here, as most labs need none of it

    return own_files.read(fields)


def _check_name(findings: Findings, declared: Declared) -> None:
    """Add the mistake of a name that no host can have, with the number of its last replica."""
    written = declared.name
    longest = written + (str(declared.replicas) if declared.replicas else "")
    if not is_name(written):
        findings.add(declared.place, f"expected {NAME}, found {show(written)}", suggest_name(written))
    elif len(longest) > LABEL_LENGTH:
        message = f"expected a name of at most {LABEL_LENGTH} characters with its number, found {show(longest)}"
        findings.add(declared.place, message)
    elif label_of(written) in TAKEN_NAMES:
        findings.add(declared.place, f"expected a name of your own, found {show(written)}, which every host has")
    elif _reads_as_number(written.lower()):
        message = f"expected a name with a letter, found {show(written)}, which programs take for an address"
        findings.add(declared.place, message, f"such as n{written}")


def _reads_as_number(written: str) -> bool:
    """Say whether inet_aton() would read the name as an IPv4 address: digits, or 0x and hexadecimal digits."""
    return written.isdigit() or (written.startswith("0x") and not written[2:].strip("0123456789abcdef"))


def _check_ordinary(findings: Findings, fields: Fields) -> None:
    """Add the mistakes of keys that belong to other kinds of nodes."""
    for key, kind in (("internet", "host"), *((key, "switch") for key in OF_SWITCHES)):
        if key in fields:
            message = f"expected no such key on an ordinary node, found {key}"
            findings.add(fields.key_place(key), message, f"it belongs to a node of kind: {kind}")


def _check_switch(findings: Findings, fields: Fields) -> None:
    """Add the mistakes of keys that a switch has no use for."""
    for key in NODE_KEYS:
        if key in fields and key not in SWITCH_KEYS:
            message = f"expected no such key on a switch, found {key}"
            findings.add(fields.key_place(key), message, "a switch only forwards frames, leave out kind: switch")
