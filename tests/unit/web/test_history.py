"""What has happened, in its order."""

import random

from netlab.web import saved
from netlab.web.history import History
from netlab.web.moments import Moment
from netlab.web.state import State, Where
from tests.unit.web.records import PARTB

WHERE = Where(PARTB)


def queued(count: int, first: int = 1) -> list[Moment]:
    """Return lines by which so many requests wait, one in a nanosecond."""
    return [saved.told(ns, "lb", "trace", f"queue #{ns}, depth {ns}") for ns in range(first, first + count)]


def depth(history: History, ns: int) -> int:
    state, _ = history.at(ns)
    return state.balancers["lb"].depth if "lb" in state.balancers else 0


def test_the_state_at_any_time_is_that_of_the_moments_until_then() -> None:
    """In whatever order they came, and whatever was asked before."""
    history, moments = History(WHERE, State()), queued(2000)
    random.Random(1).shuffle(moments)
    history.add(moments[:1500])
    history.at(1999)
    history.add(moments[1500:])

    assert [0, 1, 499, 500, 501, 1250, 2000, 2000] == [
        depth(history, ns) for ns in (0, 1, 499, 500, 501, 1250, 2000, 9999)
    ]


def test_the_oldest_are_forgotten_and_the_state_before_the_rest_is_kept() -> None:
    history = History(WHERE, State(), limit=1000)
    history.add(queued(3000))

    assert (1000, 2000, 2001) == (len(history), history.forgotten, history.begin_ns)
    assert (2000, 2500) == (depth(history, 5), depth(history, 2500))
    assert 3000 == history.at(3000)[0].balancers["lb"].counters["queued"]


def test_going_on_tells_what_has_moved_and_what_was_said() -> None:
    history = History(WHERE, State())
    history.add(queued(10))
    state, done = history.at(4)

    done, moves, told = history.go_on(state, done, 6)

    assert (6, [5, 6], [5, 6]) == (done, [each.ns for each in moves], [each.ns for each in told])
    assert 6 == state.balancers["lb"].depth


def test_what_comes_before_a_time_that_was_shown_is_known() -> None:
    history = History(WHERE, State())
    history.add(queued(10, first=10))
    history.go_on(*history.at(15), 15)
    history.add(queued(1, first=17))
    before = history.rewritten
    history.add(queued(1, first=12))

    assert (0, 1) == (before, history.rewritten)


def test_the_last_lines_of_a_node_are_found() -> None:
    history = History(WHERE, State())
    history.add(queued(5))
    history.add([saved.told(3, "worker1", "out", "hello")])

    assert [("worker1", 3)] == [(each.node, each.ns) for each in history.told(9, 10, ["worker1"])]
    assert [3, 4] == [each.ns for each in history.told(4, 2)]
