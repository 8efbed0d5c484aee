"""What can go wrong with an engine and its containers: netlab says so, and `down` leaves nothing of the lab's own."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from docker import APIClient
from docker.utils import kwargs_from_env

from netlab import syscalls
from netlab.model import NODE_IMAGE
from tests.docker.engine import Engine, own
from tests.lab.killed import ROOT
from tests.lab.lab import eventually, inside, lab, netlab

pytestmark = [pytest.mark.root, pytest.mark.docker, pytest.mark.usefixtures("no_leaks")]

TOPOLOGY = """
name: fails
runtime: docker
nodes:
  a: {command: [sleep, inf]}
  b: {command: [sleep, inf], xdp: pass}
  c: {}
links: [[a, b], [b, c]]
"""
KILLED = f"{ROOT}/tests/lab/killed.py"


@pytest.fixture
def topology(tmp_path: Path) -> str:
    """A small lab of containers."""
    (tmp_path / "lab.yml").write_text(TOPOLOGY)
    return str(tmp_path / "lab.yml")


@pytest.fixture
def one(client: Any, topology: str) -> Iterator[str]:
    """The small lab, up."""
    with lab(topology) as name:
        yield name


def state() -> str:
    """Return what `status` says of the lab."""
    found: str = json.loads(netlab("status", "--format", "json").stdout)["state"]
    return found


def test_no_engine(client: Any, topology: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The host is unfit; it is said how to start one, and nothing is left."""
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    said = netlab("up", topology, code=3).stderr

    assert "no Docker engine answers at unix:///nowhere/docker.sock: start one (systemctl start docker" in said
    assert "not all" not in said


def test_no_image(client: Any, topology: str) -> None:
    """The host is unfit; it is said which image is missing, who needs it, and what builds it."""
    said = netlab("up", topology, "--set", "nodes.b.image=no-such-image:7", code=3).stderr

    assert "there is no image no-such-image:7, which b should be made of: docker pull no-such-image:7" in said


def test_an_image_that_cannot_stay(client: Any, topology: str, tmp_path: Path) -> None:
    """An image without what a container needs is named, and all is undone."""
    archive = tmp_path / "empty.tar"
    subprocess.run(["tar", "-cf", str(archive), "-T", "/dev/null"], check=True)
    client.import_image_from_file(str(archive), repository="empty-for-tests", tag="1")
    try:
        said = netlab("up", topology, "--set", "nodes.c.image=empty-for-tests:1", code=1).stderr
        assert "the container of c has ended at once, with exit code 127; an image for nodes needs `sleep`" in said
    finally:
        client.remove_image("empty-for-tests:1")


def test_a_container_is_killed(one: str, client: Any) -> None:
    """`status` names it, `exec` says so, others go on, and `up` refuses until `down` has cleaned."""
    client.kill(f"{one}.a")
    eventually(lambda: state() == "broken, the container of a has ended: netlab down, then up")
    assert f"the container {one}.a has ended" in inside("a", "true", code=1).stderr
    inside("b", "true")
    nodes = json.loads(netlab("status", "--format", "json").stdout)["nodes"]

    assert (nodes["a"]["process"]["state"], nodes["a"]["process"]["code"]) == ("killed", signal.SIGKILL)
    assert nodes["b"]["process"]["state"] == "running"


def test_containers_are_removed_by_hand(one: str, client: Any, topology: str) -> None:
    """The lab is broken, and says so also to who wants it once more."""
    for node in ("a", "b", "c"):
        client.remove_container(f"{one}.{node}", force=True)
    assert state() == "broken, the containers of a, b, c have ended: netlab down, then up"
    assert f"netlab down --lab {one} first" in netlab("up", topology, code=1).stderr


def test_a_container_is_restarted_by_hand(one: str, client: Any) -> None:
    """It has lost its links then, which is not passed over."""
    client.restart(f"{one}.c", timeout=0)

    assert state() == "broken, the container of c has ended: netlab down, then up"


def test_a_role_takes_too_much_memory(client: Any, topology: str) -> None:
    """It is killed, its lab is not, and `down` cleans."""
    hungry = "nodes.a.command=[python3, -c, 'import time; time.sleep(0.5); x = bytearray(1 << 28)']"
    with lab(topology, "--set", hungry, "--set", "nodes.a.limits={memory: 32M}"):

        def process() -> dict[str, Any]:
            found: dict[str, Any] = json.loads(netlab("status", "--format", "json").stdout)["nodes"]["a"]["process"]
            return found

        eventually(lambda: process()["state"] == "killed")
        assert process()["code"] == signal.SIGKILL
        assert state() == "up"


def test_the_labs_folder_has_gone(client: Any, topology: str) -> None:
    """`down` finds the containers by what they were given to see."""
    with lab(topology) as name:
        syscalls.umount(f"/run/netlab/{name}")
        os.rmdir(f"/run/netlab/{name}")


def test_strangers_stay(client: Any, topology: str) -> None:
    """A container with our labels, or a name like ours, is not ours; one in our place is refused."""
    config = {"image": NODE_IMAGE, "command": ["sleep", "infinity"]}
    labels = {"netlab.lab": "under-test", "netlab.node": "a", "netlab.mark": "0"}
    theirs = [
        client.create_container(**config, name="labelled", labels=labels)["Id"],
        client.create_container(**config, name="under-test.other")["Id"],
    ]
    try:
        with lab(topology):
            pass
        taken = client.create_container(**config, name="under-test.b", labels=labels)["Id"]
        theirs.append(taken)
        said = netlab("up", topology, "--lab", "under-test", code=1).stderr
        assert "a container named under-test.b exists: docker rm -f under-test.b removes it" in said
        netlab("down", "--lab", "under-test")
        assert {each["Id"] for each in client.containers(all=True)} >= set(theirs)
    finally:
        for container in theirs:
            client.remove_container(container, force=True)


def _kill_up(topology: str, where: str) -> None:
    words = [sys.executable, KILLED, where, "up", topology, "--lab", "cut"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL, where


def test_up_is_killed_while_it_makes_containers(client: Any, topology: str, tmp_path: Path) -> None:
    """Wherever that is, the next `down` removes what was made, and what was only just being made."""
    listed = tmp_path / "lines"
    words = [sys.executable, KILLED, "list", str(listed), "up", topology, "--lab", "cut"]
    subprocess.run(words, cwd=ROOT, capture_output=True, check=True, timeout=60)
    netlab("down", "--lab", "cut")
    lines = [line for line in listed.read_text().split() if line.startswith(("runtime/docker", "runtime/engine"))]
    assert len(lines) > 50
    chosen = random.Random(os.environ.get("SEED")).sample(lines, 6)
    print(chosen)
    for where in chosen:
        _kill_up(topology, where)
        netlab("down", "--lab", "cut")

        assert not client.containers(all=True, filters={"label": "netlab.lab=cut"})


def test_up_is_interrupted(client: Any, topology: str) -> None:
    """Ctrl-C at any time undoes all, before `up` ends."""
    for delay_s in (0.2, 0.4, 0.6):
        words = [sys.executable, "-m", "netlab", "up", topology, "--lab", "cut"]
        with subprocess.Popen(words, cwd=ROOT, stderr=subprocess.PIPE, text=True) as running:
            time.sleep(delay_s)  # where it then is, is left to chance
            running.send_signal(signal.SIGINT)
            code = running.wait(60)
        if code == 0:
            netlab("down", "--lab", "cut")

        assert code in (0, 1, -signal.SIGINT)
        assert not client.containers(all=True, filters={"label": "netlab.lab=cut"})


@pytest.fixture
def fragile(engine: Engine | None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """An engine that a test may stop, with the nodes' image of the other one."""
    known = APIClient(**kwargs_from_env(), version="auto", timeout=60)
    with own() as made:
        monkeypatch.setenv("DOCKER_HOST", made.address)
        speaking = APIClient(made.address, version="auto", timeout=60)
        for _ in speaking.load_image(b"".join(known.get_image(NODE_IMAGE))):
            pass  # it tells how far it is
        for each in (known, speaking):
            each.close()
        yield made


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_the_engine_is_stopped_and_started_again(fragile: Engine, topology: str, number: signal.Signals) -> None:
    """`status` says what has become of the containers, `down` what it needs, and cleans as soon as it has it."""
    with lab(topology) as name:
        fragile.stop(number)
        eventually(lambda: f"broken, its Docker engine at {fragile.address} has ended" in state())
        if number == signal.SIGKILL:  # containers outlive it
            inside("a", "ping", "-c", "1", "-W", "5", "b")
        said = netlab("down", code=1).stderr
        assert f"not all of {name} could be removed: no Docker engine answers at {fragile.address}" in said
        assert state().startswith(("broken", "half-built"))
        fragile.start()
        netlab("down")
        left = subprocess.run(["ls", f"{fragile.folder}/data/containers"], capture_output=True, text=True, check=True)

        assert left.stdout == ""
        assert not os.path.exists(f"/run/netlab/{name}")
