"""In which order processes start."""

from netlab.supervise.order import Order


def start(name: str, *after: str, autostart: bool = True) -> dict[str, object]:
    return {"process": name, "after": after, "autostart": autostart}


def test_each_starts_once_all_before_it_are_here() -> None:
    order = Order([start("c", "a", "b"), start("a"), start("b", "a"), start("d", "c")])

    assert ["a"] == order.first()
    assert ["b"] == order.here("a")
    assert ["c"] == order.here("b")
    assert [] == order.here("b")
    assert {"c", "d"} == set(order.missing)
    assert ["d"] == order.here("c")
    assert [] == order.here("d")
    assert not order.missing


def test_one_that_does_not_start_by_itself_is_not_waited_for() -> None:
    order = Order([start("a", "b"), start("b", autostart=False)])

    assert ["a"] == order.first()
    assert [] == order.here("b")
    assert {"a"} == set(order.missing)
