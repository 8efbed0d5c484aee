"""Balancers that cannot work are refused when the lab is built, by name, and nothing is left."""

from pathlib import Path

import pytest

from tests.lab.lab import lab, netlab

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("no_leaks")]

TOPOLOGY = """
name: refused
nodes:
  client: {}
  lb: {role: balancer, args: {backends: [one, two]}, xdp: {program: balancer}}
  one: {}
  two: {}
links: [[client, lb], [one, lb], [two, lb]]
"""
TWO = (
    "[{program: balancer, name: a, interfaces: [eth0, eth1], define: {QUEUE: 4}},"
    " {program: balancer, name: b, interfaces: [eth2], define: {QUEUE: 4}}]"
)
REFUSED = [
    ("nodes.lb.xdp.interfaces=[eth0]", "the program is not on eth1, where one lives"),
    ("nodes.lb.xdp.mode=generic", "needs native mode"),
    ("nodes.lb.xdp.program=pass", "carries no balancer"),
    ("nodes.lb.args.backends=[one, lb]", "lb is the balancer itself"),
    ("nodes.lb.args.completion_port=8080", "must differ"),
    ("nodes.lb.args.report_port=9090", "must differ"),
    ("nodes.lb.xdp.define={MTU: 600}", "the backends' links carry 1514"),
    ("nodes.lb.xdp.define={QUEUE: 0}", "QUEUE must be at least 1"),
    (f"nodes.lb.xdp={TWO}", "lb carries several balancers: choose one of a, b by the option program"),
    (
        f"nodes.lb={{role: balancer, args: {{backends: [one, two], program: c}}, xdp: {TWO}}}",
        "named c; it carries a, b",
    ),
    (
        f"nodes.lb={{role: balancer, args: {{backends: [one, two], program: b}}, xdp: {TWO}}}",
        "is not on eth1, where one",
    ),
]


@pytest.fixture
def topology(tmp_path: Path) -> str:
    """Return a balancer with two backends that are plain nodes."""
    (tmp_path / "refused.yml").write_text(TOPOLOGY)
    return str(tmp_path / "refused.yml")


@pytest.mark.parametrize(("change", "said"), REFUSED, ids=[change for change, _ in REFUSED])
def test_a_balancer_that_cannot_work_is_refused(topology: str, change: str, said: str) -> None:
    """Exit code 1, the reason, and everything undone."""
    assert said in netlab("up", topology, "--set", change, code=1).stderr


def test_a_backend_elsewhere_is_refused(topology: str) -> None:
    """A backend behind a router has no MAC that the balancer could write."""
    with open(topology, encoding="utf-8") as file:
        text = file.read()
    with open(topology, "w", encoding="utf-8") as file:
        file.write(text.replace("[two, lb]", "[two, one]"))

    assert "two shares no network with lb" in netlab("up", topology, code=1).stderr


def test_a_role_started_again_keeps_the_state_and_its_ports(topology: str) -> None:
    """Other ports are refused rather than silently ignored."""
    with lab(topology):
        again = netlab("run", "lb", "--service-port", "8081", code=1)

    assert "runs with other ports" in again.stderr


def test_a_program_that_nobody_has_set_up_says_so(topology: str) -> None:
    """It passes everything, and stats do not pretend that it balances."""
    with lab(topology, "--set", "nodes.lb.autostart=false"):
        shown = netlab("stats").stdout

    assert "not set up" in shown
