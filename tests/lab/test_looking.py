"""`netlab status` and `netlab graph` of a lab that stands: what is there now."""

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from netlab.testing.labs import command
from netlab.testing.waiting import PATIENCE_S
from tests.lab.lab import LAB, inside, lab, netlab

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("no_leaks")]

TEXT = "nodes: {a: {command: [sleep, inf]}, b: {}, c: {}}\nlinks: [[a, b], [b, c]]\n"


@pytest.fixture
def one(tmp_path: Path) -> Iterator[None]:
    (tmp_path / "one.yml").write_text(f"name: {LAB}\n{TEXT}")
    with lab(str(tmp_path / "one.yml"), name=LAB):
        yield


def port(node: str, interface: str, code: int | None = None) -> dict[str, Any]:
    """Return an interface as status has it."""
    found: dict[str, Any] = json.loads(netlab("status", "--json", code=code).stdout)["nodes"][node]
    return found["interfaces"][interface]  # type: ignore[no-any-return]


def test_interfaces_are_shown_as_they_are_now(one: None) -> None:
    """Links that are down at either end, addresses and interfaces that were added, and those that are gone."""
    inside("a", "ip", "addr", "add", "10.9.0.1/24", "dev", "eth0")
    inside("a", "ip", "link", "add", "tun0", "type", "veth", "peer", "name", "tun1")
    inside("b", "ip", "addr", "del", "10.0.0.2/24", "dev", "eth0")
    netlab("link", "b-c", "down")
    inside("a", "ip", "link", "set", "eth0", "down")
    text = netlab("status", code=1).stdout

    assert ("b:eth0", "down", ["10.9.0.1/24"]) == tuple(port("a", "eth0")[key] for key in ("peer", "state", "added"))
    assert ("no carrier", ["10.0.0.2/24"]) == tuple(port("b", "eth0")[key] for key in ("state", "lost"))
    assert "set down" == port("c", "eth0")["state"]
    assert not port("a", "tun0")["is_planned"]
    assert "10.9.0.1/24 (added)" in text
    assert "10.0.0.2/24 (gone)" in text
    assert "sleep inf  running" in text


@pytest.mark.parametrize("ending", ["down", "interrupt"])
def test_a_watch_goes_on_until_it_is_stopped_or_the_lab_is_gone(one: None, ending: str) -> None:
    argv = [*command(), "status", LAB, "--watch", "--every", "0.1", "--json"]
    watch = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert watch.stdout
    seen = [json.loads(watch.stdout.readline())["state"] for _ in range(2)]
    if ending == "down":
        netlab("down", LAB)
    else:
        watch.send_signal(signal.SIGINT)
    _, said = watch.communicate(timeout=PATIENCE_S)

    assert ["up", "up"] == seen
    assert 0 == watch.returncode
    assert (f"netlab: {LAB} is not up any more\n" if ending == "down" else "") == said


def test_a_lab_is_drawn_by_its_name_as_it_is(one: None) -> None:
    netlab("link", "b-c", "down")
    drawn = netlab("graph", LAB, "--format", "mermaid").stdout

    assert "sleep: running" in drawn
    assert 1 == drawn.count("-.-")
