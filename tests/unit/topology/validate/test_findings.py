"""Mistakes: in which order, and with which hints."""

from tests.unit.topology.texts import mistakes


def test_mistakes_stand_in_the_order_of_the_file() -> None:
    """Mistakes are sorted by line and column, whatever finds them."""
    found = mistakes("name: X\nnodes:\n  a: {role: 5, kind: x}\nlinks:\n  - [a, b]\n  - [a]\nchecks: 5\n")
    places = [tuple(map(int, line.split(":")[1:3])) for line in found]

    assert sorted(places) == places
    assert 5 <= len(places)


def test_hints_stop_before_they_cost_too_much() -> None:
    """Thousands of misspelt names are all reported, the first ones with the name that was meant."""
    found = mistakes("{name: x, nodes: {node: , other: }, links: [" + "[nod, other], " * 3000 + "]}")

    assert 3000 == len(found)
    assert "did you mean 'node'?" in found[0]
    assert "did you mean" not in found[-1]
