"""Which packets an impairment chooses, told beforehand."""

import socket

import pytest

from netlab.topology.chosen_packets import KINDS, Flow, chosen, flipped_bit, flow_hash, mixed, neighbours
from netlab.topology.impairment import Choice, Impairment

FLOW = Flow("10.0.0.1", "10.0.0.2", socket.IPPROTO_UDP, 7000)
MANY = 20_000
TENTH = Choice("independent", chance=100_000)


def test_the_generator_is_splitmix64() -> None:
    """The first numbers of the published generator for the seed 0: `mixed` makes them of multiples of its constant."""
    gamma = 0x9E3779B97F4A7C15

    assert [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F] == [
        mixed(gamma * count & (1 << 64) - 1) for count in (1, 2, 3)
    ]


def test_the_same_packets_are_chosen_each_time() -> None:
    """These numbers stay the same for all time: users may have written them down."""
    assert [6, 23, 31, 38, 42] == chosen(Impairment(loss=TENTH, seed=1), "loss", FLOW, 100)[:5]


@pytest.mark.parametrize(
    "other",
    [
        pytest.param((Impairment(loss=TENTH, seed=2), FLOW), id="another seed"),
        pytest.param((Impairment(loss=TENTH, seed=1), FLOW._replace(port=7001)), id="another port"),
        pytest.param((Impairment(loss=TENTH, seed=1), FLOW._replace(source="10.0.0.3")), id="another source"),
        pytest.param((Impairment(loss=TENTH, seed=1), FLOW._replace(protocol=6)), id="another protocol"),
        pytest.param((Impairment(loss=TENTH, seed=1), Flow("fd00::1", "fd00::2", 17, 7000)), id="IPv6"),
    ],
)
def test_others_are_chosen_elsewhere(other: tuple[Impairment, Flow]) -> None:
    """No more of the same packets are chosen than by chance."""
    one = set(chosen(Impairment(loss=TENTH, seed=1), "loss", FLOW, MANY))
    two = set(chosen(other[0], "loss", other[1], MANY))

    assert 0.08 * len(one) < len(one & two) < 0.12 * len(one)


@pytest.mark.parametrize("chance", [0, 1000, 10_000, 250_000, 999_000, 1_000_000])
@pytest.mark.parametrize("kind", KINDS)
def test_an_independent_chance_is_met(kind: str, chance: int) -> None:
    """The share is the chance, within four standard deviations; of the two certain ones exactly."""
    share = chance / 1_000_000
    impairment: Impairment = Impairment(seed=11)._replace(**{kind: Choice("independent", chance=chance)})  # type: ignore[arg-type]

    count = len(chosen(impairment, kind, FLOW, MANY))

    assert abs(count - share * MANY) <= 4 * (MANY * share * (1 - share)) ** 0.5


def test_bursts_have_their_length_and_share() -> None:
    """Of a line that turns bad once in a hundred packets, and good once in four: bursts of four, 3.85 % in all."""
    line = Choice("gilbert-elliott", worsens=10_000, recovers=250_000, bad_chance=1_000_000)

    lost = chosen(Impairment(loss=line, seed=4), "loss", FLOW, 5 * MANY)

    bursts = sum(number - 1 not in set(lost[max(0, at - 1) : at]) for at, number in enumerate(lost))
    assert 0.9 * 1 / 26 < len(lost) / (5 * MANY) < 1.1 * 1 / 26
    assert 3.6 < len(lost) / bursts < 4.4


def test_a_good_state_may_lose_too() -> None:
    """A line that is never bad has the chance of its good state."""
    line = Choice("gilbert-elliott", chance=100_000, recovers=1_000_000, bad_chance=1_000_000)

    assert chosen(Impairment(loss=TENTH, seed=4), "loss", FLOW, MANY) == chosen(
        Impairment(loss=line, seed=4), "loss", FLOW, MANY
    )


def test_every_and_numbers_are_as_written() -> None:
    """They depend on no seed; what is beyond the last packet is not told."""
    every = Impairment(loss=Choice("every", every=4))
    numbers = Impairment(loss=Choice("numbers", numbers=(1, 5, 11)))

    assert [4, 8] == chosen(every, "loss", FLOW, 10)
    assert [1, 5] == chosen(numbers, "loss", FLOW, 10)
    assert [] == chosen(Impairment(), "loss", FLOW, 10)


def test_an_unknown_model_is_refused() -> None:
    with pytest.raises(ValueError, match="guess"):
        chosen(Impairment(loss=Choice("guess")), "loss", FLOW, 1)


def test_each_bit_may_be_flipped() -> None:
    """All bits of a small packet come in their turn, about as often."""
    bits = 64
    counts = [0] * bits
    for packet in range(1, 6400 + 1):
        counts[flipped_bit(Impairment(seed=1), FLOW, packet, bits)] += 1

    assert min(counts) > 60
    assert max(counts) < 140


def test_flows_differ_from_what_hosts_say_on_their_own() -> None:
    """ARP has a flow of its own."""
    keys = [FLOW.key(), FLOW._replace(port=0).key(), neighbours(0x0806), neighbours(0x86DD, 58), neighbours(0x0800, 2)]

    assert len(keys) == len({flow_hash(key) for key in keys})
