"""Sends every UDP packet back to where it came from."""

import signal
import socket
import sys

from netlab import options
from netlab.role import ready, say

STAYS = True  # only a signal ends it, so `netlab status` takes any other end for a fault

# What `args:` of a topology may set, checked by `netlab validate` before anything is built. A type is one of
# integer, number, text, port, endpoint (NODE:PORT), node and flag.
OPTIONS: options.Options = {
    "port": {"type": "port", "default": 7, "help": "the UDP port to listen on"},
    "shout": {"type": "flag", "help": "send it back in capitals"},
}


def main() -> None:
    """Serve until the signal to end."""
    chosen = options.parse(OPTIONS, "sends every packet back")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("", chosen.port))
    ready()  # now the processes that come `after` this one are started
    while True:
        data, (host, port) = server.recvfrom(65535)
        say(f"{len(data)} bytes from {host}:{port}")  # one line, with its time, in `netlab logs`
        server.sendto(data.upper() if chosen.shout else data, (host, port))


if __name__ == "__main__":
    main()
