"""Attacks by what runs in an untrusted lab: each ends as docs/trust.md says, and leaves nothing."""

import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from netlab import Lab
from netlab.kernel import confinement
from netlab.kernel import pids as processes
from netlab.record import store
from netlab.record.model import LabRecord
from netlab.runtime import cgroup_limits, rooms
from netlab.testing.waiting import eventually
from tests.lab.lab import LAB, asked, inside, lab, netlab, pid, texts

CANARY = "canary-of-the-host"
FOLDERS = ("/etc", "/var/tmp", "/run", "/root", "/opt")  # noqa: S108
TOPOLOGY = """
name: hostile
nodes:
  a: {limits: {pids: 40, memory: 64M}}
  b: {command: [sleep, "100000"]}
links: [[a, b]]
"""
ATTEMPTS = [
    "mount -t tmpfs none /tmp",
    "mount --bind / /tmp",
    "umount /proc",
    "unshare --user --map-root-user true",
    "unshare --mount true",
    "nsenter --net=/proc/1/ns/net true",
    "nsenter --target 1 --mount true",
    "chroot /tmp true",
    "hostname other",
    "ip link add x type dummy",
    "ip link set eth0 down",
    "ip netns add other",
    "sysctl -w kernel.panic=1",
    "echo 1 >/proc/sys/kernel/panic",
    "dmesg",
    "insmod /usr/bin/true",
    "mknod /tmp/disk b 254 0",
    "setpriv --reuid 0 true",
    "su -c true",
    "touch /etc/passwd",
    "touch /usr/bin/new",
    "touch new",
]
pytestmark = [pytest.mark.root, pytest.mark.usefixtures("no_leaks")]


def written(folder: Path, text: str) -> str:
    """Write a topology into a folder of its own, with a neighbour that is nobody's business."""
    offered = {name for each in cgroup_limits.hierarchies() for name in each.controllers}
    if missing := set(cgroup_limits.CONTROLLERS) - offered:
        pytest.skip(f"this host has no control groups for {', '.join(missing)}")
    (folder / "mine").mkdir(exist_ok=True)
    (folder / "other-submission.c").write_text(CANARY)
    (folder / "mine/lab.yml").write_text(text)
    return str(folder / "mine/lab.yml")


@pytest.fixture
def hostile(tmp_path: Path) -> Iterator[str]:
    """An untrusted lab, in which a test attacks."""
    with lab(written(tmp_path, TOPOLOGY), "--untrusted") as name:
        yield name


def attack(script: str, node: str = "a", code: int | None = None) -> str:
    """Run an attack in a node, and return all that it prints."""
    done = inside(node, "sh", "-c", script, code=code, timeout=60)
    return done.stdout + done.stderr


@pytest.mark.usefixtures("hostile")
def test_forks_without_end_are_bounded() -> None:
    """The node has no more processes than its limit; the host can still start others, and `down` ends them all."""
    said = attack(
        "b() { b | b & b; }; (b >/dev/null 2>/tmp/said </dev/null &); while [ ! -s /tmp/said ]; do :; done;"
        " read line </tmp/said; echo $line"
    )

    assert "fork" in said
    assert subprocess.run(["true"], check=True).returncode == 0


def test_output_without_end_is_cut_off_and_that_is_said(tmp_path: Path) -> None:
    """The log holds its beginning and says that the rest is missing, as `status` does."""
    text = "name: loud\nnodes:\n  a: {command: [yes, 0123456789012345678901234567890123456789], may_exit: true}\n"
    with lab(written(tmp_path, text), "--untrusted"):
        eventually(lambda: any("its output is cut off here" in line for line in texts("logs", "a", "-n3")), "the cut")
        found = json.loads(asked("status", "--format", "json", codes=(0, 1)))["nodes"]["a"]["process"]

        assert found["cut_off_after"] > 1 << 20
        assert "its output was cut off" in asked("status", codes=(0, 1))


def test_a_command_whose_output_is_kept_is_cut_off_too(tmp_path: Path) -> None:
    """A check, or Python's `run`, gets no more than fits into a file of the room."""
    with Lab.up(written(tmp_path, "name: loud\nnodes: {a: }\n"), untrusted=True, name=LAB) as loud:
        done = loud["a"].run(["yes", "0123456789"])

    assert done.returncode == -signal.SIGXFSZ
    assert len(done.stdout) <= confinement._LARGEST


def test_who_ignores_every_request_to_end_is_ended(tmp_path: Path) -> None:
    """So are those whom he has put into the background, in sessions of their own."""
    stubborn = "trap '' TERM HUP INT; setsid sh -c 'sleep 4711 & sleep 4712' & while :; do sleep 1; done"
    text = f"name: stubborn\nnodes:\n  a: {{command: [sh, -c, {json.dumps(stubborn)}]}}\n"
    with lab(written(tmp_path, text), "--untrusted") as name:
        eventually(lambda: "4712" in attack("ps ax"), "the background")
        first = rooms.Rooms(_record(name)).known()["a"]
        netlab("down", name)

        assert not processes.is_alive(*first)
        assert "sleep 471" not in subprocess.run(["ps", "ax"], capture_output=True, text=True, check=True).stdout


@pytest.mark.usefixtures("hostile")
def test_nothing_of_the_machine_can_be_changed() -> None:
    """Mounts, namespaces, interfaces, settings, devices, files, users."""
    said = attack("; ".join(f"{{ {attempt}; }} 2>/tmp/why && echo done {attempt}" for attempt in ATTEMPTS))

    assert "" == said


@pytest.mark.usefixtures("hostile")
def test_calls_that_no_node_needs_are_refused() -> None:
    """Whether by permission or by the filter: BPF, tracing of others, keys, rings; and families of sockets beside."""
    code = """
import ctypes, errno, os, socket
libc = ctypes.CDLL(None, use_errno=True)
for name, number in {"bpf": 321, "keyctl": 250, "io_uring": 425, "clone3": 435, "perf": 298, "newer": 999}.items():
    assert libc.syscall(number, 0, 0, 0, 0) == -1
    print(name, errno.errorcode[ctypes.get_errno()])
for family in (socket.AF_VSOCK, socket.AF_ALG, 44):
    try:
        socket.socket(family, socket.SOCK_STREAM)
        print("open", family)
    except OSError as error:
        print(family, errno.errorcode[error.errno])
import fcntl
for request in (0x5412, 0x541C):
    try:
        fcntl.ioctl(0, request, b"x")
    except OSError as error:
        print(hex(request), errno.errorcode[error.errno])
"""
    if os.uname().machine != "x86_64":
        pytest.skip("the numbers are those of x86-64")
    said = inside("a", "python3", "-c", code).stdout.split("\n")

    assert ["bpf EPERM", "keyctl EPERM", "io_uring EPERM", "clone3 ENOSYS", "perf EPERM", "newer ENOSYS"] == said[:6]
    assert ["40 EAFNOSUPPORT", "38 EAFNOSUPPORT", "44 EAFNOSUPPORT", "0x5412 EPERM", "0x541c EPERM", ""] == said[6:]


@pytest.mark.usefixtures("hostile")
def test_a_lab_makes_no_labs() -> None:
    """netlab is there, as a program, but says what it lacks; and no lab is seen or made."""
    said = attack("printf 'name: x\\nnodes: {n: }\\n' >/tmp/x.yml; python3 -IS -m netlab up /tmp/x.yml; ls /run/netlab")

    assert "up after" not in said
    assert [LAB] == sorted(json.loads(asked("list", "--format", "json")), key=str) or LAB in asked("list")
    assert "No such file" in said


@pytest.mark.usefixtures("hostile")
def test_only_its_own_processes_can_be_ended() -> None:
    """Neither others of the host nor those of another node, nor the first of the room."""
    other, victim = pid("b"), subprocess.Popen(["sleep", "100"])
    try:
        said = attack(f"ps ax; kill -9 {other} {victim.pid} 1; kill -9 -1", code=None)

        assert "sleep" not in said
        assert victim.poll() is None
        assert other == pid("b")
        assert inside("a", "echo", "alive").stdout == "alive\n"
    finally:
        victim.kill()
        victim.wait()


@pytest.mark.usefixtures("hostile")
def test_the_host_cannot_be_connected_to() -> None:
    """Neither over loopback or another address of it, nor by a unix socket, with or without a file."""
    with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(socket.AF_UNIX) as abstract:
        abstract.bind(b"\0netlab-trust")
        abstract.listen()
        code = f"""
import socket
for family, where in ((2, ("127.0.0.1", {tcp.getsockname()[1]})), (1, b"\\0netlab-trust"), (2, ("192.0.2.1", 80))):
    try:
        made = socket.socket(family, socket.SOCK_STREAM)
        made.settimeout(1)
        made.connect(where)
        print("connected", where)
    except OSError as error:
        print(type(error).__name__)
"""
        said = inside("a", "python3", "-c", code).stdout

        assert "connected" not in said
        assert "ls: cannot access" in attack("ls /run/netlab /var/run/docker.sock /run/dbus")


@pytest.mark.usefixtures("hostile")
def test_no_file_of_the_host_is_seen(tmp_path: Path) -> None:
    """Canaries in its folders, and beside the topology, are in no output; nor are its users, or the lab's own files."""
    canaries = [Path(folder, f"{CANARY}-{os.getpid()}") for folder in FOLDERS if os.access(folder, os.W_OK)]
    assert canaries  # a virtual machine has some folders for reading only
    try:
        for path in (*canaries, tmp_path / "secret"):
            path.write_text(CANARY)
            path.chmod(0o644)
        looks = f"cat {' '.join(map(str, canaries))} {tmp_path}/secret {tmp_path}/other-submission.c"
        said = attack(
            f"{looks}; ls -laR /etc /var /run /root /home /opt /tmp; cat /etc/passwd /etc/shadow /etc/group;"
            " cat /proc/1/environ /proc/1/root/etc/shadow /proc/*/root/etc/shadow; cat /proc/kcore | head -c 10; env;"
            f" ls -la {tmp_path} / ; cat /run/netlab/*/lab.json; cat ../*;"
            " find / \\( -path /proc -o -path /usr \\) -prune -o -name '*canary*' -print"
        )

        assert not [line for line in said.split("\n") if CANARY in line and "No such file" not in line]
        assert "other-submission" not in said.replace("other-submission.c: No such file", "").replace(looks, "")
        assert "root:x:0:0:root" not in said  # as it is in the host's
        assert os.environ.get("HOME", "nobody") not in attack("env")
    finally:
        for path in canaries:
            path.unlink(missing_ok=True)


@pytest.mark.usefixtures("hostile")
def test_files_have_little_room() -> None:
    """In the node's memory, of which it has little; the disk of the host gets nothing."""
    said = attack("for to in /tmp /dev/shm /run /var/tmp /var/log; do dd if=/dev/zero of=$to/big bs=1M count=70; done")

    assert "No space left" in said or "Killed" in said
    used = attack("rm -f /tmp/big /dev/shm/big /run/big /var/tmp/big /var/log/big; df -k /tmp | tail -n1").split()
    assert int(used[1]) <= rooms.FOLDER_BYTES >> 10


@pytest.mark.usefixtures("hostile")
def test_memory_is_bounded() -> None:
    """Who takes more than his node has is killed."""
    assert "taken" not in attack("python3 -c 'b = bytearray(300 << 20); print(\"taken\")'")


@pytest.mark.usefixtures("hostile")
def test_a_process_and_a_command_have_the_same_few_rights() -> None:
    """One user for each node, with its raw sockets and low ports, no gain of rights, and the filter."""
    wanted = ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp", "Uid"]

    def rights(text: str) -> dict[str, str]:
        fields = dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)
        return {name: fields[name].split()[0] for name in wanted}

    command = rights(inside("b", "cat", "/proc/self/status").stdout)
    process = rights(Path(f"/proc/{pid('b')}/status").read_text())

    assert process == command
    assert {*(command[name] for name in wanted[:5])} == {"0000000000002400"}
    assert ("1", "2") == (command["NoNewPrivs"], command["Seccomp"])
    assert int(command["Uid"]) >= 0x70000000
    assert command["Uid"] != rights(inside("a", "cat", "/proc/self/status").stdout)["Uid"]


@pytest.mark.usefixtures("hostile")
def test_whoever_trusts_a_command_says_so() -> None:
    """Then it is root's, with the host's files, in the node's network."""
    assert inside("a", "id", "-u").stdout != "0\n"
    done = netlab("exec", "--trusted", "a", "sh", "-c", "id -u; ip -br addr show eth0; ls -d /run/netlab")

    assert ["0", "/run/netlab"] == [done.stdout.split("\n")[0], done.stdout.split("\n")[2]]
    assert "10.0.0.1/24" in done.stdout


def test_a_lab_that_was_killed_leaves_nothing(tmp_path: Path) -> None:
    """Neither when its supervisor is killed, nor when what makes its rooms is; `down` finds all."""
    with lab(written(tmp_path, TOPOLOGY), "--untrusted") as name:
        first = rooms.Rooms(_record(name)).known()
        attack("setsid sleep 4713 >/dev/null 2>&1 &")
        os.kill(_supervisor(name), 9)
        os.unlink(f"/run/netlab/{name}/rooms")  # so that it has to find them otherwise
        netlab("down", name)

        # One whose dead the machine's first process has not buried is still there, but has nothing any more.
        assert not [pid for pid, ticks in first.values() if processes.is_alive(pid, ticks) and _has_network(pid)]


def _has_network(pid: int) -> bool:
    return os.path.exists(f"/proc/{pid}/ns/net")


def test_a_room_that_has_ended_is_told(tmp_path: Path) -> None:
    """`status` says so, and a command there, too."""
    with lab(written(tmp_path, TOPOLOGY), "--untrusted") as name:
        os.kill(rooms.Rooms(_record(name)).known()["a"].pid, 9)
        eventually(lambda: "room has ended" in asked("status", codes=(0, 1)), "status tells it")

        assert "the room of a has ended" in netlab("exec", "a", "true", code=1).stderr


def test_a_trusted_topology_is_not_the_same_lab(tmp_path: Path) -> None:
    """`up` without the option says what differs; `apply` keeps to what the lab is."""
    file = written(tmp_path, TOPOLOGY)
    with lab(file, "--untrusted"):
        assert "that is untrusted, this trusted" in netlab("up", file, "--lab", LAB, code=1).stderr
        Path(file).write_text(
            TOPOLOGY.replace("links:", "  c: {command: [sleep, '9']}\nlinks:").replace("]]", "], [b, c]]")
        )
        netlab("apply", file, "--lab", LAB)
        assert int(inside("c", "id", "-u").stdout) >= 0x70000000
        Path(file).write_text(TOPOLOGY.replace("links:", "  c: {kind: host}\nlinks:"))

        assert "expected no node of kind host" in netlab("apply", file, "--lab", LAB, code=2).stderr


def _record(name: str) -> LabRecord:
    return store.read(name)


def _supervisor(name: str) -> int:
    found: int = json.loads(Path(f"/run/netlab/{name}/supervisor").read_text())["pid"]
    return found
