"""What may be asked of a supervisor, and what is said of anything else."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netlab.supervise import schema
from netlab.supervise.loop import Loop
from netlab.supervise.refusal import Refused
from netlab.supervise.requests import Requests
from netlab.supervise.stream import Reader, Stream

VERBS = "start, stop, restart, signal, kill, pause, resume, state, log, fault, happened, watch, look, take, links"
A_FAULT = "expected `about`, a name or null, `text` on one line, and `ns`, the time in nanoseconds"


class Known:
    """Stands in for the processes: writes down what is asked of them."""

    def __init__(self) -> None:
        self.done: list[tuple[object, ...]] = []
        self.interference = self

    def __getattr__(self, do: str) -> Any:
        def act(*words: object) -> None:
            if words[0] == "nobody":
                raise Refused("there is no process nobody")
            self.done.append((do, *words))

        return act

    def states(self) -> list[dict[str, str]]:
        return [{"process": "a"}]


@pytest.fixture
def known() -> Known:
    return Known()


def answer(known: Known, line: bytes, reader: Reader | None = None) -> dict[str, Any]:
    does = (list, list, known.write, list, lambda: known)
    requests = Requests(known, Stream(Loop()), *does)  # type: ignore[arg-type]
    found: dict[str, Any] = json.loads(requests.answer(reader or Reader(-1), line))
    return found


@pytest.mark.parametrize(
    ("asked", "done"),
    [
        ({"do": "start", "process": "a"}, ("start", "a")),
        ({"do": "stop", "process": "a", "more": 1}, ("stop", "a")),
        ({"do": "restart", "process": "a"}, ("restart", "a")),
        ({"do": "signal", "process": "a", "signal": "SIGHUP"}, ("signal", "a", 1)),
        ({"do": "signal", "process": "a", "signal": 64}, ("signal", "a", 64)),
        ({"do": "kill", "process": "a", "signal": "SIGKILL"}, ("kill", "a", 9)),
        ({"do": "pause", "process": "a"}, ("pause", "a")),
        ({"do": "resume", "process": "a"}, ("resume", "a")),
        ({"do": "fault", "about": "a/b", "text": "kill a/b", "ns": 5}, ("write", "fault", "a/b", "kill a/b", 5, None)),
        (
            {"do": "fault", "about": None, "text": "restore all", "ns": 5},
            ("write", "fault", "", "restore all", 5, None),
        ),
        (
            {"do": "happened", "event": "checked", "about": "a", "text": "a ping", "ns": 5, "data": {"holds": True}},
            ("write", "checked", "a", "a ping", 5, {"holds": True}),
        ),
        ({"do": "log", "process": "a", "lines": []}, ("log", "a", [])),
        ({"do": "links", "holder": ["x", "y"]}, ("look", ["x", "y"])),
        (
            {"do": "log", "process": "a", "lines": [[5, "out", "one"], [6, "err+", "\udcff"], [7, "note", ""]]},
            ("log", "a", [(5, "out", b"one"), (6, "err+", b"\xff"), (7, "note", b"")]),
        ),
        (
            {"do": "log", "process": "a", "lines": [[5, "out=2", "one{}"]]},
            ("log", "a", [(5, "out=2", b"one{}")]),
        ),
    ],
)
def test_what_is_asked_is_done(known: Known, asked: dict[str, Any], done: tuple[object, ...]) -> None:
    assert {"kind": "answer", "do": asked["do"], "id": 3} == answer(known, json.dumps({**asked, "id": 3}).encode())
    assert [done] == known.done


def test_state_and_watch_tell_how_things_are(known: Known) -> None:
    reader = Reader(-1)

    assert {"kind": "answer", "do": "state", "processes": [{"process": "a"}]} == answer(known, b'{"do": "state"}')
    assert answer(known, b'{"do": "watch", "kinds": ["line"]}', reader)["processes"] == [{"process": "a"}]
    assert {"line"} == reader.kinds
    answer(known, b'{"do": "watch"}', reader)
    printed = ("line", "note", "trace", "event", "overrun", "xdp")
    assert {*schema.LIFE, *printed, "fault", "reloaded", "applied", "checked"} == reader.kinds


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"hello", 'expected a JSON object such as {"do": "state"}, found hello'),
        (b"\xff" * 70, 'expected a JSON object such as {"do": "state"}, found ' + "\\xff" * 15 + " …"),
        (b"[1]", 'expected a JSON object such as {"do": "state"}, found [1]'),
        (
            b"{}",
            f"`do` is null: expected one of {VERBS}",
        ),
        (
            b'{"do": "fault", "text": "a\\nb", "ns": 5}',
            A_FAULT,
        ),
        (
            b'{"do": "happened", "event": "line", "about": null, "text": "x", "ns": 5}',
            '`event` is "line": expected one of fault, reloaded, applied, checked',
        ),
        (
            b'{"do": "happened", "event": "checked", "about": null, "text": "x", "ns": 5, "data": [1]}',
            "`data` is [1]: expected an object of at most 16384 bytes",
        ),
        (b'{"do": "start"}', "`process` is null: expected the name of a process"),
        (b'{"do": "links", "holder": "x"}', '`holder` is "x": expected a list of words, or null'),
        (b'{"do": "stop", "process": "nobody"}', "there is no process nobody"),
        (
            b'{"do": "signal", "process": "a", "signal": 0}',
            "`signal` is 0: expected a name such as SIGHUP, or a number from 1 to 64",
        ),
        (
            b'{"do": "watch", "kinds": ["lines"]}',
            f'`kinds` is ["lines"]: expected a list of some of {", ".join(schema.KINDS)}',
        ),
    ],
)
def test_what_cannot_be_done_is_said(known: Known, line: bytes, why: str) -> None:
    assert {"kind": "error", "why": why} == answer(known, line)
    assert [] == known.done


@pytest.mark.parametrize(("opens", "closes"), [(b"[", b"]"), (b'{"a":', b"}")])
@pytest.mark.parametrize("key", [b"do", b"process", b"signal", b"kinds"])
def test_what_is_deep_is_answered_like_anything_else(known: Known, key: bytes, opens: bytes, closes: bytes) -> None:
    """JSON reads a little deeper than it writes: some of these depths are in between."""
    verbs = {b"process": b'"do":"stop",', b"signal": b'"do":"signal","process":"a",', b"kinds": b'"do":"watch",'}
    for depth in range(900, 1001):
        line = b'{%s"%s":%s1%s}' % (verbs.get(key, b""), key, opens * depth, closes * depth)
        assert "error" == answer(known, line)["kind"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["a", "start", "watch"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
ASKED = st.dictionaries(st.sampled_from(["do", "id", "process", "signal", "kinds"]), JSON)


@pytest.mark.parametrize(
    "lines",
    [
        '"a"',
        "[7]",
        '[[1, "in", "a"]]',
        '[["1", "out", "a"]]',
        r'[[1, "out", "a\nb"]]',
        '[[1, "out"]]',
        '[[1, "out=5", "four"]]',
        '[[1, "out=x", "four"]]',
        r'[[1, "out", "\ud800"]]',
    ],
)
def test_lines_that_are_none_get_into_no_log(known: Known, lines: str) -> None:
    said = answer(known, f'{{"do": "log", "process": "a", "lines": {lines}}}'.encode())["why"]

    assert said.startswith("`lines` is ")
    assert said.endswith("expected a list of [NANOSECONDS, STREAM, TEXT], STREAM one of out, out+, err, err+, note")
    assert [] == known.done


@settings(deadline=None)
@given(
    st.binary() | JSON.map(lambda value: json.dumps(value).encode()) | ASKED.map(lambda one: json.dumps(one).encode())
)
def test_whatever_comes_is_answered_by_one_line(line: bytes) -> None:
    does = (list, list, print, list, Known)
    found = Requests(Known(), Stream(Loop()), *does).answer(Reader(-1), line)  # type: ignore[arg-type]

    assert json.loads(found)["kind"] in ("answer", "error")
    assert found.count(b"\n") == 1
