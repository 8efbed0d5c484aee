"""What is said of a plan with which nothing is wrong."""

import pytest

from netlab.plan.planner import plan
from netlab.topology import document, validate

LAB = """
name: mtus
nodes:
  s1: {kind: switch}
  s2: {kind: switch}
  a:
  b:
  c:
links:
  - {endpoints: [a, s1], mtu: %s}
  - {endpoints: [s1, s2], mtu: %s}
  - {endpoints: [b, s2], mtu: %s}
  - [c, s2]
  - {endpoints: [a, b], mtu: 1400}
"""


@pytest.mark.parametrize(
    ("mtus", "said"),
    [
        ((9000, 9000, 9000), "9000 (a-s1, s1-s2, b-s2), 1500 (c-s2)"),
        ((1500, 1600, 1500), "1600 (s1-s2), 1500 (a-s1, b-s2, c-s2)"),
        ((1500, 1500, 1500), ""),
    ],
)
def test_links_of_one_switch_that_differ_in_their_mtu_are_reported(mtus: tuple[int, ...], said: str) -> None:
    """Also where it is another switch that they are joined by; a link without switches is its own affair."""
    notes = plan(validate.topology(document.parse(LAB % mtus, "lab.yml"))).notes

    assert [said] * bool(said) == [note.split(" mtus, ")[1].split(":")[0] for note in notes]
    assert all(note.startswith("the links of s1 and s2 have different mtus") for note in notes)
