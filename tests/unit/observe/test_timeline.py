"""One sequence of logs, trace and changes of processes, of all or of some."""

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from netlab.errors import UsageError
from netlab.observe import events, timeline
from netlab.observe.events import Event
from netlab.observe.painter import Plain
from netlab.observe.timeline import Chosen
from netlab.record.model import LabRecord, LimitsRecord, NodeRecord, ProcessRecord, ProgramRecord
from netlab.supervise.logs import LogLine


def process(name: str) -> ProcessRecord:
    return ProcessRecord(name, "", ("true",), autostart=True, stays=False, may_exit=False)


def node(*names: str, programs: tuple[str, ...] = ()) -> NodeRecord:
    carried = tuple(ProgramRecord(name, ("eth0",), "xdp") for name in programs)
    return NodeRecord("node", LimitsRecord(), {}, carried, tuple(map(process, names)))


@pytest.fixture
def lab(tmp_path: Path) -> LabRecord:
    nodes = {
        "r": node("zebra", "ospfd", programs=("one", "two")),
        "lb": node(programs=("balancer",)),
        "client": node("client"),
    }
    os.mkdir(tmp_path / "logs")
    return LabRecord("lab1", "", "netns", str(tmp_path), nodes, "", 10**18)


def write(lab: LabRecord, **logs: str) -> None:
    for name, text in logs.items():
        path = (
            f"{lab.folder}/{name}.log"
            if name in ("trace", "xdp")
            else f"{lab.folder}/logs/{name.replace('_', '.')}.log"
        )
        Path(path).write_text(text)


def event(lab: LabRecord, *line: Any, cut: bool = False) -> Event:
    return events.of(lab, LogLine(*line)._replace(cut=cut))


def told(lab: LabRecord, *words: str, since_ns: int = 0, grep: str | None = None) -> list[str]:
    chosen = timeline.choose(lab, words, since_ns, re.compile(grep) if grep else None)
    return [f"{line.source}:{line.text}" for line in timeline.read(lab, chosen)]


def test_lines_of_all_come_in_the_order_of_time_and_at_one_moment_in_that_of_the_file(lab: LabRecord) -> None:
    write(lab, client="5 out b\n7 note exited with code 0\n", r_zebra="5 out a\n6 err c\n", trace="5 trace lab1/lb x\n")

    assert ["r/zebra:a", "client:b", "lb:x", "r/zebra:c", "client:exited with code 0"] == told(lab) == told(lab)


def test_some_are_chosen_by_node_by_process_by_time_and_by_text(lab: LabRecord) -> None:
    """A node has its processes and its programs, and each has a name. That lines were lost is told in any case."""
    trace = "1 trace lab1/lb one\n4 trace lab1/r/two: two\n4 trace lab1/r/one x\n"
    trace += "8 lost 3 lines lost, 3 in all: they came too fast\n"
    write(lab, client="3 out three\n", r_zebra="5 out five\n", r_ospfd="6 out six\n", trace=trace)
    lost = ":3 lines lost, 3 in all: they came too fast"

    assert ["r/two:two", "r/one:x", "r/zebra:five", "r/ospfd:six", lost] == told(lab, "r")
    assert ["r/two:two", lost] == told(lab, "r/two")
    assert ["r/ospfd:six", lost] == told(lab, "r/ospfd")
    assert ["lb:one", "client:three", lost] == told(lab, "client", "lb")
    assert ["r/zebra:five", "r/ospfd:six", lost] == told(lab, since_ns=5)
    assert ["lb:one", "r/zebra:five", lost] == told(lab, grep="^.[ni].?e$")
    with pytest.raises(UsageError, match="r has no process 'bgpd'"):
        told(lab, "r/bgpd")
    with pytest.raises(UsageError, match="no node x"):
        told(lab, "x")


def test_what_the_kernel_has_lost_is_of_a_program_or_of_a_node(lab: LabRecord) -> None:
    """It has no program where XDP goes wrong on an interface without one of netlab's."""
    write(
        lab, trace="1 trace lab1/lb one\n", xdp="2 xdp lb eth0: two\n3 xdp r/one eth0: three\n4 xdp client eth9: four\n"
    )
    kept = timeline.form(lab, "json", Plain())
    data = [json.loads(kept(line)) for line in timeline.read(lab, timeline.choose(lab, []))]

    assert ["lb:one", "lb:eth0: two", "r/one:eth0: three", "client:eth9: four"] == told(lab)
    assert ["r/one:eth0: three"] == told(lab, "r") == told(lab, "r/one")
    assert [] == told(lab, "r/two")
    assert ["client:eth9: four"] == told(lab, "client")
    assert ["trace", "xdp", "xdp", "xdp"] == [each["stream"] for each in data]
    assert ["lb", "lb", "r/one", None] == [each.get("program") for each in data]
    assert [None] * 4 == [each["process"] for each in data]


def test_a_line_says_when_who_and_on_which_stream(lab: LabRecord) -> None:
    """So what a process prints cannot be taken for what is noted of it, nor for what a program prints."""
    line = event(lab, 1_500_000_000, "r/zebra", "out", "exited with code 0", cut=True)
    text, data = (timeline.form(lab, style, Plain()) for style in ("text", "json"))

    assert text(line).endswith(".500000  r/zebra  out    exited with code 0")
    assert text(event(lab, 1, "lb", "trace", "x")).endswith("  lb       trace  x")
    assert json.loads(data(line)) == {
        "version": 1,
        "time_ns": 10**18 + 1_500_000_000,
        "monotonic_ns": 1_500_000_000,
        "node": "r",
        "process": "r/zebra",
        "stream": "out",
        "text": "exited with code 0",
        "cut": True,
    }
    assert json.loads(data(event(lab, 1, "r/two", "trace", "x"))) == {
        "version": 1,
        "time_ns": 10**18 + 1,
        "monotonic_ns": 1,
        "node": "r",
        "process": None,
        "program": "r/two",
        "stream": "trace",
        "text": "x",
    }
    assert (None, None) == tuple(json.loads(data(event(lab, 1, "", "lost", "x")))[key] for key in ("node", "process"))


def test_lines_are_coloured_by_node(lab: LabRecord) -> None:
    class Marked(Plain):
        def node(self, text: str, number: int) -> str:
            return f"<{number}:{text.strip()}>"

        def kernel(self, text: str) -> str:
            return f"<{text.strip()}>"

    text = timeline.form(lab, "text", Marked())

    assert "<0:r/zebra>  err    x" == text(event(lab, 1, "r/zebra", "err", "x")).split(maxsplit=1)[1]
    assert "<1:lb>  <trace>  x" == text(event(lab, 1, "lb", "trace", "x")).split(maxsplit=1)[1]


def test_what_is_lost_is_wanted_by_all(lab: LabRecord) -> None:
    assert Chosen([], [], 5, re.compile("y")).has(event(lab, 5, "", "lost", "x"))
    assert not Chosen([], [], 5).has(event(lab, 4, "", "lost", "x"))
