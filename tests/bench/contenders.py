"""What is measured: each contender brings the same thing up and down in its own way, as a person would from a shell."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import psutil

NETLAB = os.path.join(sys.prefix, "bin", "netlab")
HERE = Path(__file__).parent
PART_B = HERE.parent.parent / "topologies" / "partb.yml"
CONTAINERS = 5
LAB = "netlab-bench"
CPU = "CPU"
GNU_TIME = "/usr/bin/time"
REACHED_S = 20.0

Spent = dict[str, float]


class Contender(NamedTuple):
    """A named way to do the job: `up` ends when it is ready, `down` when it is gone; `check` fails if it is not up.

    `up` returns the CPU time that its processes have taken until they ended, in ms; `spent` that of those that live on.
    `peak_mb` does what `up` does, and returns the memory of the largest process in it.
    """

    name: str
    up: Callable[[], Spent]
    down: Callable[[], object]
    check: Callable[[], object]
    spent: Callable[[], Spent] = dict
    peak_mb: Callable[[], float] | None = None


def run(*command: str | Path, environment: dict[str, str] | None = None) -> Spent:
    """Run a command quietly, and return what it and its children have spent.

    Raises CalledProcessError, which has what it printed, if it fails.
    """
    with tempfile.TemporaryFile() as talk:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=talk, stderr=talk, env=environment)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            talk.seek(0)
            raise subprocess.CalledProcessError(process.returncode, command, stderr=talk.read())
    return {CPU: (used.ru_utime + used.ru_stime) * 1000}


def reach(*command: str | Path) -> None:
    """Run a command that pings until it succeeds; the kernel takes a while to wake a thousand links.

    Raises CalledProcessError when it never does.
    """
    deadline = time.monotonic() + REACHED_S
    while True:
        try:
            run(*command)
        except subprocess.CalledProcessError:
            if time.monotonic() > deadline:
                raise
        else:
            return


def peak_of(*command: str | Path, environment: dict[str, str] | None = None) -> float:
    """Run a command quietly, and return the memory of the largest process in it, in MB.

    Between it and us stands a small process, since a child is charged with what its parent held when it was started.
    """
    with tempfile.NamedTemporaryFile("r", prefix="netlab-bench-") as said:
        run(GNU_TIME, "-f", "%M", "-o", said.name, *command, environment=environment)
        return float(said.read().split()[-1]) / 1024


def netlab(name: str, topology: Path, check: list[str], compiled: bool = True) -> Contender:
    """Return netlab with a topology; `check` is a node and a command that works in it once the lab is up.

    Its programs are `compiled` before, as they are from the second `up` on, or else anew each time.
    """
    environment = None if compiled else {**os.environ, "NETLAB_CACHE": ""}
    return Contender(
        name,
        up=lambda: run(NETLAB, "up", "--lab", LAB, topology, environment=environment),
        down=lambda: run(NETLAB, "down", "--lab", LAB),
        check=lambda: reach(NETLAB, "exec", "--lab", LAB, *check),
        peak_mb=lambda: peak_of(NETLAB, "up", "--lab", LAB, topology),
    )


def star(folder: Path, leaves: int) -> Path:
    """Write the topology of a bare star and return its path."""
    path = folder / f"star{leaves}.yml"
    path.write_text(f"name: star\nnodes:\n  centre: {{}}\n  leaf: {{replicas: {leaves}}}\nlinks:\n  - [leaf, centre]\n")
    return path


def netlab_star(folder: Path, leaves: int) -> Contender:
    """Return netlab with a bare star."""
    return netlab("netlab", star(folder, leaves), ["leaf1", "ping", "-c1", "-W5", f"leaf{leaves}"])


def bound(folder: Path, leaves: int) -> Contender:
    """Return the star by raw netlink in C, compiled now; raises FileNotFoundError where gcc is not installed."""
    program, mount = folder / "bound", folder / "star"
    if not program.exists():
        run("gcc", "-O2", "-pthread", "-o", program, HERE / "bound.c")
    return Contender(
        "raw netlink in C",
        up=lambda: run(program, "up", str(leaves), mount),
        down=lambda: run(program, "down", mount),
        check=lambda: reach("nsenter", f"--net={mount}/0", "ping", "-c1", "-W5", address(leaves - 1, 1)),
        peak_mb=lambda: peak_of(program, "up", str(leaves), mount),
    )


def address(number: int, host: int) -> str:
    """Return a host's address on the link of a leaf, which are counted from 0, as bound.c gives them."""
    return f"10.{number >> 8}.{number & 255}.{host}"


def ip_batch(folder: Path, leaves: int) -> Contender:
    """Return the star as a script of `ip -batch`, a batch for the links and one for each node."""
    folder = folder / f"ip{leaves}"
    folder.mkdir(exist_ok=True)
    up = [f"netns add {LAB}-centre"]
    centre = ["link set lo up"]
    script = [f"ip -batch {folder}/links", f"ip -n {LAB}-centre -batch {folder}/centre"]
    for number in range(leaves):
        leaf = f"{LAB}-leaf{number}"
        up += [f"netns add {leaf}"]
        up += [f"link add eth0 netns {leaf} type veth peer name eth{number} netns {LAB}-centre"]
        centre += [f"addr add {address(number, 2)}/24 dev eth{number}", f"link set eth{number} up"]
        lines = [f"addr add {address(number, 1)}/24 dev eth0", "link set lo up", "link set eth0 up"]
        lines += [f"route add default via {address(number, 2)}"]
        (folder / f"leaf{number}").write_text("\n".join(lines))
        script += [f"ip -n {leaf} -batch {folder}/leaf{number}"]
    script += [f"ip netns exec {LAB}-centre sysctl -qw net.ipv4.ip_forward=1"]
    (folder / "links").write_text("\n".join(up))
    (folder / "centre").write_text("\n".join(centre))
    (folder / "up").write_text("set -e\n" + "\n".join(script))
    nodes = ["centre", *(f"leaf{number}" for number in range(leaves))]
    (folder / "down").write_text("\n".join(f"netns del {LAB}-{node}" for node in nodes))
    return Contender(
        "ip -batch",
        up=lambda: run("sh", folder / "up"),
        down=lambda: run("ip", "-batch", folder / "down"),
        check=lambda: reach("ip", "netns", "exec", f"{LAB}-leaf0", "ping", "-c1", "-W5", address(leaves - 1, 1)),
        peak_mb=lambda: peak_of("sh", folder / "up"),
    )


class MininetStar:
    """The star in Mininet, whose network lives as long as its process."""

    def __init__(self, leaves: int) -> None:
        self.leaves = leaves
        self.process: subprocess.Popen[str] | None = None
        self.leaf = ""

    def up(self) -> Spent:
        """Start the script and wait for its READY."""
        script = ["/usr/bin/python3", str(HERE / "mininet_star.py"), str(self.leaves)]
        self.process = subprocess.Popen(script, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.process.stdout is not None
        said = self.process.stdout.readline().split()
        if said[:1] != ["READY"]:
            raise subprocess.CalledProcessError(self.process.wait(), script)
        self.leaf = said[1]
        return {}

    def spent(self) -> Spent:
        """Return what the script and its shells have spent so far."""
        assert self.process is not None
        script = psutil.Process(self.process.pid)
        times = [each.cpu_times() for each in (script, *script.children(recursive=True))]
        cpu_s = sum(each.user + each.system + each.children_user + each.children_system for each in times)
        return {CPU: cpu_s * 1000}

    def peak_mb(self) -> float:
        """Bring it up, and return the most memory that the script has had."""
        self.up()
        assert self.process is not None
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("VmHWM")) / 1024

    def down(self) -> None:
        """Tell the script to stop and wait until it has."""
        assert self.process is not None
        self.process.communicate("\n")

    def check(self) -> None:
        """Ping from one leaf to another."""
        reach("nsenter", "--net", "--target", self.leaf, "ping", "-c1", "-W5", f"10.1.{self.leaves}.2")


def mininet(leaves: int) -> Contender:
    """Return the star in Mininet."""
    own = MininetStar(leaves)
    return Contender("Mininet", up=own.up, down=own.down, check=own.check, spent=own.spent, peak_mb=own.peak_mb)


def compose(environment: dict[str, str], image: str, count: int = CONTAINERS) -> Contender:
    """Return idle containers brought up by docker-compose, with an engine that is running already."""
    folder = Path(
        tempfile.mkdtemp(prefix="compose-", dir=Path(environment["DOCKER_HOST"].removeprefix("unix://")).parent)
    )
    service = f'{{image: {image}, command: [sleep, "1000000"], stop_grace_period: 0s}}'
    services = "".join(f"  idle{number}: {service}\n" for number in range(count))
    file = folder / "docker-compose.yml"
    file.write_text(f'version: "3.7"\nservices:\n{services}')
    up = ("docker-compose", "--file", file, "up", "-d")
    return Contender(
        f"docker-compose, {count} idle containers",
        up=lambda: _unmetered(*up, environment=environment),
        down=lambda: run("docker-compose", "--file", file, "down", environment=environment),
        check=lambda: run("docker", "exec", f"{folder.name}_idle0_1", "sleep", "0", environment=environment),
        peak_mb=lambda: peak_of(*up, environment=environment),
    )


def docker(environment: dict[str, str], image: str, count: int = CONTAINERS) -> Contender:
    """Return idle containers started by docker itself, all at once."""
    names = [f"{LAB}{number}" for number in range(count)]
    start = " & ".join(f"docker run -d --name {name} {image} sleep 1000000" for name in names)
    up = ("sh", "-c", f"{start} & wait")
    return Contender(
        f"docker run, {count} at once",
        up=lambda: _unmetered(*up, environment=environment),
        down=lambda: run("docker", "rm", "--force", *names, environment=environment),
        check=lambda: [run("docker", "exec", name, "sleep", "0", environment=environment) for name in names],
        peak_mb=lambda: peak_of(*up, environment=environment),
    )


def _unmetered(*command: str | Path, environment: dict[str, str]) -> Spent:
    """Run a command whose work is another process's, so that what it has spent says nothing."""
    run(*command, environment=environment)
    return {}
