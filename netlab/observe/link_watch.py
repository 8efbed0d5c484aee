"""Watches the interfaces of a lab's nodes while somebody reads: which come up, go down, lose their carrier, come or go.

A thread hears what the kernel tells and stamps it at once, so that a reader that takes its time gets right times.
"""

import os
import selectors
import socket
import threading
import time
from collections import deque
from contextlib import suppress

from netlab.kernel import signals
from netlab.observe.events import Event
from netlab.observe.interfaces import (
    ASK,
    DONE,
    GONE,
    GONE_LINK,
    NEW_LINK,
    Interface,
    in_nodes,
    listening,
    messages,
    parse,
)
from netlab.record.model import LabRecord

_READ_BYTES = 1 << 16
_ROOM_BYTES = 1 << 19  # of a node's socket
_MOST = 10_000  # changes that wait for the reader


class LinkWatch:
    """The watch on one lab; a source of `following`."""

    due = float("inf")

    def __init__(self, lab: LabRecord) -> None:
        """Begin. The thread ends with `close`, or with the process."""
        self._lab = lab
        self._selector = selectors.DefaultSelector()
        self._sockets: dict[str, socket.socket] = {}
        self._known: dict[str, dict[int, Interface]] = {}  # by node and number
        self._whole: set[str] = set()  # nodes all of whose interfaces are known
        self._heard: deque[Event] = deque()
        self._missed = 0
        self.fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._over = os.eventfd(0, os.EFD_CLOEXEC)
        self._lock = threading.Lock()
        self._selector.register(self._over, selectors.EVENT_READ)
        self.renew(lab)
        self._thread = threading.Thread(target=self._run, name="netlab-links", daemon=True)
        signals.start_thread(self._thread)

    def renew(self, lab: LabRecord) -> None:
        """Watch the nodes that the lab has now."""
        with self._lock:
            found = in_nodes(lab, lambda: listening(_ROOM_BYTES), self._sockets)
            for node in self._sockets.keys() - found.keys():
                self._forget(node)
            for node in found.keys() - self._sockets.keys():
                self._selector.register(found[node], selectors.EVENT_READ, node)
            self._lab, self._sockets = lab, found

    def take(self) -> list[Event]:
        """Return the changes that have come."""
        with suppress(BlockingIOError):
            os.eventfd_read(self.fd)
        taken = []
        while self._heard:
            taken.append(self._heard.popleft())
        if self._missed:
            missed, self._missed = self._missed, 0
            text = f"{missed} changes of links are missing here, as this reader was too slow"
            taken.append(self._event("lost", "", count=missed, text=text))
        return taken

    def close(self) -> None:
        """End the thread, and close everything."""
        os.eventfd_write(self._over, 1)
        self._thread.join()
        for each in self._sockets.values():
            each.close()
        self._selector.close()
        os.close(self.fd)
        os.close(self._over)

    def _run(self) -> None:
        while True:
            for key, _ in self._selector.select():
                if key.data is None:
                    return
                with self._lock:
                    if key.data in self._sockets:
                        self._hear(key.data)

    def _hear(self, node: str) -> None:
        """Take one batch of what the kernel tells of a node."""
        try:
            data = self._sockets[node].recv(_READ_BYTES)
        except BlockingIOError:
            return
        except OSError:  # more has changed than there was room for: what is other now than it was known is told
            with suppress(OSError):
                self._sockets[node].send(ASK)
            return
        known = self._known.setdefault(node, {})
        for kind, body in messages(data):
            if kind == DONE:
                self._whole.add(node)
            if kind in (NEW_LINK, GONE_LINK) and (now := parse(body)):
                before = known.pop(now.number, None)
                if kind == NEW_LINK:
                    known[now.number] = now
                self._compare(node, before, now if kind == NEW_LINK else now._replace(state=GONE))

    def _compare(self, node: str, before: Interface | None, now: Interface) -> None:
        """Tell what has changed; how it was when the watch began is no change."""
        if (before.state if before else "") == now.state or (before is None and node not in self._whole):
            return
        port = self._lab.nodes[node].interfaces.get(now.name)
        peer = {"peer": {"node": port.peer, "interface": port.peer_interface}} if port else {}
        about = {"interface": now.name, "state": now.state, "before": before.state if before else None, **peer}
        where = f", to {port.peer}" if port else ""
        text = f"{now.name}{where}: {now.state}"
        if len(self._heard) >= _MOST:
            self._missed += 1
            return
        self._heard.append(self._event("link", node, **about, text=text))
        os.eventfd_write(self.fd, 1)

    def _event(self, kind: str, node: str, **fields: object) -> Event:
        ns = time.monotonic_ns()
        return Event(ns, kind, self._lab.lab, node, fields, ns + self._lab.clock_offset_ns)

    def _forget(self, node: str) -> None:
        self._selector.unregister(self._sockets[node])
        self._sockets[node].close()
        self._known.pop(node, None)
        self._whole.discard(node)
