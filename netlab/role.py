"""What roles share: printing a line whole and with its time; addresses, data and numbers in readable form.

A line is stamped when it is printed, and not when the supervisor reads it: `@NS ` before the text, CLOCK_MONOTONIC in
nanoseconds. The supervisor removes the stamp. So a line that a role prints before it sends a packet comes before the
kernel's line on that packet. `netlab run` does the same. In a role that somebody starts by hand, lines have no stamp.

A line may end with a record: what it says, as data. Then the stamp is `@NS=SIZE `, with the record's size in bytes. Who
reads the line as text never sees the record.
"""

import json
import os
import sys
import time
from contextlib import suppress
from typing import Any

from netlab.words import count as count  # noqa: PLC0414 - one of what roles share

STAMPED = "NETLAB_STAMPED"  # set by the supervisor, and by `netlab run`, for the roles that they start
DIGEST_BYTES = 8
SHOWN = 64  # bytes of data that are printed


def say(line: str, event: str = "", /, **values: float | str) -> None:
    """Print a line at once, with one write, so that threads never mix lines; go on if nobody reads it.

    `event` and its values are what the line says, as data, for netlab: docs/roles.md lists the events.
    """
    if os.environ.get(STAMPED):
        record = json.dumps({"event": event, "values": values}) if event else ""
        size = f"={len(record)}" if record else ""
        line = f"@{time.monotonic_ns()}{size} {line}{record}"
    with suppress(OSError):
        if sys.stdout:
            os.write(sys.stdout.fileno(), f"{line}\n".encode())


def ready() -> None:
    """Say that others may come: READY to the supervisor, which waits for that word, and else `ready` to a person."""
    say("READY" if os.environ.get(STAMPED) else "ready")


def decimal(seconds: float) -> str:
    """Return a number as people write it, to the microsecond: 1, 0.25."""
    return f"{seconds:.6f}".rstrip("0").rstrip(".")


def shown(data: bytes) -> str:
    """Return data as a JSON string, its beginning if it is long."""
    return json.dumps(beginning(data)) + ("..." if len(data) > SHOWN else "")


def beginning(data: bytes) -> str:
    """Return as much of data as `shown` shows, a character for each byte."""
    return data[:SHOWN].decode("latin-1")


def mapped(host: str) -> bytes:
    """Return an IP address as 16 bytes: an IPv6 one, or an IPv4 one mapped into that (RFC 4291, 2.5.5.2)."""
    from socket import AF_INET6, inet_pton

    host = host.partition("%")[0]
    return inet_pton(AF_INET6, host if ":" in host else f"::ffff:{host}")


def digest(client: bytes, port: int, data: bytes) -> bytes:
    """Return DIGEST_BYTES that tell requests apart: the same for the same client, port and data."""
    from hashlib import blake2b

    return blake2b(client + port.to_bytes(2) + data, digest_size=DIGEST_BYTES).digest()


def place(address: Any) -> str:
    """Return a socket address as HOST:PORT; an IPv4 address on an IPv6 socket is written as IPv4."""
    host, port = address[0].removeprefix("::ffff:"), address[1]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
