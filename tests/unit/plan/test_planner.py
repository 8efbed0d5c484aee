import os
import subprocess
import sys
from itertools import pairwise

import pytest

from netlab.errors import UsageError
from netlab.plan.attach_program import AttachProgram
from netlab.plan.planner import plan
from netlab.plan.steps import (
    AddAddress,
    AddBridge,
    AddLink,
    AddRoute,
    CreateNode,
    FaceProgram,
    Interface,
    StartRole,
    Step,
)
from netlab.topology.model import Endpoint, Link, Node, Process, Program, Route, Topology
from tests.checkout import ROOT

ORDER = (CreateNode, AddBridge, AddLink, AddAddress, AddRoute, FaceProgram, AttachProgram, StartRole)
PROGRAM = Program("balancer", "/bpf/balancer.c", define=(("QUEUE", 1024), ("TRACE", 1)))


def lab(nodes: str | tuple[Node, ...], *pairs: str) -> Topology:
    """Return a topology of these nodes and links, such as `a b`."""
    links = tuple(Link(Endpoint(a), Endpoint(b)) for a, b in (pair.split() for pair in pairs))
    made = tuple(Node(name) for name in nodes.split()) if isinstance(nodes, str) else nodes
    return Topology("demo", "", made, links)


def steps(topology: Topology, kind: type[Step]) -> list[Step]:
    return [step for step in plan(topology).steps if isinstance(step, kind)]


def lines(topology: Topology, kind: type[Step]) -> list[str]:
    return [line for step in steps(topology, kind) for line in str(step).splitlines()]


def sysctls(topology: Topology) -> list[dict[str, str]]:
    return [dict(step.sysctls) for step in steps(topology, CreateNode) if isinstance(step, CreateNode)]


def roles(topology: Topology) -> list[StartRole]:
    return [step for step in steps(topology, StartRole) if isinstance(step, StartRole)]


def node(name: str, *processes: Process) -> Node:
    return Node(name, processes=processes)


def everything() -> Topology:
    """Return a topology that has every kind of step."""
    nodes = (
        node("client", Process("client", "client", "/roles/client.py", after=("lb",))),
        node("lb", Process("lb", command=("sleep", "9")))._replace(programs=(PROGRAM,)),
        Node("s", kind="switch"),
        Node("web1", replica_of="web"),
        Node("web2", replica_of="web"),
    )
    return lab(nodes, "client lb", "lb s", "web1 s", "web2 s")


def test_steps_stand_in_the_order_in_which_they_are_done() -> None:
    kinds = [type(step) for step in plan(everything()).steps]

    assert list(dict.fromkeys(kinds)) == list(ORDER)
    assert all(ORDER.index(before) <= ORDER.index(after) for before, after in pairwise(kinds))


def test_a_plan_is_the_same_whatever_the_hash_seed() -> None:
    script = (
        "import test_planner; from netlab.plan import hosts, planner; found = planner.plan(test_planner.everything());"
        "print(*found.steps, hosts.text(found), sep='\\n')"
    )
    here = os.path.dirname(os.path.abspath(__file__))
    path = os.pathsep.join((here, ROOT))
    outputs = {
        subprocess.check_output([sys.executable, "-B", "-c", script], env={"PYTHONHASHSEED": seed, "PYTHONPATH": path})
        for seed in ("1", "2", "3")
    }

    assert len(outputs) == 1


def test_interfaces_are_complete() -> None:
    link = Link(Endpoint("a", "up0", ("10.1.1.1/30",), "02:00:00:00:00:AA"), Endpoint("b"), mtu=1400)
    topology = lab("a b")._replace(links=(link,))

    assert plan(topology).interfaces == (
        Interface("a", "up0", 16, "02:00:00:00:00:aa", 1400, ("10.1.1.1/30", "fd00::1/64"), "", "b", "eth0"),
        Interface("b", "eth0", 16, "02:6e:00:00:00:01", 1400, ("10.1.1.2/30", "fd00::2/64"), "", "a", "up0"),
    )


def test_ipv4_comes_before_ipv6_however_they_are_written() -> None:
    both = ("fd12::1/64", "10.1.1.1/24")
    topology = lab("a b")._replace(links=(Link(Endpoint("a", addresses=both), Endpoint("b", addresses=both[:1])),))

    assert [interface.addresses for interface in plan(topology).interfaces] == [
        ("10.1.1.1/24", "fd12::1/64"),
        ("10.1.1.2/24", "fd12::1/64"),
    ]


def test_indexes_follow_on_a_host_and_behind_the_bridge_on_a_switch() -> None:
    topology = lab((Node("a"), Node("s", kind="switch"), Node("b")), "a s", "b s", "a b")

    assert steps(topology, AddBridge) == [AddBridge("s", "br0", 16, "demo")]
    assert [(end.node, end.index, end.bridge) for end in plan(topology).interfaces] == [
        ("a", 16, ""),
        ("s", 17, "br0"),
        ("b", 16, ""),
        ("s", 18, "br0"),
        ("a", 17, ""),
        ("b", 17, ""),
    ]


def test_a_switch_has_no_addresses_and_no_routes() -> None:
    topology = lab((Node("a"), Node("s", kind="switch"), Node("b")), "a s", "b s")

    assert {step.node for step in plan(topology).steps if isinstance(step, AddAddress | AddRoute)} == {"a", "b"}


def test_forwarding_is_set_one_way_or_the_other_in_every_node() -> None:
    topology = lab((Node("h"), Node("r"), Node("s", kind="switch"), Node("alone")), "h r", "r s", "s r")

    assert [(own["net.ipv4.ip_forward"], own["net.ipv6.conf.all.forwarding"]) for own in sysctls(topology)] == [
        ("0", "0"),
        ("1", "1"),
        ("0", "0"),
        ("0", "0"),
    ]


def test_no_address_waits_for_duplicate_detection_or_goes_with_its_link() -> None:
    assert sysctls(lab("a"))[0] == {
        "net.ipv4.ip_forward": "0",
        "net.ipv6.conf.all.forwarding": "0",
        "net.ipv6.conf.default.accept_dad": "0",
        "net.ipv6.conf.all.accept_dad": "0",
        "net.ipv6.conf.all.keep_addr_on_down": "1",
    }


def test_a_router_accepts_packets_that_come_another_way_than_the_answer_goes() -> None:
    own = sysctls(lab("a r b", "a r", "r b"))[1]

    assert own["net.ipv4.conf.all.rp_filter"] == own["net.ipv4.conf.default.rp_filter"] == "0"


def test_written_sysctls_come_last_and_override() -> None:
    node = Node("a", sysctls=(("net.ipv4.ip_forward", "1"), ("net.ipv4.ip_local_port_range", "1024 2048")))

    assert sysctls(lab((node,)))[0]["net.ipv4.ip_forward"] == "1"
    assert lines(lab((node,)), CreateNode) == [
        "ip netns add demo.a",
        "ip -n demo.a link set lo up",
        (
            "ip netns exec demo.a sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=0"
            " net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.all.keep_addr_on_down=1"
            " 'net.ipv4.ip_local_port_range=1024 2048'"
        ),
    ]


def test_only_the_links_of_a_program_are_made_safe_and_at_their_other_ends() -> None:
    nodes = (Node("a"), Node("lb", programs=(PROGRAM._replace(interfaces=("eth1",), mode="generic"),)), Node("b"))

    assert steps(lab(nodes, "a lb", "b lb", "a b"), FaceProgram) == [FaceProgram("b", "eth0", "demo")]


def test_where_programs_face_each_other_both_ends_are_made_safe() -> None:
    nodes = (Node("a", programs=(PROGRAM,)), Node("b", programs=(PROGRAM,)))

    assert lines(lab(nodes, "a b"), FaceProgram) == [
        "ip netns exec demo.a ethtool -K eth0 gro on tx off",
        "ip netns exec demo.b ethtool -K eth0 gro on tx off",
    ]


def test_a_program_without_interfaces_is_attached_to_all_of_its_node() -> None:
    found = steps(everything(), AttachProgram)

    assert found == [AttachProgram("lb", PROGRAM, ("eth0", "eth1"), "lb", "demo")]
    assert str(found[0]) == (
        "# netlab: compile /bpf/balancer.c with QUEUE=1024 TRACE=1, attach native at demo.lb eth0 eth1"
    )


def test_a_role_is_started_with_its_options() -> None:
    args = (("service_port", ("8080",)), ("sleep", ("0.2", "0.5")), ("verbose", ()))
    worker = node("w", Process("w", "worker", "/roles/worker.py", args))._replace(env=(("MODE", "a b"),))

    assert roles(lab((worker,))) == [
        StartRole(
            "w",
            ("python3", "/roles/worker.py", "--service-port", "8080", "--sleep", "0.2", "0.5", "--verbose"),
            env=(("MODE", "a b"),),
            lab="demo",
            name="w",
        )
    ]
    assert lines(lab((worker,)), StartRole) == [
        "ip netns exec demo.w env 'MODE=a b' python3 /roles/worker.py --service-port 8080 --sleep 0.2 0.5 --verbose"
    ]


def test_a_command_is_not_waited_for() -> None:
    assert roles(lab((node("a", Process("a", command=("sleep", "9"))),))) == [
        StartRole("a", ("sleep", "9"), awaits_ready=False, lab="demo", name="a")
    ]


def test_what_is_not_started_is_recorded_and_printed_as_a_comment() -> None:
    later = node("a", Process("a", command=("sh", "-c", "echo 1\necho 2"), autostart=False))

    assert not roles(lab((later,)))[0].autostart
    assert lines(lab((later,)), StartRole) == ["# not started: ip netns exec demo.a sh -c 'echo 1", "# echo 2'"]


def test_processes_come_after_those_they_name_and_otherwise_in_the_order_of_the_file() -> None:
    run = ("true",)
    nodes = (
        node("c", Process("c", command=run, after=("b", "silent", "later"))),
        node("b", Process("b", command=run, after=("a",))),
        node("x", Process("x", command=run)),
        node("a", Process("a", command=run)),
        Node("silent"),
        node("later", Process("later", command=run, autostart=False)),
    )

    found = roles(lab(nodes))

    assert [(step.node, step.after) for step in found] == [
        ("x", ()),
        ("a", ()),
        ("later", ()),
        ("b", ("a",)),
        ("c", ("b",)),
    ]


def test_the_processes_of_a_node_have_its_variables_and_their_own() -> None:
    """Each is named in the line that starts it, but the one that has the node's name."""
    run = ("true",)
    nodes = (
        node(
            "r",
            Process("ospfd", command=run, after=("r/zebra", "r"), env=(("AREA", "1"),)),
            Process("zebra", command=run),
            Process("r", command=run, after=("r/zebra",)),
        )._replace(env=(("AREA", "0"), ("X", "y"))),
    )

    assert [(step.key, step.after) for step in roles(lab(nodes))] == [
        ("r/zebra", ()),
        ("r", ("r/zebra",)),
        ("r/ospfd", ("r/zebra", "r")),
    ]
    assert lines(lab(nodes), StartRole) == [
        "ip netns exec demo.r env AREA=0 X=y true  # r/zebra",
        "ip netns exec demo.r env AREA=0 X=y true  # after r/zebra",
        "ip netns exec demo.r env AREA=1 X=y true  # r/ospfd, after r/zebra r",
    ]


def test_the_lines_of_a_link_put_both_ends_where_they_belong() -> None:
    topology = lab((Node("a"), Node("s", kind="switch")), "a s")

    assert lines(topology, AddBridge) + lines(topology, AddLink) == [
        "ip link add br0 netns demo.s index 16 up type bridge",
        (
            "ip link add eth0 netns demo.a index 16 address 02:6e:00:00:00:00 mtu 1500"
            " type veth peer name eth0 netns demo.s index 17 address 02:6e:00:00:00:01 mtu 1500"
        ),
        "ip -n demo.a link set eth0 up",
        "ip -n demo.s link set eth0 master br0 up",
    ]


def test_what_is_added_at_the_end_changes_no_earlier_interface_and_no_earlier_step_of_a_link() -> None:
    before = plan(everything())
    more = everything()._replace(
        nodes=(*everything().nodes, Node("web3", replica_of="web")),
        links=(*everything().links, Link(Endpoint("web3"), Endpoint("s")), Link(Endpoint("web3"), Endpoint("client"))),
    )

    after = plan(more)

    assert after.interfaces[: len(before.interfaces)] == before.interfaces
    kept = (AddBridge, AddLink, AddAddress)
    assert {step for step in before.steps if isinstance(step, kept)} <= set(after.steps)


def test_notes_say_what_was_not_done() -> None:
    names = [f"r{number}" for number in range(200)]
    topology = lab(" ".join(names), *(f"{a} {b}" for a, b in pairwise(names)))

    assert [note.split(":")[0] for note in plan(topology).notes] == [
        "more than 20000 routes between routers would be needed"
    ]
    assert plan(everything()).notes == ()


@pytest.mark.parametrize("leaves", [1, 1000])
def test_a_star_needs_a_fixed_number_of_steps_a_leaf(leaves: int) -> None:
    names = [f"leaf{number}" for number in range(leaves)]
    topology = lab(" ".join(("centre", *names)), *(f"{name} centre" for name in names))

    routes_of_a_lone_centre = 2 if leaves == 1 else 0
    assert len(plan(topology).steps) == 1 + 8 * leaves + routes_of_a_lone_centre


def test_a_route_through_no_neighbour_is_refused() -> None:
    """All of them at once; neither a stranger nor the node itself is a next hop."""
    routes = (Route("10.9.0.0/16", "10.200.0.1"), Route("10.8.0.0/16", "10.0.0.1"), Route("10.7.0.0/16", "10.0.0.2"))
    topology = lab((Node("a", routes=routes), Node("b")), "a b")

    with pytest.raises(UsageError) as refused:
        plan(topology)
    assert [line.split(", found ")[1].split()[0] for line in str(refused.value).split("\n")] == [
        "10.200.0.1",
        "10.0.0.1",
    ]
