"""Saved runs are read, and what is none is named."""

import json
from pathlib import Path

import pytest

from netlab.errors import UsageError
from netlab.web import saved
from netlab.web.moments import Counted, Told
from tests.unit.web.records import OF_PARTB, PARTB, data

LINE = {
    "monotonic_ns": 5,
    "time_ns": 1005,
    "source": "lb",
    "node": "lb",
    "stream": "trace",
    "text": "queue #1, depth 1",
}
BALANCER = {"queue_depth": 1, "queue_capacity": 9, "received": 1, "backends": {"w": {"free": 1, "capacity": 2}}}
STATS = {
    "balancers": {"lb": {**BALANCER, "reasons": {"QUEUED": {"packets": 1}, "NONE": {"packets": 0}}}},
    "programs": {},
}


def folder(at: Path, lines: str, record: object = None, stats: object = STATS) -> str:
    (at / "timeline.jsonl").write_text(lines, encoding="utf-8")
    (at / saved.RECORD).write_text(json.dumps(record or {"format": 10, **data(OF_PARTB)}), encoding="utf-8")
    (at / "counters.json").write_text(json.dumps(stats), encoding="utf-8")
    return str(at)


def test_a_folder_of_a_demo_has_the_lab_the_lines_and_the_counts_at_its_end(tmp_path: Path) -> None:
    found = saved.read(folder(tmp_path, json.dumps(LINE)))

    first, last = found.moments
    assert (PARTB.nodes.keys(), 1000) == (found.record.nodes.keys() if found.record else None, found.clock_offset_ns)
    assert isinstance(first, Told)
    assert isinstance(last, Counted)
    assert (5, "queue #1, depth 1", {"QUEUED": 1}) == (first.ns, first.text, last.reasons["lb"])


@pytest.mark.parametrize(
    "line",
    [
        {"monotonic_ns": 5, "time_ns": 6, "node": "w", "process": "w/a", "stream": "out", "text": "x"},
        {"kind": "line", "ns": 5, "time_ns": 6, "node": "w", "process": "w/a", "stream": "out", "text": "x"},
    ],
)
def test_lines_of_timeline_and_of_events_are_read(tmp_path: Path, line: dict[str, object]) -> None:
    path = tmp_path / "run.jsonl"
    path.write_text(f"{json.dumps(line)}\n\n", encoding="utf-8")

    assert [Told(5, "w/a", "w", "out", "x")] == list(saved.read(str(path)).moments)


def test_what_happens_to_a_process_is_its_state() -> None:
    assert ["running", "exited", ""] == [
        saved.told(1, "a", *each).life
        for each in (("note", "started as process 7"), ("note", "exited with code 1"), ("out", "ready"))
    ]


@pytest.mark.parametrize(
    ("lines", "record", "stats", "told"),
    [
        ("", None, STATS, "expected lines of a timeline, found none"),
        ("{}", None, STATS, "line 1: expected a line"),
        (f"{json.dumps(LINE)}\n[1", None, STATS, "line 2: expected a line"),
        ("[" * 100_000, None, STATS, "line 1: expected a line"),
        (json.dumps(LINE), {"lab": 7}, STATS, r"lab.json: .*saved by another version"),
        (json.dumps(LINE), [1], STATS, "expected a JSON object"),
        (json.dumps(LINE), None, {"balancers": 3}, "netlab stats --format json"),
    ],
)
def test_what_is_damaged_is_named_with_its_place(
    tmp_path: Path, lines: str, record: object, stats: object, told: str
) -> None:
    with pytest.raises(UsageError, match=told):
        saved.read(folder(tmp_path, lines, record, stats))


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"demo --save.*timeline --save"):
        saved.read(str(tmp_path / "none"))
    with pytest.raises(UsageError, match=r"No such file"):
        saved.read(str(tmp_path))
