"""How many links there may be."""

from tests.unit.topology.texts import mistakes, topology


def test_a_switch_has_as_many_links_as_a_bridge_has_ports() -> None:
    """1,023 ports are the most that Linux gives a bridge."""
    text = "{name: x, nodes: {s: {kind: switch}, a: {replicas: 1000}, b: {replicas: %d}}, links: [[a, s], [b, s]]}"

    assert 1023 == len(topology(text % 23).links)
    assert ["lab.yml"] == [line.split(":")[0] for line in mistakes(text % 24)]
