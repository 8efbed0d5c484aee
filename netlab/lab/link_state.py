"""Sets ends of links down and up in their nodes."""

import errno
import os
from functools import partial

from netlab.errors import NetlabError
from netlab.kernel.syscalls import inside
from netlab.lab.standing import Standing
from netlab.network import links, replaced_end
from netlab.plan.steps import AddRoute
from netlab.topology.ip_arithmetic import parse


def set_down(lab: Standing, node: str, interface: str) -> None:
    """Set an end of a link down; NetlabError if it is gone."""
    _set(lab, node, interface, up=False)


def set_up(lab: Standing, node: str, interface: str) -> None:
    """Set an end of a link up; NetlabError if it is gone."""
    _set(lab, node, interface, up=True)


def _set(lab: Standing, node: str, interface: str, *, up: bool) -> None:
    try:
        inside(lab.runtime.netns_path(node), partial(replaced_end.set_state, interface, up=up))
    except OSError as error:
        raise NetlabError(f"cannot set {node} {interface} {'up' if up else 'down'}: {_reason(error)}") from error


def _reason(error: OSError) -> str:
    return os.strerror(error.errno) if error.errno else str(error)


def add_routes(lab: Standing, node: str, interface: str) -> None:
    """Add the routes again that are planned over an interface: the kernel has removed those of IPv4 with the link."""
    port = lab.record.nodes[node].interfaces[interface]
    networks = [parse(address)[1] for address in port.addresses]
    for route in lab.record.nodes[node].routes:
        is_over = route.interface == interface or (
            route.via and any(network.covers(parse(route.via)[1]) for network in networks)
        )
        if is_over:
            try:
                links.build([AddRoute(node, *route, lab.record.lab)], lab.runtime.netns_path)
            except NetlabError as error:
                if os.strerror(errno.EEXIST) not in str(error):
                    raise
