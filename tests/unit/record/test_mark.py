"""A lab's mark is of one PID namespace, and of no later one that has got its number."""

import os
from types import SimpleNamespace

import pytest

from netlab.record import mark

OF_THE_HOST = 0xEFFFFFFC  # PROC_PID_INIT_INO in the kernel's proc_ns.h


class Somewhere:
    """Stands in for a PID namespace: its number, and when its first process was started."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._patch = monkeypatch

    def be(self, number: int, since: int) -> None:
        self._patch.setattr(mark, "os", SimpleNamespace(stat=lambda _: os.stat_result((0, number, *[0] * 8))))
        self._patch.setattr(mark, "start_ticks", lambda pid: since if pid == 1 else 0)


@pytest.fixture
def somewhere(monkeypatch: pytest.MonkeyPatch) -> Somewhere:
    return Somewhere(monkeypatch)


@pytest.mark.parametrize("lab", ["x", "a.b", "a-1"])
@pytest.mark.parametrize("place", [(OF_THE_HOST, 3), (4026532999, 77)], ids=["host", "container"])
def test_a_mark_says_whose_it_is(somewhere: Somewhere, lab: str, place: tuple[int, int]) -> None:
    somewhere.be(*place)

    assert lab == mark.marked(mark.mark(lab))


@pytest.mark.parametrize("later", [(4026532999, 78), (4026533000, 77), (OF_THE_HOST, 77)])
def test_what_another_namespace_has_left_is_no_lab_here(somewhere: Somewhere, later: tuple[int, int]) -> None:
    """Not even where the namespace has the number of one that is gone."""
    somewhere.be(4026532999, 77)
    left = mark.mark("x")
    somewhere.be(*later)

    assert "" == mark.marked(left)


def test_on_the_host_nothing_depends_on_who_was_first(somewhere: Somewhere) -> None:
    """A user who may not see the first process finds the same labs."""
    somewhere.be(OF_THE_HOST, 3)
    here = mark.mark("x")
    somewhere.be(OF_THE_HOST, 0)

    assert "x" == mark.marked(here)


@pytest.mark.parametrize("name", ["netlab.x", "netlab.", "x", "netlab..4026531836", "netlab.x.4026531836-"])
def test_other_names_are_no_marks(somewhere: Somewhere, name: str) -> None:
    somewhere.be(OF_THE_HOST, 3)

    assert "" == mark.marked(name)
