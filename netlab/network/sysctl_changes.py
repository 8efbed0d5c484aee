"""Changes sysctls of nodes that stand, so that they are as in nodes that were made with them.

In a new namespace these are written before anything else is there. The kernel gives `net.ipv4.conf.default.NAME` to
lo then, as that has no address yet, and to each interface that comes later. In a node that stands, netlab writes it to
each of them. lo never gets what is written for IPv6.
"""

import re
import socket
from collections.abc import Callable, Iterable, Iterator, Sequence

from netlab.kernel import syscalls, sysctls
from netlab.kernel.sysctls import Sysctls
from netlab.network.messages import Messages
from netlab.network.visits import Visitor, visit_all
from netlab.plan.sysctl_step import ChangeSysctls

_DEFAULT = re.compile(r"net\.ipv([46])\.(conf|neigh)\.default\.(.+)")
Setting = tuple[str, str]


def before_links(changes: Sequence[ChangeSysctls], netns_path: Callable[[str], str]) -> None:
    """Make these changes, as far as they are not of interfaces that are yet to be made. NetlabError if one fails."""
    fresh = _of_new_namespace({name for change in changes for name in change.dropped})

    def change(visitor: Visitor, step: ChangeSysctls) -> None:
        visitor.enter(step.node).close()
        wanted = [*((name, fresh[name]) for name in step.dropped if name in fresh), *step.after]
        visitor.sysctls.write_all(step.node, wanted)
        own = {name for name, _ in wanted}
        visitor.sysctls.write_all(step.node, [each for each in _for_interfaces(wanted) if each[0] not in own])

    visit_all(change, changes, Messages(), netns_path)


def after_links(changes: Sequence[ChangeSysctls], netns_path: Callable[[str], str]) -> None:
    """Write again what exists only with interfaces, now that all are there; NetlabError for what is not there now."""

    def change(visitor: Visitor, step: ChangeSysctls) -> None:
        visitor.enter(step.node).close()
        for name, _ in visitor.sysctls.write_all(step.node, step.after):
            raise sysctls.no_such(name, step.node)

    visit_all(change, [step for step in changes if step.after], Messages(), netns_path)


def _for_interfaces(settings: Iterable[Setting]) -> Iterator[Setting]:
    """Yield what the interfaces of the thread's namespace get of settings for new ones."""
    interfaces = [name.replace(".", "/") for _, name in socket.if_nameindex()]
    for name, value in settings:
        if found := _DEFAULT.fullmatch(name):
            family, kind, what = found.groups()
            own = [each for each in interfaces if each != "lo" or family == "4"]
            yield from ((f"net.ipv{family}.{kind}.{each}.{what}", value) for each in own)


def _of_new_namespace(names: set[str]) -> dict[str, str]:
    """Return what these sysctls are in a new namespace of this host."""
    found: dict[str, str] = {}

    def look(works: Iterator[None]) -> None:
        for _ in works:
            syscalls.unshare_net()
            reader = Sysctls()
            try:
                found.update(reader.read_all(names))
            finally:
                reader.close()

    if names:
        syscalls.in_threads(1, look, [None])
    return found
