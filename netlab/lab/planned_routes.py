"""Adds planned routes again that the kernel has removed with a link."""

import errno
import os

from netlab.errors import NetlabError
from netlab.lab.standing import Standing
from netlab.network import links
from netlab.plan.steps import AddRoute
from netlab.topology.ip_arithmetic import parse


def add(lab: Standing, node: str, interface: str) -> None:
    """Add those over an interface that are not there; NetlabError if the kernel refuses one."""
    port = lab.record.nodes[node].interfaces[interface]
    networks = [parse(address)[1] for address in port.addresses]
    for route in lab.record.nodes[node].routes:
        via = parse(route.via)[1] if route.via else None
        if route.interface == interface or (via and any(network.covers(via) for network in networks)):
            try:
                links.build([AddRoute(node, *route, lab.record.lab)], lab.runtime.netns_path)
            except NetlabError as error:
                if os.strerror(errno.EEXIST) not in str(error):
                    raise
