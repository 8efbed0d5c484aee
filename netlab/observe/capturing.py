"""A capture at interfaces of a lab: what its packet sockets and its programs tell, in one order of time.

Times are CLOCK_MONOTONIC, as in all logs. A packet socket has wall-clock times: these are turned back by the distance
of both clocks at that moment. Towards people and files all are moved by the one distance that the lab has noted when it
was built, so a step of the wall clock changes nothing, and a line of a log and its packet have the same time.
"""

import os
import select
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress

from netlab.errors import NetlabError, UsageError
from netlab.kernel import syscalls
from netlab.lab import telling
from netlab.lab.standing import Standing
from netlab.lab.tellers import Telling
from netlab.named_tuple import NamedTuple
from netlab.observe import packet_sockets, socket_reader
from netlab.observe.packet_filter import PacketFilter
from netlab.observe.seen import Seen
from netlab.observe.socket_reader import SocketReader
from netlab.observe.verdict_reader import VerdictReader
from netlab.record.model import LabRecord
from netlab.topology.hooks import EGRESS

_LOOK_S = 0.2  # whether the lab is still there
_REST_S = 0.001  # after it was woken, so that one look finds many packets
Say = Callable[[str], None]
Place = tuple[str, str]  # node and interface
Wanted = Callable[[Seen], bool]


class Lost(NamedTuple):
    """Packets that came too fast: at an interface's socket, or those of a program, whose node `program_of` is."""

    where: str
    number: int
    program_of: str = ""


def places(record: LabRecord, words: Sequence[str]) -> tuple[list[Place], list[str]]:
    """Return the interfaces that the first words mean, NODE or NODE:INTERFACE, and the other words; none means all.

    UsageError if a node has no such interface.
    """
    chosen: list[Place] = []
    left = list(words)
    while left:
        node, colon, interface = left[0].partition(":")
        if node not in record.nodes:
            break
        there = list(record.nodes[node].interfaces)
        if colon and interface not in there:
            raise UsageError(f"{left[0]}: {node} has {', '.join(there) or 'no interface'}, and no {interface}")
        chosen += [(node, name) for name in ([interface] if colon else there)]
        del left[0]
    every = [(node, name) for node, about in record.nodes.items() for name in about.interfaces]
    return list(dict.fromkeys(chosen or every)), left


def filter_of(record: LabRecord, words: Sequence[str]) -> PacketFilter | None:
    """Return the filter that these words are, in which `host` may name a node; None for no words, or empty ones."""
    hosts = {
        node: [address.partition("/")[0] for port in about.interfaces.values() for address in port.addresses]
        for node, about in record.nodes.items()
    }
    text = " ".join(words).strip()
    return PacketFilter(text, hosts) if text else None


class Capturing:
    """A capture that is open: see `opened`."""

    def __init__(
        self, lab: Standing, chosen: Sequence[Place], wanted: PacketFilter | None, told: Telling | None
    ) -> None:
        self.lab, self.places, self.wanted, self.telling = lab, list(chosen), wanted, told
        self._chosen = frozenset(chosen)
        self.ahead_ns = lab.record.clock_offset_ns
        self.readers: list[SocketReader] = []
        self.verdicts: VerdictReader | None = None
        self._late: list[Seen] = []
        self._buffer = socket_reader.buffer()
        self._device = _device(lab.record.folder)
        self.tell_no_more: Callable[[], None] = lambda: None

    def open(self) -> None:
        """Open a socket at each interface; NetlabError if one cannot be opened."""
        syscalls.in_threads(1, self._open, self.places)
        if self.telling:
            numbers = {(each.node, each.index): each.interface for each in self.readers}
            self.verdicts = VerdictReader(self.telling, numbers)
        for each in self.readers:
            each.restrict(self.wanted)

    def _open(self, chosen: Iterator[Place]) -> None:
        for node, interface in chosen:
            try:
                reader = SocketReader(self.lab, node, interface, self._skips(self.lab, node, interface))
            except OSError as error:
                raise NetlabError(f"cannot capture at {node}:{interface}: {error.strerror}") from error
            self.readers.append(reader)

    def _skips(self, lab: Standing, node: str, interface: str) -> frozenset[bool]:
        """Return the directions at an interface of which a program tells, so a socket would tell them twice."""
        if not self.telling or node not in lab.record.nodes:
            return frozenset()
        silent = self.telling.refused
        programs = (each for key, each in lab.record.programs_of(node) if key not in silent)
        return frozenset(each.hook == EGRESS for each in programs if interface in each.interfaces)

    def batches(self, stop: int, say: Say, duration_s: float | None = None) -> Iterator[list[Seen]]:
        """Yield packets in the order of time, until `stop` can be read, the time is over, or the lab is gone."""
        ends_at = None if duration_s is None else time.monotonic() + duration_s
        with select.epoll() as poll:
            for fd in (stop, *(each.socket.fileno() for each in self.readers)):
                poll.register(fd, select.EPOLLIN)
            if self.verdicts:
                poll.register(self.verdicts.fd, select.EPOLLIN)
            look_at = time.monotonic() + _LOOK_S
            while ends_at is None or time.monotonic() < ends_at:
                ready = poll.poll(_LOOK_S if ends_at is None else max(0.0, min(_LOOK_S, ends_at - time.monotonic())))
                if any(fd == stop for fd, _ in ready) or self.is_over():
                    return
                if ready:
                    time.sleep(_REST_S)
                yield self._drained(time.monotonic_ns())
                if time.monotonic() > look_at:
                    self._look(say)
                    look_at = time.monotonic() + _LOOK_S

    def is_over(self) -> bool:
        """Say whether the lab is gone."""
        return _device(self.lab.record.folder) != self._device

    def _look(self, say: Say) -> None:
        """Let programs tell that a reload or a change of the lab has put in."""
        if self.telling and not self.is_over() and (now := telling.go_on(self.lab, self.telling, say)):
            for each in self.readers:
                each.skip(self._skips(now, each.node, each.interface), self.wanted)

    def rest(self) -> Iterator[list[Seen]]:
        """Have the programs as they were, and yield what is left: in sockets, in the ring, and what was too new."""
        self.tell_no_more()
        for each in self.readers:
            with suppress(OSError):
                packet_sockets.restrict(each.socket, packet_sockets.RETURN_NOTHING)
        while found := self._drained(time.monotonic_ns()):
            yield found

    def _drained(self, now: int) -> list[Seen]:
        found, self._late = self._late, []
        for each in self.readers:
            found += each.take(self._buffer)
        if self.verdicts:
            found += filter(self._is_wanted, self.verdicts.take())
        found.sort(key=_when)
        while found and found[-1].ns > now:  # newer than the look that has found them: others may be before them
            self._late.insert(0, found.pop())
        return found

    def _is_wanted(self, seen: Seen) -> bool:
        """Say whether a packet with a verdict is at one of the places, and is meant by the filter, before or after."""
        if (seen.node, seen.interface) not in self._chosen:
            return False
        verdict, wanted = seen.verdict, self.wanted
        if not wanted or not verdict:
            return True
        return wanted.matches(seen.data, seen.length) or wanted.matches(verdict.after, verdict.after_length)

    def lost(self) -> list[Lost]:
        """Return what came too fast so far, where anything did."""
        found = [Lost(f"{each.node}:{each.interface}", each.count()) for each in self.readers]
        if self.telling:
            for teller, number in zip(self.telling.tellers, self.telling.lost(), strict=True):
                found.append(Lost(f"{teller.key} ({teller.function})", number, teller.node))
        return [each for each in found if each.number]

    def close(self) -> None:
        """Read no more."""
        for each in self.readers:
            each.close()
        if self.verdicts:
            self.verdicts.close()


@contextmanager
def opened(
    lab: Standing, chosen: Sequence[Place], wanted: PacketFilter | None, say: Say, *, with_verdicts: bool
) -> Iterator[Capturing]:
    """Yield a capture at these interfaces; with verdicts, the programs at these nodes tell them meanwhile.

    NetlabError, with nothing changed, if an interface or a program cannot be captured.
    """
    with ExitStack() as held:
        told, telling_held = None, held.enter_context(ExitStack())
        if with_verdicts:
            nodes = {node for node, _ in chosen}
            keys = [key for node in lab.record.nodes if node in nodes for key, _ in lab.record.programs_of(node)]
            if not keys:
                raise UsageError(f"--verdicts: no program is at {', '.join(sorted(nodes))}")
            told = telling_held.enter_context(telling.of(lab, keys, say))
        made = Capturing(lab, chosen, wanted, told)
        made.tell_no_more = telling_held.close
        held.callback(made.close)
        made.open()
        yield made


def _when(seen: Seen) -> int:
    return seen.ns


def _device(folder: str) -> int:
    """Return what tells a lab's folder from that of another of the same name; 0 if it is gone."""
    with suppress(OSError):
        return os.stat(folder).st_dev
    return 0
