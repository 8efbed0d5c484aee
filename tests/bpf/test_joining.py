"""Backends that leave and join: nothing of whoever had a place before passes for what its next owner does."""

from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import pytest

from netlab.balancer import BY_REPORTS, Keeper, control, layout, set_up
from netlab.errors import UsageError
from netlab.programs.maps import Map
from tests.bpf.cases_absent import exclude, refusal, silence
from tests.bpf.rig import Rig, backend, request
from tests.bpf.test_healing import REPORTS, reply, report

pytestmark = pytest.mark.root


def replaced(rig: Rig, index: int) -> None:
    """Remove a worker, whatever it has in hand, and let one with as many threads take its place."""
    capacity = rig.now().capacity[f"worker{index}"]
    control.remove(rig.pins, [f"worker{index}"], 0, now=True)
    control.add(rig.pins, [backend(index, capacity)])


def test_a_worker_that_joins_has_all_threads_free_and_has_never_reported(rig: Rig) -> None:
    rig.reset(backends=2, capacity=1, report_port=REPORTS)
    rig.push(report(2, 0, 0))
    for _ in range(2):
        assert rig.push(request())[2] == "FORWARDED"
    replaced(rig, 2)

    assert rig.free() == (0, 1)
    assert rig.push(report(2, 0, 0))[2] == "REPORT_BEGUN"


def test_what_was_asked_of_the_one_before_is_not_answered_by_the_next(rig: Rig) -> None:
    """An answer too many frees nothing, and none that is waited for is taken for it."""
    rig.reset(backends=2, capacity=[1, 3], policy="first-free", replies=True)
    for port in (1, 40000, 40000):  # to worker1, and twice to worker2
        rig.push(request(udp_sport=port))
    replaced(rig, 2)
    for port in (40000, 2):
        rig.push(request(udp_sport=port))
    assert rig.free() == (0, 1)

    assert [rig.push(reply(2))[2] for _ in range(2)] == ["REPLY_FREED", "REPLIED"]
    assert rig.free() == (0, 2)


@pytest.mark.parametrize("replies", [False, True], ids=["reports", "replies"])
def test_what_is_held_for_the_one_before_waits_again(rig: Rig, replies: bool) -> None:
    """At once, and not only when the role looks: it would be taken for the next one's."""
    rig.reset(backends=2, capacity=1, policy="first-free", report_port=REPORTS, holds=BY_REPORTS, replies=replies)
    packets = [request(b"to worker1"), request(b"to worker2")]
    for packet in packets:
        assert rig.push(packet)[2] == "FORWARDED"
    replaced(rig, 2)

    assert [each.backend for each in Keeper(rig.pins).held()] == [0]
    assert rig.waiting() == [bytes(packets[1])]
    assert rig.now().counters["retried"] == 1


def test_flows_of_others_stay(rig: Rig) -> None:
    rig.reset(backends=2, capacity=1, replies=True)
    for _ in range(2):
        rig.push(request())
    replaced(rig, 2)

    assert rig.push(reply(1))[2] == "REPLY_FREED"
    assert rig.push(reply(2))[2] == "PASS_NOT_LOCAL"


@pytest.mark.parametrize(
    "absence", [exclude, silence, lambda rig: rig.push(refusal(4))], ids=["ill", "silent", "refusing"]
)
def test_one_that_is_absent_is_removed_at_once(rig: Rig, absence: Callable[[Rig], object]) -> None:
    """All its threads count as taken whatever it has, and no completion frees one: there is nothing to wait for."""
    rig.reset(backends=2, capacity=2, policy="first-free", report_port=REPORTS)
    rig.push(report(1, 0, 0))
    rig.push(request())
    assert control.in_hand(rig.pins, ["worker1", "worker2"]) == {"worker1": 1}
    absence(rig)
    assert rig.free() == (0, 2)
    assert control.in_hand(rig.pins, ["worker1", "worker2"]) == {}
    control.remove(rig.pins, ["worker1"], 0, now=False)

    assert rig.free() == (2,)


IN_ONE = ("10.0.2.0/23", "fd00:0:0:2::/63")  # networks, which worker2 and worker3 share
OF_TWO = {4: ("10.0.2.2", "10.0.2.9"), 6: ("fd00:0:0:2::2", "fd00:0:0:2::9")}  # worker2, and a host beside it


def neighbours(rig: Rig) -> set[tuple[str, str]]:
    """Return what becomes of requests of worker2, and of another host in its network."""
    return {
        (rig.push(request(ip_src=own, version=version))[2], rig.push(request(ip_src=other, version=version))[2])
        for version, (own, other) in OF_TWO.items()
    }


@pytest.mark.parametrize("by", ["set_up", "add"])
def test_a_backend_may_ask_as_long_as_no_other_shares_its_network(rig: Rig, by: str) -> None:
    """That one would answer it past the balancer, and the thread would stay taken."""
    alone, beside = (backend(index, 9)._replace(networks=IN_ONE) for index in (2, 3))
    for there, found in (([alone], ("FORWARDED", "DROP_NEIGHBOUR")), ([alone, beside], ("DROP_NEIGHBOUR",) * 2)):
        rig.reset(backends=1, capacity=9, replies=True, ready=by == "add")
        if by == "add":
            control.add(rig.pins, there)
        else:
            assert set_up(rig.pins, rig.settings._replace(backends=(backend(1, 9), *there)))
        assert neighbours(rig) == {found}


def test_whoever_lives_where_no_backend_does_any_more_may_ask(rig: Rig) -> None:
    """A network is refused as long as a backend lives there, and a backend as long as another does; not for ever."""
    rig.reset(backends=1, capacity=9, replies=True)
    control.add(rig.pins, [backend(index, 9)._replace(networks=IN_ONE) for index in (2, 3)])
    assert neighbours(rig) == {("DROP_NEIGHBOUR", "DROP_NEIGHBOUR")}
    control.remove(rig.pins, ["worker3"], 0, now=True)
    assert neighbours(rig) == {("FORWARDED", "DROP_NEIGHBOUR")}
    control.remove(rig.pins, ["worker2"], 0, now=True)
    assert neighbours(rig) == {("FORWARDED", "FORWARDED")}
    control.add(rig.pins, [backend(3, 9)._replace(networks=IN_ONE)])

    assert neighbours(rig) == {("DROP_NEIGHBOUR", "DROP_NEIGHBOUR")}


class CutOffError(BaseException):
    """What ends a command in its middle, as kill -9 does."""


def cut_off(work: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Do work again and again, each time cut off before one more of the changes that it makes to maps; in the end all.

    Yields how many were made.
    """
    for changes in count():
        left = [changes]

        def change(real: Any, *words: Any, left: list[int] = left, **named: Any) -> Any:
            if not left[0]:
                raise CutOffError
            left[0] -= 1
            return real(*words, **named)

        with monkeypatch.context() as patch:
            for name in ("set", "delete"):
                real = getattr(Map, name)
                patch.setattr(Map, name, lambda *words, real=real, **named: change(real, *words, **named))
            try:
                work()
            except CutOffError:
                pass
            else:
                return
        yield changes


def test_a_remove_that_was_cut_off_is_done_by_the_next(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever that was; and the place is as free as any."""

    def remove() -> None:
        control.remove(rig.pins, ["worker2"], 0, now=True)

    rig.reset(backends=2, capacity=1)
    for _ in cut_off(remove, monkeypatch):
        remove()
        control.add(rig.pins, [backend(2, 1)])

        assert [rig.push(request())[2] for _ in range(3)] == ["FORWARDED", "FORWARDED", "QUEUED"]
        rig.reset(backends=2, capacity=1)


def test_an_add_that_was_cut_off_leaves_no_half_of_a_backend(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Either there is none, or it is whole and gets no requests; it can be added or removed, and so can another."""

    def add() -> None:
        control.add(rig.pins, [backend(2, 3)])

    def without_the_second() -> None:
        rig.reset(backends=2, capacity=1)
        control.remove(rig.pins, ["worker2"], 0, now=True)

    without_the_second()
    for made in cut_off(add, monkeypatch):
        config = layout.Config.read(rig.pins)
        there = [entry.name for entry in layout.entries(rig.pins, config).values()]
        if "worker2" in there:
            if not config.weights[1]:
                control.undrain(rig.pins, ["worker2"])
        elif made % 2:
            add()
        else:
            control.add(rig.pins, [backend(3, 3)])
            with layout.map_of(rig.pins, "backend_at") as index_of:
                assert layout.address("10.0.2.2") not in list(index_of.keys())

        assert [rig.push(request())[2] for _ in range(5)] == ["FORWARDED"] * 4 + ["QUEUED"]
        without_the_second()
    with pytest.raises(UsageError, match="is a backend already"):
        add()
