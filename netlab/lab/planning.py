"""From the text of a topology to the plan of a lab on this host."""

from contextlib import suppress
from typing import TYPE_CHECKING

from netlab import paths
from netlab.errors import NetlabError
from netlab.plan.planner import Plan, plan
from netlab.record import store
from netlab.topology import validate
from netlab.topology.document.tree import Document

if TYPE_CHECKING:
    from netlab.plan.surroundings import Surroundings
    from netlab.topology.model import Topology


def planned(written: Document, name: str = "", runtime: str = "", *, as_it_stands: bool = False) -> Plan:
    """Return the plan of a topology, with another name or runtime than it says itself, if one is given.

    With `as_it_stands`, the runtime is that of the lab of this name, if there is one that can be read.

    Raises TopologyError with all mistakes, UsageError for a name that no lab can have.
    """
    topology = validate.topology(written)
    if name:
        paths.folder_of(name)
        topology = topology._replace(name=name)
    if runtime:
        topology = topology._replace(runtime=runtime)
    if as_it_stands and topology.name in store.labs():
        with suppress(NetlabError):  # whoever changes the lab reads its record again, and reports this
            topology = topology._replace(runtime=store.public(topology.name).runtime)
    return plan(topology, written, surroundings_of(topology))


def surroundings_of(topology: "Topology") -> "Surroundings":
    """Return what of this host a lab must take into account; only one with a node that is this host has to."""
    from netlab.plan.surroundings import NOWHERE

    if not any(node.kind == "host" for node in topology.nodes):
        return NOWHERE
    from netlab.lab import host_networks

    return host_networks.around(topology)
