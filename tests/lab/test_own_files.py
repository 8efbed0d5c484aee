"""Files of nodes' own in real namespaces: what holds them, what they cost, what is refused, and that they go."""

import ctypes
import errno
import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from netlab.kernel import syscalls
from netlab.testing.waiting import eventually
from tests.lab.lab import LAB, ROOT, background, inside, lab, netlab

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("no_leaks")]

NS_GET_MNTNS_ID = 0x8008B705
LISTMOUNT, LSMT_ROOT = 458, (1 << 64) - 1
IDLE = """
name: idle
nodes:
  a: {files: {/etc/netlab-test: {text: "of a"}}, private: [/var/log, /run/of-a, {path: /opt, content: host}]}
  b: {files: {/etc/netlab-test: {text: "of b"}}, limits: {memory: 64M}}
  PC_1: {files: {/etc/netlab-test: {text: "of ${node}"}}}
  plain: {}
links: [[a, plain]]
"""


@pytest.fixture
def idle(tmp_path: Path) -> Iterator[str]:
    """A lab in which nothing runs."""
    with lab(written(tmp_path, IDLE)) as name:
        yield name


def written(folder: Path, text: str) -> str:
    """Write a topology, and return its path."""
    (folder / "lab.yml").write_text(text)
    return str(folder / "lab.yml")


def only(own: str) -> str:
    """Return a topology of one node with this of its own."""
    return f"name: one\nnodes:\n  a: {{{own}}}\n"


def problems() -> list[tuple[str, str]]:
    """Return what status finds wrong, as where and what."""
    found = json.loads(netlab("status", "--format", "json", code=None).stdout)["problems"]
    return [(each["where"], each["what"]) for each in found]


def names_of_host() -> dict[str, int]:
    """Return how many processes of this machine have each host name namespace and each mount namespace."""
    found: dict[str, int] = {}
    for process in Path("/proc").iterdir():
        for kind in ("mnt", "uts"):
            try:
                name = os.readlink(process / "ns" / kind)
            except OSError:
                continue
            found[name] = found.get(name, 0) + 1
    return found


def test_no_process_holds_them(idle: str) -> None:
    """What `exec` enters is the same each time, and nobody is in it in between."""
    entered = [
        {inside(node, "readlink", f"/proc/self/ns/{kind}").stdout for node in ("a", "a")}
        for node, kind in [("a", "mnt"), ("b", "uts")]
    ]
    assert [1, 1] == [len(each) for each in entered]
    assert not {name.strip() for each in entered for name in each} & names_of_host().keys()
    assert not os.path.exists(f"/run/netlab/{idle}/supervisor.sock")


def test_ip_complains_of_no_names(idle: str) -> None:
    """It looks at each name of a namespace, to say where the other end of a link is; these would lead nowhere."""
    shown = inside("a", "ip", "link", "show", "eth0")

    assert ("", True) == (shown.stderr, "link-netns" in shown.stdout)
    assert "" == inside("a", "ls", "/run/netns").stdout


def test_what_is_mounted_in_a_node_stays(idle: str) -> None:
    """The namespaces are the node's, and not those of one command."""
    inside("a", "mount", "-t", "tmpfs", "of-a", "/mnt")
    inside("a", "hostname", "other")

    assert "of-a on /mnt" in inside("a", "mount").stdout
    assert "of-a on /mnt" not in inside("b", "mount").stdout
    assert [("a", "its host name is other, planned is a")] == problems()


def test_nodes_without_any_are_as_before(idle: str) -> None:
    assert f"{os.uname().nodename}\n" == inside("plain", "hostname").stdout
    assert 1 == inside("plain", "cat", "/etc/netlab-test", code=1).returncode


def test_the_host_name_is_as_it_is_written(idle: str) -> None:
    """With its capitals, as in `${node}`."""
    assert "PC_1\n" == inside("PC_1", "hostname").stdout
    assert "of PC_1" == inside("PC_1", "cat", "/etc/netlab-test").stdout


def test_limits_hold_in_them_too(idle: str) -> None:
    done = inside("b", sys.executable, "-c", "x = bytearray(200 << 20); print('had it')", code=None)
    assert (done.returncode != 0, done.stdout) == (True, "")


def test_the_folder_of_the_caller_is_kept(idle: str, tmp_path: Path) -> None:
    """If the node does not see it, the command starts in /."""
    os.makedirs("/var/log/netlab-test", exist_ok=True)

    assert f"{tmp_path}\n" == inside("a", "pwd", "-P", cwd=str(tmp_path)).stdout
    assert "/\n" == inside("a", "pwd", "-P", cwd="/var/log/netlab-test").stdout
    os.rmdir("/var/log/netlab-test")


def test_the_hosts_mounts_below_a_folder_are_seen(tmp_path: Path) -> None:
    """An overlay would hide them; in an empty folder only the lab's own is there."""
    os.makedirs("/opt/netlab-test/deep", exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "below", "/opt/netlab-test"], check=True)
    try:
        Path("/opt/netlab-test/seen").touch()
        with lab(written(tmp_path, only("private: [{path: /opt, content: host}, /run]"))) as name:
            assert "seen\n" == inside("a", "ls", "/opt/netlab-test").stdout
            assert f"netlab\n{name}\n" == inside("a", "ls", "/run", "/run/netlab").stdout.replace(
                "/run:\n", ""
            ).replace("\n/run/netlab:\n", "")
            assert name in inside("a", "cat", f"/run/netlab/{name}/lab.json").stdout
    finally:
        subprocess.run(["umount", "/opt/netlab-test"], check=True)
        os.removedirs("/opt/netlab-test/deep")


def test_they_are_gone_with_the_lab(tmp_path: Path) -> None:
    """Also the mounts in them, which would hold the host's file systems: asked by the numbers of the namespaces."""
    number_of("/proc/self/ns/mnt")  # or the test is skipped
    netlab("up", written(tmp_path, IDLE), "--lab", LAB)
    numbers = [number_of(f"/run/netlab/{LAB}/spaces/{node}.mnt") for node in "ab"]
    stood = [mounts_in(number) for number in numbers]
    netlab("down", LAB)

    assert all(count > 5 for count in stood)
    eventually(lambda: [mounts_in(number) for number in numbers] == [0, 0], "no mount is left")


def number_of(namespace: str) -> int:
    """Return the kernel's number of a mount namespace."""
    answer = bytearray(8)
    with open(namespace, "rb") as file:
        try:
            fcntl.ioctl(file, NS_GET_MNTNS_ID, answer)
        except OSError:
            pytest.skip("this kernel does not number mount namespaces (before Linux 6.11)")
    return int.from_bytes(answer, sys.byteorder)


def mounts_in(number: int) -> int:
    """Return how many mounts there are right below the root of a mount namespace, 0 if there is no such namespace."""
    found = (ctypes.c_uint64 * 100)()
    asked = (ctypes.c_uint64 * 4)(32, LSMT_ROOT, 0, number)  # the size of what is asked, and all mounts
    count = syscalls.libc().syscall(ctypes.c_long(LISTMOUNT), asked, found, ctypes.c_size_t(len(found)), 0)
    assert count >= 0 or ctypes.get_errno() == errno.ENOENT, os.strerror(ctypes.get_errno())
    return max(int(count), 0)


def test_a_process_that_leaves_the_nodes_network_ends_with_the_lab(tmp_path: Path) -> None:
    """It is known by what it sees, although it has a clean environment."""
    netlab(
        "up",
        written(
            tmp_path, only("files: {/etc/hosts: {text: x}, /etc/resolv.conf: {text: x}, /etc/gai.conf: {text: x}}")
        ),
        "--lab",
        LAB,
    )
    with background("a", ["nsenter", "--net=/proc/1/ns/net", "env", "-i", "sleep", "1000"]) as escaped:
        line = Path(f"/proc/{escaped.pid}/cmdline")  # it was outside before it was inside
        eventually(lambda: line.read_bytes() == b"sleep\0001000\0", "it is outside again")
        assert os.path.samefile(f"/proc/{escaped.pid}/ns/net", "/proc/1/ns/net")
        netlab("down", LAB)

        assert escaped.wait(20) < 0


def test_down_from_inside_is_refused(idle: str) -> None:
    argv = [sys.executable, "-m", "netlab", "down", idle]
    assert "this is a node of the lab" in inside("a", *argv, code=2, cwd=ROOT).stderr
    assert [] == problems()


def test_what_is_gone_is_reported(idle: str) -> None:
    """Files, and the namespaces themselves; `exec` says so, too."""
    inside("b", "rm", "/etc/netlab-test")
    assert [("b", "its own /etc/netlab-test is gone")] == problems()
    way = f"/run/netlab/{idle}/spaces/a.mnt"
    subprocess.run(["umount", way], check=True)

    assert ("a", f"its own files are gone: nothing is mounted at {way}") in problems()
    assert "cannot enter the node" in inside("a", "true", code=1).stderr


def test_another_content_is_another_lab(tmp_path: Path) -> None:
    """The same lab may be asked for twice; one with other files is refused."""
    (tmp_path / "x").write_text("one")
    path = written(tmp_path, only("files: {/etc/netlab-test: x}"))
    with lab(path) as name:
        assert "is up already" in netlab("up", path, "--lab", name).stderr
        (tmp_path / "x").write_text("other")
        assert f"a lab named {name} is up" in netlab("up", path, "--lab", name, code=1).stderr


@pytest.mark.parametrize(
    ("own", "message"),
    [
        ("files: {/opt/netlab-link/x: {text: x}}", "expected a path outside /proc, which no node has for itself"),
        ("files: {/etc/passwd/x: {text: x}}", "expected a folder at /etc/passwd, found something else"),
        ("files: {/etc/ssl: {text: x}}", "expected a file at /etc/ssl, found a folder there"),
        ("files: {/no-such-folder/x: {text: x}}", "expected a path in a folder right below / of this host"),
        ("private: [/no-such-folder]", "expected a path in a folder right below / of this host"),
        ("private: [/etc/passwd]", "expected a folder at /etc/passwd, found something else"),
        ("files: {/etc/x: {text: x, owner: nosuch}}", "owner nosuch: this host has no such user or group"),
        (
            "private: [{path: /run/x, owner: 'daemon:nosuch'}]",
            "owner daemon:nosuch: this host has no such user or group",
        ),
    ],
)
def test_what_this_host_cannot_give_is_refused(tmp_path: Path, own: str, message: str) -> None:
    """Nothing is written outside the node, and nothing is left."""
    os.makedirs("/opt", exist_ok=True)
    os.symlink("/proc/self", "/opt/netlab-link")
    try:
        said = netlab("up", written(tmp_path, only(own)), "--lab", LAB, code=1).stderr
        assert message in said
        assert "a: " in said
    finally:
        os.unlink("/opt/netlab-link")


def test_links_of_the_host_are_followed_but_not_written_through(tmp_path: Path) -> None:
    """The place is where the link leads; a link with the file's own name is replaced in the node."""
    target = tmp_path / "target"
    target.mkdir()
    (target / "file").write_text("of the host")
    os.makedirs("/opt", exist_ok=True)
    os.symlink(target, "/opt/netlab-link")
    os.symlink(target / "file", target / "way")
    try:
        own = "files: {/opt/netlab-link/way: {text: own}, /opt/netlab-link/new/x: {text: own}}"
        with lab(written(tmp_path, only(own))):
            assert "own" == inside("a", "cat", f"{target}/way").stdout
            assert "own" == inside("a", "cat", "/opt/netlab-link/new/x").stdout
            assert "of the host" == inside("a", "cat", f"{target}/file").stdout
        assert {"file", "way"} == set(os.listdir(target))
        assert "of the host" == (target / "file").read_text()
    finally:
        os.unlink("/opt/netlab-link")


@pytest.mark.parametrize("what", ["fifo", "huge", "directory", "link"])
def test_hostile_sources_are_refused_by_place(tmp_path: Path, what: str) -> None:
    """With the line: a pipe is not waited for, and of a gigabyte not all is read."""
    source = tmp_path / "source"
    if what == "fifo":
        os.mkfifo(source)
    elif what == "huge":
        with source.open("wb") as file:
            file.truncate(1 << 30)
    elif what == "directory":
        source.mkdir()
    else:
        source.symlink_to(source)
    said = netlab("up", written(tmp_path, only("files: {/etc/x: source}")), code=2).stderr

    assert "lab.yml:3:23: nodes.a.files./etc/x: expected a file to give to the node, found 'source': " in said


def test_namespaces_younger_than_they_look(tmp_path: Path) -> None:
    """The kernel numbers them by CPU, and refuses those that seem older than where they are to be held."""
    path = written(tmp_path, only("files: {/etc/netlab-test: {text: own}}"))
    command = f"{sys.executable} -m netlab"
    there = f"{command} up {path} --lab {LAB} && {command} exec --lab {LAB} a cat /etc/netlab-test"
    script = f"{there}; {command} down {LAB}"
    processors = sorted(os.sched_getaffinity(0))
    for first in processors[:2]:
        for then in processors[:2]:
            argv = ["taskset", "-c", str(first), "unshare", "-m", "taskset", "-c", str(then), "sh", "-c", script]
            done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
            assert "own" == done.stdout, done.stderr
