"""Names that are alike."""

import random
import time

from netlab.topology.document.tree import closest


def test_a_huge_name_is_not_compared() -> None:
    """Two of a hundred thousand characters took half a minute."""
    characters = [chr(0x4E00 + number % 300) for number in range(100_000)]
    one = "".join(characters)
    random.Random(1).shuffle(characters)
    began = time.process_time()

    assert not closest(one, ["".join(characters)])
    assert closest("clinet", ["server", "client"]) == "client"
    assert time.process_time() - began < 4
