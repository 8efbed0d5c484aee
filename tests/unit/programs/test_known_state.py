"""What is known where ways of a program meet."""

import pytest

from netlab.programs.known_state import PACKET, STACK, Address, Known, Number, State, met

NULL = Number(0)


def register(value: Known) -> State:
    return State({3: value}, {}, {})


@pytest.mark.parametrize("address", [Address(PACKET, 14), Address(STACK, -80)])
def test_an_address_that_may_be_null_stays_known(address: Address) -> None:
    either = {3: address._replace(or_null=True)}
    assert either == met([register(address), register(NULL)]).registers
    assert either == met([register(NULL), register(address), register(NULL)]).registers


def test_it_stays_known_on_the_stack() -> None:
    """Where NULL is eight bytes."""
    saved = State({}, {}, {-8: Address(PACKET, 14)})
    null = State({}, dict.fromkeys(range(-8, 0), 0), {})

    assert {-8: Address(PACKET, 14, or_null=True)} == met([saved, null]).saved == met([null, saved]).saved
    assert {} == met([saved, State({}, dict.fromkeys(range(-8, -1), 0), {})]).saved


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Address(PACKET, 14), Number(1)),
        (Address(PACKET, 100_000), NULL),  # 99,900 less is in the packet, or memory of the kernel
        (Address(PACKET, None), NULL),
        (Address(PACKET, 14), Address(STACK, -80)),
        (Number(7), NULL),
    ],
)
def test_what_is_further_apart_is_not_known(one: Known, other: Known) -> None:
    assert {} == met([register(one), register(other)]).registers == met([register(other), register(one)]).registers


def test_an_address_or_another_or_null_is_somewhere() -> None:
    ways = [register(Address(PACKET, 14)), register(Address(PACKET, 18)), register(NULL)]

    assert met(ways).registers.get(3) == Address(PACKET, None, or_null=True)
