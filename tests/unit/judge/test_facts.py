"""What the judge knows of a lab, from its topology."""

from pathlib import Path

import pytest

from netlab.errors import UsageError
from netlab.judge import facts
from netlab.judge.facts import Balancing, Dropping
from netlab.plan.description import describe
from netlab.plan.planner import plan
from netlab.topology import document, validate
from tests.checkout import ROOT

OWN = """
name: own
nodes:
  asker: {command: [./asker]}
  mixer: {xdp: pass}
  server: {replicas: 2, command: [./server]}
links: [[asker, mixer], [server, mixer]]
"""


def known(text: str, folder: Path) -> Balancing:
    (folder / "own.yml").write_text(text)
    topology = validate.topology(document.load(str(folder / "own.yml")))
    return facts.balancing(topology, describe(plan(topology), "/run/x"))


def shipped(name: str, *changes: str) -> tuple[Balancing | None, Dropping | None]:
    topology = validate.topology(document.load(f"{ROOT}/topologies/{name}.yml", list(changes)))
    lab = describe(plan(topology), "/run/x")
    is_balancer = name == "partb"
    return (facts.balancing(topology, lab), None) if is_balancer else (None, facts.dropping(topology, lab))


def test_options_of_roles_say_it() -> None:
    found, _ = shipped("partb", "nodes.worker.args.threads=3", "nodes.worker.args.port=7000")

    assert found is not None
    assert (found.client, found.balancer, dict(found.threads)) == (
        "client",
        "lb",
        {"worker1": 3, "worker2": 3, "worker3": 3},
    )
    assert (found.service_port, found.worker_port, found.completion_port, found.queue) == (8080, 7000, 9090, 0)
    assert found.addresses("lb") >= {"10.0.0.2", "10.0.1.2", "10.0.2.2", "10.0.3.2", "fd00:0:0:1::2"}
    assert found.watched() == [(node, "eth0") for node in ("client", "worker1", "worker2", "worker3")]


def test_part_a_is_watched_before_and_behind_the_program() -> None:
    _, found = shipped("parta", "nodes.server.xdp.define.JUDGE_ALL=1", "nodes.server.args.port=9001")

    assert found is not None
    assert (found.client, found.server, found.port, found.judges_all) == ("client", "server", 9001, True)
    assert found.watched() == [("client", "eth0"), ("server", "eth0")]


def test_without_roles_the_exercise_says_it(tmp_path: Path) -> None:
    found = known(OWN, tmp_path)

    assert (found.client, found.balancer, dict(found.threads)) == ("asker", "mixer", {"server1": 5, "server2": 5})
    assert (found.service_port, found.worker_port, found.completion_port) == (8080, 8080, 9090)


def test_the_topology_has_the_last_word(tmp_path: Path) -> None:
    said = "demo: {client: asker, balancer: mixer, workers: server, threads: 2, service_port: 53, worker_port: 54,"
    said += " completion_port: 55, queue: 64}"

    found = known(f"{OWN}{said}\n", tmp_path)

    assert (found.service_port, found.worker_port, found.completion_port, found.queue) == (53, 54, 55, 64)
    assert dict(found.threads) == {"server1": 2, "server2": 2}


@pytest.mark.parametrize(
    ("change", "key"),
    [
        (("mixer: {xdp: pass}", "mixer: {}"), "balancer"),
        (("replicas: 2, command: [./server]", "command: [./server]"), "workers"),
        (("asker: {command: [./asker]}", "asker: {}\n  other: {}"), "client"),
    ],
)
def test_what_is_not_clear_is_asked_for(tmp_path: Path, change: tuple[str, str], key: str) -> None:
    text = OWN.replace(*change).replace("links: [", "links: [[other, mixer], " if "other" in change[1] else "links: [")
    with pytest.raises(UsageError, match=f"demo: {{{key}: …}}"):
        known(text, tmp_path)


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        ("{balancer: nobody}", "expected a host, found no node 'nobody'"),
        ("{threads: 0}", "a whole number from 1 to 1000"),
        ("{service_port: 70000}", "a port from 1 to 65535"),
        ("{prints: {sings: x}}", "expected one of received"),
        ("{prints: {queued: '('}}", "a regular expression"),
        ("{ballancer: mixer}", "did you mean 'balancer'?"),
    ],
)
def test_mistakes_have_their_place(tmp_path: Path, said: str, complaint: str) -> None:
    with pytest.raises(UsageError) as caught:
        known(f"{OWN}demo: {said}\n", tmp_path)

    assert complaint in str(caught.value)
