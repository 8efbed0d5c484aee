"""Serves requests: threads take packets from one UDP port, and sleep for the seconds that the data says."""

import json
import socket
import threading
import time

from netlab import options
from netlab.role import ready, say

STAYS = True  # it ends only when it is told to
OPTIONS: options.Options = {
    "port": {"type": "port", "default": 8080, "help": "the UDP port of the requests"},
    "threads": {"type": "integer", "default": 5, "minimum": 1, "help": "requests served at a time"},
    "balancer": {"type": "endpoint", "required": True, "help": "where completions go, as NODE:PORT"},
}

chosen = options.parse(OPTIONS, "serves requests")
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("", chosen.port))
balancer = (socket.gethostbyname(chosen.balancer.host), chosen.balancer.port)
lock = threading.Lock()
received = 0
slept_by_all = 0.0


def serve(thread: int) -> None:
    """Serve one request after the other, for ever."""
    global received, slept_by_all
    slept = 0.0
    while True:
        data, (host, port) = server.recvfrom(1500)
        text = data.rstrip(b"\0 ").decode(errors="replace")
        try:
            seconds = min(max(0.0, float(text)), 3600.0)
        except ValueError:  # no number: done at once, as the balancer waits for the thread
            seconds = 0.0
        with lock:
            received += 1
            number = received
            about = f"{json.dumps(text)} ({len(data)} bytes), thread {thread}"
            say(f"received #{number} from {host}:{port}: {about} sleeps {seconds} s")
        time.sleep(seconds)
        slept += seconds
        with lock:
            slept_by_all += seconds
            so_far = f"{slept:.3f} s so far; all threads {slept_by_all:.3f} s so far"
            say(f"finished #{number}: thread {thread} slept {seconds} s, {so_far}")
            server.sendto(b"done", balancer)  # a completion: this thread is free again


for thread in range(1, chosen.threads + 1):
    threading.Thread(target=serve, args=(thread,), daemon=True).start()
ready()
threading.Event().wait()
