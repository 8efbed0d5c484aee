"""Readers of what happens: each has a buffer of its own."""

import json
import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from netlab.supervise import schema
from netlab.supervise.loop import Loop
from netlab.supervise.stream import Reader, Stream

others: list[socket.socket] = []  # the other sides


@pytest.fixture
def stream() -> Iterator[Stream]:
    made = Stream(Loop())
    yield made
    for reader in list(made.readers.values()):
        made.close(reader)
    while others:
        others.pop().close()


def reader(stream: Stream, *kinds: str, room: int = 0) -> tuple[Reader, socket.socket]:
    """Return a reader with so much room, and its other side; the kernel keeps little between them."""
    ours, theirs = socket.socketpair()
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
    ours.setblocking(False)
    theirs.settimeout(20)
    others.append(theirs)
    made = Reader(ours.detach(), lambda: None, kinds)
    stream.add(made)
    made.room = room or made.room
    return made, theirs


def heard(stream: Stream, other: socket.socket) -> list[dict[str, Any]]:
    """Return what there is to be heard, all of it, with what is still to be written."""
    data = b""
    other.setblocking(False)
    for _ in range(1000):
        stream._loop.turn(0)
        stream.flush()
        with suppress(BlockingIOError):
            data += other.recv(1 << 20)
    return [json.loads(line) for line in data.splitlines()]


def test_each_hears_the_kinds_that_it_wants(stream: Stream) -> None:
    (_, all_of_it), (_, lines), (_, nothing) = reader(stream, *schema.KINDS), reader(stream, "line"), reader(stream)
    stream.tell("ready", 5, process="a", pid=7)
    stream.tell_lines("a", [b"6 out one\n", b"7 note ready\n", b"8 err+ tw\xff\n"])
    stream.tell_trace([b"9 trace lab1/lb: seen\n", b"9 lost 5 lines lost, 5 in all\n"])

    ready = {"kind": "ready", "ns": 5, "process": "a", "pid": 7}
    out = {"kind": "line", "ns": 6, "process": "a", "stream": "out", "text": "one"}
    err = {"kind": "line", "ns": 8, "process": "a", "stream": "err", "text": "tw\\xff", "cut": True}
    note = {"kind": "note", "ns": 7, "process": "a", "text": "ready"}
    trace = {"kind": "trace", "ns": 9, "node": "lb", "program": "lb", "text": "seen"}
    assert [ready, out, note, err, trace] == heard(stream, all_of_it)
    assert [out, err] == heard(stream, lines)
    assert [] == heard(stream, nothing)


def test_what_finds_no_room_is_counted_and_the_count_stands_where_the_hole_is(stream: Stream) -> None:
    _, quick = reader(stream, "ready")
    slow, other = reader(stream, "ready", room=1000)
    for at in range(10_000):
        stream.tell("ready", at + 1, process="a", pid=at)
    assert len(slow.waiting) <= 1000
    first = heard(stream, other)
    stream.tell("ready", 20_000, process="a", pid=1)
    last = heard(stream, other)

    kinds = [event["kind"] for event in (*first, *last)]
    assert kinds == ["ready"] * (len(kinds) - 2) + ["lost", "ready"]
    assert [event["ns"] for event in first[:-1]] == list(range(1, len(first)))
    assert first[-1]["count"] == 10_000 - len(first) + 1
    assert 10_001 > len(heard(stream, quick)) > len(first)


def test_an_event_that_is_larger_than_the_room_is_heard_alone(stream: Stream) -> None:
    """Else nobody would ever be told of it, nor of what comes after it."""
    _, other = reader(stream, "line", room=1000)
    stream.tell("line", 1, text="x" * 5000)
    stream.tell("line", 2, text="y")

    found = heard(stream, other)
    assert [("line", 1), ("lost", None)] == [(each["kind"], each["ns"] if "text" in each else None) for each in found]
    assert found[1]["count"] == 1


def test_one_who_has_gone_is_let_go(stream: Stream) -> None:
    one, other = reader(stream, "ready")
    other.close()
    stream.tell("ready", process="a")
    stream.flush()

    assert one.fd not in stream.readers
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(one.fd)


def test_many_have_less_room_each_but_up_hears_everything(stream: Stream) -> None:
    up = Reader(os.open(os.devnull, os.O_WRONLY), kinds=schema.LIFE, room=1 << 62)
    stream.add(up)
    alone, _ = reader(stream, "line")
    before = alone.room
    last = [reader(stream) for _ in range(200)][-1][0]

    assert before == 1 << 18
    assert alone.room == last.room == (1 << 24) // 202
    assert up.room == 1 << 62


def test_one_who_is_ending_gets_the_rest(stream: Stream) -> None:
    one, other = reader(stream, room=1 << 20)
    one.answer(schema.message("answer", pad="x" * 500_000))
    one.is_ending = True

    assert ["answer"] == [each["kind"] for each in heard(stream, other)]
    assert one.fd not in stream.readers
