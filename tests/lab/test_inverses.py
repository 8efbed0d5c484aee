"""A list of steps, and then its inverses, leave namespaces as they were."""

import json
import os
import shutil
import subprocess
from typing import Any

import pytest

from netlab.errors import NetlabError
from netlab.network import links, visits
from netlab.plan.steps import AddAddress, AddBridge, AddLink, AddRoute, FaceProgram
from netlab.plan.undo import Undo, inverses
from netlab.testing.waiting import eventually
from tests.lab.namespaces import ROUTER, Lab

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("no_leaks")]

KINDS = {AddBridge, AddLink, AddAddress, AddRoute, FaceProgram}


def stand(made: Lab) -> list[links.NetworkStep]:
    """Make nodes that have a link already, and return steps of every kind that are yet to be done there."""
    made.node("a", "b", "c")
    made.node("r", sysctls=ROUTER)
    made.link("a", "r", "1")
    made.build()
    kept, made.steps = made.steps, []
    made.switch("s")
    made.runtime.create(["s"])
    links.build([made.creates[-1]], made.runtime.netns_path)
    made.link("r", "b", "2")
    made.link("a", "s", bridges=("", "br0"))
    made.address(made.link("s", "c", bridges=("br0", "")).b, "10.0.3.1/24", "fd00:3::1/64")
    made.route("a", "default", "10.0.1.2")
    made.route("a", "fd00:2::/64", "fd00:1::2")
    made.route("b", "default", "10.0.2.1")
    made.steps.append(FaceProgram("b", "eth0", made.name))
    made.steps.append(FaceProgram("a", "eth0", made.name))
    steps, made.steps = made.steps, kept
    eventually(lambda: all(_is_settled(made, node) for node in "ar"), "the first link is up")
    return steps


def _is_settled(made: Lab, node: str) -> bool:
    """Say whether the kernel has done what it does by itself: the carrier, and an address of the link's own."""
    found = json.loads(made.ip(node, "-j", "addr", "show", "dev", "eth0"))[0]
    return found["operstate"] == "UP" and any(each["scope"] == "link" for each in found["addr_info"])


def is_again(made: Lab, before: dict[str, Any]) -> bool:
    """Wait until everything is as before, which a carrier takes a moment for."""
    eventually(lambda: seen(made) == before, "all is as before")
    return True


def seen(made: Lab) -> dict[str, Any]:
    """Return what `ip` and `ethtool` show of every node: links with bridges, addresses, routes and offloads."""
    found: dict[str, Any] = {}
    for node in (create.node for create in made.creates):
        for what in ("-d link", "addr", "route show table all", "-6 route show table all"):
            shown = json.loads(made.ip(node, "-j", *what.split()) or "[]")
            found[f"{node} {what}"] = sorted((_lasting(each) for each in shown), key=str)
    found["a offloads"] = made.inside("a", lambda: [_offload("eth0", command) for command in (0x2B, 0x16)])
    return found


def _lasting(shown: dict[str, Any]) -> dict[str, Any]:
    """Leave out what the kernel counts or what only time changes."""
    passing = ("stats", "valid_life_time", "preferred_life_time", "hello_timer", "gc_timer", "expires")
    return {
        name: [_lasting(each) for each in value] if name == "addr_info" else value
        for name, value in shown.items()
        if name not in passing
    }


def _offload(interface: str, command: int) -> int:
    from netlab.kernel.netlink import Channel

    channel = Channel()
    try:
        return channel.ethtool(interface, command)
    finally:
        channel.close()


@pytest.mark.parametrize("threads_from", [1, 1000])
def test_steps_and_then_their_inverses_change_nothing(
    one: Lab, monkeypatch: pytest.MonkeyPatch, threads_from: int
) -> None:
    """Links, addresses, routes, bridges and offloads are as before, in nodes that stand, whatever number of threads."""
    monkeypatch.setattr(visits, "THREADS_FROM", threads_from)
    steps = stand(one)
    before = seen(one)
    links.build(steps, one.runtime.netns_path)
    between = seen(one)
    works = one.ping("a", "10.0.2.2")
    links.build(inverses(steps), one.runtime.netns_path)

    assert KINDS == {type(step) for step in steps}
    assert works
    assert all(before[what] != between[what] for what in before if not what.startswith(("c -6", "c route", "s ")))
    assert is_again(one, before)
    assert one.ping("a", "10.0.1.2")


def test_steps_can_be_done_again_after_their_inverses(one: Lab) -> None:
    """A list may hold both: what is undone and done again, in one call, is as it was."""
    steps = stand(one)
    links.build(steps, one.runtime.netns_path)
    links.build([*inverses(steps), *steps, *inverses(steps), *steps], one.runtime.netns_path)

    assert one.ping("a", "10.0.2.2")
    assert one.ping("b", "10.0.1.1")


def test_a_link_goes_with_a_bridge_that_stands(one: Lab) -> None:
    """A port joins a bridge that was made before, by another list of steps, and leaves it again."""
    one.switch("s")
    one.node("a", "b")
    one.address(one.link("s", "a", bridges=("br0", "")).b, "10.0.0.1/24")
    one.build()
    stood, one.steps = one.steps, []
    one.address(one.link("b", "s", bridges=("", "br0")).a, "10.0.0.2/24")
    steps, one.steps = one.steps, stood
    before = seen_links(one, "s")
    links.build(steps, one.runtime.netns_path)

    assert one.ping("b", "10.0.0.1")

    links.build(inverses(steps), one.runtime.netns_path)

    assert before == seen_links(one, "s")


def seen_links(made: Lab, node: str) -> set[str]:
    """Return the names of a node's interfaces."""
    return {link["ifname"] for link in json.loads(made.ip(node, "-j", "link"))}


def test_an_inverse_that_is_refused_is_told_as_its_line(one: Lab) -> None:
    """What is gone already cannot be undone once more."""
    steps = stand(one)
    route = next(step for step in steps if isinstance(step, AddRoute))
    links.build(steps, one.runtime.netns_path)
    links.build([Undo(route)], one.runtime.netns_path)
    with pytest.raises(NetlabError, match=r"cannot `ip -n .*\.a route del default via 10\.0\.1\.2`: No such process"):
        links.build([Undo(route)], one.runtime.netns_path)


@pytest.mark.skipif(not shutil.which("ethtool"), reason="ethtool is not installed")
def test_the_lines_of_inverses_undo_by_hand(one: Lab) -> None:
    """What an inverse says can be run."""
    steps = stand(one)
    before = seen(one)
    links.build(steps, one.runtime.netns_path)
    lines = "\n".join(str(change) for change in inverses(steps))
    subprocess.run(["sh", "-e"], input=lines, text=True, check=True)

    assert is_again(one, before)


def test_the_inverse_of_a_node_is_told_as_a_line_that_removes_it(one: Lab) -> None:
    """`ip netns del` takes the node's name away."""
    one.node("a")
    one.build()
    subprocess.run(["sh", "-e"], input=str(Undo(one.creates[0])), text=True, check=True)

    assert not os.path.lexists(f"/run/netns/{one.name}.a")
