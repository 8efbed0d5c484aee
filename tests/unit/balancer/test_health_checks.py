"""The health of backends: how it is asked for, and what is made of it."""

import socket
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest

from netlab.balancer import health_checks
from netlab.balancer.healer import Readmission
from netlab.balancer.layout import Entry, address
from netlab.errors import NetlabError
from netlab.testing.waiting import eventually

ONE = Entry(address("127.0.0.1"), bytes(16), 1, 5, 1, bytes(6), bytes(6), "one")
SIX = ONE._replace(ipv4=bytes(16), ipv6=address("::1"), name="six")


class Healer:
    """A healer of one backend, as the program would have it."""

    def __init__(self) -> None:
        self.why: dict[str, str] = {}
        self.there = {0: ONE}
        self.done: list[str] = []
        self.readmission = Readmission.AT_ONCE

    def backends(self) -> dict[int, Entry]:
        return self.there

    def absent(self) -> dict[str, str]:
        return dict(self.why)

    def exclude(self, backend: Entry) -> bool:
        self.done.append(f"exclude {backend.name}")
        self.why[backend.name] = "ill"
        return True

    def readmit(self, backend: Entry) -> Readmission:
        self.done.append(f"readmit {backend.name}")
        del self.why[backend.name]
        return self.readmission


class Check:
    """A check whose outcome the test says."""

    def __init__(self, answers: list[bool | None]) -> None:
        self.answers, self.ended = answers, False

    def outcome(self) -> bool | None:
        return self.answers.pop(0) if self.answers else None

    def end(self) -> None:
        self.ended = True


@pytest.fixture
def healer() -> Healer:
    return Healer()


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(time, "monotonic", clock)
    return clock


def checks(healer: Healer, answers: list[bool | None]) -> health_checks.Checks:
    start: Any = lambda entry: Check(answers)  # noqa: E731
    return health_checks.Checks(healer, start, health_checks.Rule(1.0, rise=2, fall=3))  # type: ignore[arg-type]


def looked(watch: health_checks.Checks, clock: Clock, times: int) -> list[str]:
    """Look so often, with a second before each; return what was said."""
    said = []
    for _ in range(times):
        clock.now += 1.0
        said += watch.look()
    return said


def test_a_backend_falls_after_so_many_bad_checks_in_a_row_and_rises_after_good_ones(
    healer: Healer, clock: Clock
) -> None:
    bad, good = False, True
    watch = checks(healer, [bad, bad, good, bad, bad, bad, good, bad, good, good])

    assert looked(watch, clock, 6) == []
    assert looked(watch, clock, 1) == ["health: one is ill, and gets no requests"]
    assert looked(watch, clock, 3) == []
    assert looked(watch, clock, 1) == ["health: one is well, and gets requests again"]
    assert healer.done == ["exclude one", "readmit one"]


def test_a_check_that_lasts_too_long_is_a_bad_one(healer: Healer, clock: Clock) -> None:
    watch = checks(healer, [])

    assert looked(watch, clock, 4) == ["health: one is ill, and gets no requests"]


def test_what_was_found_before_a_backend_has_refused_says_nothing(healer: Healer, clock: Clock) -> None:
    """It is checked anew, also while the program has taken it out by itself."""
    watch = checks(healer, [True] * 9)
    looked(watch, clock, 5)
    healer.why["one"] = "refusing"

    assert looked(watch, clock, 1) == []
    assert looked(watch, clock, 1) == ["health: one is well, and gets requests again"]


def test_one_that_reports_is_not_said_to_get_requests_before_it_has(healer: Healer, clock: Clock) -> None:
    healer.readmission = Readmission.WITH_REPORT
    healer.why["one"] = "ill"
    assert looked(checks(healer, [True] * 9), clock, 3) == [
        "health: one is well, and gets requests with its next report"
    ]

    healer.why["one"] = "refusing"
    patience = health_checks.Patience(healer)  # type: ignore[arg-type]
    assert patience.look() == []
    clock.now += health_checks.REFUSED_S
    assert patience.look() == ["refused: one gets requests with its next report"]


def test_a_backend_that_is_removed_is_forgotten(healer: Healer, clock: Clock) -> None:
    begun: list[Check] = []

    def start(entry: Entry) -> Check:
        begun.append(Check([]))
        return begun[-1]

    watch = health_checks.Checks(healer, start, health_checks.Rule(1.0, 1, 1))  # type: ignore[arg-type]
    watch.look()
    healer.there = {}
    watch.look()

    assert [each.ended for each in begun] == [True]


def test_a_check_that_cannot_begin_is_a_bad_one_and_keeps_no_other_from_its_own(healer: Healer, clock: Clock) -> None:
    """It is said once, and begun again when the next is due: this machine may have no room for now."""
    healer.there = {0: ONE, 1: SIX}
    begun: list[str] = []
    refusals = 4

    def start(entry: Entry) -> Check:
        begun.append(entry.name)
        if entry is ONE and begun.count("one") <= refusals:
            raise OSError(24, "Too many open files")
        return Check([True])

    watch = health_checks.Checks(healer, start, health_checks.Rule(1.0, rise=2, fall=3))  # type: ignore[arg-type]

    assert looked(watch, clock, 1) == ["health: one cannot be checked, which is a bad check: Too many open files"]
    assert watch.look() == []
    assert looked(watch, clock, 2) == ["health: one is ill, and gets no requests"]
    assert begun == ["one", "six"] * 3
    assert looked(watch, clock, 3) == []
    assert looked(watch, clock, 1) == ["health: one is well, and gets requests again"]
    assert healer.done == ["exclude one", "readmit one"]


def test_a_machine_without_room_for_a_check_does_not_stop_the_round(
    healer: Healer, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*words: Any, **named: Any) -> Any:
        raise OSError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    monkeypatch.setattr(socket, "socket", refuse)
    why = "health: one cannot be checked, which is a bad check: Resource temporarily unavailable"

    for start in (health_checks.command("true"), health_checks.question(53, "a")):
        watch = health_checks.Checks(healer, start, health_checks.Rule(1.0, rise=2, fall=3))  # type: ignore[arg-type]
        assert looked(watch, clock, 1) == [why]


def test_without_checks_one_that_has_refused_is_tried_again_after_a_while(healer: Healer, clock: Clock) -> None:
    watch = health_checks.Patience(healer)  # type: ignore[arg-type]
    healer.why["one"] = "refusing"
    assert watch.look() == []
    clock.now += health_checks.REFUSED_S - 1
    assert watch.look() == []
    clock.now += 1

    assert watch.look() == ["refused: one is tried again after 5 s"]
    assert watch.look() == []
    healer.why["one"] = "refusing"
    assert watch.look() == []


@pytest.fixture(params=[socket.AF_INET, socket.AF_INET6], ids=["IPv4", "IPv6"])
def server(request: pytest.FixtureRequest) -> Iterator[tuple[Entry, "socket.socket"]]:
    """A backend, and the socket that it answers by."""
    try:
        own = socket.socket(request.param, socket.SOCK_DGRAM)
        own.bind(("::1" if request.param == socket.AF_INET6 else "127.0.0.1", 0))
    except OSError:
        pytest.skip("this machine has no such family")
    own.settimeout(60)
    yield (SIX if request.param == socket.AF_INET6 else ONE), own
    own.close()


def test_a_question_is_answered(server: tuple[Entry, "socket.socket"]) -> None:
    entry, own = server
    check = health_checks.question(own.getsockname()[1], r"a\x00\xff\\n")(entry)
    assert check.outcome() is None
    data, sender = own.recvfrom(100)
    own.sendto(b"", sender)

    assert data == b"a\x00\xff\\n"
    eventually(lambda: check.outcome() is True)
    check.end()


def test_a_question_to_a_closed_port_is_a_bad_check(server: tuple[Entry, "socket.socket"]) -> None:
    entry, own = server
    port = own.getsockname()[1]
    own.close()
    check = health_checks.question(port, "a")(entry)

    eventually(lambda: check.outcome() is False)
    check.end()


def test_a_text_that_is_no_data_is_refused_by_name() -> None:
    with pytest.raises(NetlabError, match=r"health_with: .* has a backslash that begins no byte"):
        health_checks.question(53, r"\x1")


@pytest.mark.parametrize(("line", "is_well"), [('test "$NAME $ADDRESS" = "one 127.0.0.1"', True), ("exit 3", False)])
def test_a_command_tells_by_its_end(line: str, is_well: bool) -> None:
    check = health_checks.command(line)(ONE)

    eventually(lambda: check.outcome() is is_well)
    check.end()


def test_a_command_that_goes_on_is_ended_with_all_that_it_has_started() -> None:
    check: Any = health_checks.command("sleep 1000 & sleep 1000")(ONE)
    assert check.outcome() is None

    check.end()
    assert check._process.returncode == -9
