"""Steps are compared by kind and value, and each has an inverse whose inverse it is."""

import itertools
from typing import get_args

import pytest

from netlab.plan.attach_program import AttachProgram
from netlab.plan.file_steps import GiveFiles
from netlab.plan.fill_maps import FillMaps
from netlab.plan.host_steps import GuardHost, JoinHost, OpenInternet
from netlab.plan.middle_steps import CreateMiddle, Impair, SendSingly
from netlab.plan.planner import plan
from netlab.plan.setup_steps import RunSetup
from netlab.plan.stages import Work, stages, work_of
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
from netlab.plan.switch_steps import SetVlans
from netlab.plan.undo import Undo, inverse, inverses
from netlab.topology.document.tree import Scalar, Sequence
from netlab.topology.impairment import PLAIN, Impairment
from netlab.topology.model import (
    Endpoint,
    Link,
    MapEntries,
    Node,
    OwnFile,
    OwnFiles,
    OwnFolder,
    Program,
    SetupCommand,
    Topology,
)

A = Interface("a", "eth0", 16, "02:00:00:00:00:01", 1500, ("10.0.0.1/24",), "", "b", "up link")
B = Interface("b", "up link", 16, "02:00:00:00:00:02", 1500, ("10.0.0.2/24",), "", "a", "eth0")
PROGRAM = Program("dropper", "/bpf/dropper.c", mode="generic")
# What undoes one step of each kind.
UNDONE: dict[Step, str] = {
    CreateNode("a", (), "lab"): "ip netns del lab.a",
    CreateNode("a", (), "lab", "image"): "ip netns del lab.a\ndocker rm --force lab.a",
    GiveFiles("a", OwnFiles((OwnFile("/etc/x", b"12"),), (OwnFolder("/run/y"),)), "lab"): (
        "# netlab: lab.a sees the host's own /etc/x (2 bytes), /run/y/ again"
    ),
    AddBridge("s", "br0", 16, "lab"): "ip -n lab.s link del br0",
    SetVlans("s", "eth0", 17, 10, (20,), "lab"): (
        "bridge -n lab.s vlan del dev eth0 vid 10 pvid untagged\nbridge -n lab.s vlan del dev eth0 vid 20"
    ),
    AddLink(B, A, "lab"): "ip -n lab.b link del 'up link'",
    AddAddress("b", "up link", 16, "fd00::2/64", "lab"): "ip -n lab.b addr del fd00::2/64 dev 'up link'",
    AddRoute("a", "default", "fd00::2", lab="lab"): "ip -n lab.a -6 route del default via fd00::2",
    AddRoute("a", "10.1.0.0/16", "10.0.0.2", lab="lab"): "ip -n lab.a route del 10.1.0.0/16 via 10.0.0.2",
    AddRoute("a", "10.1.0.0/16", interface="up link", index=16, metric=9, lab="lab"): (
        "ip -n lab.a route del 10.1.0.0/16 dev 'up link' metric 9"
    ),
    AddRoute("a", "::/0", kind="blackhole", lab="lab"): "ip -n lab.a -6 route del blackhole ::/0",
    JoinHost("w", "lab"): "ip netns del lab.w",
    GuardHost("w", "nl-lab-0", 9, lab="lab"): "# netlab: lab.w nl-lab-0 goes with its link",
    OpenInternet("w", ("nl-lab-0",), (4,), "lab"): "nft delete table inet netlab_lab",
    FaceProgram("a", "eth0", "lab"): "ip netns exec lab.a ethtool -K eth0 gro off tx on",
    CreateMiddle("lab"): "ip netns del lab._middle",
    SendSingly("a", "up link", "lab"): "ip netns exec lab.a ethtool -K 'up link' tx on",
    Impair("a", "eth0", "l1a", "l1b", PLAIN, "lab"): "tc -n lab._middle qdisc del dev l1a clsact",
    Impair("a", "eth0", "l1a", "l1b", Impairment(rate=8000), "lab"): (
        "tc -n lab._middle qdisc del dev l1a clsact\ntc -n lab._middle qdisc del dev l1b root"
    ),
    FillMaps("a", (MapEntries(Scalar(1, 1, "m", "m"), "", Sequence(1, 1, ())),), "lab"): (
        "# netlab: remove from maps of lab.a: m (0 entries)"
    ),
    AttachProgram(
        "a", PROGRAM._replace(mode="native"), ("eth0",), "a", "lab"
    ): "ip -n lab.a link set dev eth0 xdpdrv off",
    AttachProgram("a", PROGRAM, ("eth0", "eth1"), "a/dropper", "lab"): (
        "ip -n lab.a link set dev eth0 xdpgeneric off\nip -n lab.a link set dev eth1 xdpgeneric off"
    ),
    RunSetup("a", (SetupCommand(("true",)),), lab="lab"): "# netlab: nothing undoes the setup of lab.a",
    StartRole("a", ("sleep", "9"), lab="lab"): "# netlab: end the process of lab.a",
    StartRole("a", ("sleep", "9"), lab="lab", name="b"): "# netlab: end the process b of lab.a",
}


def test_every_kind_of_step_is_tried_here() -> None:
    assert set(get_args(Step)) == {type(step) for step in UNDONE}


@pytest.mark.parametrize("step", UNDONE, ids=str)
def test_the_inverse_of_the_inverse_is_the_step(step: Step) -> None:
    assert step == inverse(inverse(step))
    assert Undo(step) == inverse(step) == inverse(inverse(inverse(step)))
    assert len({step, inverse(step)}) == 2


@pytest.mark.parametrize("step", UNDONE, ids=str)
def test_an_inverse_is_told_as_the_line_that_undoes_the_step(step: Step) -> None:
    assert UNDONE[step] == str(inverse(step))


def test_inverses_begin_with_the_last_step() -> None:
    """What was done last may stand on what was done before."""
    steps = list(UNDONE)

    assert [Undo(step) for step in steps[::-1]] == inverses(steps)
    assert steps == [inverse(change) for change in reversed(inverses(steps))]


def test_steps_made_apart_are_equal_by_value() -> None:
    """Two plans of one topology are equal, step by step; a step serves as a key."""
    topology = Topology("lab", "", (Node("a"), Node("b")), (Link(Endpoint("a"), Endpoint("b")),))
    one, other = plan(topology).steps, plan(topology._replace()).steps

    assert one == other
    assert not any(step is twin for step, twin in zip(one, other, strict=True))
    assert set(one) == set(other)
    assert {Undo(step) for step in one} == {inverse(step) for step in other}


@pytest.mark.parametrize(("kind", "other"), list(itertools.permutations(get_args(Step), 2)))
def test_steps_of_two_kinds_are_never_equal(kind: type[Step], other: type[Step]) -> None:
    """Also where each value is the other's, which would be one tuple twice."""
    count = max(len(kind._fields), len(other._fields))
    values = tuple(range(count))
    one, two = kind._make(values[: len(kind._fields)]), other._make(values[: len(other._fields)])

    assert one != two
    assert not one == two  # noqa: SIM201 - each operator is one of its own
    assert Undo(one) != Undo(two)
    assert one == kind._make(one)


def test_stages_keep_the_order_of_the_steps() -> None:
    """Steps of one work that follow each other are done together, and none is moved before another."""
    a, b, attach, start = CreateNode("a"), CreateNode("b"), AttachProgram("a", PROGRAM, (), "a"), StartRole("a", ("x",))
    found = list(stages([a, AddBridge("a", "br0", 1), attach, start, attach, b, AddRoute("b", "default", "::1")]))

    assert [Work.NETWORK, Work.PROGRAMS, Work.PROCESSES, Work.PROGRAMS, Work.NETWORK] == [each.work for each in found]
    assert (a, AddBridge("a", "br0", 1)) == found[0].steps
    assert (b, AddRoute("b", "default", "::1")) == found[-1].steps


def test_every_kind_of_step_belongs_to_a_work() -> None:
    assert set(Work) == {work_of(step) for step in UNDONE}


def test_what_is_no_step_belongs_to_none() -> None:
    """A kind that is added to the steps, and not to the stages, is refused rather than taken for another."""
    with pytest.raises(AssertionError, match="unreachable"):
        work_of(Undo(CreateNode("a")))  # type: ignore[arg-type]
