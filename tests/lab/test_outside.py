"""A node that is the host itself: the way outside, what is opened and closed again, and what `status` sees of it."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from netlab import paths
from netlab.testing import leaks
from netlab.testing.waiting import PATIENCE_S, eventually
from tests.lab.lab import ROOT
from tests.lab.outside import FAR, HOST_AT, Machine, machine, name_reply

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(not shutil.which("nft"), reason="nft is not installed"),
]

LAB = """
name: way
nodes: {a: {}, r: {}, world: {kind: host, internet: true}}
links: [[a, r], [r, world]]
"""
LONG = "another-lab-with-a-name-that-no-interface-can-have"
OTHER = f"name: {LONG}\n" + "nodes: {b: {}, world: {kind: host, internet: true}}\nlinks: [[b, world]]\n"
CLOSED = "name: shut\nnodes: {c: {}, world: {kind: host}}\nlinks: [[c, world]]\n"
SAY = """
import socket, sys
kind, at, port = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
with socket.socket(socket.AF_INET6 if ":" in at else socket.AF_INET, kind) as own:
    own.settimeout(float(sys.argv[4]))
    own.connect((at, port))
    own.send(b"hello")
    print(own.recv(100).decode())
"""
# From a node whose own loopback is away.
SEND_TO_LOOPBACK = """
ip link set lo down
ip route replace 127.0.0.53 via 10.0.1.2
{} -c 'import socket; socket.socket(type=socket.SOCK_DGRAM).sendto(bytes(99), ("127.0.0.53", 53))'
ip route del 127.0.0.53
ip link set lo up
"""


@pytest.fixture(scope="module")
def host() -> Iterator[Machine]:
    with machine() as played:
        yield played


@pytest.fixture(scope="module")
def way(host: Machine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A lab with a way outside, on a host whose iptables drop what they do not know, as Docker's."""
    path = tmp_path_factory.mktemp("way") / "way.yml"
    path.write_text(LAB)
    host.sh("iptables-nft -P FORWARD DROP; ip6tables-nft -P FORWARD DROP; iptables-legacy -P FORWARD DROP")
    before, left = host.state(), leaks.snapshot()
    said = host.netlab("up", str(path)).stderr
    assert "world is this host: the lab reaches all that listens here, at 10.0.1.2, fd00:0:0:1::2 (nl-way-0)" in said
    assert "net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 until the last such lab goes" in said
    assert "(iptables-nft, ip6tables-nft, iptables-legacy): new rules let the lab through" in said
    yield str(path)
    host.netlab("down", "way")
    assert host.state() == before
    assert not leaks.settled(left)


def say(host: Machine, lab: str, node: str, kind: socket.SocketKind, at: str, port: int) -> str:
    return host.python(lab, node, SAY, str(int(kind)), at, str(port), str(PATIENCE_S))


@pytest.mark.parametrize("far", [0, 1], ids=["ipv4", "ipv6"])
@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_a_node_behind_a_router_reaches_the_outside_with_the_hosts_address(
    host: Machine, way: str, kind: socket.SocketKind, far: int
) -> None:
    with host.server(kind, FAR[far], 7000, lambda asked: asked.upper()) as seen:
        told = say(host, "way", "a", kind, FAR[far], 7000)

    assert ("HELLO", [HOST_AT[far]]) == (told, seen)


def test_the_outside_reaches_no_node(host: Machine, way: str) -> None:
    """Not even who knows the way: the host forwards nothing that no node has asked for."""
    far = os.path.basename(host.far_path)
    host.sh(f"ip -n {far} route add 10.0.0.0/16 via {HOST_AT[0]}")
    try:
        reached = host.sh(f"ip netns exec {far} ping -c1 -W1 10.0.0.1 || echo no; ping -c1 -W60 10.0.0.1")
    finally:
        host.sh(f"ip -n {far} route del 10.0.0.0/16")

    assert "\nno\n" in reached
    assert "1 received" in reached.partition("\nno\n")[2]  # the host itself does


def test_names_are_asked_of_the_hosts_server(host: Machine, way: str) -> None:
    if not os.path.ismount("/etc"):
        pytest.skip("only in a cell may /etc/resolv.conf be another one")
    kept = Path("/etc/resolv.conf").read_text()
    host.netlab("down", "way")
    try:
        for server, resolver in ((FAR[0], FAR[0]), ("127.0.0.53", "10.0.1.2")):
            Path("/etc/resolv.conf").write_text(f"nameserver {server}\nsearch example\n")
            host.netlab("up", way)
            shown = host.netlab("exec", "a", "cat", "/etc/resolv.conf").stdout
            own = Machine("unused")
            own.far_path = host.path if server.startswith("127.") else host.far_path
            with own.server(socket.SOCK_DGRAM, server, 53, name_reply) as seen:
                host.netlab("exec", "--lab", "way", "r", "sh", "-ec", SEND_TO_LOOPBACK.format(sys.executable))
                found = host.netlab("exec", "a", "getent", "ahostsv4", "anything.example.org").stdout

            assert f"nameserver {resolver}\nsearch example\n" == shown
            assert FAR[0] in found
            assert seen
            if server.startswith("127."):
                assert "10.0.1.1" not in seen  # who has sent to the host's loopback
                return
            host.netlab("down", "way")
    finally:
        Path("/etc/resolv.conf").write_text(kept)


DAMAGE = [
    {
        "ip addr flush dev nl-way-0": "world nl-way-0: its address 10.0.1.2/24 is gone",
        "nft delete table inet netlab_way": "world: its table inet netlab_way of nftables is gone",
        "iptables-nft -F FORWARD": "world: this host drops what it forwards (iptables-nft -S FORWARD), and no",
        "sysctl -qw net.ipv4.ip_forward=0": "world: its sysctl net.ipv4.ip_forward is 0, planned is 1",
    },
    {
        "ip route flush 10.0.0.0/24": "world: its route to 10.0.0.0/24 through 10.0.1.1 is gone",
        "ip link set nl-way-0 down": "world nl-way-0: the link is down",
        "nft flush table inet netlab_way": "world: the chain inward of its table inet netlab_way of nftables has lost",
    },
]


@pytest.mark.parametrize("damage", DAMAGE, ids=["one", "two"])
def test_status_sees_damage_and_down_and_up_mend_it(host: Machine, way: str, damage: dict[str, str]) -> None:
    assert host.netlab("status", "way").returncode == 0
    for command in damage:
        host.sh(command)
    problems = json.loads(host.netlab("status", "way", "--format", "json", code=1).stdout)["problems"]
    host.netlab("down", "way")
    host.netlab("up", way)
    found = [f"{one['where']}: {one['what']}" for one in problems]

    assert [told for told in damage.values() if not any(one.startswith(told) for one in found)] == [], found


def test_the_table_goes_although_somebody_has_removed_the_file_of_what_was_forwarded(host: Machine, way: str) -> None:
    file = Path(paths.forwarding(os.stat(host.path).st_ino))
    kept = file.read_bytes()
    file.unlink()
    try:
        seen = host.netlab("status", "way", code=1).stdout
        host.netlab("down", "way")
        left = host.sh("nft list tables; iptables-nft -S FORWARD")
    finally:
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(kept)
        host.netlab("up", way)

    assert f"{file}, which says what this host forwarded before labs, is gone" in " ".join(seen.split())
    assert "netlab_way" not in left
    assert "nl-way" not in left


def test_down_ends_what_was_executed_there_and_nothing_else_on_the_host(host: Machine, way: str) -> None:
    own = host.inside(lambda: subprocess.Popen(["sleep", "inf"]))
    words = [sys.executable, "-m", "netlab", "exec", "--lab", "way", "world", "sleep", "inf"]
    executed = host.inside(lambda: subprocess.Popen(words, cwd=ROOT))
    try:
        eventually(lambda: Path(f"/proc/{executed.pid}/comm").read_text() == "sleep\n", "it runs")
        host.netlab("down", "way")

        assert executed.wait(PATIENCE_S) == -signal.SIGTERM
        assert own.poll() is None
    finally:
        own.kill()
        own.wait()
        executed.kill()
        executed.wait()
        host.netlab("up", way)


def test_two_labs_share_the_host_and_the_last_one_sets_it_back(host: Machine, way: str, tmp_path: Path) -> None:
    """The second one avoids the first one's networks, and stays the same lab when the first is gone."""
    other = tmp_path / "other.yml"
    other.write_text(OTHER)
    host.netlab("up", str(other))
    host.netlab("down", "way")
    again = host.netlab("up", str(other)).stderr
    with host.server(socket.SOCK_STREAM, FAR[0], 7001, bytes.upper) as seen:
        told = say(host, LONG, "b", socket.SOCK_STREAM, FAR[0], 7001)
    addresses = json.loads(host.netlab("status", LONG, "--format", "json").stdout)["nodes"]["b"]["addresses"]
    host.netlab("up", way)
    host.netlab("down", LONG)

    assert ("HELLO", [HOST_AT[0]]) == (told, seen)
    assert f"{LONG} is up already" in again
    assert ["10.0.2.1/24", "fd00:0:0:2::1/64"] == addresses["eth0"]
    assert "up" == json.loads(host.netlab("status", "way", "--format", "json").stdout)["state"]


def test_labs_that_are_planned_at_the_same_moment_choose_other_networks(host: Machine, tmp_path: Path) -> None:
    """Each is planned again, if need be, until its networks are its own."""
    names = [f"shut{number}" for number in range(4)]
    for name in names:
        (tmp_path / f"{name}.yml").write_text(CLOSED.replace("shut", name))
    try:
        with ThreadPoolExecutor(len(names)) as together:
            list(together.map(lambda name: host.netlab("up", str(tmp_path / f"{name}.yml")), names))
        reports = [json.loads(host.netlab("status", name, "--format", "json").stdout) for name in names]
    finally:
        for name in names:
            host.netlab("down", name)

    networks = [address for report in reports for address in report["nodes"]["c"]["addresses"]["eth0"]]
    assert len(networks) == 2 * len(names)
    assert len(set(networks)) == len(networks)


def test_written_networks_that_the_host_uses_are_refused_by_place(host: Machine, way: str, tmp_path: Path) -> None:
    bad = tmp_path / "bad.yml"
    bad.write_text(CLOSED.replace("[[c, world]]", "\n  - {endpoints: [c, world], subnet: 198.51.0.0/16}"))
    told = host.netlab("validate", str(bad), code=2).stderr

    assert f"{bad}:4:37: links.0.subnet: expected a network that this host does not use, found 198.51.0.0/16" in told
    assert "which overlaps its 198.51.100.0/24 (address of up0)" in told


def test_to_look_at_the_hosts_networks_takes_no_root(host: Machine, way: str) -> None:
    file = f"{ROOT}/tests/golden/ok/host.yml"

    assert "is a good topology" in host.netlab("validate", file, user=65534, group=65534, extra_groups=[]).stderr


def test_a_host_without_internet_forwards_nothing(host: Machine, way: str, tmp_path: Path) -> None:
    """Although it forwards for another lab; the lab reaches the host itself, and takes no nft."""
    shut = tmp_path / "shut.yml"
    shut.write_text(CLOSED)
    host.netlab("up", str(shut))
    try:
        host.netlab("exec", "--lab", "shut", "c", "ip", "route", "add", "default", "via", "10.0.2.2")
        near = host.netlab("exec", "--lab", "shut", "c", "ping", "-c1", "-W60", "198.51.100.2").stdout
        host.netlab("exec", "--lab", "shut", "c", "ip", "route", "add", "default", "via", "fd00:0:0:2::2")
        far = [host.netlab("exec", "--lab", "shut", "c", "ping", "-c1", "-W1", at, code=1).stdout for at in FAR]
    finally:
        (tmp_path / "nft").symlink_to("/bin/false")
        host.netlab("down", "shut", env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"})

    assert "1 received" in near
    assert ["0 received" in each for each in far] == [True, True]
