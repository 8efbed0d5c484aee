"""A capture as pcapng: an interface for each NODE:INTERFACE, verdicts as options, and what was lost at the end."""

import time
from collections.abc import Callable

from netlab.named_tuple import NamedTuple
from netlab.observe import packet_sockets, packet_text, pcapng
from netlab.observe.capturing import Capturing
from netlab.observe.outlet import Outlet
from netlab.observe.painter import Plain
from netlab.observe.seen import Seen

_TRANSMITTED = "XDP_TX"


class Rotation(NamedTuple):
    """When a new file begins, in bytes, and how many are kept; 0 for all."""

    most_bytes: int
    files: int = 0


class CaptureFile:
    """Writes packets into files of one section each, which `next_outlet` opens; the constructor touches nothing."""

    def __init__(self, of: Capturing, next_outlet: Callable[[], Outlet], rotation: Rotation | None = None) -> None:
        self._capture = of
        self._next, self._rotation = next_outlet, rotation
        self._outlet: Outlet | None = None
        self._numbers = {f"{node}:{name}": number for number, (node, name) in enumerate(of.places)}
        self._written = 0
        self._packet_id = 0
        self.packets = 0

    def begin(self) -> None:
        """Begin a file."""
        self._outlet = self._next()
        record, ahead = self._capture.lab.record, self._capture.ahead_ns
        self._write(pcapng.section(f"netlab: lab {record.lab}; time = CLOCK_MONOTONIC + {ahead} ns, as in its logs"))
        text = self._capture.wanted.text if self._capture.wanted else ""
        for place, (node, interface) in zip(self._numbers, self._capture.places, strict=True):
            link = record.nodes[node].interfaces[interface]
            about = f"{node} {interface}" + (f", to {link.peer} {link.peer_interface}" if link.peer else "")
            self._write(pcapng.interface(place, about, packet_sockets.SNAPLEN, text))

    def take(self, batch: list[Seen]) -> None:
        """Write packets, and let whoever reads have them now."""
        rotation = self._rotation
        parts: list[bytes] = []
        for seen in batch:
            block = b"".join(self._blocks(seen))
            if rotation and self._written + len(block) > rotation.most_bytes and self.packets:
                self._write(b"".join(parts))
                parts.clear()
                self.end()
                self.begin()
            self._written += len(block)
            parts.append(block)
            self.packets += 1
        self._write(b"".join(parts), counted=False)

    def end(self) -> None:
        """Write what each interface has seen and lost, and leave the file."""
        if self._outlet:
            lost = self._capture.lost()
            now = self._times(time.monotonic_ns())
            for reader in self._capture.readers:
                place = f"{reader.node}:{reader.interface}"
                own = [f"{each.where}: {each.number} not caught" for each in lost if each.program_of == reader.node]
                missed = sum(each.number for each in lost if each.where == place)
                self._write(pcapng.statistics(self._numbers[place], now, reader.seen, missed, "; ".join(own)))
            self._outlet = None
        self._written = 0

    def _write(self, data: bytes, *, counted: bool = True) -> None:
        if self._outlet:
            self._written += len(data) if counted else 0
            self._outlet.write(data)

    def _times(self, ns: int) -> int:
        return ns + self._capture.ahead_ns

    def _blocks(self, seen: Seen) -> list[bytes]:
        """Return the packet as it was met, and, if a program has changed it, as that has left it."""
        verdict, number = seen.verdict, self._numbers[seen.place]
        way = pcapng.OUTBOUND if seen.leaves else pcapng.INBOUND
        if not verdict:
            return [pcapng.packet(number, self._times(seen.ns), seen.data, seen.length, way)]
        self._packet_id += 1
        about = pcapng.same_packet(self._packet_id), pcapng.verdict(verdict.hook, verdict.code)
        told = pcapng.comment(packet_text.outcome(seen, Plain()))
        met = pcapng.packet(number, self._times(seen.ns), seen.data, seen.length, way, (told, *about))
        is_sent_back = verdict.name == _TRANSMITTED
        if verdict.after == seen.data and not is_sent_back:
            return [met]
        told = pcapng.comment(f"as {verdict.function} has left it")
        way = pcapng.OUTBOUND if is_sent_back else way
        after = verdict.after, verdict.after_length
        return [met, pcapng.packet(number, self._times(verdict.after_ns), *after, way, (told, *about))]
