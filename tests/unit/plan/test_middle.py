"""Links that lead through the middle, in plans and in their differences."""

from netlab.paths import MIDDLE
from netlab.plan.difference import difference
from netlab.plan.interruptions import in_short, told
from netlab.plan.middle_steps import CreateMiddle, Impair, SendSingly
from netlab.plan.planner import plan
from netlab.plan.steps import AddLink, Step
from netlab.topology.impairment import PLAIN, Impairment
from netlab.topology.model import Endpoint, Link, Node, Topology

SLOW = Impairment(delay_ns=20_000_000, seed=7)


def steps(*sends: Impairment | None) -> tuple[Step, ...]:
    """Return the plan of links between a and b, each with what happens to packets in both directions."""
    links = tuple(Link(Endpoint("a", sends=each), Endpoint("b", sends=each)) for each in sends)
    return plan(Topology("lab", "", (Node("a"), Node("b")), links)).steps


def kinds(found: tuple[Step, ...], *kinds: type) -> list[Step]:
    return [step for step in found if isinstance(step, kinds)]


def test_a_lab_without_impaired_links_has_no_middle() -> None:
    assert kinds(steps(None, None), CreateMiddle, SendSingly, Impair) == []


def test_names_and_indexes_are_those_of_the_link_whatever_others_do() -> None:
    """So a link that becomes an impaired one changes no other."""
    alone, beside = steps(None, SLOW), steps(SLOW, SLOW)

    def of_second(found: tuple[Step, ...]) -> list[Step]:
        ends = ("l2a", "l2b")
        links = [each for each in kinds(found, AddLink) if isinstance(each, AddLink)]
        return [each for each in links if each.a.name in ends or each.b.name in ends]

    assert of_second(alone) == of_second(beside)
    assert len(of_second(alone)) == 2


def test_another_delay_is_set_and_nothing_is_undone() -> None:
    """Packets that are under way stay so."""
    change = difference(steps(SLOW), steps(SLOW._replace(delay_ns=1)))

    assert [] == change.undone()
    assert {Impair} == {type(step) for step in change.do}
    assert [] == list(told(change))


def test_a_plain_link_that_becomes_an_impaired_one_is_made_anew() -> None:
    change = difference(steps(None, None), steps(None, SLOW))

    assert ["the link of a (eth1) and b (eth1) is made anew"] == list(told(change))
    assert in_short(change) == "changed: link a–b"
    assert [MIDDLE] == [step.node for step in change.do if isinstance(step, CreateMiddle)]
    back = difference(steps(None, SLOW), steps(None, None))
    assert ["the link of a (eth1) and b (eth1) is made anew"] == list(told(back))


def test_a_link_that_may_be_impaired_later_is_led_through_the_middle_already() -> None:
    """`delay: 0` says so."""
    found = kinds(steps(PLAIN), Impair)

    assert len(found) == 2
    assert all(isinstance(step, Impair) and step.impairment.is_none and step.impairment.seed for step in found)
