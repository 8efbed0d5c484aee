"""Who follows a lab hears all that happens, once and in order, and it costs only while somebody reads."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from netlab import Lab, Topology
from netlab.errors import NetlabError
from netlab.observe import events
from netlab.observe.events import Event
from netlab.observe.following import is_down
from netlab.testing.waiting import PATIENCE_S, eventually
from tests.lab.lab import LAB

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("no_leaks")]
WATCHED = ("link", "rates", "counts")


class Reader:
    """Reads the events of a lab in a thread."""

    def __init__(self, lab: Lab, interval_s: float = 0.0) -> None:
        self.got: list[Event] = []
        self.error: NetlabError | None = None
        self.is_over = False
        self.lab = lab
        self._interval_s = interval_s
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self) -> None:
        try:
            found = events.read(self.lab.record, follow=True, interval_s=self._interval_s, until=lambda: self.is_over)
            for event in found:
                self.got.append(event)
        except NetlabError as error:
            self.error = error

    def await_one(self, what: Callable[[Event], bool]) -> Event:
        eventually(lambda: any(map(what, list(self.got))), f"one of {[event.text for event in self.got]}")
        return next(filter(what, self.got))


@contextmanager
def reading(lab: Lab, interval_s: float = 0.0) -> Iterator[Reader]:
    reader = Reader(lab, interval_s)
    try:
        yield reader
    finally:
        reader.is_over = True
        reader.thread.join(PATIENCE_S)


def two(**more: object) -> Topology:
    return Topology(LAB).node("a", **more).node("b").link("a", "b")


def test_what_is_heard_live_is_what_the_logs_have(tmp_path: object) -> None:
    with Lab.up(two(command=["sh", "-c", "echo one; exec sleep inf"])) as lab, reading(lab) as reader:
        reader.await_one(lambda event: event.text == "one")
        lab["a"].pause()
        lab["a"].resume()
        lab["a"].restart()
        reader.await_one(lambda event: event.kind == "started" and event.fields["pid"] != reader.got[0].fields["pid"])
        lab.link("a", "b").down()
        reader.await_one(lambda event: event.kind == "fault")
        eventually(lambda: [event.text for event in reader.got].count("one") == 2, "it has begun again")
        past = list(events.read(lab.record))

    assert past == [event for event in reader.got if event.kind not in WATCHED]
    kinds = {event.kind for event in past}
    assert {"started", "line", "paused", "resumed", "exited", "fault", "note"} == kinds


def test_links_are_watched_in_a_lab_without_a_supervisor_too() -> None:
    """What changes a link does not matter: `ip` in the node does not tell netlab."""
    with Lab.up(two()) as lab, reading(lab) as reader:
        eventually(lambda: bool(threads()), "it watches")
        lab["a"].run(["ip", "link", "set", "eth0", "down"], check=True)
        down = reader.await_one(lambda event: event.kind == "link" and event.fields["state"] == "down")
        reader.await_one(lambda event: (event.node, event.fields["state"]) == ("b", "no carrier"))
        lab["a"].run(["ip", "link", "set", "eth0", "up"], check=True)
        reader.await_one(lambda event: (event.node, event.fields["state"]) == ("b", "up"))

        assert {
            "interface": "eth0",
            "state": "down",
            "before": "up",
            "peer": {"node": "b", "interface": "eth0"},
            "text": "eth0, to b: down",
        } == down.fields
        assert sorted(event.ns for event in reader.got) == [event.ns for event in reader.got]
    assert not threads()


def test_a_change_is_told_without_a_supervisor_too_and_new_nodes_are_watched() -> None:
    with Lab.up(two()) as lab, reading(lab) as reader:
        eventually(lambda: bool(threads()), "it watches")
        lab.apply(two().node("c").link("b", "c"))
        reader.await_one(lambda event: event.kind == "applied")
        lab["c"].run(["ip", "link", "set", "eth0", "down"], check=True)
        reader.await_one(lambda event: (event.kind, event.node, event.fields.get("state")) == ("link", "c", "down"))


def test_rates_are_told_while_something_moves() -> None:
    """Summed up over their times they are what the interface has carried, and at last they are zero."""

    def of_b(reader: Reader) -> list[Event]:
        return [event for event in list(reader.got) if (event.kind, event.node) == ("rates", "b")]

    with Lab.up(two()) as lab, reading(lab, interval_s=0.1) as reader:
        ping = ["ping", "-q", "-i0.02", lab["b"].address]
        eventually(lambda: not lab["a"].run([*ping, "-c1"]).returncode and of_b(reader), "it looks")
        before = len(of_b(reader))
        lab["a"].run([*ping, "-c20"], check=True)
        eventually(lambda: len(of_b(reader)) > before and not of_b(reader)[-1].fields["rx_packets_s"], "it rests")
        found = [event.fields for event in of_b(reader)]
    packets, bits = (sum(each[f"rx_{what}_s"] * each["seconds"] for each in found) for what in ("packets", "bits"))

    assert 20 <= round(packets) < 200
    assert bits >= 0.98 * 20 * 98 * 8
    assert {"eth0"} == {each["interface"] for each in found}


def test_it_ends_when_the_lab_goes_down() -> None:
    for command in (None, ["sleep", "inf"]):
        with Lab.up(two(**({"command": command} if command else {}))) as lab, reading(lab, 0.1) as reader:
            eventually(lambda: bool(threads()), "it watches")
            lab.down()
            reader.thread.join(PATIENCE_S)

            assert not reader.thread.is_alive()
            assert reader.error is None
            assert is_down(lab.record)


def threads() -> list[str]:
    return [each.name for each in threading.enumerate() if each.name == "netlab-links"]
