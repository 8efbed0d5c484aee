"""A lab as a compose file: docker-compose takes it, and its containers reach each other by the lab's addresses."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from netlab.testing import leaks
from netlab.testing.waiting import PATIENCE_S, eventually
from tests.docker.engine import Engine

pytestmark = [pytest.mark.docker, pytest.mark.root]

ROOT = Path(__file__).parent.parent.parent
TOPOLOGIES = sorted((ROOT / "topologies").rglob("*.yml"))
PROJECT = "netlab-exported"


@pytest.fixture(autouse=True)
def tools() -> None:
    """Skip where there is no docker-compose."""
    if shutil.which("docker-compose") is None:
        pytest.skip("docker-compose is not installed")


def export(topology: Path, folder: Path, *options: str) -> Path:
    """Write the compose file of a topology."""
    command = [sys.executable, "-m", "netlab", "export", "compose", str(topology), *options]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT, timeout=60)
    (folder / "docker-compose.yml").write_text(done.stdout)
    return folder / "docker-compose.yml"


def compose(file: Path, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run docker-compose."""
    command = ["docker-compose", "--file", str(file), "--project-name", PROJECT, *words]
    about: dict[str, Any] = {"capture_output": True, "text": True, "timeout": PATIENCE_S, "stdin": subprocess.DEVNULL}
    done = subprocess.run(command, check=False, **about)
    assert done.returncode == 0 or not check, done.stderr
    return done


@pytest.mark.parametrize("topology", TOPOLOGIES, ids=[path.stem for path in TOPOLOGIES])
def test_docker_compose_takes_every_topology(topology: Path, tmp_path: Path) -> None:
    compose(export(topology, tmp_path), "config", "--quiet")


@pytest.fixture(scope="module")
def partb(engine: Engine | None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Part B, up, with limits on its workers; of it nothing is left behind."""
    before = leaks.snapshot()
    folder = tmp_path_factory.mktemp("compose")
    limits = ("--set", "nodes.worker.limits.cpu=0.5", "--set", "nodes.worker.limits.memory=64M")
    file = export(ROOT / "topologies/partb.yml", folder, *limits)
    try:
        compose(file, "up", "--detach")
        yield file
    finally:
        compose(file, "down", "--timeout", "1")
    assert not leaks.settled(before)


NODES = {"client": "0:1", "lb": "0:2", "worker1": "1:1", "worker2": "2:1", "worker3": "3:1"}


@pytest.mark.parametrize("node", NODES)
def test_every_node_reaches_every_other(node: str, partb: Path) -> None:
    """By name and by both addresses of the lab, also through the balancer's node, which routes."""
    addresses = [place.split(":") for place in NODES.values()]
    targets = [*NODES, *(f"10.0.{net}.{host}" for net, host in addresses)]
    targets += [f"fd00:0:0:{net}::{host}" for net, host in addresses]
    line = "; ".join(f"ping -c1 -W1 {target} >/dev/null || echo {target}" for target in targets)

    # routes are set just after the containers have started
    eventually(lambda: compose(partb, "exec", "-T", node, "sh", "-c", line).stdout == "")


def test_roles_run_where_no_program_is_needed(partb: Path) -> None:
    """The client sends to the balancer's node, the workers are ready; the container outlives the role."""
    eventually(lambda: "sent 30 requests" in compose(partb, "logs", "client").stdout)
    eventually(lambda: "exited with code 0" in compose(partb, "logs", "client").stdout)

    assert "ready" in compose(partb, "logs", "worker2").stdout
    assert "" == compose(partb, "exec", "-T", "client", "true").stdout


def test_limits_are_the_engines(partb: Path) -> None:
    container = compose(partb, "ps", "--quiet", "worker1").stdout.strip()
    shown = subprocess.run(["docker", "inspect", container], check=True, capture_output=True, text=True).stdout
    host = json.loads(shown)[0]["HostConfig"]

    assert (500_000_000, 64 << 20, 64 << 20) == (host["NanoCpus"], host["Memory"], host["MemorySwap"])


def test_a_file_with_a_mistake_is_not_taken(tmp_path: Path) -> None:
    """The test above can fail."""
    file = export(TOPOLOGIES[0], tmp_path)
    file.write_text(file.read_text().replace("hostname:", "hostnam:"))

    assert compose(file, "config", "--quiet", check=False).returncode != 0
