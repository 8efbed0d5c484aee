"""The order of a balancer's decisions, from lines that were printed after them."""

import json
import os
import random

import pytest

from netlab.demo import history
from netlab.demo.history import Decision, History, Told, replay
from netlab.demo.wordings import parse
from netlab.supervise.logs import LogLine

RECORDED = os.path.join(os.path.dirname(__file__), "recorded", "partb-high.json")
THREADS = {"a": 1, "b": 1}
MS = 1_000_000

# Two threads, three requests: one waits until a thread is free.
PLAY = [
    (0, "request #1 from 10.0.0.1:4000"),
    (1, "forward #1 to a, free 0"),
    (20, "request #2 from 10.0.0.1:4000"),
    (21, "forward #2 to b, free 0"),
    (40, "request #3 from 10.0.0.1:4000"),
    (41, "queue #3, depth 1"),
    (60, "completion from a, free 1, depth 1"),
    (61, "dequeue #3 to a, depth 0"),
    (80, "completion from b, free 1, depth 0"),
    (90, "completion from a, free 1, depth 0"),
]


def line(ms: float, text: str) -> Told:
    printed = LogLine(round(ms * MS), "lb", "trace", text)
    event = parse(printed)
    assert isinstance(event, Decision), text
    return printed, event


def played(*lines: tuple[float, str]) -> History:
    """Replay lines, each with its milliseconds."""
    return replay([line(ms, text) for ms, text in sorted(lines)], THREADS)


def moved(text: str, ms: float) -> History:
    """Replay the play with one line printed at another time."""
    assert sum(each == text for _, each in PLAY) == 1
    return played(*((ms if each == text else at, each) for at, each in PLAY))


def texts(past: History) -> list[str]:
    return [step.line.text for step in past.steps]


def wrong(past: History) -> list[tuple[str, str]]:
    return [(each.line.text, each.kind) for each in past.contradictions]


def test_lines_in_order_stay_in_order() -> None:
    past = played(*PLAY)

    assert texts(past) == [text for _, text in PLAY]
    assert past.contradictions == ()
    assert (past.model.free, past.model.waiting, past.model.undecided) == (THREADS, [], [])


def test_a_step_tells_what_stood_before_it() -> None:
    past = played(*PLAY)

    stood = [(2, 0), (2, 0), (1, 0), (1, 0), (0, 0), (0, 0), (0, 1), (1, 1), (0, 0), (1, 0)]
    assert [(step.free, step.waiting) for step in past.steps] == stood


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("forward #1 to a, free 0", -1),
        ("queue #3, depth 1", 39),
        ("queue #3, depth 1", 50.9),
        ("completion from a, free 1, depth 1", 61.1),
        ("dequeue #3 to a, depth 0", 59),
    ],
)
def test_a_line_printed_late_finds_its_place(text: str, ms: float) -> None:
    """Where another CPU has printed first, up to 10 ms before, what the lines tell is their order."""
    past = moved(text, ms)

    assert past.contradictions == ()
    assert texts(past) == [each for _, each in PLAY]


def test_a_late_line_that_nothing_needed_finds_its_place_behind_it() -> None:
    """A completion that saw three waiting came before those that left, though they fit without it."""
    fill = [(at, text) for at, text in PLAY if at < 60]
    fill += [(42, "request #4 from 10.0.0.1:4000"), (43, "queue #4, depth 2")]
    drain = [(60, "completion from a, free 1, depth 2"), (61, "dequeue #3 to a, depth 1")]

    past = played(*fill, *drain, (62, "completion from b, free 1, depth 2"), (63, "dequeue #4 to b, depth 0"))

    assert past.contradictions == ()
    assert texts(past)[-4:] == [
        "completion from a, free 1, depth 2",
        "completion from b, free 1, depth 2",
        "dequeue #3 to a, depth 1",
        "dequeue #4 to b, depth 0",
    ]


def test_a_line_too_late_is_a_contradiction() -> None:
    """What another CPU holds back for longer than 10 ms is not believed."""
    past = moved("completion from a, free 1, depth 1", 71.1)

    assert ("dequeue #3 to a, depth 0", history.FREE) in wrong(past)


@pytest.mark.parametrize(
    ("before", "after", "kind"),
    [
        ("request #2 from", "request #3 from", history.NUMBER),
        ("forward #2 to b, free 0", "forward #1 to b, free 0", history.NUMBER),
        ("forward #2 to b, free 0", "forward #2 to b, free 1", history.FREE),
        ("forward #2 to b, free 0", "forward #2 to a, free 0", history.FREE),
        ("forward #2 to b, free 0", "forward #2 to stranger, free 0", history.FREE),
        ("forward #2 to b, free 0", "queue #2, depth 1", history.NEEDLESS),
        ("queue #3, depth 1", "queue #3, depth 2", history.DEPTH),
        ("completion from a, free 1, depth 1", "completion from a, free 1, depth 0", history.DEPTH),
        ("completion from a, free 1, depth 1", "completion from a, free 2, depth 1", history.FREE),
        ("completion from a, free 1, depth 1", "completion from a ignored, all its threads are free", history.FREE),
        ("dequeue #3 to a, depth 0", "dequeue #3 to b, depth 0", history.FREE),
        ("dequeue #3 to a, depth 0", "dequeue #2 to a, depth 0", history.ORDER),
        ("dequeue #3 to a, depth 0", "dequeue #3 to a, depth 1", history.DEPTH),
    ],
)
def test_a_line_that_cannot_be_is_a_contradiction(before: str, after: str, kind: str) -> None:
    past = played(*((at, text.replace(before, after)) for at, text in PLAY))

    assert kind in {contradiction.kind for contradiction in past.contradictions if after in contradiction.line.text}


def test_overtaking_those_that_wait_is_a_contradiction() -> None:
    until = [each for each in PLAY if each[0] <= 60]
    overtaking = [(60.1, "request #4 from 10.0.0.1:4000"), (60.2, "forward #4 to a, free 0")]

    past = played(*until, *overtaking)

    assert wrong(past) == [("forward #4 to a, free 0", history.ORDER)]


def test_the_newest_first_is_a_contradiction_even_at_the_same_time() -> None:
    """The depths tell which of two left first, so that no order within the window explains it away."""
    fill = [each for each in PLAY if each[0] < 60]
    fill += [(42, "request #4 from 10.0.0.1:4000"), (43, "queue #4, depth 2")]
    drain = [(60, "completion from a, free 1, depth 2"), (60.1, "completion from b, free 1, depth 2")]

    past = played(*fill, *drain, (60.2, "dequeue #4 to a, depth 1"), (60.3, "dequeue #3 to b, depth 0"))

    assert ("dequeue #4 to a, depth 1", history.ORDER) in wrong(past)


def test_after_a_contradiction_it_goes_on_with_what_the_line_says() -> None:
    """One wrong line is one contradiction, not one in every line from there on."""
    without = [each for each in PLAY if each[1] != "forward #2 to b, free 0"]

    past = played(*without)

    assert wrong(past) == [
        ("queue #3, depth 1", history.NEEDLESS),
        ("completion from b, free 1, depth 0", history.FREE),
    ]
    assert past.model.undecided == [2]


def test_a_line_printed_twice_stays_twice() -> None:
    """Also when one of the two must come before an earlier line."""
    twice = "completion from a, free 1, depth 1"
    late = [(59 if text.startswith("dequeue") else at, text) for at, text in PLAY]

    past = played(*late, (60, twice))

    assert sorted(texts(past)) == sorted([*(text for _, text in PLAY), twice])
    assert twice in {text for text, _ in wrong(past)}


def test_a_drop_decides_a_request() -> None:
    past = played((0, "request #1 from 10.0.0.1:4000"), (1, "drop #1, the queue is full"))

    assert (past.contradictions, past.model.undecided) == ((), [])


@pytest.mark.parametrize("seed", range(40))
def test_a_real_trace_is_understood_however_some_lines_are_late(seed: int) -> None:
    """One line in twenty up to 5 ms late, among decisions that are some µs apart: no contradiction."""
    draws = random.Random(seed)
    with open(RECORDED, encoding="utf-8") as file:
        rows = [row.split(" ", 3) for row in json.load(file)["lines"]]
    lines = [line(int(ns) / MS, text) for ns, _, stream, text in rows if stream == "trace"]
    printed = [
        (told._replace(ns=told.ns + (draws.randrange(5 * MS) if draws.random() < 0.05 else 0)), event)
        for told, event in lines
    ]

    past = replay(sorted(printed, key=lambda each: each[0].ns), {f"worker{number}": 5 for number in (1, 2, 3)})

    assert past.contradictions == ()
    assert len(past.steps) == len(lines)
