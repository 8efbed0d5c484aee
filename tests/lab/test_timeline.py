"""What follows a lab hears each line once, in the order of time, and is told when it was too slow."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from threading import Timer

import pytest

from netlab.observe import timeline
from netlab.observe.events import Event
from netlab.record.model import LabRecord, LimitsRecord, NodeRecord, ProcessRecord
from netlab.supervise import client, logs, talk
from netlab.testing.waiting import PATIENCE_S
from tests.lab.processes import STAY, Lab, shell

TALKS = """
n=0; echo READY
while :; do n=$((n + 1)); echo line $n; echo other $n >&2; [ $((n % 20)) = 0 ] && sleep 0.01; done
"""
_UNTIL = "until [ -e {} ]; do sleep 0.01; done; "
FLOODS = f"echo READY; {_UNTIL.format('one')} echo begun; {_UNTIL.format('two')} seq 1 200000; echo over; {STAY}"


@pytest.fixture
def lab(tmp_path: object) -> Iterator[Lab]:
    made = Lab(str(tmp_path))
    yield made
    made.close()


def record(lab: Lab, *nodes: str) -> LabRecord:
    def node(name: str) -> NodeRecord:
        process = ProcessRecord(name, "", ("true",), autostart=True, stays=False, may_exit=False)
        return NodeRecord("node", LimitsRecord(), {}, (), (process,))

    return LabRecord(lab.name, "", "netns", lab.folder, {name: node(name) for name in nodes})


def followed(lab: LabRecord) -> Iterator[Event]:
    return timeline.read(lab, timeline.choose(lab, ()), follow=True)


def test_each_line_is_heard_once_whenever_one_begins_to_listen(lab: Lab) -> None:
    """What was in the logs before, what came meanwhile and what comes later are one sequence."""
    lab.up(shell("a", TALKS), shell("b", TALKS))
    about = record(lab, "a", "b")
    for more in (100, 3000):
        heard = followed(about)
        lines = list(islice(heard, more))
        lines += list(islice(heard, 2000))
        del heard
        written = list(islice(timeline.read(about, timeline.choose(about, ())), len(lines) * 2))
        assert [line.ns for line in lines] == sorted(line.ns for line in lines)
        for source in ("a", "b"):
            own = [line for line in lines if line.source == source]
            assert own == [line for line in written if line.source == source][: len(own)]


def test_it_ends_with_the_lab(lab: Lab) -> None:
    """With the end of every process."""
    lab.up(shell("a", f"echo READY; {STAY}"))
    heard = followed(record(lab, "a"))
    begun = [next(heard).text.split(" as ")[0] for _ in range(2)]
    assert client.stop_supervisor(lab.folder)

    assert ["started", "ready", "killed by SIGTERM"] == [*begun, *(line.text for line in heard)]


def test_who_reads_too_slowly_is_told_what_is_missing(lab: Lab) -> None:
    """Nobody waits for it. What it missed is in the logs."""
    lab.up(shell("a", f"cd {lab.folder}; {FLOODS}"))
    about = record(lab, "a")
    heard = followed(about)
    begun = [next(heard) for _ in range(2)]
    for name, after in (("one", 1), ("two", 0)):
        Path(lab.folder, name).touch()
        begun += [next(heard) for _ in range(after)]  # so it listens now, and hears nothing of what follows
    with talk.to(lab.folder) as supervisor:
        while "over" not in logs.tail(lab.folder, "a", 3):
            supervisor.states()
    written = list(timeline.read(about, timeline.choose(about, ())))
    giving_up = Timer(PATIENCE_S, client.stop_supervisor, (lab.folder,))  # which ends the stream
    giving_up.start()
    lines, missing, lost = list(begun), 0, ""
    for line in heard:
        if line.stream == "lost":
            lost = line.text
            missing += int(lost.split()[0])
        else:
            lines.append(line)
        if len(lines) + missing >= len(written):
            break
    giving_up.cancel()

    assert lost.endswith("lines are missing here, as this reader was too slow: netlab timeline shows them")
    assert len(written) == len(lines) + missing
    assert len(lines) < len(written)
    told = iter(written)
    assert all(line in told for line in lines)  # the others, in their order
