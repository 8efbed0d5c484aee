"""Sends requests: UDP packets whose data says for how many seconds a worker shall sleep, in decimal text.

It prints every request as it sends it, one line each:

    request #1 to 10.0.0.2:8080: "0.25" (4 bytes)

and in the end `sent 30 requests in 2.9 s`. With one number `sleep` is the same in every request, with two it is drawn
from that range (`seed` makes the draws repeatable). The requests leave on a schedule of one every `interval` seconds,
which no delay shifts; 0 sends as fast as possible. `late` more of them follow after a `rest`. `payload` pads the data
with spaces to that many bytes.

Nobody answers. Errors of the network are printed, and do not stop the client; its exit code is 1 if a request could not
be sent.
"""

import json
import random
import socket
import sys
import time

from netlab import options
from netlab.role import count, decimal, place, ready, say

OPTIONS: options.Options = {
    "target": {"type": "endpoint", "required": True, "help": "the service, as NODE:PORT or [ADDRESS]:PORT"},
    "count": {"type": "integer", "default": 30, "minimum": 0, "help": "requests to send"},
    "interval": {"type": "number", "default": 0.1, "minimum": 0, "help": "seconds from one request to the next"},
    "sleep": {
        "type": "number",
        "values": [1, 2],
        "default": [0.2, 0.5],
        "minimum": 0,
        "help": "seconds of work in each request: a value, or a range to draw from",
    },
    "late": {"type": "integer", "default": 0, "minimum": 0, "help": "requests more, after a rest"},
    "rest": {"type": "number", "default": 0, "minimum": 0, "help": "seconds of rest before those"},
    "distinct": {"type": "flag", "help": "no two requests ask for the same time"},
    "seed": {"type": "integer", "help": "makes the draws the same in every run"},
    "payload": {
        "type": "integer",
        "default": 0,
        "minimum": 0,
        "maximum": 65507,
        "help": "bytes of each request; 0 is as many as the number takes",
    },
}
REFUSALS = 3  # so often, sending may report the refusal of an earlier request instead


def connect(target: options.Endpoint) -> socket.socket:
    """Return a socket connected to the target, by IPv4 if it has such an address; ends the client if it has none."""
    try:
        found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_DGRAM)
        family, kind, protocol, _, address = min(found, key=lambda each: each[0] != socket.AF_INET)
        connected = socket.socket(family, kind, protocol)
        connected.connect(address)
    except (OSError, UnicodeError) as error:
        sys.exit(f"client: cannot reach {target.host}: {getattr(error, 'strerror', None) or error}")
    return connected


def send(connected: socket.socket, data: bytes) -> str:
    """Send a request; return what went wrong, or ""."""
    for _ in range(REFUSALS):
        try:
            connected.send(data)
        except ConnectionRefusedError:  # it is about an earlier request, and this one was not sent
            say("refused: nobody listens at the target's port, or did not when an earlier request arrived")
        except OSError as error:
            return str(error.strerror)
        else:
            return ""
    return "refused again and again"


def draw(draws: random.Random, low: float, high: float, taken: set[str]) -> str:
    """Return a number of seconds as text, and add it to those that are taken: it is none of them.

    It is short, as long as the range allows it. If there are not enough numbers, it is a little above the range.
    """
    for digits in (3, 3, 3, 3, 6, 6):
        drawn = decimal(min(max(round(draws.uniform(low, high), digits), low), high))
        if drawn not in taken:
            break
    else:
        drawn = decimal(round(high + len(taken) / 1_000_000, 6))
    taken.add(drawn)
    return drawn


def main() -> int:
    """Send all requests; return the exit code."""
    chosen = options.parse(OPTIONS, __doc__.partition("\n")[0])
    connected = connect(chosen.target)
    where = place(connected.getpeername())
    draws = random.Random(chosen.seed)  # noqa: S311
    low, high = min(chosen.sleep), max(chosen.sleep)
    taken: set[str] = set()
    failed = sent = 0
    ready()
    begun = time.monotonic()
    try:
        for number in range(chosen.count + chosen.late):
            rest = chosen.rest if number >= chosen.count else 0
            time.sleep(max(0.0, begun + number * chosen.interval + rest - time.monotonic()))
            text = draw(draws, low, high, taken)
            if not chosen.distinct:
                taken.clear()
            data = text.encode().ljust(chosen.payload)
            line = f"request #{number + 1} to {where}: {json.dumps(text)} ({count(len(data), 'byte')})"
            say(line, "Asked", number=number + 1, target=where, data=text, bytes=len(data))
            if problem := send(connected, data):
                say(f"request #{number + 1} not sent: {problem}", "NotAsked", number=number + 1, why=problem)
                failed += 1
            else:
                sent += 1
    except KeyboardInterrupt:
        pass
    failures = f", {failed} could not be sent" if failed else ""
    seconds = round(time.monotonic() - begun, 3)
    event = "" if failed else "AskedAll"
    say(f"sent {count(sent, 'request')} in {seconds:.3f} s{failures}", event, requests=sent, seconds=seconds)
    return 1 if failed else 130 if sent < chosen.count + chosen.late else 0


if __name__ == "__main__":
    sys.exit(main())
