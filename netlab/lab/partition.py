"""Makes a partition of a lab, and lifts it: links between groups go down, and switches between them are divided."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from netlab.errors import NetlabError
from netlab.lab import link_state
from netlab.lab.fault_state import BY_PARTITION
from netlab.network import switch_parts
from netlab.network.switch_parts import Port, Switch
from netlab.record.links import link as link_named
from netlab.record.links import links, name
from netlab.record.model import NodeRecord
from netlab.topology.link_names import Ends
from netlab.topology.partition import cut

if TYPE_CHECKING:
    from netlab.lab.fault_acts import Acts


def make(acts: "Acts", groups: Sequence[Sequence[str]]) -> str:
    """Part the groups, and return a remark; NetlabError if that cannot be done: then what was done is undone."""
    record = acts.lab.record
    switches = [name for name, node in record.nodes.items() if node.kind == "switch"]
    found = cut(groups, links(record), switches)
    acts.note(acts.state._replace(groups=tuple(map(tuple, groups))))
    try:
        for link in found.links:
            cut_link(acts, link, BY_PARTITION)
        for switch, by_group in found.divided.items():
            parts = sorted(by_group.values(), key=len, reverse=True)[1:]  # the largest stays where it is
            acts.note(acts.state._replace(divided={**acts.state.divided, switch: len(parts)}))
            about = record.nodes[switch]
            switch_parts.divide(_switch(acts, switch, about), [[_port(about, port) for port in part] for part in parts])
    except (OSError, NetlabError):
        lift(acts)
        raise
    return ""


def lift(acts: "Acts") -> str:
    """Bring the groups together again, and return a remark."""
    told = [
        mend_link(acts, link_named(acts.lab.record, called), BY_PARTITION)
        for called, why in acts.state.links.items()
        if BY_PARTITION in why
    ]
    for switch, parts in acts.state.divided.items():
        about = acts.lab.record.nodes[switch]
        ports = [_port(about, port) for port, each in about.interfaces.items() if each.bridge]
        switch_parts.join(_switch(acts, switch, about), ports, parts)
        divided = {each: count for each, count in acts.state.divided.items() if each != switch}
        acts.note(acts.state._replace(divided=divided))
    acts.note(acts.state._replace(groups=()))
    return "; ".join(filter(None, told))


def cut_link(acts: "Acts", link: Ends, why: str) -> None:
    """Set a link down, for one more reason."""
    called = name(acts.lab.record, link)
    reasons = acts.state.links.get(called, ())
    acts.note(acts.state._replace(links={**acts.state.links, called: (*reasons, why)}))
    link_state.set_down(acts.lab, link)


def mend_link(acts: "Acts", link: Ends, why: str) -> str:
    """Take back one reason for a link to be down; set it up without any other. Return a remark."""
    called = name(acts.lab.record, link)
    left = tuple(each for each in acts.state.links.get(called, ()) if each != why)
    told = "" if left else "; ".join(link_state.set_up(acts.lab, link))
    others = {other: each for other, each in acts.state.links.items() if other != called}
    acts.note(acts.state._replace(links={**others, called: left} if left else others))
    return told


def _switch(acts: "Acts", name: str, about: NodeRecord) -> Switch:
    if not about.bridge:
        raise NetlabError(f"the switch {name} has no bridge")
    return Switch(acts.lab.runtime.netns_path(name), about.bridge.index, about.bridge.stp, about.bridge.filters)


def _port(about: NodeRecord, name: str) -> Port:
    port = about.interfaces[name]
    return Port(port.index, port.vlan, port.vlans)
