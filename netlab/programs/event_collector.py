"""Reads the events of a lab's programs: a process of its own, which the supervisor starts if there are such maps.

Each line that it prints is of the form `NS KIND WHAT`:

    NS event PROGRAM JSON      an event, by the types of the program's BTF
    NS overrun JSON            so many events were lost at this place; or none, and something cannot be read
    NS ready                   from now on no event is missed

It dies with the supervisor. On SIGHUP it looks anew which maps there are, and of which types; on SIGTERM it tells what
is left, and ends.
"""

import json
import os
import select
import signal
import sys
import time
from collections import deque
from contextlib import suppress
from functools import partial
from types import TracebackType

from netlab import paths
from netlab.errors import NetlabError, reason
from netlab.kernel import syscalls
from netlab.named_tuple import NamedTuple
from netlab.programs import bpf, pinned
from netlab.programs.event_map import Event, EventMap
from netlab.programs.lab_names import LabNames
from netlab.programs.maps import Map
from netlab.record import layouts, store
from netlab.record.model import LabRecord
from netlab.words import count

MOST_WAITING, MOST_BYTES = 100_000, 16 << 20  # of events that were read and are not told yet
_SLICE = 200  # events that are told before the maps are read again
_OUT_BYTES = 1 << 16  # that wait for the supervisor to read them
_REST_S = 0.001  # after it was woken, so that one look finds many events
_LOOK_S = 0.2  # without being woken: programs may say that they wake nobody (BPF_RB_NO_WAKEUP)
_FULL_S = 0.005
_END_S = 1.0
_MANY, _NICE = 10_000, 10  # events that wait, from which on others get the CPU first
_OUT = 1


class _Lost:
    """Events that are missing at a place among the others."""

    def __init__(self, ns: int, source: EventMap) -> None:
        self.ns = ns
        self.source = source
        self.number = 0


class _Waiting(NamedTuple):
    source: EventMap
    event: Event


class Collector:
    """Moves events from maps to standard output, and counts those that come too fast."""

    def __init__(self, watch: int) -> None:
        """Take the descriptor that signals write to."""
        self._watch = watch
        self.sources: dict[tuple[str, str], EventMap] = {}
        self._queue: deque[_Waiting | _Lost] = deque()
        self._bytes = 0
        self._late: list[_Waiting] = []  # newer than the look that has found them
        self._lost: dict[EventMap, int] = {}
        self._out = bytearray()
        self._latest = 0
        self._epoll = select.epoll()
        self._nice = 0

    # ---- which maps --------------------------------------------------------------------------------------------------

    def look(self, lab: LabRecord) -> None:
        """Read all maps of events that the lab has now, each once; go on with those that are read already."""
        there: dict[tuple[str, str], EventMap] = {}
        seen: set[int] = set()
        for key, program in lab.programs():
            known = layouts.NONE
            for name, path in pinned.maps(program.pins).items():
                if name in program.unfollowed:
                    continue
                of = Map.open(path)
                if of.type not in bpf.EVENTS or of.id in seen:
                    of.close()
                    continue
                seen.add(of.id)
                known = known if known is not layouts.NONE else _known(program.pins)
                if source := self._source(key, name, of, known, LabNames(lab, paths.node_of(key))):
                    there[key, name] = source
        for place, source in self.sources.items():
            if there.get(place) is not source:
                source.close()
        self.sources = there
        self._epoll.close()
        self._epoll = select.epoll()
        self._epoll.register(self._watch, select.EPOLLIN)
        for source in there.values():
            for fd in source.descriptors():
                self._epoll.register(fd, select.EPOLLIN)

    def _source(self, key: str, name: str, of: Map, known: layouts.Layouts, names: LabNames) -> EventMap | None:
        before = self.sources.get((key, name))
        if before and before.map.id == of.id:
            of.close()
            before.learn(known, names)
            return before
        try:
            return EventMap(key, name, of, known, names)
        except (OSError, NetlabError) as error:
            why = reason(error) if isinstance(error, OSError) else str(error)
            self.problem(f"events of {key}/{name} cannot be read: {why}", program=key, map=name)
            of.close()
            return None

    # ---- reading and telling -----------------------------------------------------------------------------------------

    def drain(self) -> None:
        """Take what is in the maps, in the order of time."""
        now = time.monotonic_ns()
        found = self._late
        for source in self.sources.values():
            room = MOST_WAITING - len(self._queue) - len(found) if self._bytes < MOST_BYTES else 0
            events, lost = source.take(now, max(0, room))
            found += [_Waiting(source, event) for event in events]
            if lost:
                self._miss(source, lost, now)
        found.sort(key=lambda each: each.event.ns)
        cut = next((at for at, each in enumerate(found) if each.event.ns > now), len(found))
        self._late = found[cut:]
        for each in found[:cut]:
            self._queue.append(each)
            self._bytes += len(each.event.data)

    def _miss(self, source: EventMap, number: int, now: int) -> None:
        last = self._queue[-1] if self._queue else None
        if not isinstance(last, _Lost) or last.source is not source:
            last = _Lost(now, source)
            self._queue.append(last)
        last.number += number

    def tell(self, most: int = _SLICE) -> None:
        """Write some of what waits, as far as there is room."""
        while self._queue and most and len(self._out) < _OUT_BYTES:
            most -= 1
            each = self._queue.popleft()
            if isinstance(each, _Lost):
                self._tell_lost(each)
                continue
            source, event = each
            self._bytes -= len(event.data)
            self._latest = max(self._latest, event.ns)
            text = json.dumps(source.shown(event))
            self._out += f"{self._latest} event {source.program} {text}\n".encode()

    def _tell_lost(self, lost: _Lost) -> None:
        source, number = lost.source, lost.number
        self._lost[source] = whole = self._lost.get(source, 0) + number
        what = f"{count(number, 'event')} of {source.program}/{source.name} lost, {whole:,} in all: they came too fast"
        self._latest = max(self._latest, lost.ns)
        self._overrun(what, number, program=source.program, map=source.name)

    def problem(self, text: str, **about: str) -> None:
        """Say that something cannot be read."""
        self._latest = max(self._latest, time.monotonic_ns())
        self._overrun(text, 0, **about)

    def _overrun(self, text: str, number: int, **about: str) -> None:
        self._out += f"{self._latest} overrun {json.dumps({**about, 'count': number, 'text': text})}\n".encode()

    def say_ready(self) -> None:
        """Say that no event is missed from now on."""
        self._out += f"{time.monotonic_ns()} ready\n".encode()

    def flush(self) -> bool:
        """Write what the pipe takes; say whether that was all."""
        with suppress(BlockingIOError):
            while self._out:
                del self._out[: os.write(_OUT, self._out[:_OUT_BYTES])]
        return not self._out

    def run(self, asked: "_Asked", lab: str) -> None:
        """Go on until somebody asks for the end."""
        is_free = self.flush()
        while not asked.to_end:
            self._wait(is_free=is_free)
            if asked.to_look:
                asked.to_look = False
                self.drain()
                self.look(store.read(lab))
            self.drain()
            self.tell()
            is_free = self.flush()
            self._be_nice()
        self.drain()
        self._queue.extend(self._late)
        ends = time.monotonic() + _END_S
        while (self._queue or self._out) and time.monotonic() < ends:
            self.tell()
            if not self.flush():
                time.sleep(_REST_S)

    def _be_nice(self) -> None:
        """Be behind the lab's processes while there are more events than can be told at once."""
        wanted = _NICE if len(self._queue) > _MANY else 0
        if wanted != self._nice:
            self._nice = wanted
            os.setpriority(os.PRIO_PROCESS, 0, wanted)

    def _wait(self, *, is_free: bool) -> None:
        if self._queue and is_free:
            return
        if self._queue or not is_free:
            time.sleep(_FULL_S)
            return
        if self._epoll.poll(_LOOK_S if self.sources else -1):
            with suppress(BlockingIOError):
                os.read(self._watch, _SLICE)
            time.sleep(_REST_S)


class _Asked:
    """What signals have asked for."""

    def __init__(self) -> None:
        self.to_end = self.to_look = False

    def hear(self, number: int, _: object) -> None:
        """Take a signal."""
        if number == signal.SIGTERM:
            self.to_end = True
        else:
            self.to_look = True


def _known(pins: str) -> layouts.Layouts:
    """Return what is known of a program's types; nothing if that is lost."""
    try:
        return layouts.read(paths.layouts(pins))
    except NetlabError:
        return layouts.NONE


def _leave_word(
    collector: Collector, _: type[BaseException], error: BaseException, where: TracebackType | None
) -> None:
    """Say what ends this process, and where."""
    line = f", at {where.tb_frame.f_code.co_name}:{where.tb_lineno}" if where else ""
    collector.problem(f"the reader of events has failed: {error!r}{line}")
    collector.flush()


def main(lab: str, parent: str) -> None:
    """Read the events of a lab until the supervisor has had enough."""
    asked = _Asked()
    told, tell = os.pipe()
    for fd in (told, tell, _OUT):
        os.set_blocking(fd, False)
    signal.set_wakeup_fd(tell, warn_on_full_buffer=False)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, asked.hear)
    syscalls.die_with_parent(int(parent))
    collector = Collector(told)
    sys.excepthook = partial(_leave_word, collector)
    try:
        collector.look(store.read(lab))
        collector.say_ready()
        collector.run(asked, lab)
    except BrokenPipeError:
        return
    except (NetlabError, OSError) as error:
        collector.problem(f"events are no longer read: {error}")
        collector.flush()
    finally:
        for source in collector.sources.values():
            source.close()
