"""What roles share: a line printed whole and with its time, and addresses, data and numbers as people write them.

A line is stamped when it is printed, not when the lab's supervisor gets round to reading it: `@NS ` before the text,
CLOCK_MONOTONIC in nanoseconds, which the supervisor takes off again. So what a role says before it sends a packet comes
before what the kernel says of that packet. Without a supervisor, as in `netlab run`, lines carry no stamp.
"""

import json
import os
import sys
import time
from contextlib import suppress
from typing import Any

from netlab.words import count as count  # noqa: PLC0414 - one of what roles share

STAMPED = "NETLAB_STAMPED"  # set by the supervisor for the roles that it starts
DIGEST_BYTES = 8
SHOWN = 64  # bytes of data that are printed


def say(line: str) -> None:
    """Print a line at once, by one write, so that threads never mix theirs; that nobody reads is no reason to stop."""
    stamp = f"@{time.monotonic_ns()} " if os.environ.get(STAMPED) else ""
    with suppress(OSError):
        if sys.stdout:
            os.write(sys.stdout.fileno(), f"{stamp}{line}\n".encode())


def ready() -> None:
    """Say that others may come: READY to the supervisor, which waits for that word, and else `ready` to a person."""
    say("READY" if os.environ.get(STAMPED) else "ready")


def decimal(seconds: float) -> str:
    """Return a number as people write it, to the microsecond: 1, 0.25."""
    return f"{seconds:.6f}".rstrip("0").rstrip(".")


def shown(data: bytes) -> str:
    """Return data as a JSON string, its beginning if it is long."""
    return json.dumps(data[:SHOWN].decode("latin-1")) + ("..." if len(data) > SHOWN else "")


def mapped(host: str) -> bytes:
    """Return an IP address as 16 bytes: an IPv6 one, or an IPv4 one mapped into that (RFC 4291, 2.5.5.2)."""
    from socket import AF_INET6, inet_pton

    host = host.partition("%")[0]
    return inet_pton(AF_INET6, host if ":" in host else f"::ffff:{host}")


def digest(client: bytes, port: int, data: bytes) -> bytes:
    """Return what tells a request from others, in DIGEST_BYTES: the same for the same client, port and data."""
    from hashlib import blake2b

    return blake2b(client + port.to_bytes(2) + data, digest_size=DIGEST_BYTES).digest()


def place(address: Any) -> str:
    """Return a socket address as HOST:PORT, an IPv4 one as such also on an IPv6 socket."""
    host, port = address[0].removeprefix("::ffff:"), address[1]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
