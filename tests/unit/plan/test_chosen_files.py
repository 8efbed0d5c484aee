"""Which files `up` and `validate` name."""

import pytest

from netlab import assets
from netlab.plan import chosen_files
from netlab.topology.model import Node, Process, Program, Topology


def named(*nodes: Node) -> list[str]:
    return list(chosen_files.of(Topology("t", "", nodes, ())))


def role(name: str, path: str) -> Node:
    return Node(name, processes=(Process(name, role=name, role_path=path),))


def test_netlab_s_own_are_not_named() -> None:
    own = (f"{assets.folder('roles')}/client.py", f"{assets.folder('bpf')}/balancer.c")

    assert [] == named(role("client", own[0]), Node("lb", programs=(Program("balancer", own[1]),)), Node("bare"))


def test_several_programs_of_a_file_are_named_once_and_as_it() -> None:
    several = tuple(Program(name, "/x/fw.c", function=name) for name in ("outside", "inside"))

    assert ["the program fw is /x/fw.c"] == named(Node("fw", programs=several))


@pytest.mark.parametrize(("name", "more"), [("client", ", not netlab's own"), ("mine", "")])
def test_others_are_named_once_each_and_what_they_hide(name: str, more: str) -> None:
    nodes = role(name, f"/x/{name}.py"), role(name, f"/x/{name}.py"), Node("lb", programs=(Program("lb", "/x/lb.c"),))

    assert [f"the role {name} is /x/{name}.py{more}", "the program lb is /x/lb.c"] == named(*nodes)
