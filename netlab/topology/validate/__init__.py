"""Document → Topology: every mistake at once, or a topology that can be planned.

Rules for single values are in `rules`. Each part of a topology has a module. What one place says of another (a link of
a node, an address of a subnet) is checked when everything has been read. So a misspelt key hides no other mistake, and
causes no more of them.
"""

import os
from itertools import repeat

from netlab import paths
from netlab.errors import TopologyError
from netlab.named_tuple import NamedTuple
from netlab.topology import declared
from netlab.topology.checks import Check
from netlab.topology.document.tree import Document, Item, Mapping
from netlab.topology.faults import Fault
from netlab.topology.ip_arithmetic import FAMILIES
from netlab.topology.model import Judged, Node, OwnFiles, Topology
from netlab.topology.validate import host, order, switches, untrusted
from netlab.topology.validate.addresses import Addressing
from netlab.topology.validate.args import Roles
from netlab.topology.validate.bridging import joining
from netlab.topology.validate.demo import read_demo, resolved
from netlab.topology.validate.files import Files
from netlab.topology.validate.findings import Findings
from netlab.topology.validate.links import (
    Interfaces,
    Wire,
    WrittenLink,
    connect,
    ends,
    name_interfaces,
    read_automatic,
    read_links,
)
from netlab.topology.validate.loopbacks import Loopbacks
from netlab.topology.validate.loopbacks import read as read_loopbacks
from netlab.topology.validate.maps import check_maps
from netlab.topology.validate.names import Names
from netlab.topology.validate.nodes import DEFAULTS, Draft, read_nodes
from netlab.topology.validate.programs import check_program
from netlab.topology.validate.routes import NONE, Neighbours, read_default
from netlab.topology.validate.rules import Fields, choice, is_label, label, text

__all__ = ["is_label", "topology"]

KEYS = ("name", "description", "message", "runtime", "defaults", "nodes", "links", "demo", "faults", "checks")
MAX_PROCESSES = 4096


def topology(document: Document, *, untrusted: bool = False) -> Topology:
    """Return the topology that the document describes. Raises TopologyError with all its mistakes.

    Of an `untrusted` one, these include whatever would reach beyond the lab.
    """
    findings = Findings(document, untrusted=untrusted)
    result = _read(document, findings)
    if result is None:
        raise TopologyError(document.file, findings.mistakes())
    return result


def _read(document: Document, findings: Findings) -> Topology | None:
    """Return the topology, None where there is any mistake."""
    fields = Fields(findings, document.root, "", KEYS, "a topology, a mapping with name and nodes")
    if not isinstance(document.root, Mapping):
        return None
    result = Topology(
        fields.require("name", label, ""),
        document.path,
        (),
        (),
        fields.read("description", text, ""),
        fields.read("message", text, ""),
        fields.read("runtime", choice("netns", "docker"), "netns"),
    )
    if findings.untrusted:
        untrusted.check_top(findings, fields, result.runtime)
    defaults = fields.read("defaults", _read_defaults, Defaults())
    beside = os.path.dirname(document.path) if document.path else ""
    files = Files(beside)
    drafts = fields.require("nodes", lambda *at: read_nodes(files, *at), None)
    before = len(findings)
    written = fields.read("links", read_links, ())
    said = fields.read("demo", read_demo, None)
    if drafts is None:
        return None  # Without nodes, everything else would be a mistake, too.
    names = Names(findings, [draft.declared for draft in drafts], fields.key_place("nodes"))
    names.join(joining(drafts, written))
    wires = connect(findings, names, written)
    interfaces = name_interfaces(findings, names, wires)
    judged = resolved(said, names) if said else Judged()
    faults, checks = _read_about(fields, names, drafts, wires, interfaces)
    _check_kinds(findings, names, drafts, written, wires)
    sound = names.replicas_known and len(findings) == before
    after = _check_nodes(findings, names, drafts)
    own = _read_own(findings, beside, names, drafts)
    for draft in drafts:
        programs = [written.program for written in draft.programs]
        check_maps(findings, draft.node.maps, programs, draft.declared.name)
    addressing = Addressing(findings, names, wires, defaults.automatic) if names.kinds_known else None
    loopbacks = _read_loopbacks(findings, names, drafts, addressing) if addressing else {}
    if addressing and sound:  # Otherwise another mistake may be the reason for a missing interface.
        _check_surroundings(findings, names, files, drafts, addressing, interfaces)
    if findings or not addressing:
        return None
    nodes = tuple(
        node
        for draft in drafts
        for node in _nodes(draft, names, after[draft.declared.name], defaults, loopbacks[draft.declared.name], own)
    )
    if findings.untrusted:
        untrusted.check_size(findings, fields, nodes)
        if findings:
            return None
    if filtering := switches.filtering(names, written):
        nodes = tuple(node._replace(filters=(node.replica_of or node.name) in filtering) for node in nodes)
    return result._replace(nodes=nodes, links=addressing.links(), judged=judged, faults=faults, checks=checks)


def _check_kinds(
    findings: Findings, names: Names, drafts: list[Draft], links: tuple[WrittenLink, ...], wires: list[Wire]
) -> None:
    """Check what may be said of links of a switch, and of the host."""
    switches.check_ends(findings, names, links)
    for draft in drafts:
        if draft.declared.host:
            pairs = (wire.nodes for wire in wires)
            host.check_links(findings, draft.declared, links, pairs, wanted=draft.node.internet)
            host.check_routes(findings, draft.routes.routes)


def _read_own(findings: Findings, beside: str, names: Names, drafts: list[Draft]) -> dict[str, OwnFiles]:
    """Read the files that nodes have of their own, and return them by node."""
    given = [(draft.declared.name, draft.own) for draft in drafts if draft.own]
    if not given:
        return {}
    from netlab.topology.validate.own_files import Sources

    sources = Sources(findings, beside)
    return {node: sources.own(written, node) for name, written in given for node in names.members[name]}


def _read_loopbacks(
    findings: Findings, names: Names, drafts: list[Draft], addressing: Addressing
) -> dict[str, Loopbacks]:
    """Return the loopback addresses of each name in `nodes:`."""
    return {
        name: read_loopbacks(findings, addressing, draft.loopback, len(names.members[name]))
        for draft in drafts
        for name in (draft.declared.name,)
    }


def _read_about(
    fields: Fields, names: Names, drafts: list[Draft], wires: list[Wire], interfaces: Interfaces
) -> tuple[tuple[Fault, ...], tuple[Check, ...]]:
    """Read `faults:` and `checks:`, which name all else."""
    if "faults" not in fields and "checks" not in fields:
        return (), ()
    from netlab.topology.validate import check_list, time_line  # here, as most labs have none

    processes = {
        node: [paths.process_key(node, each.process.name or node) for each in draft.processes]
        for draft in drafts
        for node in names.members[draft.declared.name]
    }
    switches = [node for node in names.declared if names.is_switch(node)]
    programs = {
        node: [each.program.name for each in draft.programs]
        for draft in drafts
        for node in names.members[draft.declared.name]
    }
    known = time_line.Known(names.members, processes, ends(wires, interfaces), switches, programs)
    found = fields.read("faults", lambda *at: time_line.read(known, *at), ())
    return found, fields.read("checks", lambda *at: check_list.read(known, *at), ())


class Defaults(NamedTuple):
    """What holds for nodes and links that say nothing else: automatic routes, and families of automatic addresses."""

    routes: bool = True
    automatic: tuple[int, ...] = FAMILIES


def _read_defaults(findings: Findings, item: Item, path: str) -> Defaults:
    """Read `defaults:`."""
    fields = Fields(findings, item, path, DEFAULTS, "a mapping with routes or addresses")
    return Defaults(fields.read("routes", read_default, "") != NONE, fields.read("addresses", read_automatic, FAMILIES))


def _check_nodes(findings: Findings, names: Names, drafts: list[Draft]) -> dict[str, tuple[order.After, ...]]:
    """Check what processes say of nodes and of each other, and return what each is started after."""
    _check_count(findings, names, drafts)
    roles = Roles(findings, names)
    starts = {}
    for draft in drafts:
        for written in draft.processes:
            if written.role:
                roles.check(written.role)
        its = ((written.process.name, written.process.autostart, written.after) for written in draft.processes)
        starts[draft.declared.name] = order.Starts(draft.has_process, tuple(order.Start(*one) for one in its))
    return order.resolve(findings, names, starts)


def _check_count(findings: Findings, names: Names, drafts: list[Draft]) -> None:
    count = sum(len(draft.processes) * len(names.members[draft.declared.name]) for draft in drafts)
    if names.replicas_known and count > MAX_PROCESSES:
        where = max(drafts, key=lambda draft: len(draft.processes)).declared.place
        message = f"expected at most {MAX_PROCESSES:,} processes in the lab, found {count:,}"
        findings.add(where, message, "fewer replicas")


def _check_surroundings(
    findings: Findings,
    names: Names,
    files: Files,
    drafts: list[Draft],
    addressing: Addressing,
    interfaces: Interfaces,
) -> None:
    """Check what nodes say of their interfaces and neighbours."""
    neighbours = Neighbours(findings, names, addressing, interfaces)
    for draft in drafts:
        name = draft.declared.name
        neighbours.check(name, draft.routes.routes)
        for program in draft.programs:
            check_program(findings, names, files, program, interfaces, name)


def _nodes(
    draft: Draft,
    names: Names,
    after: tuple[order.After, ...],
    defaults: Defaults,
    loopbacks: Loopbacks,
    own: dict[str, OwnFiles],
) -> list[Node]:
    """Return the node, or its replicas, complete."""
    name = draft.declared.name
    roles = dict.fromkeys(written.role.path for written in draft.processes if written.role)
    of_roles = (capability for path in roles for capability in declared.capabilities(path))
    sizes = tuple((each.name.text, each.max_entries) for each in draft.node.maps if each.max_entries)
    events = tuple((each.name.text, each.event.text) for each in draft.node.maps if each.event)
    unfollowed = tuple(each.name.text for each in draft.node.maps if not each.follow)
    programs = (
        written.program._replace(map_sizes=sizes, event_types=events, unfollowed=unfollowed)
        for written in draft.programs
    )
    node = draft.node._replace(
        capabilities=tuple(dict.fromkeys((*draft.node.capabilities, *of_roles))),
        programs=tuple(programs),
        routes=tuple(route.route() for route in draft.routes.routes),
        automatic_routes=defaults.routes if draft.routes.automatic is None else draft.routes.automatic,
        replica_of=name if names.is_replicated(name) else "",
    )
    members = names.members[name]
    written = [one.of(members, each) for one, each in zip(draft.processes, after, strict=True)]
    processes = zip(*written, strict=True) if written else repeat(())
    nodes = [
        node._replace(name=member, processes=its, loopback=own)
        for member, its, own in zip(members, processes, loopbacks)  # noqa: B905
    ]
    return [one._replace(own=own[one.name]) for one in nodes] if draft.own else nodes
