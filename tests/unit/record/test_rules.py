"""What an address, and other texts of a record, look like."""

import random
import socket

import pytest

from netlab.record.rules import is_address, is_host

TEXTS = (
    *("10.0.0.1", "10.0.0.256", "10.0.0", "10.0.0.01", "10.0.0.1.2", "", "a", "10.0.0.\u0661", "1.2.3.-4", " 1.2.3.4"),
    *("::", "::1", "1::", "fd00::1", "fd00::1::2", "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7::"),
    *("1:2:3:4:5:6:7:8::", ":::", ":1", "1:", "::ffff:10.0.0.1", "::10.0.0.256", "10.0.0.1::", "1:10.0.0.1:2::"),
    *("::12345", "::g", "1:2:3:4:5:6:10.0.0.1", "1:2:3:4:5:6:7:10.0.0.1", "fe80::1%eth0", "::\0", "FD00::A"),
)


def known(text: str) -> bool:
    """Say what the C library says."""
    try:
        socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)
    except (OSError, ValueError):
        return False
    return True


@pytest.mark.parametrize("text", TEXTS)
def test_an_address_is_what_the_c_library_takes_for_one(text: str) -> None:
    assert is_host(text) == known(text)


def test_random_mixtures_of_address_characters_are_judged_alike() -> None:
    """Whatever stands where a person, or a crash, has cut one short."""
    chosen = random.Random(14)
    parts = ("::", ":", ".", "1", "ff", "10.0.0.1", "255", "256", "0", "00", "fd00", "12345")
    texts = {"".join(chosen.choices(parts, k=chosen.randint(1, 9))) for _ in range(20_000)}

    assert [] == [text for text in texts if is_host(text) != known(text)]
    assert sum(map(known, texts)) > 100


@pytest.mark.parametrize(
    ("text", "is_good"),
    [("10.0.0.1/24", True), ("10.0.0.1/33", False), ("10.0.0.1", False), ("::1/128", True), ("::1/129", False)],
)
def test_an_address_has_its_prefix_length(text: str, is_good: bool) -> None:
    assert is_address(text) is is_good
