"""Which processes a word means to `start`, `stop` and `restart`, and in which order."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from netlab.errors import NetlabError, UsageError
from netlab.lab import process_changes as processes
from netlab.record.model import LabRecord, LimitsRecord, NodeRecord, ProcessRecord
from netlab.supervise import talk


def process(name: str, *after: str, autostart: bool = True) -> ProcessRecord:
    return ProcessRecord(
        name, "role", ("true",), autostart, stays=False, may_exit=False, after=after, awaits_ready=True
    )


NODES = {
    "r": (process("ospfd", "r/zebra"), process("zebra"), process("probe", autostart=False)),
    "w": (process("w"),),
    "bare": (),
}
LAB = LabRecord(
    "lab1", "", "netns", "/x", {name: NodeRecord("node", LimitsRecord(), {}, (), its) for name, its in NODES.items()}
)


class Supervisor:
    """Stands in for one: knows what runs, and does what it is asked."""

    def __init__(self, *running: str) -> None:
        self.running = set(running)
        self.done: list[tuple[str, str]] = []
        self.fails = ""

    def states(self) -> dict[str, Any]:
        return {key: {"state": "running" if key in self.running else "exited", "pid": 7} for key, _ in LAB.processes()}

    def __getattr__(self, do: str) -> Any:
        def act(key: str, _deadline_s: float) -> None:
            if key == self.fails:
                raise talk.NotThereError(f"{key} has ended")
            self.done.append((do, key))

        return act


def changed(monkeypatch: pytest.MonkeyPatch, supervisor: Supervisor, do: str, *words: str) -> list[str]:
    """Return what is said."""

    @contextmanager
    def to(_folder: str) -> Iterator[Supervisor]:
        yield supervisor

    monkeypatch.setattr(talk, "to", to)
    said: list[str] = []
    processes.change(LAB, do, words, 1, said.append)
    return said


@pytest.mark.parametrize(
    ("do", "words", "done"),
    [
        ("start", ("r",), ["r/zebra", "r/ospfd"]),
        ("start", ("r/probe",), ["r/probe"]),
        ("start", ("r/ospfd", "r", "r/zebra"), ["r/zebra", "r/ospfd"]),
        ("restart", ("r", "w"), ["r/zebra", "r/ospfd", "w"]),
        ("stop", ("r",), []),
    ],
)
def test_what_a_word_means_where_nothing_runs(
    monkeypatch: pytest.MonkeyPatch, do: str, words: tuple[str, ...], done: list[str]
) -> None:
    """Those that `up` would start, in its order."""
    supervisor = Supervisor()
    changed(monkeypatch, supervisor, do, *words)

    assert [(do, key) for key in done] == supervisor.done


def test_many_that_come_after_each_other_are_put_in_order_at_once() -> None:
    """Each after all before it, and 2,000 in one chain: neither are all ways walked, nor is the stack used up."""
    names = [f"p{number:04}" for number in range(2000)]
    full = {name: process(name, *names[:at]) for at, name in enumerate(names[:60])}
    chain = {name: process(name, *names[at - 1 : at]) for at, name in enumerate(names)}

    for known in (full, chain):
        found = processes._ordered(known, dict.fromkeys(reversed(known)), "start")
        assert found == list(known)


def test_what_runs_is_stopped_the_other_way_round_and_restarted_even_if_up_would_not_start_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    supervisor = Supervisor("r/ospfd", "r/zebra", "r/probe")
    changed(monkeypatch, supervisor, "stop", "r")
    changed(monkeypatch, supervisor, "restart", "r")

    stopped, restarted = supervisor.done[:3], supervisor.done[3:]
    assert [("stop", key) for key in ("r/probe", "r/ospfd", "r/zebra")] == stopped
    assert [("restart", key) for key in ("r/zebra", "r/ospfd", "r/probe")] == restarted


def test_what_is_so_already_is_said_and_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    supervisor = Supervisor("w")

    assert ["netlab: lab1: w runs already: process 7"] == changed(monkeypatch, supervisor, "start", "w")
    assert ["netlab: lab1: r/zebra does not run"] == changed(monkeypatch, supervisor, "stop", "r/zebra")
    assert [] == supervisor.done


def test_a_mistake_is_told_before_anything_is_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    supervisor = Supervisor()
    for words, why in (
        (("w", "bare"), "bare has neither"),
        (("w", "x"), "no node x"),
        (("w", "r/x"), "no process 'x'"),
    ):
        with pytest.raises(UsageError, match=why):
            changed(monkeypatch, supervisor, "restart", *words)

    assert [] == supervisor.done


def test_the_first_that_fails_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    supervisor = Supervisor()
    supervisor.fails = "r/ospfd"
    with pytest.raises(NetlabError, match="r/ospfd has ended; it has printed nothing"):
        changed(monkeypatch, supervisor, "restart", "r", "w")

    assert [("restart", "r/zebra")] == supervisor.done
