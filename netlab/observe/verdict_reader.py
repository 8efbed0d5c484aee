"""What programs tell of packets (lab.telling), read from their ring as packets with verdicts."""

from collections.abc import Iterator, Mapping

from netlab.lab.tellers import Telling
from netlab.observe.seen import Seen, Verdict
from netlab.programs import verdict_code
from netlab.programs.ring_buffer import RingBuffer

_HEAD = verdict_code.EVENT


class VerdictReader:
    """Reads the ring of programs that tell; `interfaces` has the interfaces of nodes by node and number."""

    def __init__(self, telling: Telling, interfaces: Mapping[tuple[str, int], str]) -> None:
        self._telling = telling
        self._interfaces = interfaces
        self._ring = RingBuffer(telling.ring)
        self._before: dict[tuple[int, int], tuple[int, ...]] = {}  # by program and CPU
        self._data: dict[tuple[int, int], bytes] = {}
        self.fd = telling.ring.fd  # for poll(2)

    def take(self) -> Iterator[Seen]:
        """Yield the packets that are told of now; the programs are done with each."""
        for event in self._ring.records():
            head = _HEAD.unpack_from(event)
            place = head[1], head[4]
            if not head[2]:
                self._before[place], self._data[place] = head, event[_HEAD.size :]
                continue
            before = self._before.pop(place, None)
            if before and before[3] == head[3]:
                yield self._packet(before, head, self._data[place], event[_HEAD.size :])

    def _packet(self, before: tuple[int, ...], head: tuple[int, ...], data: bytes, after: bytes) -> Seen:
        ns, number, _, _, _, index, length = before[:7]
        after_ns, after_length, code, reason, which = head[0], *head[6:10]
        teller = self._telling.tellers[number]
        why = teller.reasons[which].get(reason, "") if reason != verdict_code.NO_REASON else ""
        interface = self._interfaces.get((teller.node, index), f"if{index}")
        verdict = Verdict(teller.key, teller.function, teller.hook, code, why, after, after_ns, after_length)
        return Seen(ns, teller.node, interface, teller.leaves, data, length, verdict)

    def close(self) -> None:
        """Read no more."""
        self._ring.close()
