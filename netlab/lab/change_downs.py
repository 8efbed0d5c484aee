"""Links that were set down, in a change of a lab: they go up first, as no file has a link that is down.

Routes through a link that is down cannot be added. So this is done before any step, and undone after all of them.
"""

import os
from collections.abc import Callable, Sequence

from netlab import paths
from netlab.lab import link_state, planned_routes
from netlab.lab.standing import Standing
from netlab.plan.command_words import namespace, quoted
from netlab.record.links import links
from netlab.topology.link_names import Ends


def found(lab: Standing) -> list[Ends]:
    """Return the links that were set down, and not up since."""
    if not os.path.exists(f"{lab.record.folder}/{paths.LINKS_DOWN}"):
        return []
    names = link_state.are_down(lab)
    return [link for link in links(lab.record) if link.name in names]


def set_up(lab: Standing, were_down: Sequence[Ends], say: Callable[[str], None]) -> None:
    """Set links up, with the addresses and routes that they had lost."""
    for link in were_down:
        for told in link_state.set_up(lab, link):
            say(f"netlab: note: {told}")
        for node, interface in _sides(link):
            planned_routes.add(lab, node, interface)


def set_down(lab: Standing, were_down: Sequence[Ends]) -> None:
    """Set links down again."""
    for link in were_down:
        link_state.set_down(lab, link)


def told(were_down: Sequence[Ends]) -> list[str]:
    """Return a sentence for each link that goes up."""
    return [f"the link {link.a}-{link.b} ({link.name}), which was set down, goes up" for link in were_down]


def commands(lab: Standing, were_down: Sequence[Ends]) -> list[str]:
    """Return `set_up` as shell commands."""
    sides = [side for link in were_down for side in _sides(link)]
    return [f"ip -n {namespace(lab.record.lab, node)} link set {quoted(interface)} up" for node, interface in sides]


def _sides(link: Ends) -> tuple[tuple[str, str], tuple[str, str]]:
    return (link.a, link.a_interface), (link.b, link.b_interface)
