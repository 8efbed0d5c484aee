"""Nodes by themselves: how many, and which are alike."""

from tests.unit.topology.texts import mistakes, topology


def test_replicas_share_their_tuples() -> None:
    """A thousand nodes after a thousand others do not take a million entries."""
    nodes = topology(
        "{name: x, nodes: {a: {replicas: 1000, command: [a]}, b: {replicas: 1000, command: [b], after: a}}}"
    ).nodes

    assert 1000 == len(nodes[-1].processes[0].after)
    assert nodes[-1].processes[0].after is nodes[-2].processes[0].after


def test_as_many_nodes_as_one_lab_may_have() -> None:
    """4,096 nodes are allowed, and not one more."""
    text = "{name: x, nodes: {a: {replicas: 1000}, b: {replicas: 1000}, c: {replicas: 1000}, d: {replicas: 1000}, %s}}"
    rest = ", ".join(f"e{number}: " for number in range(1, 97))

    assert 4096 == len(topology(text % rest).nodes)
    assert "4,096" in mistakes(text % f"{rest}, f: ")[0]


def test_as_many_processes_as_one_lab_may_have() -> None:
    """4,096 processes are allowed, and not one more."""
    text = "{name: x, nodes: {a: {replicas: 1000, processes: {%s}}, b: {replicas: 96, command: [b]}, %s}}"
    four = ", ".join(f"p{number}: {{command: [p]}}" for number in range(4))

    assert 4 == len(topology(text % (four, "c: ")).nodes[999].processes)
    assert ["expected at most 4,096 processes in the lab, found 4,097"] == [
        mistake.partition("a: ")[2].partition(" (")[0] for mistake in mistakes(text % (four, "c: {command: [c]}"))
    ]


def test_an_unknown_kind_hides_what_follows_from_it() -> None:
    """With a misspelt switch nothing is said about addresses that would need one."""
    text = "{name: x, nodes: {s: {kind: swich}, a: , b: }, links: [[{node: a, address: 10.0.0.1/24}, s], [b, s]]}"

    assert 1 == len(mistakes(text))
