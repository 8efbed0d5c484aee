"""What a person reads of a lab's state."""

import sys

import pytest

from netlab.balancer.counters import Count
from netlab.cli import show
from netlab.observe import status
from netlab.observe.stats import LabStats, ProgramStats

SEEN = status.LabStatus("one", "up", "one.yml", {}, (), looked_inside=False)


@pytest.mark.parametrize(
    ("state", "inside", "shown"),
    [
        ("up", True, "lab one is up, from"),
        ("up", False, "lab one is up, as far as can be seen without root, from"),
        ("not as planned", False, "lab one is not as planned, from"),
        ("half-built", False, "lab one is half-built, from"),
    ],
)
def test_the_state_says_how_much_was_seen(
    capsys: pytest.CaptureFixture[str], state: str, inside: bool, shown: str
) -> None:
    """And the note names the lab, which may be one of several."""
    show.status(SEEN._replace(state=state, looked_inside=inside))
    told = capsys.readouterr()

    assert shown in told.out
    assert ("sudo netlab status one" in told.err) is (not inside and state != "half-built")


@pytest.mark.parametrize("name", ["/home/u/[lab1]/x.yml", "/home/[/old]/x.yml", "/home/:smile:/[bold]x[/].yml"])
def test_what_looks_like_markup_is_a_name(capsys: pytest.CaptureFixture[str], name: str) -> None:
    """Of the topology, of a program, of a reason: whatever has come from a file is shown letter by letter."""
    node = status.NodeStatus("node", name, name, {}, None, 0, None)
    show.status(SEEN._replace(topology=name, nodes={"a": node}))
    show.stats(LabStats("one", {}, {"a": ProgramStats({name: Count(1, 2)})}))
    shown = capsys.readouterr().out

    assert 4 == shown.count(name)


def test_each_of_several_programs_has_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    """With what it is called, and where it is; the only one stands beside its node."""
    two = tuple(status.ProgramStatus(f"fw/{name}", name, (f"eth{at}",), "xdp") for at, name in enumerate(("out", "in")))
    one = (status.ProgramStatus("lb", "balancer", ("eth0", "eth1"), "xdp"),)
    fw = status.NodeStatus("node", "", "", {"eth0": ("10.0.0.1/24",)}, None, 0, None, programs=two)
    lb = status.NodeStatus("node", "", "balancer", {}, None, 0, None, programs=one)
    show.status(SEEN._replace(nodes={"fw": fw, "lb": lb}))
    lines = [line.split() for line in capsys.readouterr().out.splitlines()[2:]]

    assert lines == [
        *(["fw", "node", "10.0.0.1/24"], ["fw/out", "xdp", "on", "eth0", "out"], ["fw/in", "xdp", "on", "eth1", "in"]),
        ["lb", "node", "balancer"],
    ]


@pytest.mark.parametrize(
    ("errors", "said"),
    [
        (None, ""),
        (0, ""),
        (1, "a: 1 datagram dropped, as"),
        (312, "a: 312 datagrams dropped, as the buffers of sockets"),
    ],
)
def test_full_buffers_are_told_by_node(capsys: pytest.CaptureFixture[str], errors: int | None, said: str) -> None:
    """In `status` and `stats`, also of a lab without programs; nothing of a node where none was full."""
    node = status.NodeStatus("node", "", "", {}, None, 0, errors)
    show.status(SEEN._replace(nodes={"a": node}))
    show.stats(LabStats("one", {}, {}, {"a": errors or 0}))
    shown = capsys.readouterr().out

    assert (2 if said else 0) == shown.count("UdpRcvbufErrors")
    assert (2 if said else 0) == shown.count(said or "datagram")


def test_a_node_of_a_thousand_interfaces_is_a_line_that_can_be_read(capsys: pytest.CaptureFixture[str]) -> None:
    """The first addresses, and how many more there are; the JSON has all."""
    ports = {f"eth{at}": (f"10.{at // 256}.{at % 256}.1/24", f"fd00:0:0:{at:x}::1/64") for at in range(1000)}
    show.status(SEEN._replace(nodes={"a": status.NodeStatus("node", "", "", ports, None, 0, 0)}))
    lines = capsys.readouterr().out.splitlines()

    assert lines[2].endswith("10.0.0.1/24, 10.0.1.1/24, 10.0.2.1/24, 10.0.3.1/24 and 996 more")
    assert max(map(len, lines)) < 200


def test_a_note_that_nobody_can_read_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    with open("/dev/full", "w", encoding="utf-8") as full, monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", full)
        show.status(SEEN)


def test_addresses_that_are_not_as_planned_are_told_below_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    """Of an interface that has lost all, and of one that nobody has planned."""
    now = {"eth0": (), "tun0": ("10.9.0.1/24",)}
    node = status.NodeStatus("node", "", "", {"eth0": ("fd00::1/64",)}, None, 0, 0, addresses_now=now)
    show.status(SEEN._replace(nodes={"a": node}))

    told = capsys.readouterr().out
    assert "fd00::1/64" in told.partition("a eth0")[0]
    assert "a eth0: it has no address now, planned is fd00::1/64\n" in told
    assert "a tun0: it has 10.9.0.1/24 now, planned is none\n" in told
