"""`netlab top`: what it shows of a lab, and what its keys do, driven by Textual's pilot."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import DataTable, RichLog, Static

from netlab.observe import top_model
from netlab.observe.events import Event
from netlab.observe.top_model import Model, curve, short
from netlab.observe.top_screen import Help, Reader, Top
from netlab.record.model import InterfaceRecord, LabRecord, LimitsRecord, NodeRecord, ProcessRecord, ProgramRecord
from netlab.supervise.client import Process
from netlab.testing.waiting import PATIENCE_S

SIZES = [(80, 24), (200, 60), (50, 15)]


def port(peer: str, interface: str = "eth0") -> InterfaceRecord:
    return InterfaceRecord((), peer=peer, peer_interface=interface)


def lab(workers: int = 2) -> LabRecord:
    def node(name: str, interfaces: dict[str, InterfaceRecord], programs: tuple[ProgramRecord, ...] = ()) -> NodeRecord:
        process = ProcessRecord(name, "", ("true",), autostart=True, stays=True, may_exit=False)
        return NodeRecord("node", LimitsRecord(), interfaces, programs, (process,))

    program = (ProgramRecord("balancer", ("eth0",), "xdp"),)
    names = [f"worker{number}" for number in range(1, workers + 1)]
    ports = {"eth0": port("client"), **{f"eth{at}": port(name) for at, name in enumerate(names, 1)}}
    nodes = {"client": node("client", {"eth0": port("lb")}), "lb": node("lb", ports, program)}
    nodes |= {name: node(name, {"eth0": port("lb", f"eth{at}")}) for at, name in enumerate(names, 1)}
    return LabRecord("lab1", "", "netns", "/nowhere", nodes, "", 10**18)


def event(kind: str, node: str, **fields: Any) -> Event:
    return Event(time.monotonic_ns(), kind, "lab1", node, {"text": "", **fields}, 10**18)


def rates(node: str, interface: str, packets: float, bits: float, lost: float = 0.0) -> Event:
    told = {"tx_packets_s": packets, "tx_bits_s": bits, "rx_packets_s": 0.0, "rx_bits_s": 0.0, "lost_s": lost}
    return event("rates", node, interface=interface, state="up", **told)


def counts(depth: int, **free: int) -> Event:
    backends = {name: {"free": number, "capacity": 5} for name, number in free.items()}
    return event("counts", "lb", program="lb", per_s={"QUEUED": 12.0}, queue_depth=depth, backends=backends)


def process(name: str, state: str = "running", code: int = 0, cpu: float = 50.0, started_s: float = 10.0) -> Process:
    began = time.monotonic_ns() - round(started_s * 1e9)
    return Process(name, name, state, 7, code, started_ns=began, cpu_percent=cpu, rss_bytes=13_000_000)


class Told(Reader):
    """Stands in for the reader: tells what a test says."""

    def __init__(self, *told: Event, processes: tuple[Process, ...] = ()) -> None:
        super().__init__(lab(), 1.0)
        self.heard.extend(told)
        self.running = processes

    def run(self) -> None:
        self._over.wait()

    def processes(self) -> list[Process]:
        return list(self.running)


TOLD = (
    rates("client", "eth0", 1500.0, 12_000_000.0),
    rates("lb", "eth0", 20.0, 950.0, lost=3.0),
    counts(3, worker1=1, worker2=5),
    counts(7, worker1=0, worker2=5),
    event("line", "client", process="client", stream="out", text="request #1 to lb"),
    event("trace", "lb", program="lb", text="queue #1, depth 7"),
    event("link", "worker1", interface="eth0", state="down", text="eth0, to lb: down"),
)


def shown(app: Top, part: str) -> str:
    """Return what a part shows, as text."""
    widget = app.query_one(f"#{part}")
    if isinstance(widget, DataTable):
        return "\n".join(" | ".join(map(str, widget.get_row_at(at))) for at in range(widget.row_count))
    if isinstance(widget, RichLog):
        return "\n".join(line.text for line in widget.lines)
    assert isinstance(widget, Static)
    return str(widget.content)


def driven(reader: Told, drive: Callable[[Top, Pilot[None]], Awaitable[None]], size: tuple[int, int] = (80, 24)) -> Top:
    """Let a test drive the screen."""

    async def run() -> Top:
        app = Top(lab(), reader)
        async with app.run_test(size=size) as pilot:
            await pilot.pause()
            app.renew()
            ends = time.monotonic() + PATIENCE_S
            while app.model.events and not app.query_one("#events", RichLog).lines:  # it is not laid out yet
                assert time.monotonic() < ends
                await pilot.pause(0.01)
            await drive(app, pilot)
        reader.stop()
        return app

    return asyncio.run(run())


@pytest.mark.parametrize("size", SIZES)
def test_all_of_a_lab_is_on_the_screen(size: tuple[int, int]) -> None:
    reader = Told(*TOLD, processes=(process("client"), process("worker1", "exited", 1), process("worker2", "paused")))

    async def look(app: Top, _: Pilot[None]) -> None:
        assert ["client | running", "lb | node", "worker1 | exited 1", "worker2 | paused"] == [
            " | ".join(map(str.strip, line.split("|")[:2])) for line in shown(app, "nodes").splitlines()
        ]
        assert "client-lb | 1.5k | 20 | 12M | 950 | 3" == shown(app, "links").splitlines()[0]
        assert "lb:eth1-worker1 down | 0 | 0 | 0 | 0 | 0" == shown(app, "links").splitlines()[1]
        programs = shown(app, "programs")
        assert "QUEUED\N{NO-BREAK SPACE}12/s" in programs
        assert "worker1 ■■■■■ 5/5 busy" in programs
        assert "worker2 □□□□□ 0/5 busy" in programs
        assert "7 wait" in programs
        assert "request #1 to lb" in shown(app, "events")
        assert app.query_one("#events").size.height >= 2
        for part in ("head", "nodes", "links", "programs", "events"):
            assert app.screen.region.contains_region(app.query_one(f"#{part}").region), part

    driven(reader, look, size)


def test_a_node_is_selected_and_everything_else_is_of_it() -> None:
    async def select(app: Top, pilot: Pilot[None]) -> None:
        await pilot.press("down", "down", "enter")
        await pilot.pause()
        assert ["worker1"] == list(app.selected)
        assert "lb:eth1-worker1 down" in shown(app, "links")
        assert "client-lb" not in shown(app, "links")
        assert "" == shown(app, "programs")
        assert "eth0, to lb: down" in shown(app, "events")
        assert "request" not in shown(app, "events")
        await pilot.press("tab", "enter")
        await pilot.pause()
        assert ["lb", "worker1"] == list(app.selected)
        assert "queue #1" in shown(app, "events")
        await pilot.press("escape")
        await pilot.pause()
        assert "client-lb" in shown(app, "links")

    driven(Told(*TOLD), select)


def test_rows_and_events_are_filtered_by_words() -> None:
    async def filtered(app: Top, pilot: Pilot[None]) -> None:
        await pilot.press("slash", *"QUEUE", "enter")
        await pilot.pause()
        assert "queue #1, depth 7" in shown(app, "events")
        assert "request" not in shown(app, "events")
        assert "" == shown(app, "nodes")
        assert "/QUEUE" in shown(app, "head")
        await pilot.press("escape")
        await pilot.pause()
        assert "request" in shown(app, "events")

    driven(Told(*TOLD), filtered)


def test_what_comes_during_a_pause_is_shown_after_it() -> None:
    reader = Told(*TOLD)

    async def pause(app: Top, pilot: Pilot[None]) -> None:
        await pilot.press("space")
        await pilot.pause()
        reader.heard.append(event("line", "client", process="client", stream="out", text="meanwhile"))
        app.renew()
        assert "PAUSED" in shown(app, "head")
        assert "meanwhile" not in shown(app, "events")
        await pilot.press("space")
        await pilot.pause()
        assert "PAUSED" not in shown(app, "head")
        assert "meanwhile" in shown(app, "events")

    driven(reader, pause)


def test_a_lab_that_goes_down_during_a_pause_is_said_and_ends_the_screen_after_it() -> None:
    """Also if it was changed shortly before, and cannot be read any more."""
    reader = Told(*TOLD)

    async def pause(app: Top, pilot: Pilot[None]) -> None:
        await pilot.press("space")
        await pilot.pause()
        reader.heard.append(event("applied", "", text="changed"))
        reader.stop()
        app.renew()
        assert "PAUSED · the lab is down" in shown(app, "head")
        await pilot.press("space")
        app.renew()
        await pilot.pause()

    assert driven(reader, pause).return_code == 0


def test_the_help_says_what_the_keys_do() -> None:
    async def ask(app: Top, pilot: Pilot[None]) -> None:
        await pilot.press("question_mark")
        await pilot.pause()
        assert isinstance(app.screen, Help)
        await pilot.press("escape")
        await pilot.pause()
        assert not isinstance(app.screen, Help)

    driven(Told(*TOLD), ask)


def test_it_ends_when_the_lab_is_gone_and_when_the_user_leaves() -> None:
    gone = Told(*TOLD)

    async def end(app: Top, pilot: Pilot[None]) -> None:
        gone.stop()
        app.renew()
        await pilot.pause()
        assert not app.is_running

    async def leave(app: Top, pilot: Pilot[None]) -> None:
        await pilot.press("ctrl+c")
        await pilot.pause()
        assert not app.is_running

    driven(gone, end)
    driven(Told(), leave)


def test_a_screen_that_is_taken_down_is_not_drawn_again() -> None:
    """Its parts go one by one, while the timer still ticks."""

    async def end(app: Top, _: Pilot[None]) -> None:
        for part in ("nodes", "head"):
            await app.query_one(f"#{part}").remove()
            app.renew()

    driven(Told(*TOLD), end)


def test_a_flood_is_summed_up() -> None:
    flood = [event("line", "client", process="client", stream="out", text=f"line {number}") for number in range(5000)]

    async def look(app: Top, _: Pilot[None]) -> None:
        lines = shown(app, "events").splitlines()
        assert "… 4,960 events are not shown here" == lines[0]
        assert 41 == len(lines)
        assert lines[-1].endswith("line 4999")

    driven(Told(*flood), look)


def test_cpu_is_of_the_time_between_two_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a process that has used a second in ten, and then half a second in one, it is 50 %."""
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    model = Model(lab())
    known = Process("lb", "lb", "running", 7, started_ns=90 * 10**9, cpu_percent=10.0)
    model.look([known])
    now = 101.0
    model.look([known._replace(cpu_percent=100 * 1.5 / 11)])

    assert pytest.approx(50.0) == next(row.cpu for row in model.nodes() if row.node == "lb")
    now = 102.0
    model.look([known._replace(pid=8, cpu_percent=1.0)])
    assert [0.0] == [row.cpu for row in model.nodes() if row.node == "lb"]


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (0.4, "0.4"),
        (9.6, "10"),
        (950, "950"),
        (999.7, "1.0k"),
        (1234, "1.2k"),
        (34_000, "34k"),
        (5.6e6, "5.6M"),
    ],
)
def test_numbers_are_short(number: float, text: str) -> None:
    assert text == short(number)


def test_the_queues_curve_ends_now_and_shows_every_depth_that_is_not_zero() -> None:
    assert " ▁▄█" == curve((9, 0, 1, 50, 100), 4)
    assert "" == curve((), 10)
    assert top_model.MOST_EVENTS >= 200
