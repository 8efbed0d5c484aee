"""What is measured: each contender brings the same thing up and down in its own way, as a person would from a shell."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

NETLAB = os.path.join(sys.prefix, "bin", "netlab")
HERE = Path(__file__).parent
PART_B = HERE.parent.parent / "topologies" / "partb.yml"
LEAVES = 4
CONTAINERS = 5
LAB = "netlab-bench"


class Contender(NamedTuple):
    """A named way to do the job: `up` ends when it is ready, `down` when it is gone; `check` fails if it is not up."""

    name: str
    up: Callable[[], object]
    down: Callable[[], object]
    check: Callable[[], object]


def run(*command: str | Path, environment: dict[str, str] | None = None) -> None:
    """Run a command quietly; raise CalledProcessError, which has what it printed, if it fails."""
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, capture_output=True, env=environment)


def netlab(name: str, topology: Path, check: list[str]) -> Contender:
    """Return netlab with a topology; `check` is a node and a command that works in it once the lab is up."""
    return Contender(
        name,
        up=lambda: run(NETLAB, "up", "--lab", LAB, topology),
        down=lambda: run(NETLAB, "down", "--lab", LAB),
        check=lambda: run(NETLAB, "exec", "--lab", LAB, *check),
    )


def star(folder: Path) -> Path:
    """Write the topology of a bare star and return its path."""
    leaves = [f"leaf{number}" for number in range(1, LEAVES + 1)]
    nodes = "".join(f"  {name}: {{}}\n" for name in ["centre", *leaves])
    links = "".join(f"  - [{name}, centre]\n" for name in leaves)
    path = folder / "star.yml"
    path.write_text(f"name: star\nnodes:\n{nodes}links:\n{links}")
    return path


def ip_batch(folder: Path) -> Contender:
    """Return the star as a script of `ip -batch`, a batch for the links and one for each node."""
    up = [f"netns add {LAB}-centre"]
    centre = ["link set lo up"]
    script = [f"ip -batch {folder}/links", f"ip -n {LAB}-centre -batch {folder}/centre"]
    for number in range(1, LEAVES + 1):
        leaf = f"{LAB}-leaf{number}"
        up += [f"netns add {leaf}"]
        up += [f"link add eth0 netns {leaf} type veth peer name eth{number} netns {LAB}-centre"]
        centre += [f"addr add 10.1.{number}.1/24 dev eth{number}", f"link set eth{number} up"]
        lines = [f"addr add 10.1.{number}.2/24 dev eth0", "link set lo up", "link set eth0 up"]
        lines += [f"route add default via 10.1.{number}.1"]
        (folder / f"leaf{number}").write_text("\n".join(lines))
        script += [f"ip -n {leaf} -batch {folder}/leaf{number}"]
    script += [f"ip netns exec {LAB}-centre sysctl -qw net.ipv4.ip_forward=1"]
    (folder / "links").write_text("\n".join(up))
    (folder / "centre").write_text("\n".join(centre))
    (folder / "up").write_text("set -e\n" + "\n".join(script))
    nodes = ["centre", *(f"leaf{number}" for number in range(1, LEAVES + 1))]
    (folder / "down").write_text("\n".join(f"netns del {LAB}-{node}" for node in nodes))
    return Contender(
        "ip -batch",
        up=lambda: run("sh", folder / "up"),
        down=lambda: run("ip", "-batch", folder / "down"),
        check=lambda: run("ip", "netns", "exec", f"{LAB}-leaf1", "ping", "-c1", "-W5", "10.1.2.2"),
    )


class MininetStar:
    """The star in Mininet, whose network lives as long as its process."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[str] | None = None
        self.leaf = ""

    def up(self) -> None:
        """Start the script and wait for its READY."""
        script = ["/usr/bin/python3", str(HERE / "mininet_star.py"), str(LEAVES)]
        self.process = subprocess.Popen(script, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.process.stdout is not None
        said = self.process.stdout.readline().split()
        if said[:1] != ["READY"]:
            raise subprocess.CalledProcessError(self.process.wait(), script)
        self.leaf = said[1]

    def down(self) -> None:
        """Tell the script to stop and wait until it has."""
        assert self.process is not None
        self.process.communicate("\n")

    def check(self) -> None:
        """Ping from one leaf to another."""
        run("nsenter", "--net", "--target", self.leaf, "ping", "-c1", "-W5", "10.1.2.2")


def mininet() -> Contender:
    """Return the star in Mininet."""
    own = MininetStar()
    return Contender("Mininet", up=own.up, down=own.down, check=own.check)


def compose(environment: dict[str, str], image: str) -> Contender:
    """Return idle containers brought up by docker-compose, with an engine that is running already."""
    folder = Path(
        tempfile.mkdtemp(prefix="compose-", dir=Path(environment["DOCKER_HOST"].removeprefix("unix://")).parent)
    )
    service = f'{{image: {image}, command: [sleep, "1000000"], stop_grace_period: 0s}}'
    services = "".join(f"  idle{number}: {service}\n" for number in range(CONTAINERS))
    file = folder / "docker-compose.yml"
    file.write_text(f'version: "3.7"\nservices:\n{services}')
    return Contender(
        f"docker-compose, {CONTAINERS} idle containers",
        up=lambda: run("docker-compose", "--file", file, "up", "-d", environment=environment),
        down=lambda: run("docker-compose", "--file", file, "down", environment=environment),
        check=lambda: run("docker", "exec", f"{folder.name}_idle0_1", "sleep", "0", environment=environment),
    )
