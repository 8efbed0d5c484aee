"""The balancer's role beside its program: what it does again and again, and what it survives."""

import os
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from netlab.options import unmet
from roles import balancer as role
from roles import worker
from tests.checkout import ROOT

WATCH_S = role.WATCH_S


class Healer:
    """A healer that notes what it is asked for."""

    ages = 8

    def __init__(self, refusals: tuple[str, ...] = ()) -> None:
        """`refusals` are what the kernel says at the first kicks; nothing is none, and after them the role ends."""
        self.asked: list[str] = []
        self.refusals = list(refusals)

    def age(self) -> int:
        self.asked.append("age")
        return 0

    def watch(self) -> int:
        self.asked.append("watch")
        return 0

    def arrange(self) -> None:
        self.asked.append("arrange")

    def kick(self) -> int:
        self.asked.append("kick")
        if not self.refusals:
            os.kill(os.getpid(), signal.SIGTERM)
        elif refusal := self.refusals.pop(0):
            raise OSError(4, refusal)
        return 0


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Wait only a moment for signals, which are blocked as they are in the role."""
    monkeypatch.setattr(role, "WATCH_S", 0.001)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    yield
    signal.pthread_sigmask(signal.SIG_SETMASK, before)


def healed(healer: Healer, is_told: bool = False, look: Callable[[], int] | None = None) -> list[str]:
    """Let the role go on until it is ended, and return what it asked for."""
    role.heal(role.Rounds(healer, 0, is_told, look))  # type: ignore[arg-type]
    return healer.asked


def test_it_always_looks_for_what_waits() -> None:
    """Also where nobody reports, no reply frees a thread and none grows old: a carrier may be lost."""
    assert healed(Healer(("", "")), is_told=False) == ["arrange", "kick"] * 3


def test_it_watches_those_who_report() -> None:
    assert healed(Healer(), is_told=True) == ["watch", "arrange", "kick"]


def test_what_is_put_back_is_sent_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks are more frequent than all else, and what they put back does not wait for that."""
    monkeypatch.setattr(role, "WATCH_S", 60)
    looks = [1, 0, 0, 1, 0]

    assert healed(Healer(("",)), look=lambda: looks.pop(0)) == ["arrange", "kick"] * 2
    assert looks == [0]


def test_what_the_kernel_refuses_is_said_once_and_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(role, "say", said.append)
    busy, small = "run a program on a packet: Interrupted system call", "open the pin x: Cannot allocate memory"

    assert healed(Healer((busy, busy, small, "", busy))).count("kick") == 6
    assert said == [f"cannot heal: {each}; trying again" for each in (busy, small, busy)]


def test_a_question_by_udp_needs_backends_that_answer() -> None:
    """A worker answers by a completion, as to a request: each question would free a thread that nobody has taken."""
    question = {"health": ["udp"], "health_with": ["0"]}

    assert [*unmet(role.OPTIONS, question)] == [
        ("health", "expected health_with and completion: reply beside udp, found 'udp' without")
    ]
    assert [*unmet(role.OPTIONS, {**question, "completion": ["reply"]})] == []
    assert [*unmet(role.OPTIONS, {"health": ["command"], "health_with": ["true"]})] == []


def test_the_times_add_up_to_what_is_promised() -> None:
    """A worker that dies is missed within a second, and one that lives has told of itself three times meanwhile."""
    source = Path(f"{ROOT}/bpf/balancer/settings.h").read_text()
    found = re.search(r"#define SILENT_NS (\d+)ULL", source)
    assert found
    silent_s = int(found[1]) / 1e9

    assert silent_s + WATCH_S < 1
    assert 3 * worker.HEARTBEAT_S < silent_s
