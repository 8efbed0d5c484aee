"""What a node is as a container: what it may do, where its processes count, what it prints, what it sees."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from netlab.kernel.capabilities import mask
from netlab.testing.waiting import PATIENCE_S, eventually
from tests.lab.lab import PARTB, ROOT, inside, lab, netlab, texts

pytestmark = [pytest.mark.root, pytest.mark.docker, pytest.mark.usefixtures("no_leaks")]

TOPOLOGY = """
name: containers
runtime: docker
nodes:
  talker: {role: talker}
  tracer: {capabilities: [SYS_PTRACE], command: [sleep, inf]}
  small: {limits: {memory: 48M, cpu: 0.25}}
"""
TALKER = """
import signal, sys
from netlab.role import say
CAPABILITIES = ["SYS_NICE"]
say("to the one")
print("to the other", file=sys.stderr, flush=True)
say("READY")
signal.sigwait({signal.SIGTERM})
"""
# What the engine allows by default, and what belongs to a node's own network.
ALLOWED = mask(
    (
        *("CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP", "NET_BIND_SERVICE"),
        *("NET_RAW", "SYS_CHROOT", "MKNOD", "AUDIT_WRITE", "SETFCAP", "NET_ADMIN"),
    )
)


@pytest.fixture
def one(client: Any, tmp_path: Path) -> Iterator[str]:
    """A lab of containers."""
    (tmp_path / "lab.yml").write_text(TOPOLOGY)
    (tmp_path / "talker.py").write_text(TALKER)
    with lab(str(tmp_path / "lab.yml")) as name:
        yield name


def process_of(node: str) -> int:
    """Return the id of a node's process."""
    nodes = json.loads(netlab("status", "--format", "json").stdout)["nodes"]
    pid: int = nodes[node]["process"]["pid"]
    return pid


def capabilities(pid: int) -> dict[str, int]:
    """Return the masks of what a process may do."""
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        lines = dict(line.split(":", 1) for line in file)
    return {name: int(lines[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")}


def test_capabilities_are_those_that_are_named(one: str, client: Any) -> None:
    """The engine's own, the network, and by name what a role or the topology asks for beside that; never all."""
    for node, more in (("talker", mask(["SYS_NICE"])), ("tracer", mask(["SYS_PTRACE"]))):
        found = capabilities(process_of(node))
        assert found == {
            "CapInh": 0, "CapPrm": ALLOWED | more, "CapEff": ALLOWED | more, "CapBnd": ALLOWED | more, "CapAmb": 0,
        }  # fmt: skip
        host = client.inspect_container(f"{one}.{node}")["HostConfig"]
        assert not host["Privileged"]
        assert host["NetworkMode"] == "none"
    shown = inside("small", "grep", "CapEff", "/proc/self/status").stdout
    assert int(shown.split()[1], 16) == ALLOWED


def test_every_process_is_in_the_containers_namespaces_and_control_groups(one: str, client: Any) -> None:
    """Roles, and what `exec` starts; the container's own process ids, of which it sees no other."""
    pid = process_of("talker")
    first = client.inspect_container(f"{one}.talker")["State"]["Pid"]
    for name in ("cgroup", "ipc", "mnt", "net", "pid", "uts"):
        assert os.readlink(f"/proc/{pid}/ns/{name}") == os.readlink(f"/proc/{first}/ns/{name}")
    groups = Path(f"/proc/{first}/cgroup").read_text()
    assert Path(f"/proc/{pid}/cgroup").read_text() == groups
    assert inside("talker", "cat", "/proc/self/cgroup").stdout == groups
    seen = [name for name in inside("talker", "ls", "/proc").stdout.split() if name.isdigit()]
    assert len(seen) <= 4
    titles = [" ".join(words) for words in client.top(f"{one}.talker", ps_args="-ef -ww")["Processes"]]
    assert any("talker.py" in title for title in titles)


def test_output_is_under_both_logs(one: str, client: Any) -> None:
    """What a role prints is in `netlab logs` and in `docker logs`, both outputs, without the stamps."""
    assert {"to the one", "to the other", "ready"} < set(texts("logs", "talker"))
    assert client.logs(f"{one}.talker", stderr=False) == b"to the one\nREADY\n"
    assert client.logs(f"{one}.talker", stdout=False) == b"to the other\n"


def test_a_processor_limit_holds(one: str) -> None:
    """A process that would take all of a processor gets a quarter."""
    code = "import time\nend = time.monotonic() + 2\nwhile time.monotonic() < end: pass\nprint(time.process_time() / 2)"
    share = float(inside("small", "python3", "-c", code).stdout)

    assert 0 < share < 0.4


def test_a_memory_limit_holds(one: str) -> None:
    """Who takes more than that is killed; who takes less is not, and the lab goes on."""
    take = "import sys; data = b'x' * (int(sys.argv[1]) << 20); print(len(data))"
    inside("small", "python3", "-c", take, "100", code=-9)

    assert inside("small", "python3", "-c", take, "20").stdout.strip() == str(20 << 20)
    assert json.loads(netlab("status", "--format", "json").stdout)["state"] == "up"


def test_what_is_the_hosts_cannot_be_written(one: str) -> None:
    """The lab's file, netlab's modules, the topology's folder, the names."""
    for path in (f"/run/netlab/{one}/lab.json", "/etc/hosts", f"{ROOT}/netlab/role.py"):
        assert "Read-only file system" in inside("talker", "sh", "-c", f"echo x >> {path}", code=None).stderr
    inside("talker", "sh", "-c", "echo x > /tmp/mine && rm /tmp/mine")


def test_orphans_are_reaped(one: str) -> None:
    """What a command leaves behind ends as anywhere, and does not stay as a zombie."""
    inside("talker", "sh", "-c", "(sleep 0.1 &) ; exit 0")
    count = "cat /proc/[0-9]*/stat | grep -c ') Z '"
    eventually(lambda: inside("talker", "sh", "-c", count, code=None).stdout.strip() == "0")


def test_ip_netns_finds_the_nodes(one: str) -> None:
    """They have the names of namespaces, as in the other mode."""
    found = subprocess.run(["ip", "netns", "exec", f"{one}.small", "hostname", "-I"], check=True, timeout=PATIENCE_S)

    assert found.returncode == 0


def test_a_role_that_needs_programs_heals(client: Any) -> None:
    """The balancer's role runs programs of the kernel: threads that are not heard of are free again."""
    silent = ("--set", "nodes.worker.args.threads=1", "--set", "nodes.lb.args.timeout=0.5")
    with lab(PARTB, "--runtime", "docker", *silent, "--set", "nodes.client.args.sleep=30", name="heals"):
        eventually(lambda: any(text.startswith("expired: ") for text in texts("logs", "lb")))


def test_both_modes_at_once(client: Any) -> None:
    """The same file twice, with the same addresses: neither hears of the other, and both go."""
    with lab(PARTB, name="both-a"):
        first = _network()
        with lab(PARTB, "--runtime", "docker", name="both-b"):
            assert _network() == first
            for name in ("both-a", "both-b"):
                netlab("run", "--lab", name, "client", "--count", "10", "--sleep", "0.1")
            for name in ("both-a", "both-b"):
                eventually(partial(_has_served, name, 40))


def _has_served(lab: str, count: int) -> bool:
    found = json.loads(netlab("stats", "--lab", lab, "--format", "json").stdout)["balancers"]["lb"]
    assert found["received"] <= count
    return bool(found["received"] == found["completions"] == count)


def _network() -> dict[str, Any]:
    nodes = ("client", "lb", "worker1", "worker2", "worker3")
    shown = {node: json.loads(inside(node, "ip", "-j", "addr").stdout) for node in nodes}
    about = ("ifname", "ifindex", "address", "mtu")
    return {
        node: [
            (
                [each.get(name) for name in about],
                sorted(one["local"] for one in each["addr_info"] if one["scope"] != "link"),  # those come later
            )
            for each in links
        ]
        for node, links in shown.items()
    }


def test_python_of_the_image_runs_roles(one: str) -> None:
    """The host's is not there, and need not be."""
    inside("talker", sys.executable, "-c", "", code=127)
    with open(f"/proc/{process_of('talker')}/cmdline", encoding="utf-8") as file:
        assert file.read().startswith("python3\0")
