"""What the balancer's packet table has, which needs no root."""

from collections import Counter

from netlab.programs.headers import enum_in
from tests.bpf import sources


def test_the_table_has_more_than_250_cases() -> None:
    """By their names, of which none stands for two; those that differ in one field only count as one."""
    from tests.bpf.table import CASES  # scapy makes thousands of packets: only whoever runs this test waits

    assert [name for name, count in Counter(case.name for case in CASES).items() if count > 1] == []
    assert len({case.sweep or case.name for case in CASES}) > 250


def test_every_reason_has_a_case_for_it_and_one_that_only_just_misses_it() -> None:
    from tests.bpf.table import CASES, ELSEWHERE

    text = sources.of("balancer")[sources.REASONS]
    names = {*list(enum_in(text, "reason"))[:-1], *list(enum_in(text, "carrier_reason"))[:-1]}
    hit, missed = {case.reason for case in CASES}, {case.near for case in CASES}

    assert [case.name for case in CASES if case.near and case.near == case.reason] == []
    assert names - hit == set(ELSEWHERE)
    assert names - missed == set(ELSEWHERE)
    assert (hit | missed) - names == {""}
