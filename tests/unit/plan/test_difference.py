"""What stands and what is wanted → what is undone and done, and what is told of it."""

import json
from typing import Any

import pytest
from hypothesis import given, settings

from netlab.plan.attach_program import AttachProgram
from netlab.plan.dependencies import Around, gives, needs
from netlab.plan.difference import Difference, difference
from netlab.plan.fill_maps import FillMaps
from netlab.plan.interruptions import in_short, told
from netlab.plan.planner import plan
from netlab.plan.sameness import Reasons, parts, whole
from netlab.plan.setup_steps import RunSetup
from netlab.plan.steps import AddAddress, AddLink, AddRoute, CreateNode, FaceProgram, StartRole, Step
from netlab.plan.sysctl_step import UNKNOWN, ChangeSysctls
from netlab.topology import document, validate
from tests.lab.changed import topologies

Data = dict[str, Any]
CHAIN: Data = {"nodes": {"a": {}, "r": {}, "b": {}}, "links": [["a", "r"], ["r", "b"]]}
BALANCED: Data = {
    "nodes": {
        "client": {"role": "client", "after": ["worker"], "args": {"target": "lb:8080"}},
        "lb": {"role": "balancer", "args": {"backends": "worker"}, "xdp": "balancer"},
        "worker": {"replicas": 3, "role": "worker", "args": {"balancer": "lb:9090"}},
    },
    "links": [["client", "lb"], ["worker", "lb"]],
}


def steps(data: Data) -> tuple[Step, ...]:
    return plan(validate.topology(document.parse(json.dumps({"name": "x", **data}), "x.yml"))).steps


def changed(data: Data, **nodes: Data) -> Data:
    """Return a topology with other words for some nodes."""
    return {**data, "nodes": {**data["nodes"], **nodes}}


def between(one: Data, other: Data, reasons: Reasons = Reasons()) -> Difference:  # noqa: B008 - it is immutable
    return difference(steps(one), steps(other), reasons)


def kinds(found: Difference) -> tuple[set[str], set[str]]:
    return {type(step).__name__ for step in found.undo}, {type(step).__name__ for step in found.do}


@pytest.mark.parametrize("data", [CHAIN, BALANCED])
def test_what_is_the_same_needs_nothing(data: Data) -> None:
    found = between(data, data)

    assert found.is_empty
    assert found.left == steps(data)
    assert not list(told(found))
    assert in_short(found) == "what no step is needed for"


def test_all_of_a_lab_can_come_and_go() -> None:
    """From nothing every step is done in order; to nothing every step is undone, the last one first."""
    all_steps = steps(BALANCED)

    assert difference((), all_steps).do == all_steps
    assert difference(all_steps, ()).undo == tuple(reversed(all_steps))


def test_a_node_at_the_end_touches_no_other() -> None:
    more = {"nodes": {**CHAIN["nodes"], "c": {}}, "links": [*CHAIN["links"], ["c", "r"]]}
    found = between(CHAIN, more)

    assert {step.node for step in found.do if isinstance(step, CreateNode)} == {"c"}
    assert [(step.a.node, step.b.node) for step in found.do if isinstance(step, AddLink)] == [("c", "r")]
    assert not found.undo
    assert in_short(found) == "new: node c; new: link c–r"


def test_a_link_that_is_made_anew_takes_along_what_depends_on_it() -> None:
    """Addresses, routes and offloads of both ends; routes through it from elsewhere stay if their next hop does."""
    other = {**CHAIN, "links": [CHAIN["links"][0], {"endpoints": ["r", "b"], "mtu": 1400}]}
    found = between(CHAIN, other)

    assert kinds(found) == ({"AddLink", "AddAddress", "AddRoute"}, {"AddLink", "AddAddress", "AddRoute"})
    assert {step.node for step in found.undo if isinstance(step, AddRoute)} == {"b"}
    assert [type(step) for step in found.undone()] == [AddLink]  # the kernel removes the rest with it
    assert list(told(found)) == ["the link of r (eth1) and b (eth0) is made anew"]


def test_a_second_link_makes_a_router_without_making_it_anew() -> None:
    one = {"nodes": CHAIN["nodes"], "links": CHAIN["links"][:1]}
    found = between(one, CHAIN)
    (sysctls,) = [step for step in found.do if isinstance(step, ChangeSysctls)]

    assert not [step for step in found.do if isinstance(step, CreateNode)]
    assert sysctls.node == "r"
    assert ("net.ipv4.ip_forward", "0") in sysctls.before
    assert ("net.ipv4.ip_forward", "1") in sysctls.after
    assert not sysctls.dropped
    assert "net.ipv4.conf.all.rp_filter" in sysctls._replace(before=sysctls.after, after=sysctls.before).dropped
    assert str(sysctls).startswith("ip netns exec x.r sysctl -qw net.ipv4.ip_forward=1 ")


def test_what_is_left_of_changing_sysctls_is_unknown() -> None:
    """After a kill they may have either value, so all of them are written again."""
    one = {"nodes": CHAIN["nodes"], "links": CHAIN["links"][:1]}
    left = between(one, CHAIN).left
    (router,) = [step for step in left if isinstance(step, CreateNode) and step.node == "r"]
    again = [step for step in difference(left, steps(CHAIN)).do if isinstance(step, ChangeSysctls)]

    assert dict(router.sysctls)["net.ipv4.ip_forward"] == UNKNOWN
    assert ("net.ipv4.ip_forward", "1") in again[0].after


def test_a_sysctl_of_an_interface_is_written_again_with_it() -> None:
    node = {"sysctls": {"net.ipv4.conf.eth0.rp_filter": "2"}}
    one = changed(CHAIN, a=node)
    other = {**one, "links": [{"endpoints": ["a", "r"], "mtu": 1400}, CHAIN["links"][1]]}
    (found,) = [step for step in between(one, other).do if isinstance(step, ChangeSysctls)]

    assert found.after == (("net.ipv4.conf.eth0.rp_filter", "2"),)
    assert found.before == ()


def test_a_first_address_that_changes_takes_the_second_along() -> None:
    """The kernel would remove the second one with the first."""
    ends = [{"node": "a", "address": ["10.9.0.1/24", "10.9.0.3/24"]}, "r"]
    other = [{"node": "a", "address": ["10.9.0.4/24", "10.9.0.3/24"]}, "r"]
    found = between({**CHAIN, "links": [ends, ["r", "b"]]}, {**CHAIN, "links": [other, ["r", "b"]]})
    again = {step.address for step in found.do if isinstance(step, AddAddress)}

    assert "10.9.0.3/24" in again
    assert not [step for step in found.undo if isinstance(step, AddLink)]


def test_a_worker_at_the_end_touches_neither_balancer_nor_client() -> None:
    """The program is attached to one more interface; the client waits for one more, which matters next time."""
    more = changed(BALANCED, worker={**BALANCED["nodes"]["worker"], "replicas": 4})
    found = between(BALANCED, more)
    (attached,) = [step for step in found.do if isinstance(step, AttachProgram)]

    assert attached.interfaces == ("eth4",)
    assert [step.key for step in found.do if isinstance(step, StartRole)] == ["worker4"]
    assert [step.key for step in found.later] == ["client"]
    assert not found.undo
    assert [step.node for step in found.do if isinstance(step, FaceProgram)] == ["worker4"]


def test_a_worker_in_the_middle_moves_those_behind_it() -> None:
    data = changed(BALANCED, worker={**BALANCED["nodes"]["worker"], "replicas": 2})
    data["nodes"]["w"] = data["nodes"]["worker"] | {"replicas": 1}
    one = {**data, "links": [["client", "lb"], ["worker1", "lb"], ["worker2", "lb"], ["w", "lb"]]}
    two = {**data, "links": [["client", "lb"], ["worker2", "lb"], ["w", "lb"]]}
    two["nodes"] = {**data["nodes"], "worker": {**data["nodes"]["worker"], "replicas": 2}}
    found = between(one, two)

    assert "worker2 moves from 10.0.2.1/24, fd00:0:0:2::1/64 to 10.0.1.1/24, fd00:0:0:1::1/64" in list(told(found))
    assert not [step for step in found.undo if isinstance(step, StartRole)]  # processes go on


def test_another_build_keeps_processes_unless_it_begins_anew() -> None:
    """The role of a balancer has written into its maps: if these begin anew, it must begin anew, too."""
    other = changed(BALANCED, lb={**BALANCED["nodes"]["lb"], "xdp": {"program": "balancer", "define": {"QUEUE": 8}}})
    found, fresh = between(BALANCED, other), between(BALANCED, other, Reasons(fresh=["lb"]))

    assert kinds(found) == ({"AttachProgram"}, {"AttachProgram"})
    assert [step.interfaces for step in found.do if isinstance(step, AttachProgram)] == [
        ("eth0", "eth1", "eth2", "eth3")
    ]
    assert list(told(found)) == ["balancer of lb is replaced by another build; its maps stay"]
    assert [step.key for step in fresh.undo if isinstance(step, StartRole)] == ["lb"]
    assert "begin anew" in next(told(fresh, ["lb"]))


def test_another_source_is_another_build() -> None:
    found = between(BALANCED, BALANCED, Reasons(changed=["lb"]))

    assert kinds(found) == ({"AttachProgram"}, {"AttachProgram"})


def test_a_node_with_other_limits_is_made_anew_with_all_that_is_there() -> None:
    found = between(CHAIN, CHAIN, Reasons(nodes=["b"]))

    assert kinds(found)[0] == {"CreateNode", "AddLink", "AddAddress", "AddRoute"}
    assert [type(step) for step in found.undone()] == [AddLink, CreateNode]
    assert list(told(found)) == ["b is made anew, and all that is there"]


def test_a_changed_command_ends_and_starts() -> None:
    one, other = (changed(CHAIN, a={"command": ["sleep", number]}) for number in ("1", "2"))
    found = between(one, other)

    assert kinds(found) == ({"StartRole"}, {"StartRole"})
    assert list(told(found)) == ["a ends and starts again"]
    assert in_short(found) == "changed: process a"


def test_setup_is_for_new_nodes_only() -> None:
    """A node that stands keeps what its setup has made; of another one it is said that it is not run."""
    one, other = (changed(CHAIN, a={"setup": [text]}) for text in ("echo 1", "echo 2"))
    new = {"nodes": {**one["nodes"], "c": {"setup": ["echo"]}}, "links": CHAIN["links"]}

    assert between(one, other).idle == ("a",)
    assert between(one, other).is_empty
    assert between(CHAIN, one).idle == ("a",)
    assert [step.node for step in between(one, new).do if isinstance(step, RunSetup)] == ["c"]
    assert list(told(between(one, other))) == ["a stands, so its setup, which is another one now, is not run"]


def test_the_place_of_entries_in_the_file_does_not_matter() -> None:
    """Only what is written into a map does."""
    program = {"program": "balancer", "define": {"QUEUE": 8}}
    lb: Data = {"xdp": program, "maps": {"config": {"0": 1}}}
    one: Data = {"nodes": {"lb": lb, "a": {}}, "links": [["a", "lb"]]}
    moved = {"nodes": {"a": {}, "lb": lb}, "links": [["a", "lb"]]}
    other = {**one, "nodes": {**one["nodes"], "lb": {**lb, "maps": {"config": {"0": 2}}}}}

    assert not [step for step in between(one, moved).do if isinstance(step, FillMaps)]
    assert kinds(between(one, other)) == ({"FillMaps"}, {"FillMaps"})


def test_programs_are_split_and_put_together_again() -> None:
    assert tuple(whole(parts(steps(BALANCED)))) == steps(BALANCED)


def test_a_switch_that_loses_its_last_port_gets_another_bridge() -> None:
    """A bridge without ports has a carrier only if it is new."""
    switched = {"nodes": {"a": {}, "s": {"kind": "switch"}}, "links": [["a", "s"]]}
    bare = {**switched, "links": []}

    assert "AddBridge" in kinds(between(switched, bare))[1]
    assert "AddBridge" not in kinds(between(bare, switched))[1]


@settings(max_examples=40, deadline=None)
@given(one=topologies(), other=topologies())
def test_nothing_is_done_before_what_it_needs(one: Data, other: Data) -> None:
    """Of any pair: what is left and what is done is what is wanted, and each step finds what it needs."""
    wanted, found = steps(other), between(one, other)
    around, there = Around(wanted), {thing for step in parts(found.left) for thing in gives(step)}
    made = [step for step in found.do if not isinstance(step, ChangeSysctls)]
    for step in parts(found.left):
        assert there.issuperset(needs(step, Around(found.left)))
    for step in parts(made):
        assert there.issuperset(needs(step, around)), step
        there.update(gives(step))

    assert len(list(parts(found.left))) + len(list(parts(made))) + len(found.idle) >= len(list(parts(wanted)))
    assert there == {thing for step in parts(wanted) for thing in gives(step)}


def test_a_sysctl_that_nobody_knows_is_not_written_back() -> None:
    """After a change that was cut off, one that fails sets it as in a new namespace."""
    change = ChangeSysctls("a", (("net.ipv4.ip_forward", UNKNOWN), ("net.ipv4.ip_default_ttl", "9")), (), "lab")

    assert change.back().after == (("net.ipv4.ip_default_ttl", "9"),)
    assert UNKNOWN not in change.undone()
