"""What a topology that nobody vouches for may not say, with the place of each mistake (ADR 36)."""

from collections.abc import Mapping as Places
from collections.abc import Sequence
from typing import TYPE_CHECKING

from netlab.topology import declared, trust
from netlab.topology.document.tree import Item, Mapping, Scalar, show
from netlab.topology.model import Limits, Node
from netlab.topology.validate.findings import Findings, Place, place
from netlab.topology.validate.rules import Fields

if TYPE_CHECKING:
    from netlab.topology.validate.processes import WrittenProcess

HINT = "this topology is taken as untrusted"
_OF_SYSTEM = ("/usr/", "/bin/", "/sbin/", "/lib")
# What each of these would do, where a value for it would reach beyond the lab.
_NOT = {
    "capabilities": "its processes would get rights over this host",
    "image": "there are no containers then",
}


def check_top(findings: Findings, fields: Fields, runtime: str) -> None:
    """Add the mistakes of what is said of the whole lab."""
    if runtime != "netns":
        findings.add(fields.value_place("runtime"), f"expected the runtime netns, found {runtime}", HINT)


def check_node(findings: Findings, fields: Fields, kind: str | None) -> None:
    """Add the mistakes of keys by which a node would reach beyond the lab."""
    if kind == "host":
        message = "expected no node of kind host, by which the lab would reach this host, found one"
        findings.add(fields.value_place("kind"), message, HINT)
    for key, why in _NOT.items():
        if key in fields:
            findings.add(fields.key_place(key), f"expected no {key}, found some: {why}", HINT)


def check_processes(findings: Findings, fields: Fields, node: Node, processes: "Sequence[WrittenProcess]") -> None:
    """Add the mistakes of roles that would get more than their node, and of variables for those of netlab's own."""
    for each in processes:
        if not each.role:
            continue
        path = each.role.path
        try:
            wanted = set(declared.capabilities(path)) - set(trust.CAPABILITIES)
        except (OSError, ValueError):
            continue  # which is a mistake in any case
        if wanted and not trust.is_own(path):
            message = f"expected a role without the capability {min(wanted)}, found {show(each.role.name)}"
            findings.add(each.role.place, message, f"{HINT}; it may have {', '.join(trust.CAPABILITIES)}")
        elif wanted and (node.env or each.process.env):
            where = fields.key_place("env") if node.env else each.role.place
            message = f"expected no env for netlab's own role {each.role.name}, which runs with rights, found some"
            findings.add(where, message, HINT)
        elif wanted and each.process.ready:
            message = f"expected no `ready` for netlab's own role {each.role.name}, which runs with rights, found one"
            findings.add(each.role.place, message, HINT)


def check_limits(findings: Findings, fields: Fields, limits: Limits) -> None:
    """Add the mistakes of a node that may use more than is given to any."""
    for key, said, most in zip(limits._fields, limits, trust.MOST, strict=True):
        if said > most:
            shown = f"{int(most) >> 20}M" if key == "memory" else f"{most:g}"
            findings.add(fields.value_place("limits"), f"expected a {key} of at most {shown}, found more", HINT)


def check_size(findings: Findings, fields: Fields, nodes: Sequence[Node]) -> None:
    """Add the mistake of a lab that takes more of the host than a small one."""
    for count, most, what in (
        (len(nodes), trust.MAX_NODES, "nodes"),
        (sum(len(node.processes) for node in nodes), trust.MAX_PROCESSES, "processes"),
    ):
        if count > most:
            findings.add(fields.key_place("nodes"), f"expected at most {most} {what}, found {count:,}", HINT)


def refuse_outside(findings: Findings, item: Item, path: str, beside: str, written: str) -> bool:
    """Add the mistake of a path that leads out of the topology's folder, and say whether it does."""
    if not findings.untrusted or not trust.outside(beside, written):
        return False
    message = f"expected a path in the topology's folder, found {show(written)}, which leads outside"
    findings.add(place(item, path), message, HINT)
    return True


def check_flags(findings: Findings, item: Item, path: str, flags: Sequence[str]) -> None:
    """Add the mistakes of options by which the compiler would read or load files."""
    for flag in flags:
        if expected := trust.flag_problem(flag):
            findings.add(place(item, path), f"expected {expected}, found {show(flag)}", HINT)


def check_own(places: Places[str, Place], findings: Findings, item: Item, path: str) -> None:
    """Add the mistakes of `files:` and `private:` that need a user or a folder of this host."""
    entries = [*_entries(item, path)]
    for written, place_of in places.items():
        if written.startswith(_OF_SYSTEM):
            findings.add(place_of, f"expected a path outside the system's programs, found {show(written)}", HINT)
    for key, value, where in entries:
        if key.text == "owner":
            message = "expected no owner, as a node has one user who owns all that is its own, found one"
            findings.add(place(key, where), message, HINT)
        elif key.text == "content" and isinstance(value, Scalar) and value.text == "host":
            findings.add(place(value, where), "expected an empty folder, found one of this host", HINT)


def _entries(item: Item, path: str) -> "list[tuple[Scalar, Item, str]]":
    """Return the keys of the mappings in a mapping or a list, each with its value and path."""
    if isinstance(item, Mapping):
        below = [(f"{path}.{key.text}", child) for key, child in item.pairs]
    else:
        below = [(f"{path}.{number}", child) for number, child in enumerate(getattr(item, "items", ()))]
    found = [(where, child) for where, child in below if isinstance(child, Mapping)]
    return [(key, value, f"{where}.{key.text}") for where, child in found for key, value in child.pairs]
