"""What a person reads of a lab's state."""

from collections.abc import Mapping

import pytest

from netlab.cli import state, tables
from netlab.lab.node_drift import Problem
from netlab.observe.interface_status import InterfaceStatus
from netlab.observe.status import LabStatus, NodeStatus
from netlab.supervise.client import Process

SEEN = LabStatus("one", "up", "one.yml", {}, (), looked_inside=True)
NODE = NodeStatus("node", "", "", {}, None, 0, 0)


def node(*processes: Process, **interfaces: InterfaceStatus) -> NodeStatus:
    return NODE._replace(processes=processes, interfaces=interfaces)


def shown(nodes: Mapping[str, NodeStatus], *problems: Problem, is_wide: bool = False) -> list[str]:
    return list(state.lines(SEEN._replace(nodes=nodes, problems=problems), is_wide=is_wide))


def narrow(monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    """Have a terminal of so many columns."""
    monkeypatch.setattr(tables, "width", lambda **_: columns)


@pytest.mark.parametrize(
    ("word", "inside", "said"),
    [
        ("up", True, "lab one is up, from one.yml"),
        ("up", False, "lab one is up, as far as can be seen without root, from one.yml"),
        ("not as planned", False, "lab one is not as planned, from one.yml"),
        ("half-built", False, "lab one is half-built, from one.yml"),
    ],
)
def test_the_state_says_how_much_was_seen(word: str, inside: bool, said: str) -> None:
    assert [said] == list(state.lines(SEEN._replace(state=word, looked_inside=inside)))


@pytest.mark.parametrize("name", ["/home/u/[lab1]/x.yml", "/home/[/old]/x.yml", "/home/:smile:/[bold]x[/].yml"])
def test_what_looks_like_markup_is_a_name(name: str) -> None:
    """Of the topology, of a process, of a program: whatever has come from a file is shown letter by letter."""
    port = InterfaceStatus("", "up", programs=(name,))
    process = Process("a", "a", "running", role=name)
    lines = state.lines(SEEN._replace(topology=name, nodes={"a": node(process, eth0=port)}))

    assert 3 == "\n".join(lines).count(name)


def test_each_process_has_a_row_and_that_of_its_nodes_name_stands_in_the_nodes() -> None:
    """A role has a name; a command is shown as it is."""
    one = Process("r", "r", "running", 7, cpu_percent=1.5, rss_bytes=2_000_000, role="worker")
    two = Process("r", "r/probe", "exited", 8, 3, command=("ping", "-c", "1 2"))
    lines = shown({"r": node(one, two), "s": NODE._replace(kind="switch")})

    assert [
        ["NODE", "WHAT", "STATE", "PID", "CPU", "MEMORY"],
        ["r", "worker", "running", "7", "1.5", "%", "2.0", "MB"],
        ["r/probe", "ping", "-c", "'1", "2'", "exited", "3", "8"],
        ["s", "switch"],
    ] == [line.split() for line in lines[2:]]


def test_a_long_command_is_cut_unless_all_is_wanted() -> None:
    process = Process("a", "a", "running", command=("x" * 100,))

    assert f"{'x' * 39}…" in shown({"a": node(process)})[3]
    assert "x" * 100 in shown({"a": node(process)}, is_wide=True)[3]


def test_what_would_move_the_cursor_is_shown_as_text() -> None:
    process = Process("a", "a", "running", command=("printf", "\x1b[2J\n"))

    assert "\\x1b[2J\\n" in shown({"a": node(process)})[3]


def test_interfaces_have_peer_state_addresses_and_programs() -> None:
    """What is not as planned is marked where it stands."""
    as_planned = InterfaceStatus("b:eth0", "up", "", ("10.0.0.1/24", "fd00::1/64"), programs=("count (native)",))
    changed = InterfaceStatus("b:eth1", "down", "", ("10.9.0.1/24",), ("10.1.0.1/24",), ("10.9.0.1/24",))
    gone = InterfaceStatus("b:eth2", "gone", lost_programs=("count (native)",))
    added = InterfaceStatus("", "up", is_planned=False)
    lines = shown({"a": node(eth0=as_planned, eth1=changed, eth2=gone, tun0=added)})

    assert [
        "INTERFACE  PEER    LINK       ADDRESSES                                PROGRAM",
        "a:eth0     b:eth0  up         10.0.0.1/24, fd00::1/64                  count (native)",
        "a:eth1     b:eth1  down       10.9.0.1/24 (added), 10.1.0.1/24 (gone)",
        "a:eth2     b:eth2  gone                                                count (native): gone",
        "a:tun0             up, added",
    ] == lines[5:]


def test_ports_of_switches_say_what_they_do() -> None:
    ports = {name: InterfaceStatus("a:eth0", "up", word) for name, word in (("p", "forwarding"), ("q", "blocking"))}

    assert ["up, forwarding", "up, blocking"] == [line[19:] for line in shown({"s": node(**ports)})[-2:]]


@pytest.mark.parametrize(
    ("errors", "said"), [(None, ""), (0, ""), (1, "a: 1 datagram dropped"), (312, "312 datagrams")]
)
def test_full_buffers_are_told_by_node(errors: int | None, said: str) -> None:
    text = "\n".join(shown({"a": NODE._replace(udp_rcvbuf_errors=errors)}))

    assert said in text
    assert bool(said) == ("UdpRcvbufErrors" in text)


# ---- much ------------------------------------------------------------------------------------------------------------


def hub(leaves: int) -> dict[str, NodeStatus]:
    """Return a node with so many others around it."""
    near = {f"eth{at}": InterfaceStatus(f"h{at}:eth0", "up", "", (f"10.{at}.0.1/24",)) for at in range(leaves)}
    nodes = {"hub": node(**near)}
    for at in range(leaves):
        process = Process(f"h{at}", f"h{at}", "running", 1, cpu_percent=0.5, rss_bytes=1_000_000, role="worker")
        nodes[f"h{at}"] = node(process, eth0=InterfaceStatus(f"hub:eth{at}", "up", "", (f"10.{at}.0.2/24",)))
    return nodes


def test_a_hub_of_a_thousand_is_a_few_lines() -> None:
    """Rows that are alike are one, with what they use together."""
    lines = shown(hub(1000))

    assert [
        *("NODE              WHAT    STATE        CPU     MEMORY", "hub               node"),
        *("h0 … h999 (1000)  worker  running  500.0 %  1000.0 MB", ""),
    ] == lines[2:6]
    assert ["hub:eth0 … hub:eth999 (1000)  h0:eth0 … h999:eth0 (1000)    up", "h0:eth0 … h999:eth0 (1000)"] == [
        lines[7].partition("    10.")[0],
        lines[8].partition("  ")[0],
    ]
    assert 9 == len(lines)


def test_of_many_the_one_with_a_problem_stands_alone() -> None:
    nodes = hub(1000)
    nodes["h500"] = node(Process("h500", "h500", "killed", 1, 9), eth0=InterfaceStatus("hub:eth500", "down"))
    lines = shown(nodes, Problem("h500", "it was killed", "nothing"))

    assert ["h0 … h499 (500)", "h500", "h501 … h999 (499)"] == [line[:17].strip() for line in lines[4:7]]
    assert ["down"] == [line.split()[2] for line in lines if line.startswith("h500:eth0")]


def test_wide_has_all() -> None:
    lines = shown(hub(1000), is_wide=True)

    assert 2 + 1002 + 1 + 2001 == len(lines)


def test_of_a_thousand_that_differ_the_first_are_shown_and_those_that_are_wrong() -> None:
    nodes = {f"n{at}": NODE._replace(kind=f"kind{at}") for at in range(1000)}
    lines = shown(nodes, *(Problem(f"n{at}", "it is not well", "sleep") for at in (500, 999)))
    names = [line.split()[0] for line in lines[3:] if line]

    assert ["n0", "n1"] == names[:2]
    assert {"n500", "n999"} < set(names)
    assert "… and 960 more: --wide has all" in lines


# ---- on a narrow terminal --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("columns", [30, 50, 80, 120])
def test_all_is_said_on_a_narrow_terminal_but_for_what_can_be_spared(
    monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    narrow(monkeypatch, columns)
    port = InterfaceStatus(
        "worker1:eth0", "up", "", ("10.0.1.2/24", "fd00:0:0:1::2/64"), programs=("balancer (native)",)
    )
    process = Process("lb", "lb", "running", 1234, role="balancer", cpu_percent=1.5, rss_bytes=1, since=1.0)
    lines = shown({"lb": node(process, eth1=port)})[2:]
    words = " ".join(lines).replace(",", "").split()

    assert all(len(line) <= columns for line in lines)
    assert {"lb", "balancer", "running", "up", "10.0.1.2/24", "fd00:0:0:1::2/64", "(native)"} <= set(words)
