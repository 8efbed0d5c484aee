"""What `netlab run` hands to the supervisor: lines in requests that are not too long."""

import json
import time
from typing import Any, Self

import pytest

from netlab.cli import foreground
from netlab.errors import NetlabError
from netlab.supervise import schema, talk
from netlab.supervise.pipe import Pipe, Printed


class Supervisor:
    """Stands in for one: keeps what it is asked, or refuses."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.refuses = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def ask(self, do: str, **what: Any) -> None:
        if self.refuses:
            raise NetlabError("it has ended")
        self.asked.append({"do": do, "id": 1 << 60, **what})


@pytest.fixture
def supervisor(monkeypatch: pytest.MonkeyPatch) -> Supervisor:
    made = Supervisor()
    monkeypatch.setattr(talk, "to", lambda folder: made)
    return made


def test_long_lines_and_many_fit_into_requests_and_nothing_is_lost(supervisor: Supervisor) -> None:
    """Also of bytes that are no text; a line that is cut says so."""
    lines = [
        Printed(1, "out", bytes(range(256)).replace(b"\n", b"") * 70),
        Printed(2, "err+", b"\xff" * 9000),
        *(Printed(3, "out", b"short %d" % number) for number in range(5000)),
    ]
    foreground.Log("/x", "a").write(lines)
    written = [tuple(line) for asked in supervisor.asked for line in asked["lines"]]

    assert all(len(json.dumps(asked)) <= schema.LINE_LIMIT for asked in supervisor.asked)
    assert {("log", "a")} == {(asked["do"], asked["process"]) for asked in supervisor.asked}
    together: list[Printed] = []
    goes_on = False
    for ns, stream, text in written:
        data = text.encode(errors="surrogateescape")
        if goes_on:
            together[-1] = Printed(ns, stream, together[-1].text + data)
        else:
            together.append(Printed(ns, stream, data))
        goes_on = stream.endswith("+") and ns != 2
        if ns == 2 and len(together[-1].text) < 9000:
            goes_on = True
    assert together == lines


def test_what_a_role_says_as_data_is_logged_and_not_shown(
    supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where a line is too long for one request: then it has no data."""
    shown: list[bytes] = []
    monkeypatch.setattr(foreground, "_write", lambda fd, data: shown.append(data))
    pipe, now = Pipe(b"out", stamped=True), time.monotonic_ns()
    reader = foreground.Reader({}, foreground.Log("/x", "a"))
    reader._take(pipe, b"@%d=2 asked{}\n@%d plain\n" % (now, now))
    reader._take(pipe, b"@%d=2 %s{}\n" % (now, b"x" * 20_000))
    written = [(stream, text) for asked in supervisor.asked for _, stream, text in asked["lines"]]

    assert b"asked\nplain\n" + b"x" * 20_000 + b"\n" == b"".join(shown)
    assert [("out=2", "asked{}"), ("out", "plain")] == written[:2]
    assert {"out+", "out"} == {stream for stream, _ in written[2:]}
    assert "x" * 20_000 == "".join(text for _, text in written[2:])


def test_without_a_supervisor_it_is_said_once(supervisor: Supervisor, capsys: pytest.CaptureFixture[str]) -> None:
    log = foreground.Log("/x", "a")
    supervisor.refuses = True
    for _ in range(2):
        log.note("more")

    assert capsys.readouterr().err == "netlab: note: what follows is not in the log of a: it has ended\n"
