"""A play as a picture, drawn from its packets."""

from collections.abc import Sequence

from netlab.demo import picture
from netlab.judge.facts import Balancing, Dropping
from netlab.judge.packets import Packet
from tests.unit.demo.test_parta import recorded
from tests.unit.demo.test_partb import Play
from tests.unit.judge import synthetic, test_parta


def drawn(facts: Balancing | Dropping, packets: Sequence[Packet]) -> list[str]:
    lab = Play("partb-high").lab if isinstance(facts, Balancing) else recorded().lab
    empty = recorded(lambda _: [])
    return picture.draw(empty._replace(lab=lab, facts=facts, packets=packets)).splitlines()


def test_part_a_has_an_arrow_for_each_segment_and_words_for_verdicts() -> None:
    lines = drawn(
        test_parta.FACTS,
        [
            *test_parta.sent(),
            test_parta.answer(2),
            *map(test_parta.behind, filter(test_parta.right, test_parta.sent())),
        ],
    )

    assert lines[0].split() == ["client", "server"]
    assert sum("►" in line for line in lines) > 5
    assert sum("even: dropped" in line for line in lines) > 1
    assert sum("odd: arrives" in line for line in lines) > 1
    assert not any("odd: dropped" in line or "even: arrives" in line for line in lines)
    assert len({line.index("│") for line in lines[1:]}) == 1


def test_part_b_follows_a_few_requests_from_beginning_to_end() -> None:
    lines = drawn(synthetic.facts(), synthetic.high_play())

    of = {number: [line for line in lines if f"#{number}" in line] for number in (1, 2, 7)}
    assert {"client", "lb", "worker1", "worker2"} <= set(lines[0].split())
    assert [len(of[number]) for number in (1, 2, 7)] == [3, 3, 4]
    sent, comes, ends = of[1]
    assert all(arrow in line for arrow, line in (("►", sent), ("►", comes), ("◄", ends)))
    assert all(text in line for text, line in (('#1 "0.100"', sent), ("#1, 1 free", comes), ("#1 done", ends)))
    assert "#7 waits, depth 1" in of[7][1]
    assert lines.index(ends) + 1 == lines.index(of[7][2]), "the end of the first lets the one that waits go"


def test_a_picture_of_nothing_is_empty() -> None:
    assert picture.draw(recorded(lambda _: [])) == ""
    assert drawn(synthetic.facts(), []) == []
