"""From the text of a topology to the plan of a lab on this host."""

from contextlib import suppress
from typing import TYPE_CHECKING

from netlab import paths
from netlab.errors import NetlabError, UsageError
from netlab.plan.planner import Plan, plan
from netlab.record import store
from netlab.topology import trust, validate
from netlab.topology.document.tree import Document, Mapping, Scalar

if TYPE_CHECKING:
    from netlab.plan.surroundings import Surroundings
    from netlab.record.model import LabRecord
    from netlab.topology.model import Topology


def planned(
    written: Document, name: str = "", runtime: str = "", *, untrusted: bool = False, as_it_stands: bool = False
) -> Plan:
    """Return the plan of a topology, with another name or runtime than it says itself, if one is given.

    `untrusted` says that nobody vouches for the topology, which then may name nothing outside its folder (ADR 36). With
    `as_it_stands`, the runtime is that of the lab of this name, if there is one that can be read; and if that lab is
    untrusted, so is the topology.

    Raises TopologyError with all mistakes, UsageError for a name that no lab can have, and for a runtime that cannot
    confine what is untrusted.
    """
    stands = _public(name or _name_in(written)) if as_it_stands else None
    untrusted = untrusted or bool(stands and stands.untrusted)
    topology = validate.topology(written, untrusted=untrusted)
    if name:
        paths.folder_of(name)
        topology = topology._replace(name=name)
    if runtime:
        topology = topology._replace(runtime=runtime)
    if stands:
        topology = topology._replace(runtime=stands.runtime)
    if untrusted and topology.runtime != "netns":
        raise UsageError(f"--runtime {topology.runtime}: what is untrusted runs with the runtime netns only")
    if untrusted:
        topology = trust.limited(topology)
    return plan(topology, written, surroundings_of(topology), untrusted=untrusted)


def _name_in(written: Document) -> str:
    """Return the name that a topology gives itself; "" if it is no name, which is a mistake."""
    pairs = written.root.pairs if isinstance(written.root, Mapping) else ()
    return next((value.text for key, value in pairs if key.text == "name" and isinstance(value, Scalar)), "")


def _public(lab: str) -> "LabRecord | None":
    """Return what everybody may know of a lab; None if there is no such lab, or one that cannot be read."""
    if lab in store.labs():
        with suppress(NetlabError):  # whoever changes the lab reads its record again, and reports this
            return store.public(lab)
    return None


def surroundings_of(topology: "Topology") -> "Surroundings":
    """Return what of this host a lab must take into account; only one with a node that is this host has to."""
    from netlab.plan.surroundings import NOWHERE

    if not any(node.kind == "host" for node in topology.nodes):
        return NOWHERE
    from netlab.lab import host_networks

    return host_networks.around(topology)
