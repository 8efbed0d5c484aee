"""Chooses the name servers for nodes that reach the outside: those of this host, as far as nodes can reach them.

Nodes cannot reach a server on the host's loopback interface. They ask it at the host's address on the lab's link, and
nftables redirects the queries. If this server is systemd-resolved's or NetworkManager's, nodes ask the servers behind
it directly: both programs write these servers to a file.
"""

from collections.abc import Iterator, Sequence

from netlab.kernel import files
from netlab.named_tuple import NamedTuple
from netlab.record.rules import is_host

RESOLV_CONF = "/etc/resolv.conf"
BEHIND = ("/run/systemd/resolve/resolv.conf", "/run/NetworkManager/no-stub-resolv.conf")
_KEPT = ("search", "domain", "options")
_MOST_BYTES = 1 << 16


class Names(NamedTuple):
    """The nodes' /etc/resolv.conf; a server on the host's loopback, and the address at which nodes ask it."""

    text: str
    resolver: str = ""
    at: str = ""


def chosen(addresses: Sequence[str], path: str = RESOLV_CONF, behind: Sequence[str] = BEHIND) -> Names:
    """Return the name servers for nodes; `addresses` are the host's on the lab's links, with prefix lengths."""
    found = [server for server in servers(path) if not _is_own(server)]
    loopback = [server for server in servers(path) if _is_own(server)]
    for other in behind if loopback and not found else ():
        found = found or [server for server in servers(other) if not _is_own(server)]
    resolver = next((server for server in loopback if ":" not in server), "")
    at = next((address.partition("/")[0] for address in addresses if ":" not in address), "")
    if found or not resolver or not at:
        resolver = at = ""
    asked = found or ([at] if at else [])
    if not asked:
        return Names("# this host has no name server that a node can reach\n")
    lines = [f"nameserver {server}" for server in asked]
    return Names("\n".join((*lines, *_kept(path), "")), resolver, at)


def servers(path: str) -> list[str]:
    """Return the addresses of the name servers that a file names."""
    words = (line.split() for line in _lines(path))
    return [each[1] for each in words if len(each) > 1 and each[0] == "nameserver" and is_host(each[1])]


def _kept(path: str) -> Iterator[str]:
    for line in _lines(path):
        if line.split(None, 1)[:1] and line.split(None, 1)[0] in _KEPT:
            yield line


def _lines(path: str) -> list[str]:
    try:
        return files.read(path, _MOST_BYTES).decode(errors="replace").splitlines()
    except OSError:
        return []


def _is_own(server: str) -> bool:
    """Say whether only the host itself reaches a server."""
    return server.startswith("127.") or server in ("::1", "0.0.0.0", "::")  # noqa: S104 - looks, binds nothing
