"""A worker of the benchmarks: some servers behind one socket, each of which sleeps for as long as a request says.

One process, one thread: what would be threads asleep are times in a heap, so that none waits for another's turn on the
CPU. A request that finds no server free waits here, in order. It writes down when each was taken up and done, by
CLOCK_MONOTONIC. After SIGTERM it goes on until nothing comes any more, and stores that as JSON.

    server.py OUTPUT SERVERS COMPLETIONS-TO|-

With an address it sends a completion there, as the balancer wants it; without, it answers who has asked.
"""

import gc
import heapq
import json
import resource
import select
import signal
import socket
import struct
import sys
import time
from collections import deque
from typing import Any

PORT = 8080
REQUEST = struct.Struct("!Id")  # number, seconds
BUFFER_BYTES = 1 << 22
SO_RCVBUFFORCE, SO_TIMESTAMPNS = 33, 35
STAMP = struct.Struct("@qq")
NS = 1_000_000_000
IDLE_S = 0.2  # without requests, after SIGTERM


def main(output: str, servers: int, to: str) -> None:
    """Serve until SIGTERM, and what is under way then."""
    host, _, port = to.partition(":")
    completions = (host, int(port)) if port else None
    ears = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    ears.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER_BYTES)
    ears.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    ears.bind(("", PORT))
    ears.setblocking(False)
    behind_ns = time.time_ns() - time.monotonic_ns()
    over: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: over.append(number))
    gc.disable()
    print("READY", flush=True)

    busy: list[tuple[int, int, Any]] = []  # when done, which, whom to answer
    waiting: deque[tuple[int, float, Any]] = deque()
    taken: dict[int, int] = {}
    done: dict[int, int] = {}
    arrived: dict[int, int] = {}
    asked: dict[int, float] = {}

    def take(number: int, seconds: float, sender: Any) -> None:
        taken[number] = now = time.monotonic_ns()
        heapq.heappush(busy, (now + int(seconds * NS), number, sender))

    while True:
        left_s = max(0.0, (busy[0][0] - time.monotonic_ns()) / NS) if busy else IDLE_S
        readable = select.select([ears], [], [], left_s)[0]
        if over and not busy and not readable:
            break
        while busy and busy[0][0] <= time.monotonic_ns():
            _, number, sender = heapq.heappop(busy)
            done[number] = time.monotonic_ns()
            ears.sendto(b"", completions or sender)
            if waiting:
                take(*waiting.popleft())
        while readable:
            try:
                data, ancillary, _, sender = ears.recvmsg(64, 64)
            except BlockingIOError:
                break
            number, seconds = REQUEST.unpack_from(data)
            stamp = STAMP.unpack(ancillary[0][2][: STAMP.size])
            arrived[number] = stamp[0] * NS + stamp[1] - behind_ns
            asked[number] = seconds
            if len(busy) < servers:
                take(number, seconds, sender)
            else:
                waiting.append((number, seconds, sender))
    used = resource.getrusage(resource.RUSAGE_SELF)
    rows = [[number, arrived[number], taken[number], done[number], asked[number]] for number in done]
    with open(output, "w", encoding="ascii") as file:
        json.dump({"cpu_s": used.ru_utime + used.ru_stime, "rows": rows}, file)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
