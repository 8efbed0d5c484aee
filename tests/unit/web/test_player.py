"""Where a browser is in a history, and what it is shown."""

from netlab.web import saved
from netlab.web.history import History
from netlab.web.moments import QUEUED, Linked, Move
from netlab.web.player import LATE_NS, Player, shown_moves
from netlab.web.state import State, Where
from tests.unit.web.records import PARTB

MS, S = 10**6, 10**9


def history(count: int = 100, apart_ns: int = 10 * MS) -> History:
    """Return requests that go into a queue, one after the other, the first at one second."""
    found = History(Where(PARTB), State())
    lines = (saved.told(S + at * apart_ns, "lb", "trace", f"queue #{at + 1}, depth {at + 1}") for at in range(count))
    found.add(lines)
    return found


def depth(frame: dict[str, object]) -> int:
    state = frame["state"]
    assert isinstance(state, dict)
    return int(state["balancers"]["lb"]["depth"]) if state["balancers"] else 0


def playing(found: History) -> Player:
    player = Player(found, is_live=False)
    player.seek(0)
    player.is_playing = True
    player.frame(5 * S)
    return player


def test_a_replay_goes_on_with_the_clock_and_stands_still_at_the_end() -> None:
    player = playing(history())
    frames = [player.frame(5 * S + at * 100 * MS) for at in range(1, 12)]

    assert [11, 21, 31] == [depth(each) for each in frames[:3]]
    assert (100, 1.0, False) == (depth(frames[-1]), frames[-1]["share"], player.is_playing)


def test_the_speed_is_that_of_the_replay() -> None:
    player = playing(history())
    player.speed = 0.1

    assert [2, 3] == [depth(player.frame(5 * S + at * 100 * MS)) for at in (1, 2)]


def test_a_step_back_shows_the_state_then_and_nothing_that_moves() -> None:
    """What is sought is shown at once, with the lines before it."""
    player = playing(history())
    player.frame(5 * S + 900 * MS)
    player.seek_share(0.5)
    player.is_playing = False
    frame = player.frame(6 * S)

    assert (50, [], True) == (depth(frame), frame["moves"], frame["fresh"])
    assert [f"queue #{at}, depth {at}" for at in range(39, 51)] == [each.text for each in frame["told"]]


def test_live_is_a_little_late_and_takes_what_comes_late_into_its_place() -> None:
    found = history()
    player = Player(found, is_live=True)
    first = player.frame(S + LATE_NS + 505 * MS)
    found.add([saved.told(S + 501 * MS, "lb", "trace", "completion from worker1, free 3, depth 51")])
    second = player.frame(S + LATE_NS + 605 * MS)

    assert (51, 61) == (depth(first), depth(second))
    assert 3 == second["state"]["balancers"]["lb"]["free"]["worker1"]


def test_what_is_forgotten_meanwhile_harms_nobody() -> None:
    found = history(count=0)
    player = Player(found, is_live=True)
    found._limit = 600
    for at in range(3000):
        found.add([saved.told(S + at * MS, "lb", "trace", f"queue #{at + 1}, depth {at + 1}")])
        if at % 100 == 99:
            frame = player.frame(S + LATE_NS + at * MS)
            assert at + 1 == depth(frame)


def test_a_replay_that_is_over_begins_again() -> None:
    player = playing(history())
    player.frame(9 * S)
    player.toggle()

    assert (S, True) == (player.ns, player.is_playing)


def test_a_thousand_events_a_second_are_summed_up() -> None:
    """A frame has a bounded size: sums of what moves the same way, and the last lines."""
    player = playing(history(count=5000, apart_ns=100_000))
    frame = player.frame(5 * S + 400 * MS)

    (only,) = frame["moves"]
    assert (("lb",), QUEUED, 4000) == (only["way"], only["kind"], only["number"])
    assert (12, 3988) == (len(frame["told"]), frame["more"])


def test_few_moves_are_shown_each_at_its_time() -> None:
    shown = shown_moves([Move(30 * MS, ("a", "b"), "request", "7")], 10 * MS, 110 * MS, 2.0)

    assert [(1, "7", 10.0)] == [(each.number, each.label, each.after_ms) for each in shown]


def test_a_frame_stays_what_it_was() -> None:
    """A page sends what differs from the frame before."""
    found = history()
    found.add([Linked(S + 150 * MS, "lb:eth0", "down"), saved.told(S + 150 * MS, "lb", "note", "exited with code 0")])
    player = playing(found)
    first, second = (player.frame(5 * S + at * 100 * MS)["state"] for at in (1, 2))

    assert ({}, {}) == (first["links"], first["processes"])
    assert ({"lb:eth0": "down"}, {"lb": "exited"}) == (second["links"], second["processes"])
