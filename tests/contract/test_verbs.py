"""Verbs that act on a lab at work, or watch it, do so on both runtimes."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from netlab.testing.waiting import PATIENCE_S, eventually
from tests.lab.feed import fed, in_hand
from tests.lab.lab import PARTB, ROOT, lab, netlab, stats, texts

pytestmark = pytest.mark.root


@pytest.fixture
def quiet(runtime: str) -> Iterator[str]:
    """Part B, whose client waits to be started."""
    with lab(PARTB, "--runtime", runtime, "--set", "nodes.client.autostart=false", name="at-work") as name:
        yield name


def test_a_balancer_is_changed_under_traffic(quiet: str) -> None:
    """A backend that is drained rests, undrained it works, another is removed, and the program is built anew."""
    with fed(quiet, lambda _: "0.02", in_hand(12)) as feed:
        eventually(lambda: stats()["received"] > 5)
        netlab("balancer", "drain", "worker1")
        eventually(lambda: stats()["backends"]["worker1"]["free"] == 5)
        assert stats()["backends"]["worker1"]["drained"]
        assert "reload" not in netlab("reload", "lb").stdout
        netlab("balancer", "undrain", "worker1")
        netlab("balancer", "remove", "worker2")
        under_way = stats()["received"]
        eventually(lambda: stats()["received"] > under_way + 20)
    eventually(lambda: stats()["completions"] == feed.sent)
    found = stats()

    assert (feed.sent, 0, 0) == (found["received"], found["dropped"], found["queue_depth"])
    assert {"worker1": False, "worker3": False} == {name: each["drained"] for name, each in found["backends"].items()}


def test_followers_see_everything_until_the_lab_goes(runtime: str, tmp_path: Path) -> None:
    """What was there, and what comes; then they end by themselves."""
    files = {verb: tmp_path / verb for verb in ("logs", "trace")}
    with lab(PARTB, "--runtime", runtime, "--set", "nodes.client.autostart=false", name="followed"):
        requests(5, 5)
        followers = [follow(verb, file) for verb, file in files.items()]
        eventually(lambda: all(file.read_text() for file in files.values()))
        requests(5, 10)
        shown = {verb: texts(verb) for verb in files}
    codes = [follower.wait(PATIENCE_S) for follower in followers]
    seen = {verb: [json.loads(line)["text"] for line in file.read_text().splitlines()] for verb, file in files.items()}

    assert [0, 0] == codes
    assert 10 == sum(text.startswith("received #") for text in seen["logs"])
    assert shown == {verb: seen[verb][: len(before)] for verb, before in shown.items()}


def requests(count: int, then: int) -> None:
    """Send some requests, and wait until so many have been served since the lab is up."""
    netlab("run", "client", "--count", str(count), "--sleep", "0.01", "--interval", "0")
    eventually(lambda: stats()["completions"] == then)


def follow(verb: str, file: Path) -> "subprocess.Popen[str]":
    """Write what comes into the logs or the trace to a file."""
    with file.open("w") as out:
        return subprocess.Popen(
            [sys.executable, "-m", "netlab", verb, "--follow", "--format", "json"], cwd=ROOT, stdout=out, text=True
        )
