"""A node of `kind: host`, which is this host itself: what it may say, and what may be said of its links and routes."""

from collections.abc import Iterable, Sequence

from netlab.topology.ip_arithmetic import DEFAULTS
from netlab.topology.validate.findings import Findings
from netlab.topology.validate.links import WrittenLink
from netlab.topology.validate.names import Declared
from netlab.topology.validate.routes import WrittenRoute
from netlab.topology.validate.rules import Fields

KEYS = ("kind", "internet", "routes")
MAX_LINKS = 100  # each is an interface on this host


def check_keys(findings: Findings, fields: Fields, known: Sequence[str]) -> None:
    """Add the mistakes of keys by which a lab would change the host."""
    for key in known:
        if key in fields and key not in KEYS:
            message = f"expected no such key on a node of kind host, found {key}"
            findings.add(fields.key_place(key), message, "it is this host itself, which a lab does not change")


def check_only(findings: Findings, nodes: Sequence[Declared]) -> None:
    """Add the mistake of a second such node: there is one host."""
    hosts = [declared for declared in nodes if declared.host]
    for other in hosts[1:]:
        first = hosts[0]
        message = f"expected one node of kind host, found a second beside {first.name} (line {first.place.line})"
        findings.add(other.place, message, "it may have several links")


def check_links(
    findings: Findings, host: Declared, links: Sequence[WrittenLink], pairs: Iterable[tuple[str, str]], *, wanted: bool
) -> None:
    """Add the mistakes of links that end at the host; `pairs` are what they join, `wanted` that there must be one."""
    own = [(link, end) for link in links for end in link.ends if end.node.text == host.name]
    for _, end in own:
        if end.interface:
            message = f"expected no name for an interface on this host, found {end.interface.text}"
            findings.add(end.interface.place, message, "netlab gives it one that no other lab has")
    count = sum(host.name in pair for pair in pairs)
    if count > MAX_LINKS:
        message = f"expected at most {MAX_LINKS} links of this host, found {count:,}"
        findings.add(own[-1][0].place, message, "put a switch before it")
    if wanted and not own:
        findings.add(host.place, f"expected a link to {host.name}, which has internet: true, found none")


def check_routes(findings: Findings, routes: Sequence[WrittenRoute]) -> None:
    """Add the mistakes of routes that would stay on the host, or take its traffic away."""
    for route in routes:
        hint = "netlab changes nothing of where the host's own packets go"
        if route.network is None or route.network in DEFAULTS.values():
            findings.add(route.place, "expected no default route on this host, found one", hint)
        elif route.kind:
            findings.add(route.place, f"expected a route through a neighbour, found type {route.kind}", hint)
        elif route.interface:
            message = f"expected a route without an interface on this host, found {route.interface.text}"
            findings.add(route.interface.place, message, "netlab chooses the interface's name")
