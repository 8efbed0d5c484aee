"""Where browsers are served: the socket that listens, and the addresses to open."""

import errno
import ipaddress
import socket

from netlab.errors import NetlabError, UsageError
from netlab.web.doors import Keys


def bind(host: str, port: int) -> socket.socket:
    """Return a socket that listens there; port 0 takes any. UsageError for a host that there is none of."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError) as error:
        raise UsageError(f"--host {host}: expected an address or a name of this machine: {error}") from error
    found = socket.socket(family, kind, protocol)
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(address)
        found.listen(128)
    except OSError as error:
        found.close()
        if error.errno == errno.EADDRINUSE:
            raise NetlabError(f"port {port} of {host} is in use: choose another with --port (0 is any)") from error
        why = f"expected an address of this machine: {error.strerror}"
        raise UsageError(f"--host {host} --port {port}: {why}") from error
    return found


def addresses(bound: socket.socket, keys: Keys) -> dict[str, str]:
    """Return the addresses to open: what one may do there, and the address."""
    host, port = bound.getsockname()[:2]
    meant = ipaddress.ip_address(host.partition("%")[0])
    name = socket.gethostname() if meant.is_unspecified else f"[{host}]" if meant.version == 6 else host
    found = {"look and change": keys.change, "look": keys.look}
    return {what: f"http://{name}:{port}/?key={key}" for what, key in found.items() if key}
