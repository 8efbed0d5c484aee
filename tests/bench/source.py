"""The client of the benchmarks: sends requests at the times that a file says, and writes down when each really left.

    source.py INPUT OUTPUT HOST FIRST-PORT

INPUT is JSON: [[seconds from now, seconds to ask for] …]. Each request leaves from a port of its own, from FIRST-PORT
on, since others than the balancer choose a backend once for each, and remember that for a while.
"""

import ctypes
import gc
import json
import resource
import socket
import struct
import sys
import time

PORT = 8080
REQUEST = struct.Struct("!Id")
PR_SET_TIMERSLACK = 29
BEGIN_S = 0.1


def main(given: str, output: str, host: str, first_port: int) -> None:
    """Send all of it."""
    with open(given, encoding="ascii") as file:
        requests = json.load(file)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(requests) + 100,) * 2)
    ctypes.CDLL(None).prctl(PR_SET_TIMERSLACK, 1)
    sockets = []
    for number in range(len(requests)):
        mouth = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        mouth.bind(("", first_port + number))
        mouth.connect((host, PORT))
        sockets.append(mouth)
    gc.disable()
    sent = []
    begun = time.monotonic() + BEGIN_S
    for number, (at, seconds) in enumerate(requests):
        data = REQUEST.pack(number, seconds)
        time.sleep(max(0.0, begun + at - time.monotonic()))
        sent.append(time.monotonic_ns())
        sockets[number].send(data)
    with open(output, "w", encoding="ascii") as file:
        json.dump(sent, file)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
