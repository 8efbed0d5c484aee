"""Faults on a time line: each has its effect and is restored, however the time line ends."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from netlab import paths
from netlab.balancer import control
from netlab.errors import NetlabError
from netlab.lab import faults, link_state
from netlab.lab.faults import Happened
from netlab.lab.standing import Standing
from netlab.record.links import link
from netlab.supervise import talk
from netlab.testing.waiting import PATIENCE_S, eventually
from netlab.topology.faults import Fault
from netlab.topology.impairment import INDEPENDENT, MILLION, PLAIN, Choice
from tests.lab.lab import LAB, ROOT, inside, lab, netlab, start, texts

pytestmark = pytest.mark.root

# d is behind a and c; e has routes and addresses of its own, made by hand.
TOPOLOGY = """
name: broken
nodes:
  a: {command: [sleep, inf]}
  b: {command: [sleep, inf], restart: on-failure}
  c: {command: [sleep, inf]}
  d: {}
  e:
    setup:
      - ip route add 10.99.0.0/24 via 10.3.0.2
      - ip route add 10.98.0.0/24 dev eth0
      - ip -6 addr add fd77::1/64 dev eth0 nodad
      - ip -6 route add fd99::/64 via fd77::9
  s: {kind: switch}
links:
  - {endpoints: [a, s], subnet: 10.1.0.0/24}
  - [b, s]
  - [c, s]
  - [a, d]
  - [d, c]
  - {endpoints: [e, d], subnet: [10.3.0.0/24, "fd03::/64"]}
faults:
  - {at: 0, link: a-d, set: down}
  - {at: 10ms, pause: c, for: 30ms}
  - {at: 20ms, kill: b}
"""
PAIRS = ("ab", "ac", "bc", "dc", "ad", "de")


@pytest.fixture
def folder(no_leaks: None, tmp_path: Path) -> Iterator[Path]:
    """The folder of a lab that is up."""
    (tmp_path / "lab.yml").write_text(TOPOLOGY)
    with lab(str(tmp_path / "lab.yml")):
        yield tmp_path


def reached() -> set[str]:
    """Return which of the pairs reach each other."""
    asked = {
        pair: subprocess.Popen(
            ["ip", "netns", "exec", f"{LAB}.{pair[0]}", "ping", "-c1", "-W1", pair[1]], stdout=subprocess.DEVNULL
        )
        for pair in PAIRS
    }
    return {pair for pair, ping in asked.items() if not ping.wait(PATIENCE_S)}


def network() -> dict[str, list[str]]:
    """Return addresses, routes and ports of all nodes, without what the kernel makes by itself a moment later."""
    asked = ("-o addr", "route", "-6 route", "-o link show master br0")
    return {
        f"{node} {words}": sorted(
            line.split(" pref ")[0].split(" qlen ")[0].strip()
            for line in inside(node, "ip", *words.split(), code=None).stdout.splitlines()
            if "fe80::" not in line
        )
        for node in "abcdes"
        for words in asked
        if node == "s" or "master" not in words
    }


def states() -> dict[str, str]:
    with talk.to(paths.folder_of(LAB)) as supervisor:
        return {key: state["state"] for key, state in supervisor.states().items()}


def played(time_line: list[Fault], looks: dict[str, Callable[[], Any]], **how: Any) -> tuple[list[str], list[Any]]:
    """Play faults, and look as soon as one has happened; return what was told, and what was seen."""
    told: list[str] = []
    seen: list[Any] = []

    def tell(happened: Happened) -> None:
        told.append(happened.text)
        names = dict.fromkeys((happened.text, str(happened.fault))) if not happened.problem else ()
        seen.extend(looks[each]() for each in names if each in looks)

    faults.run(Standing.read(LAB), time_line, tell, lambda _: False, **how)
    return told, seen


def test_each_fault_has_its_effect_and_is_restored(folder: Path) -> None:
    """Whatever a node's network was before, it is afterwards; a process that was killed stays so."""
    before = network()
    line = [
        Fault(0, "link", "e-d", change="down"),
        Fault(0, "pause", "a"),
        Fault(0, "partition", groups=(("a", "b"), ("c",))),
        Fault(0, "restore", scope="partition"),
        Fault(0, "partition", groups=(("b", "c", "s"),)),
        Fault(0, "kill", "c", signal=9),
        Fault(0, "pause", "c"),
        Fault(0, "link", "e-d", change="down"),
        Fault(0, "drain", "a"),
    ]
    assert set(PAIRS) == reached()

    told, seen = played(
        line,
        {
            "link e-d down": lambda: (reached(), network() != before),
            "pause a": states,
            "partition a, b | c": reached,
            "restore partition": reached,
            "partition b, c, s": reached,
            "kill c": lambda: eventually(lambda: states()["c"] == "killed"),
        },
    )

    cut_off, paused, parted, together, group, _, lifted = seen
    assert ({*PAIRS} - {"de"}, True) == cut_off
    assert {"a": "paused", "b": "running", "c": "running"} == paused
    assert {"ab"} == parted
    assert {*PAIRS} - {"de"} == together
    assert {"bc", "ad"} == group
    assert {*PAIRS} - {"de"} == lifted
    assert told[6:9] == [
        "pause c: not done: c does not run",
        "link e-d down: not done: e-d is down already",
        "drain a: not done: no node of this lab carries a balancer",
    ]
    assert told[9:] == ["restore a", "restore partition", "restore d-e"]
    assert {"a": "running", "b": "running", "c": "killed"} == states()
    assert before == network()
    assert set(PAIRS) == reached()
    netlab("start", "c")
    assert "up" == json.loads(netlab("status", "--format", "json").stdout)["state"]


LOST = PLAIN._replace(loss=Choice(INDEPENDENT, MILLION))


def test_a_link_that_is_down_for_two_reasons_comes_up_with_the_last(folder: Path) -> None:
    standing = Standing.read(LAB)
    cut = link(standing.record, "a-d")

    def is_up() -> bool:
        return link_state.is_up(standing, cut)

    told, seen = played(
        [
            Fault(0, "pause", "a"),
            Fault(0, "pause", "a", for_ns=1),  # it cannot be done, so its end is not that of the first
            Fault(0, "partition", groups=(("a",),)),
            Fault(0, "link", "a-d", change="down"),
            Fault(0, "link", "a-d", change="up"),
            Fault(0, "restore", scope="all"),
            Fault(0, "link", "a-d", change="up"),
            Fault(0, "link", "a-d", change="impaired", sets=("loss", "delay_ns"), does=LOST, for_ns=1),
        ],
        {
            "link a-d loss 100%, no delay for 1e-06ms": reached,
            "link a-d as before": reached,
            "link a-d up; it stays down as long as the partition cuts it": lambda: (is_up(), states()["a"]),
            "restore all": is_up,
        },
    )

    assert [(False, "paused"), True, {*PAIRS} - {"ad"}, set(PAIRS)] == seen
    assert "link a-d up: not done: a-d is up already" in told

    told, _ = played([Fault(0, "link", "a-d", change="down")], {}, keep=True)
    assert (["link a-d down"], False) == (told, is_up())  # until somebody restores it
    netlab("fault", "restore")
    assert is_up()


def test_the_faults_of_the_topology_are_played_at_their_times(folder: Path) -> None:
    """Printed, as data too, and in the timeline in their order among all else; then all is as it was."""
    begun = json.loads(netlab("timeline", "--json").stdout.splitlines()[-1])["monotonic_ns"]
    lines = [json.loads(each) for each in netlab("fault", "run", "--json").stdout.splitlines()]

    assert ["link a-d down", "pause c for 30ms", "kill b", "resume c", "restore a-d"] == [
        *(line["text"] for line in lines[:-1]),
        lines[-1]["text"],
    ]
    assert [False, False, False, True, False] == [line["ends"] for line in lines]
    for line, at_s in zip(lines, (0, 0.01, 0.02, 0.04), strict=False):
        assert at_s <= line["since_s"] < at_s + PATIENCE_S
    shown = [json.loads(each) for each in netlab("timeline", "--json").stdout.splitlines()]
    new = [(each["stream"], each["text"]) for each in shown if each["monotonic_ns"] > begun]
    order = [("fault", "kill b"), ("note", "asked to kill it by SIGKILL"), ("note", "killed by SIGKILL")]
    assert order == [each for each in new if each in order]
    eventually(lambda: set(states().values()) == {"running"})
    assert set(PAIRS) == reached()
    of_c = [json.loads(each) for each in netlab("timeline", "c", "--json").stdout.splitlines()]
    assert {"c", None} == {each["about"] for each in of_c if each["stream"] == "fault"}


LASTING = """
- {at: 0, partition: "a, b | c"}
- {at: 0, pause: b}
- {at: 0, kill: c}
- {at: 0, link: d-e, set: down}
- {at: 20m, resume: b}
"""


@pytest.fixture
def lasting(folder: Path) -> Iterator["subprocess.Popen[str]"]:
    """A time line that lasts, when all its faults are in force."""
    path = folder / "lasting.yml"
    path.write_text(LASTING)
    words = [sys.executable, "-m", "netlab", "fault", "run", str(path)]
    with subprocess.Popen(words, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        eventually(lambda: "link d-e down" in netlab("timeline", "--grep", "^link").stdout)
        yield running
        running.kill()


def test_a_stopped_time_line_restores_all(folder: Path, lasting: "subprocess.Popen[str]") -> None:
    """By Ctrl-C, and by SIGTERM alike; meanwhile no second one plays, and `status` says what is in force."""
    found = json.loads(netlab("status", "--format", "json", code=1).stdout)
    assert ["link d-e down", "partition a, b | c", "b paused", "c killed"] == found["faults"]
    assert "plays a time line" in netlab("fault", "run", code=1).stderr
    assert "plays a time line" in netlab("fault", "restore", code=1).stderr
    lasting.send_signal(signal.SIGINT)
    said, complained = lasting.communicate(timeout=PATIENCE_S)

    assert 128 + signal.SIGINT == lasting.returncode
    assert ["restore b", "restore partition", "restore d-e"] == [line.split("s  ")[1] for line in said.splitlines()[4:]]
    assert f"netlab: {LAB}: the time line is stopped" in complained
    assert set(PAIRS) == reached()
    assert "running" == states()["b"]
    assert not os.path.exists(f"{paths.folder_of(LAB)}/{paths.FAULTS}")


def test_what_a_killed_time_line_leaves_is_restored_on_request(folder: Path, lasting: "subprocess.Popen[str]") -> None:
    """`status` names it and what mends it; killed processes start again, too."""
    before = {"ab"}
    lasting.kill()
    lasting.wait(PATIENCE_S)
    problems = json.loads(netlab("status", "--format", "json", code=1).stdout)["problems"]
    [left] = [each for each in problems if "faults are in force" in each["what"]]
    assert left["mend"] == f"netlab fault restore --lab {LAB}"
    assert before == reached()
    assert "faults are in force" in netlab("fault", "run", code=1).stderr
    (folder / "lab.yml").write_text(TOPOLOGY.replace("[b, s]", "{endpoints: [b, s], mtu: 1400}"))
    changed = netlab("apply", str(folder / "lab.yml"), "--lab", LAB, code=1).stderr
    assert f"netlab fault restore --lab {LAB}" in changed

    restored = netlab("fault", "restore").stdout.splitlines()
    assert ["restore b", "restore c", "restore partition", "restore d-e"] == [each.split("s  ")[1] for each in restored]
    assert set(PAIRS) == reached()
    eventually(lambda: set(states().values()) == {"running"})
    assert "no fault is in force" in netlab("fault", "restore").stderr
    assert "up" == json.loads(netlab("status", "--format", "json").stdout)["state"]


def test_mistakes_in_a_file_are_told_at_once(folder: Path) -> None:
    """With their places; a file that is no time line, too; and a lab that is gone meanwhile ends a time line."""
    (folder / "wrong.yml").write_text("faults:\n- {at: 3s, kil: a}\n- {at: 1s, link: a-b, set: down}\n- {kill: d}\n")
    said = netlab("fault", "run", str(folder / "wrong.yml"), code=2).stderr
    assert "wrong.yml:2:12: faults.0.kil: expected a known key, found 'kil' (did you mean 'kill'?)" in said
    assert "wrong.yml:3:18: faults.1.link: expected a link, found no link 'a-b' (did you mean" in said
    assert "wrong.yml:4:10: faults.2.kill: expected a process, found no process 'd'" in said
    (folder / "wrong.yml").write_text("name: x\n")
    assert "expected the key faults, found none" in netlab("fault", "run", str(folder / "wrong.yml"), code=2).stderr
    assert "takes neither a file" in netlab("fault", "restore", "x", code=2).stderr
    gone = Standing.read(LAB)
    gone.record = gone.record._replace(folder=f"{gone.record.folder}/gone")
    with pytest.raises(NetlabError, match="gone"):
        faults.run(gone, [Fault(0, "kill", "a")], print, lambda _: False)


def test_part_b_serves_each_request_while_it_is_broken(no_leaks: None) -> None:
    """The shipped time line, ten times as fast: workers are drained, paused, killed and cut off under traffic."""
    options = ("--set", "nodes.client.args.sleep=0.05", "--set", "nodes.client.args.interval=0.01")
    with lab(f"{ROOT}/topologies/faults.yml", *options):
        standing = Standing.read(LAB)
        line = faults.planned(standing.record)
        faster = [each._replace(at_ns=each.at_ns // 10, for_ns=each.for_ns // 10) for each in line]
        pins = standing.record.nodes["lb"].programs[0].pins
        with start("client") as client:
            told, seen = played(faster, {"drain worker3 for 100ms": lambda: control.drained(pins)})
            assert client.wait(PATIENCE_S) == 0

        assert not [text for text in told if "not done" in text]
        assert [{"worker3"}] == seen
        assert set() == control.drained(pins)
        wanted = {text.split('"')[1] for text in texts("logs", "client") if text.startswith("request #")}
        assert len(wanted) == 80

        def served() -> set[str]:
            return {
                text.split('"')[1]
                for worker in ("worker1", "worker2", "worker3")
                for text in texts("logs", worker)
                if text.startswith("received #")
            }

        eventually(lambda: wanted <= served())
