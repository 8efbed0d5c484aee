"""The arithmetic of waiting lines that the benchmarks compare with."""

import math

import pytest

from tests.bench import queueing
from tests.bench.measure import quantile


def test_nobody_waits_while_a_server_is_free() -> None:
    assert queueing.ideal_waits([0, 0, 1], [5, 5, 1], 3) == [0, 0, 0]


def test_the_oldest_gets_the_server_that_is_free_first() -> None:
    assert queueing.ideal_waits([0, 0, 1, 2], [10, 4, 3, 1], 2) == [0, 0, 3, 5]


def test_one_server_is_a_line() -> None:
    assert queueing.ideal_waits([0, 1, 10], [3, 3, 3], 1) == [0, 2, 0]


def test_erlang_c_of_one_server_is_its_load() -> None:
    assert queueing.erlang_c(1, 0.7) == pytest.approx(0.7)


@pytest.mark.parametrize(
    ("servers", "load", "wait"), [(15, 0.8, 0.106), (15, 0.9, 0.402), (15, 0.95, 1.05), (5, 0.8, 0.554)]
)
def test_mean_waits_are_those_of_the_tables(servers: int, load: float, wait: float) -> None:
    assert queueing.mean_wait(servers, load) == pytest.approx(wait, rel=0.01)


def test_a_replay_of_many_requests_comes_near_the_formula() -> None:
    load, servers = 0.8, 3
    requests = queueing.poisson(200_000, servers * load, 1.0, seed=1)

    waits = queueing.ideal_waits([at for at, _ in requests], [service for _, service in requests], servers)

    assert queueing.mean(waits) == pytest.approx(queueing.mean_wait(servers, load), rel=0.05)
    assert quantile(waits, 0.99) == pytest.approx(queueing.wait_below(servers, load, 0.99), rel=0.07)


def test_most_waits_are_zero_at_a_low_load() -> None:
    assert queueing.wait_below(15, 0.2, 0.99) == 0


def test_draws_are_exponential_and_the_same_for_the_same_seed() -> None:
    requests = queueing.poisson(100_000, 50, 0.04, seed=7)

    assert requests == queueing.poisson(100_000, 50, 0.04, seed=7)
    assert requests[-1][0] == pytest.approx(100_000 / 50, rel=0.02)
    services = sorted(service for _, service in requests)
    assert services[50_000] == pytest.approx(0.04 * math.log(2), rel=0.03)


def test_a_mean_of_nothing_is_zero() -> None:
    assert queueing.mean([]) == 0
    assert queueing.mean([1, 2]) == pytest.approx(1.5)


def test_a_quantile_lies_between_its_neighbours() -> None:
    assert quantile([3, 1, 2], 0.5) == 2
    assert quantile([1, 2], 0.25) == pytest.approx(1.25)
    assert quantile([5], 0.99) == 5
