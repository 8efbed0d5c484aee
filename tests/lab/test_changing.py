"""`apply` makes of one lab what `up` would have made of another file."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings

from netlab import paths
from netlab.errors import NetlabError
from netlab.lab import bring_up, changing
from netlab.record import store
from netlab.supervise import client
from netlab.testing.labs import command
from netlab.testing.waiting import PATIENCE_S, eventually
from tests.lab.changed import Data, planned, seen, settled, topologies
from tests.lab.lab import LAB, inside, lab, netlab, pids, texts

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("no_leaks")]

PAIRS = 200 if os.environ.get("NETLAB_LONG") else 8
PAIR = "name: pair\nnodes: {a: {command: [sleep, inf]}, b: {}}\nlinks: [[a, b]]\n"
# Found by a search: what had held packets of a link up stayed behind when another link took its place.
DELAYED: Data = {"nodes": {"a": {}, "b": {}}, "links": [{"endpoints": ["a", "b"], "loss": "5%", "delay": "1ms"}]}
NOT_DELAYED: Data = {"nodes": {"a": {}, "b": {}}, "links": [{"endpoints": ["a", "b"], "loss": "5%", "mtu": 1400}]}


def quiet(_: str) -> None:
    """Say nothing."""


def up(data: Data) -> None:
    assert bring_up.up(planned(data), PATIENCE_S, quiet)


def down() -> None:
    bring_up.down(LAB, quiet)


def difference(one: object, other: object, where: str = "") -> list[str]:
    """Return where two things that can be seen differ."""
    if isinstance(one, dict) and isinstance(other, dict):
        keys = dict.fromkeys((*one, *other))
        return [text for key in keys for text in difference(one.get(key), other.get(key), f"{where} {key}")]
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return [
            text for at, pair in enumerate(zip(one, other, strict=True)) for text in difference(*pair, f"{where} {at}")
        ]
    if isinstance(one, list) and isinstance(other, list):
        return [f"{where}: only {[x for x in one if x not in other]} → {[x for x in other if x not in one]}"]
    return [] if one == other else [f"{where}: {one} → {other}"]


@settings(
    max_examples=PAIRS,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    phases=[Phase.explicit, Phase.generate],
)
@example(one=DELAYED, other=NOT_DELAYED)
@given(one=topologies(), other=topologies())
def test_a_lab_becomes_what_up_would_have_made(one: Data, other: Data) -> None:
    """Interfaces, addresses, routes, sysctls, files, names, records and processes are equal."""
    try:
        up(other)
        expected = settled(LAB)
        down()
        up(one)
        changing.apply(planned(other), PATIENCE_S, quiet)
        eventually(lambda: _is_as(expected), "the lab is as one that was made so", 3)
    except AssertionError:
        raise AssertionError("\n".join(difference(expected, seen(LAB)))) from None
    finally:
        down()


def _is_as(expected: Data) -> bool:
    return seen(LAB) == expected


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Path]:
    """A small lab that is up, and its file."""
    file = tmp_path / "pair.yml"
    file.write_text(PAIR)
    with lab(str(file), name="pair"):
        yield file


def state() -> Data:
    """Return what can be seen of the small lab, without when it was made."""
    return settled("pair")


def test_apply_says_what_it_does_and_then_has_nothing_to_do(pair: Path) -> None:
    before, pid = state(), pids("a")
    pair.write_text(PAIR.replace("b: {}", "b: {}, c: {setup: [echo hello]}").replace("[a, b]", "[a, b], [c, b]"))
    told = netlab("up", str(pair), code=1).stderr
    shown = netlab("apply", "--dry-run", str(pair))
    unchanged = state() == before
    netlab("apply", str(pair))

    assert "what differs: new: node c; new: link c–b" in told
    assert f"netlab apply {pair} changes only that" in told
    assert unchanged
    assert "ip netns add pair.c" in shown.stdout
    assert "ip netns exec pair.b sysctl -qw net.ipv4.ip_forward=1" in shown.stdout
    assert "ip netns exec pair.c sh -c 'echo hello'" in shown.stdout
    assert "hello" in texts("logs", "c")
    assert pids("a") == pid
    assert "nothing to do" in netlab("apply", str(pair)).stderr
    assert "is up already" in netlab("up", str(pair)).stderr
    netlab("apply", "--dry-run", str(pair))
    inside("c", "ping", "-c", "1", "a")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (("b: {}", "b: {command: [sh, -c, 'echo alas; exit 3']}"), "b ended with exit code 3"),
        (("b: {}", "b: {}, c: {setup: ['false']}"), "c is not set up"),
        (("b: {}", "b: {command: [nosuch]}"), "no such command"),
        (("b: {}", "b: {sysctls: {net.ipv4.conf.eth0.nosuch: 1}}"), "there is no such sysctl"),
    ],
)
def test_a_step_that_fails_is_undone(pair: Path, change: tuple[str, str], why: str) -> None:
    """Links, addresses, record and processes are as they were, and the next change works."""
    before = state()
    pair.write_text(PAIR.replace("inf", "9").replace(*change))
    said = netlab("apply", str(pair), code=1).stderr

    assert why in said
    eventually(lambda: state() == before, "all is as before", 20)
    pair.write_text(PAIR)
    assert "nothing to do" in netlab("apply", str(pair)).stderr
    netlab("status")


def test_ctrl_c_undoes_a_change(pair: Path) -> None:
    before = state()
    pair.write_text(PAIR.replace("b: {}", "b: {command: [sleep, inf], ready: {file: /nosuch}}, c: {}"))
    begun = subprocess.Popen([*command(), "apply", str(pair)], stderr=subprocess.PIPE, text=True)
    eventually(lambda: "c" in store.read("pair").nodes and talks_of("b"), "the change has begun")
    begun.send_signal(signal.SIGINT)
    _, said = begun.communicate(timeout=PATIENCE_S)

    assert begun.returncode == 1
    assert "as it was before" in said
    eventually(lambda: state() == before, "all is as before", 20)


def test_links_that_were_set_are_as_in_the_file(pair: Path) -> None:
    """A link that is down goes up first, as no route leads through it; `--dry-run` shows what will be set."""
    before = state()
    netlab("link", "a-b", "down")
    status = netlab("status")
    shown = netlab("apply", "--dry-run", str(pair)).stdout
    routes = PAIR.replace("b: {}", "b: {routes: [{to: 10.9.0.0/16, via: a}]}")
    pair.write_text(routes.replace("b: {routes", "b: {command: [nosuch, x], routes").replace("nosuch", "'false'"))
    failed = netlab("apply", str(pair), code=1).stderr
    after_failure = netlab("link", "show").stdout
    pair.write_text(routes)
    said = netlab("apply", str(pair)).stderr

    assert "_middle" not in status.stdout + status.stderr
    assert "ip -n pair.a link set eth0 up" in shown
    assert "pair is as it was before" in failed
    assert " down " in after_failure
    assert "the link a-b (a:eth0), which was set down, goes up" in said
    assert "10.9.0.0/16 via" in inside("b", "ip", "route").stdout
    netlab("status")
    pair.write_text(PAIR)
    netlab("apply", str(pair))
    eventually(lambda: state() == before, "all is as before", 20)


def test_counts_are_of_the_link_that_is_there(pair: Path) -> None:
    """Also where the middle stays, and the process that holds packets up in it."""
    netlab("link", "a-b", "set", "delay=1ms")
    inside("a", "ping", "-c", "1", "b")
    shown = netlab("apply", "--dry-run", str(pair)).stdout
    netlab("apply", str(pair))
    again = netlab("apply", "--dry-run", str(pair))
    pair.write_text(PAIR.replace("[a, b]", "{endpoints: [a, b], delay: 1ms}"))
    netlab("apply", str(pair))
    inside("a", "ping", "-c", "3", "-i", "0.1", "b")

    assert "qdisc del dev l1b root" in shown
    assert again.stdout == ""
    assert "nothing to do" in again.stderr
    for each in json.loads(netlab("link", "show", "--json").stdout)["links"][0]["directions"]:
        assert each["counts"]["carried"] >= 3
        assert each["counts"]["delayed_now"] == 0


def middle(*argv: str) -> str:
    """Run a command where impaired links are led through; return what it prints."""
    folder = f"{paths.folder_of('pair')}/{paths.NETNS}/{paths.MIDDLE}"
    done = subprocess.run(["nsenter", f"--net={folder}", *argv], capture_output=True, text=True, check=True)
    return done.stdout


@pytest.mark.parametrize(
    "deleted",
    [
        ("tc", "qdisc", "del", "dev", "l1a", "root"),
        ("tc", "qdisc", "del", "dev", "l1b", "clsact"),
        ("ethtool", "-K", "l1a", "tx", "on"),
    ],
)
def test_what_somebody_has_deleted_in_the_middle_is_told_and_set_again(pair: Path, deleted: tuple[str, ...]) -> None:
    pair.write_text(PAIR.replace("[a, b]", "{endpoints: [a, b], rate: 10mbit, loss: 1%}"))
    netlab("apply", str(pair))
    before = state()
    middle(*deleted)
    told = netlab("status", code=1).stdout
    shown = netlab("apply", "--dry-run", str(pair))
    said = netlab("apply", str(pair)).stderr

    assert "a-b: " in told
    assert "tc -n pair._middle qdisc add dev l1a clsact" in shown.stdout
    assert "a-b is set again: " in shown.stderr
    assert "a-b is set again: " in said
    netlab("status")
    assert state() == before
    inside("a", "ping", "-c", "1", "b")
    assert "nothing to do" in netlab("apply", str(pair)).stderr


def _does() -> list[str]:
    """Return what each direction of each link does."""
    links = json.loads(netlab("link", "show", "--json").stdout)["links"]
    return [way["does"] for link in links for way in link["directions"]]


def test_a_change_that_is_undone_leaves_links_as_netlab_link_had_set_them(
    pair: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where it fails at its very end, when links are as in the file already."""
    netlab("link", "a-b", "set", "loss=3%", "rate=20mbit")
    before, links = state(), _does()
    seen_then: list[str] = []

    def fail(change: changing.Change, _: object) -> None:
        seen_then.extend(_does())
        raise NetlabError("alas")

    monkeypatch.setattr(changing.Change, "_complete", fail)
    with pytest.raises(NetlabError, match="alas"):
        changing.apply(
            planned({"name": "pair", "nodes": {"a": {}, "b": {}, "c": {}}, "links": [["a", "b"]]}), PATIENCE_S, quiet
        )

    assert ["loss 3%, rate 20mbit"] * 2 == [each.partition(", seed")[0] for each in links]
    assert "loss" not in str(seen_then)
    assert links == _does()
    eventually(lambda: state() == before, "all is as before", 20)
    netlab("status")


def test_processes_that_begin_count_on_delayed_links(pair: Path) -> None:
    """Delayed packets pass before a process has to be ready; if the change fails, the links are as they were."""
    before, probe = state(), "[sh, -c, 'ping -c 1 -W 5 a && echo READY && exec sleep inf']"
    delayed = PAIR.replace("[a, b]", "{endpoints: [a, b], delay: 1ms}")
    pair.write_text(delayed.replace("b: {}", "b: {command: ['false']}"))
    netlab("apply", str(pair), code=1)
    eventually(lambda: state() == before, "all is as before", 20)
    pair.write_text(delayed.replace("b: {}", f"b: {{command: {probe}, ready: {{line: READY}}}}"))
    netlab("apply", "--timeout", "10", str(pair))

    assert "1 received" in str(texts("logs", "b"))
    netlab("status")


def talks_of(process: str) -> bool:
    return any(one.process == process and one.state == "starting" for one in client.processes(paths.folder_of("pair")))


def test_a_lab_that_is_not_there_is_named(tmp_path: Path) -> None:
    file = tmp_path / "pair.yml"
    file.write_text(PAIR)

    assert "no lab named pair is up: netlab up" in netlab("apply", str(file), code=1).stderr


def test_a_lab_without_steps_is_told_to_go_down(pair: Path) -> None:
    """As one that an older netlab has made."""
    os.unlink(f"{paths.folder_of('pair')}/{paths.STEPS}")

    assert "netlab down --lab pair, and then up" in netlab("apply", str(pair), code=1).stderr


def test_a_lab_whose_supervisor_has_died_is_told_so(pair: Path) -> None:
    os.kill(client.supervisor_pid(paths.folder_of("pair")), signal.SIGKILL)
    pair.write_text(PAIR.replace("b: {}", "b: {command: [sleep, inf]}"))

    assert "the supervisor of pair has died" in netlab("apply", str(pair), code=1).stderr
