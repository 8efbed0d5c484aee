"""What has gone wrong with XDP becomes lines: the first of each second, and how many more there were."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from netlab.errors import HostError
from netlab.programs import xdp_error_code as code
from netlab.programs import xdp_errors
from netlab.programs.xdp_errors import Error
from netlab.programs.xdp_places import Node
from netlab.supervise import logs, xdp_collector
from netlab.supervise.loop import Loop
from netlab.supervise.stream import Reader, Stream
from netlab.supervise.xdp_collector import ErrorCollector

SECOND = code.SECOND_NS
ERROR = Error(0, code.REDIRECT, 0, 22, 0, "eth0", "")
OTHER = Error(0, code.REDIRECT, 0, 100, 17, "eth0", "")
WHY = "redirected to an index that no interface has"


class Kernel:
    """Maps as the collector finds them, and a clock."""

    def __init__(self) -> None:
        self.fd = 0
        self.now = 100 * SECOND
        self.counted: dict[Error, int] = {}
        self._ring: list[bytes] = []

    def open(self, _: str) -> "Kernel":
        return self

    def records(self) -> Iterator[bytes]:
        while self._ring:
            yield self._ring.pop(0)

    def get(self, key: bytes) -> bytes:
        return code.COUNT.pack(self.counted[xdp_errors.error_of(key)], 0, 0, 0)

    def lose(self, error: Error, frames: int = 1, *, told: bool = True) -> None:
        self.counted[error] = self.counted.get(error, 0) + frames
        if told:
            self._ring.append(xdp_errors.key_of(error) + code.EVENT.pack(*[0] * 5, b"", b"", self.now, frames, 77)[48:])


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    found = Kernel()
    monkeypatch.setattr(xdp_collector, "Map", found)
    monkeypatch.setattr(xdp_collector, "RingBuffer", found)
    monkeypatch.setattr(time, "monotonic_ns", lambda: found.now)
    return found


@pytest.fixture
def collector(kernel: Kernel, tmp_path: Path) -> ErrorCollector:
    nodes = [Node(node="fw", interfaces={"17": "eth1"}, programs={"eth0": "fw/in"})]
    return ErrorCollector(str(tmp_path), nodes, logs.FILE_LIMIT, Stream(Loop()))


def lines(tmp_path: Path) -> list[str]:
    return [line.text for line in logs.read(str(tmp_path), [], trace=True)]


def test_what_is_told_is_a_line_and_the_rest_of_the_second_is_one_more(
    kernel: Kernel, collector: ErrorCollector, tmp_path: Path
) -> None:
    kernel.lose(ERROR)
    kernel.lose(OTHER, 3)
    collector.move()
    kernel.lose(ERROR, 1234, told=False)
    collector.move()
    before = lines(tmp_path)
    kernel.now += SECOND
    kernel.lose(ERROR)  # a new second has begun
    collector.move()

    assert [f"eth0: 1 frame lost: {WHY} (77)", "eth0: 3 frames lost: redirected to eth1, which is down"] == before
    after = [f"eth0: … and 1,234 more lost in this second: {WHY}", f"eth0: 1 frame lost: {WHY} (77)"]
    assert [*before, *after] == lines(tmp_path)
    assert ["fw/in"] * 4 == [line.source for line in logs.read(str(tmp_path), [], trace=True)]


def test_it_looks_until_no_more_have_come(kernel: Kernel, collector: ErrorCollector, tmp_path: Path) -> None:
    """What comes after the first ones of a second that began between two looks is not forgotten."""
    assert float("inf") == collector.due
    kernel.lose(ERROR)
    collector.move()
    assert (kernel.now + SECOND) / 1e9 == collector.due

    for more in (5, 0):
        kernel.lose(ERROR, more, told=False)
        kernel.now += SECOND
        collector.move()

    assert float("inf") == collector.due
    assert [f"eth0: … and 5 more lost in this second: {WHY}"] == lines(tmp_path)[1:]


def test_at_the_end_nothing_waits(kernel: Kernel, collector: ErrorCollector, tmp_path: Path) -> None:
    kernel.lose(ERROR)
    kernel.lose(ERROR, 2, told=False)
    kernel.now += 1
    collector.move(at_all=True)

    assert [f"eth0: 1 frame lost: {WHY} (77)", f"eth0: … and 2 more lost in this second: {WHY}"] == lines(tmp_path)


def test_readers_are_told_the_same_as_data(kernel: Kernel, collector: ErrorCollector, tmp_path: Path) -> None:
    heard: list[bytes] = []
    reader = Reader(0, kinds=("xdp",))
    reader.hear = heard.append  # type: ignore[assignment,method-assign]
    collector._stream.add(reader)
    kernel.lose(OTHER)
    collector.move()

    text = "eth0: 1 frame lost: redirected to eth1, which is down"
    assert [text] == lines(tmp_path)
    where = b'"node": "fw", "program": "fw/in", "interface": "eth0", "reason": "interface-down", "target": "eth1"'
    rest = b'"frames": 1, "text": "%s"' % text.encode()
    assert [b'{"kind": "xdp", "ns": %d, %s, %s}\n' % (kernel.now, where, rest)] == heard


def test_what_is_lost_on_the_way_is_counted_while_somebody_reads(
    kernel: Kernel, collector: ErrorCollector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is begun once, however many read, and ended with the last of them; a kernel that refuses is asked no more."""
    happened: list[str] = []

    def begin(_: str) -> ExitStack:
        happened.append("begun")
        if len(happened) > 2:
            raise HostError("no")
        held = ExitStack()
        held.callback(happened.append, "ended")
        return held

    monkeypatch.setattr(xdp_errors, "count_on_the_way", begin)
    readers = [Reader(fd, kinds=("xdp",)) for fd in (0, 1)]
    stream = collector._stream

    def turn(change: Callable[[Reader], None], *whom: Reader) -> list[str]:
        for reader in whom:
            change(reader)
            collector.heed_readers()
        collector.heed_readers()
        return list(happened)

    assert [] == turn(stream.add, Reader(2, kinds=("trace",)))
    assert ["begun"] == turn(stream.add, *readers)
    assert ["begun"] == turn(stream.remove, readers[0])
    assert ["begun", "ended"] == turn(stream.remove, readers[1])
    assert ["begun", "ended", "begun"] == turn(stream.add, *readers)
    assert ["begun", "ended", "begun"] == turn(stream.remove, *readers)
