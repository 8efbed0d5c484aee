"""What can go wrong with an engine and its containers: netlab says so, and `down` leaves nothing of the lab's own."""

import glob
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

from netlab.kernel import kill, syscalls
from netlab.lab import removal
from netlab.testing import leaks
from netlab.testing.waiting import PATIENCE_S, eventually
from netlab.topology.model import NODE_IMAGE
from tests.docker.engine import Engine, own
from tests.lab.killed import ROOT
from tests.lab.lab import inside, lab, netlab

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
KILLED_IN = ("runtime/docker", "runtime/engine", "runtime/names", "lab/host", "network/links", "kernel/netlink")
KILLS = 40  # of one run; each takes about a second


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


@pytest.fixture
def beside(topology: str) -> Iterator[None]:
    """The same lab in namespaces, with the same addresses; whatever a test does, it goes on serving."""
    with lab(topology, "--runtime", "netns", name="beside") as name:
        yield
        assert status("--lab", name)["state"] == "up"
        for node in ("a", "c"):
            inside(node, "ping", "-c", "1", "-W", "5", "b")


def status(*words: str) -> dict[str, Any]:
    """Return what `status` says of the lab."""
    found: dict[str, Any] = json.loads(netlab("status", "--format", "json", *words, code=None).stdout)
    return found


def ended() -> list[str]:
    """Return the nodes whose containers have ended."""
    problems = status()["problems"]
    return [one["where"] for one in problems if one["what"] == "its container has ended"]


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
    ended = "the container of c has ended at once, with exit code 127; an image for nodes needs `sleep`"
    try:
        for _ in range(5):  # it ends at another moment each time
            assert ended in netlab("up", topology, "--set", "nodes.c.image=empty-for-tests:1", code=1).stderr
    finally:
        client.remove_image("empty-for-tests:1")


def test_a_container_is_killed(beside: None, one: str, client: Any) -> None:
    """`status` names it, `exec` says so, others go on, and `up` refuses until `down` has cleaned."""
    client.kill(f"{one}.a")
    eventually(lambda: ended() == ["a"])
    assert f"the container {one}.a has ended" in inside("a", "true", code=1).stderr
    inside("b", "true")
    nodes = status()["nodes"]

    assert (nodes["a"]["process"]["state"], nodes["a"]["process"]["code"]) == ("killed", signal.SIGKILL)
    assert nodes["b"]["process"]["state"] == "running"


def test_containers_are_removed_by_hand(one: str, client: Any, topology: str) -> None:
    """The lab is broken, and says so also to who wants it once more."""
    for node in ("a", "b", "c"):
        client.remove_container(f"{one}.{node}", force=True)
    assert ended() == ["a", "b", "c"]
    assert (
        f"b: its container has ended; what mends it: netlab down {one}, then up"
        in netlab("up", topology, code=1).stderr
    )


def test_a_container_is_restarted_by_hand(one: str, client: Any) -> None:
    """It has lost its links then, which is not passed over."""
    client.restart(f"{one}.c", timeout=0)

    assert ended() == ["c"]


def test_a_role_takes_too_much_memory(client: Any, topology: str) -> None:
    """It is killed, its lab is not, and `down` cleans."""
    hungry = "nodes.a.command=[python3, -c, 'import time; time.sleep(0.5); x = bytearray(1 << 28)']"
    with lab(topology, "--set", hungry, "--set", "nodes.a.limits={memory: 32M}"):

        def process() -> dict[str, Any]:
            found: dict[str, Any] = status()["nodes"]["a"]["process"]
            return found

        eventually(lambda: process()["state"] == "killed")
        assert process()["code"] == signal.SIGKILL
        shown = netlab("status", code=1).stdout
        assert "was killed by SIGKILL" in shown
        assert "a: its memory was used up, and the kernel has killed 1 process there" in shown
        assert "b: its memory" not in shown


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
    words = [sys.executable, KILLED, f"SIGKILL@{where}", "up", topology, "--lab", "cut"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, check=False, timeout=PATIENCE_S)
    assert done.returncode == -signal.SIGKILL, where


def test_up_is_killed_anywhere(client: Any, topology: str, tmp_path: Path) -> None:
    """Wherever that is, the next `down` removes what was made, and what was only just being made."""
    listed = tmp_path / "lines"
    words = [sys.executable, KILLED, "list", str(listed), "up", topology, "--lab", "cut"]
    subprocess.run(words, cwd=ROOT, capture_output=True, check=True, timeout=PATIENCE_S)
    netlab("down", "--lab", "cut")
    lines = [line for line in listed.read_text().split() if line.startswith(KILLED_IN)]
    assert len(lines) > 200
    before = leaks.snapshot()
    step = len(lines) // KILLS + 1
    chosen = lines[random.Random(os.environ.get("SEED")).randrange(step) :: step]
    print(chosen)
    for where in chosen:
        _kill_up(topology, where)
        netlab("down", "--lab", "cut")

        assert not client.containers(all=True, filters={"label": "netlab.lab=cut"}), where
        assert not leaks.settled(before), where


def test_up_is_interrupted(client: Any, topology: str) -> None:
    """Ctrl-C at any time undoes all, before `up` ends."""
    for delay_s in (0.2, 0.4, 0.6):
        words = [sys.executable, "-m", "netlab", "up", topology, "--lab", "cut"]
        with subprocess.Popen(words, cwd=ROOT, stderr=subprocess.PIPE, text=True) as running:
            time.sleep(delay_s)  # where it then is, is left to chance
            running.send_signal(signal.SIGINT)
            said = running.communicate(timeout=PATIENCE_S)[1]
        code = running.returncode
        if code == 0:
            netlab("down", "--lab", "cut")

        assert code in (0, 1, -signal.SIGINT)
        assert not client.containers(all=True, filters={"label": "netlab.lab=cut"}), said


@pytest.fixture(scope="module")
def spare(engine: Engine | None) -> Iterator[Engine]:
    """An engine that is stopped, with the nodes' image of the other one."""
    known = APIClient(**kwargs_from_env(), version="auto", timeout=60)
    with own() as made:
        speaking = APIClient(made.address, version="auto", timeout=60)
        for _ in speaking.load_image(b"".join(known.get_image(NODE_IMAGE))):
            pass  # it tells how far it is
        for each in (known, speaking):
            each.close()
        made.stop()
        yield made


@pytest.fixture
def fragile(spare: Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """An engine that a test may stop, and which is meant meanwhile."""
    monkeypatch.setenv("DOCKER_HOST", spare.address)
    spare.start()
    yield spare
    spare.stop()


def containers_of(stopped: Engine) -> list[str]:
    """Return the containers that an engine has, from its folder."""
    return os.listdir(f"{stopped.folder}/data/containers")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_the_engine_is_stopped_and_started_again(
    fragile: Engine, beside: None, topology: str, number: signal.Signals
) -> None:
    """`status` says what has become of the containers, `down` what it needs, and cleans as soon as it has it."""
    with lab(topology) as name:
        fragile.stop(number)
        gone = f"its Docker engine at {fragile.address} has ended"
        eventually(lambda: gone in [one["what"] for one in status()["problems"]])
        if number == signal.SIGKILL:  # containers outlive it
            inside("a", "ping", "-c", "1", "-W", "5", "b")
        said = netlab("down", code=1).stderr
        assert f"not all of {name} could be removed: no Docker engine answers at {fragile.address}" in said
        assert status()["state"] != "up"
        fragile.start()
        netlab("down")

        assert [] == containers_of(fragile)
        assert not os.path.exists(f"/run/netlab/{name}")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_the_engine_is_restarted(fragile: Engine, beside: None, topology: str, number: signal.Signals) -> None:
    """Nobody has looked between: `status` tells what has become of the containers, and `down` removes them."""
    with lab(topology) as name:
        fragile.stop(number)
        fragile.start()
        if number == signal.SIGTERM:
            assert ended() == ["a", "b", "c"]
            assert (
                f"its container has ended; what mends it: netlab down {name}, then up"
                in netlab("up", topology, code=1).stderr
            )
        else:  # they have outlived it
            inside("a", "ping", "-c", "1", "-W", "5", "b")
        assert f"{name} is down" in netlab("down").stderr

        assert [] == containers_of(fragile)
        assert not os.path.exists(f"/run/netlab/{name}")


def only_ours() -> None:
    """Skip where `down --all` would take down somebody's labs."""
    if there := removal.labs_with_leftovers(containers=True):
        pytest.skip(f"labs are up which are not these tests': {', '.join(there)}")


def test_down_all_goes_past_an_engine_that_is_away(fragile: Engine, topology: str) -> None:
    """What can be removed is; what cannot is named, and is when the engine is there again."""
    only_ours()
    with lab(topology, name="a-contained"), lab(topology, "--runtime", "netns", name="b-plain"):
        fragile.stop()
        said = netlab("down", "--all", code=1).stderr
        assert "not all of a-contained could be removed: no Docker engine answers" in said
        assert said.endswith("not removed, for the reasons above: a-contained\n")
        assert ["a-contained"] == removal.labs_with_leftovers()
        fragile.start()
        netlab("down", "--all")

        assert [] == containers_of(fragile)
        assert [] == removal.labs_with_leftovers()


def test_the_machine_is_started_again(fragile: Engine, tmp_path: Path) -> None:
    """Containers and names in /etc are left then: `down` wants the engine, and takes nothing for gone before."""
    only_ours()
    (tmp_path / "quiet.yml").write_text("{name: quiet, runtime: docker, nodes: {a: {}, b: {}}, links: [[a, b]]}")
    netlab("up", str(tmp_path / "quiet.yml"))
    fragile.stop()
    forget("quiet")
    for words in (["down", "quiet"], ["down"], ["down", "--all"]):
        assert f"no Docker engine answers at {fragile.address}" in netlab(*words, code=1).stderr
    assert 2 == len(containers_of(fragile))
    fragile.start()
    assert "removed what was left of it: 2 nodes" in netlab("down").stderr

    assert [] == containers_of(fragile)
    assert "nothing of it is left" in netlab("down", "quiet").stderr


def test_containers_are_found_when_nothing_else_is_left(client: Any, tmp_path: Path) -> None:
    """By what the engine knows of them; those of others stay."""
    only_ours()
    (tmp_path / "quiet.yml").write_text("{name: quiet, runtime: docker, nodes: {a: {}}}")
    labels = {"netlab.lab": "quiet", "netlab.node": "b"}
    theirs = client.create_container(image=NODE_IMAGE, command=["sleep", "infinity"], labels=labels)["Id"]
    try:
        netlab("up", str(tmp_path / "quiet.yml"))
        forget("quiet")
        os.unlink("/etc/netns/quiet.a")
        netlab("down", "--all")

        assert [theirs] == [each["Id"] for each in client.containers(all=True, filters={"label": "netlab.lab=quiet"})]
    finally:
        client.remove_container(theirs, force=True)


def forget(name: str) -> None:
    """Remove what a reboot takes from a lab without processes."""
    syscalls.umount(f"/run/netlab/{name}")
    os.rmdir(f"/run/netlab/{name}")
    for path in glob.glob(f"/run/netns/{name}.*"):
        os.unlink(path)


def test_an_engine_of_tests_ends_with_them(spare: Engine) -> None:
    """However they end; else it would be there for ever, and the next run would take it for the machine's."""
    code = (
        "from tests.docker.engine import *; e = Engine(Path(sys.argv[1])); e.start(); print(e.process.pid, flush=True)"
    )
    words = [sys.executable, "-c", f"{code}; time.sleep(60)", str(spare.folder)]
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True) as tests:
        assert tests.stdout
        dockerd = os.pidfd_open(int(tests.stdout.readline()))
        try:
            tests.kill()

            assert kill.have_ended([dockerd], 30)
        finally:
            os.close(dockerd)
