"""Requests that are sent as fast as they are served: a client that is fed by what the balancer says.

So a test has the load that it wants on every machine, for as long as it wants, and loses nothing for want of room.
"""

import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from netlab import balancer
from netlab.record import store
from netlab.testing.waiting import PATIENCE_S, eventually
from tests.lab.lab import background

CLIENT = """
import socket, sys
client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
to = socket.gethostbyname("lb"), 8080
for line in sys.stdin:
    client.sendto(line.strip().encode(), to)
"""
_PAUSE_S = 0.001
# How many requests to send now, by what the balancer is like, and by how many were sent so far; None ends it.
Load = Callable[[balancer.Snapshot, int], int | None]


def in_hand(most: int) -> Load:
    """Keep so many requests waiting, at work, or on their way; none of them may be lost."""
    return lambda now, sent: most - (sent - now.counters["completions"])


class Feed:
    """Sends numbered requests; `data` has what is in each. `sent` counts them."""

    def __init__(self, pins: str, client: "subprocess.Popen[str]", data: Callable[[int], str], load: Load) -> None:
        self._pins, self._client, self._data, self._load = pins, client, data, load
        self._is_over = threading.Event()
        self.sent = 0

    def flow(self) -> None:
        """Send until it is enough; the client's end is waited for."""
        assert self._client.stdin
        moved = time.monotonic()
        while not self._is_over.is_set():
            count = self._load(balancer.snapshot(self._pins), self.sent)
            if count is None:
                break
            if count > 0:
                self._client.stdin.write("".join(f"{self._data(self.sent + at)}\n" for at in range(count)))
                self._client.stdin.flush()
                self.sent += count
                moved = time.monotonic()
            else:
                assert time.monotonic() < moved + PATIENCE_S, "the requests are not taken"
                time.sleep(_PAUSE_S)
        self._client.stdin.close()
        assert self._client.wait(PATIENCE_S) == 0, "the client has failed"

    def stop(self) -> None:
        """Let it be enough."""
        self._is_over.set()


@contextmanager
def fed(lab: str, data: Callable[[int], str], load: Load) -> Iterator[Feed]:
    """Send requests from the lab's node `client` meanwhile; at the end all that were sent have arrived at `lb`."""
    pins = dict(store.read(lab).programs())["lb"].pins
    client = background("client", ["python3", "-c", CLIENT], stdin=subprocess.PIPE, stdout=None, stderr=None)
    feed = Feed(pins, client, data, load)
    with ThreadPoolExecutor(1) as pool:
        flowing = pool.submit(feed.flow)
        try:
            eventually(lambda: feed.sent or flowing.done(), "the first request")
            yield feed
            feed.stop()
            flowing.result()
        finally:
            feed.stop()
            client.kill()
            client.wait()
    eventually(lambda: balancer.snapshot(pins).counters["received"] >= feed.sent, "all that were sent")
