"""Repairs the balancer's state from user space: runs programs of its own file, which take its lock."""

import socket
import struct
from enum import IntEnum

from netlab import paths
from netlab.balancer import layout
from netlab.balancer.counters import snapshot
from netlab.balancer.layout import ETHERNET_HEADER, Config, Entry, entries
from netlab.balancer.reports import absent
from netlab.programs.maps import LoadedProgram


class Readmission(IntEnum):
    """When a backend that is well again gets requests: what `readmit_run` returns (bpf/balancer/control.h)."""

    NONE = 0  # it was not absent
    AT_ONCE = 1
    WITH_REPORT = 2  # when its next report comes: it has reported before, and its report says what it has in hand


class Healer:
    """Frees threads whose completion does not come, and sends queued requests to free threads.

    The program does both with every completion; this is for when none comes any more. It runs in the balancer's network
    namespace, and changes the state only through the program's own code, under its lock.
    """

    def __init__(self, pins: str) -> None:
        self._pins = pins

    @property
    def ages(self) -> int:
        """After how many ages a thread without a completion is free again."""
        return layout.ages(self._pins)

    def age(self) -> int:
        """Make all taken threads one age older; return how many became too old, and are free again."""
        with self._program("age_run") as age:
            return age.test_run(bytes(ETHERNET_HEADER)).verdict

    def watch(self) -> int:
        """Take all threads of backends that have fallen silent; return how many backends are silent now."""
        with self._program("watch_run") as watch:
            return sum(watch.test_run(carrier(entry)).verdict for entry in self._entries().values())

    def exclude(self, backend: Entry) -> bool:
        """Send no more requests to a backend that is ill; return whether it got them until now."""
        with self._program("exclude_run") as exclude:
            return bool(exclude.test_run(carrier(backend)).verdict)

    def readmit(self, backend: Entry) -> Readmission:
        """Send requests again to a backend that was ill or refused; return when it gets them."""
        with self._program("readmit_run") as readmit:
            return Readmission(readmit.test_run(carrier(backend)).verdict)

    def backends(self) -> dict[int, Entry]:
        """Return the present backends by index."""
        return self._entries()

    def absent(self) -> dict[str, str]:
        """Return the names of backends that are `refusing` or `ill`, each with that word."""
        return {name: why for name, why in absent(self._pins).items() if why != "silent"}

    def arrange(self) -> None:
        """Apply policy and weights as written; a command that was killed may have written them and no more."""
        with self._program("arrange_run") as arrange:
            arrange.test_run(bytes(ETHERNET_HEADER))

    def kick(self) -> int:
        """Send a carrier for each free thread, at most one for each request that waits; return how many."""
        if not layout.state(self._pins)["depth"]:
            return 0
        now = snapshot(self._pins)
        there = [entry for entry in self._entries().values() if entry.name not in now.drained]
        threads = [entry for entry in there for _ in range(now.free.get(entry.name, 0))]
        with self._program("kick_run") as kick:
            for entry in threads[: now.depth]:
                kick.send(carrier(entry))
        return len(threads[: now.depth])

    def _program(self, name: str) -> LoadedProgram:
        """Open a program by its pin, as a reload may have put a new build there."""
        return LoadedProgram.open(paths.program_pin(self._pins, name))

    def _entries(self) -> dict[int, Entry]:
        return entries(self._pins, Config.read(self._pins))


def carrier(backend: Entry) -> bytes:
    """Return a frame that looks like a backend's completion; the program writes into it where it goes."""
    macs, udp = backend.our_mac + backend.mac, struct.pack("!HHHH", 0, 0, 8, 0)
    if any(backend.ipv4):
        address = backend.ipv4[-4:]
        ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 28, 0, 0, 64, socket.IPPROTO_UDP, 0, address, address)
        return macs + b"\x08\x00" + ip + udp
    address = backend.ipv6
    return macs + b"\x86\xdd" + struct.pack("!IHBB16s16s", 6 << 28, 8, socket.IPPROTO_UDP, 64, address, address) + udp
