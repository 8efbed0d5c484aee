"""A second user of the same machine, without rights: what somebody else's lab lets them read, change or spoil.

The user is a process that has given up root for good, in which the attacks run as functions: so they need no user to be
made, and no files that others may read. The builder comes through sudo, as far as the environment says.
"""

import contextlib
import glob
import io
import json
import os
import select
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from netlab.cli import main
from netlab.demo import report, save
from netlab.testing import leaks
from netlab.testing.waiting import eventually
from tests.lab.lab import PARTB, netlab
from tests.lab.second_user import SECOND, User, as_user, walk

pytestmark = pytest.mark.root

BUILDER = 4711  # the builder's number, and that of the builder's group
LAB, OTHER = "under-attack", "another"
SECRET = "correct-horse"
ARGUMENT = "31415"  # of a process that has not been started
PUBLIC = {"bashrc", "processes", "status.json", "supervisor", "up", "etc/gai.conf", "etc/hosts", "etc/resolv.conf"}
PLAIN = "name: plain\nnodes:\n  a: {command: [sh, -c, 'umask; exec sleep 1000']}\n  b: {}\nlinks: [[a, b]]\n"


def says(*words: str) -> list[object]:
    """Run netlab in this process, and return its exit code, what it prints and what it says."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main.main(words)
    return [code, out.getvalue(), err.getvalue()]


def netlab_as_user(*words: str, group: int = SECOND) -> Any:
    """Run netlab as the second user, and return the same.

    As root first: what it imports is there then, also where the second user cannot read it.
    """
    says(*words)
    return as_user(lambda: says(*words), group)


def through_sudo(**more: str) -> dict[str, str]:
    """Return the environment of a netlab that somebody has called through sudo."""
    return {**os.environ, "SUDO_UID": str(BUILDER), "SUDO_GID": str(BUILDER), **more}


def racing(folder: str, until: int) -> list[str]:
    """Try again and again to be the one who makes what a lab needs, until a pipe ends; return what was won."""
    won: list[str] = []
    names = ("bpf", "bpf/lb", "bpf/lb/maps", "compiler", "compiler/headers", "logs", "programs", "etc", "netns")
    while not select.select([until], [], [], 0)[0]:
        for name in names:
            with contextlib.suppress(OSError):
                os.mkdir(f"{folder}/{name}", 0o777)
                won.append(name)
    return won


@pytest.fixture(scope="module")
def labs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Two labs with a balancer each, the first built with umask 000 while the second user runs a race against it."""
    before = leaks.snapshot()
    about = (f"nodes.client.env.TOKEN={SECRET}", "nodes.client.autostart=false", f"nodes.client.args.seed={ARGUMENT}")
    until, enough = os.pipe()

    def race() -> list[str]:
        os.close(enough)
        return racing(f"/run/netlab/{LAB}", until)

    user = User(race)
    os.close(until)
    try:
        changes = [f"--set={each}" for each in about]
        netlab("up", PARTB, "--lab", LAB, *changes, umask=0o000, env=through_sudo())
        os.close(enough)
        won = user.result()
        netlab("up", PARTB, "--lab", OTHER)
        yield json.dumps(won)
    finally:
        with contextlib.suppress(OSError):
            os.close(enough)
        netlab("down", "--lab", LAB, code=None)
        netlab("down", "--lab", OTHER, code=None)
    left = leaks.settled(before)
    assert not left, "\n".join(left)


def test_nobody_wins_a_race_against_up(labs: str) -> None:
    """A folder that is another's is a folder in which another can put what root then takes for its own."""
    assert labs == "[]"
    for path in walk(f"/run/netlab/{LAB}"):
        if path.startswith(f"/run/netlab/{LAB}/tracing/"):  # the kernel's, where other labs come and go
            continue
        about = os.lstat(path)
        assert about.st_uid == 0, path
        if not stat.S_ISLNK(about.st_mode):
            assert not about.st_mode & 0o022, f"{path}: {about.st_mode:o}"


def test_nothing_can_be_written_or_made(labs: str) -> None:
    """Neither in the lab nor beside it, though it was built with umask 000."""

    def writable() -> list[str]:
        groups = [
            path for pattern in ("*", "*/*", "*/*/*") for path in glob.glob(f"/sys/fs/cgroup/{pattern}") if LAB in path
        ]
        tops = ["/run/netns", "/etc/netns", "/run/netlab", *groups]
        places = [path for top in tops for path in walk(top)]
        return [path for path in places if not os.path.islink(path) and os.access(path, os.W_OK)]

    assert [] == as_user(writable)


def test_only_what_status_shows_can_be_read(labs: str) -> None:
    """Not the variables, the arguments, the sources or what was printed."""

    def readable() -> dict[str, str]:
        found = {}
        for path in walk(f"/run/netlab/{LAB}"):
            if not path.startswith(f"/run/netlab/{LAB}/netns/") and os.path.isfile(path) and os.access(path, os.R_OK):
                with open(path, encoding="utf-8") as file:
                    found[os.path.relpath(path, f"/run/netlab/{LAB}")] = file.read()
        return found

    found = as_user(readable)

    assert set(found) <= PUBLIC
    assert "status.json" in found
    assert not [name for name, text in found.items() if SECRET in text or ARGUMENT in text]


def test_everybody_has_status(labs: str) -> None:
    """The same as root's, who has looked into the nodes too: what is there now, and what their kernels have counted."""
    code, out, err = netlab_as_user("status", "--lab", LAB, "--format", "json")
    ours = json.loads(netlab("status", "--lab", LAB, "--format", "json").stdout)

    assert (0, "") == (code, err)
    theirs = json.loads(out)
    counted = [{node.pop("udp_rcvbuf_errors") for node in told["nodes"].values()} for told in (ours, theirs)]
    assert counted == [{0}, {None}]
    states = [{port["state"] for port in _interfaces(told)} for told in (ours, theirs)]
    assert states == [{"up"}, {""}]
    for node in (*theirs["nodes"].values(), *ours["nodes"].values()):
        for process in (node["process"] or {}, *node["processes"]):
            for changing in ("cpu_percent", "rss_bytes", "threads", "since", "command"):
                process.pop(changing, None)
        for port in node["interfaces"].values():
            for hidden in ("state", "peer", "programs"):
                port.pop(hidden)
        for program in node["programs"]:
            program.pop("mode")
    assert (ours.pop("looked_inside"), theirs.pop("looked_inside")) == (True, False)
    assert ours == theirs


def _interfaces(status: dict[str, Any]) -> list[dict[str, Any]]:
    return [port for node in status["nodes"].values() for port in node["interfaces"].values()]


@pytest.mark.parametrize("verb", ["logs", "trace"])
def test_what_was_printed_is_for_who_built_the_lab(labs: str, verb: str) -> None:
    """Whose group sudo has told; others hear whom to ask, in one line."""
    if verb == "trace":
        netlab("run", "--lab", LAB, "client", "--count", "1", "--sleep", "0")
    eventually(lambda: "lb" in str(netlab_as_user(verb, "--lab", LAB, group=BUILDER)[1]))
    refused = netlab_as_user(verb, "--lab", LAB)

    assert refused[:2] == [1, ""]
    assert "was built by somebody else: without root you see of it what netlab status" in refused[2]


def test_who_built_the_lab_reads_no_variables_and_writes_nothing(labs: str) -> None:
    """Who has sudo is asked for it."""

    def writable() -> list[str]:
        return [path for path in walk(f"/run/netlab/{LAB}") if os.access(path, os.W_OK)]

    def read(name: str) -> str:
        return Path(f"/run/netlab/{LAB}/{name}").read_text()

    assert [] == as_user(writable, BUILDER)
    assert "PermissionError" == as_user(lambda: read("env.json"), BUILDER)
    about = as_user(lambda: read("lab.json"), BUILDER)
    assert (ARGUMENT in about, SECRET in about) == (True, False)


def test_the_lab_still_has_its_variables(labs: str) -> None:
    """Root reads them where they are."""
    assert SECRET == netlab("exec", "--lab", LAB, "client", "printenv", "TOKEN").stdout.strip()


def test_a_link_in_the_place_of_pins_leads_nowhere(labs: str) -> None:
    """Root's `drain` in one lab would be the other's."""
    pins = [f"/run/netlab/{name}/bpf/lb" for name in (LAB, OTHER)]

    def link() -> None:
        os.rename(f"{pins[0]}/maps", f"{pins[0]}/before")
        os.symlink(f"{pins[1]}/maps", f"{pins[0]}/maps")

    assert "PermissionError" == as_user(link)
    netlab("balancer", "--lab", LAB, "drain", "worker1")
    other = json.loads(netlab("stats", "--lab", OTHER, "--format", "json").stdout)["balancers"]["lb"]["backends"]

    assert not other["worker1"]["drained"]


@pytest.mark.parametrize(
    "path", ["programs/lb.c.new", "programs/lb.c", "compiler/headers/uapi/linux", "logs/lb.log", "up.new", "mine"]
)
def test_a_link_to_a_file_of_roots_overwrites_nothing(labs: str, tmp_path: Path, path: str) -> None:
    """Such as `reload` would write, or compile."""
    victim = tmp_path / "victim"
    victim.write_text("root's alone")
    victim.chmod(0o600)

    def link() -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"/run/netlab/{LAB}/{path}")
        os.symlink(victim, f"/run/netlab/{LAB}/{path}")

    assert "PermissionError" == as_user(link)
    if path.startswith("programs/"):
        netlab("reload", "--lab", LAB, "lb", umask=0o000)

    assert "root's alone" == victim.read_text()
    assert 0 == os.stat(f"/run/netlab/{LAB}/programs/lb.c").st_mode & 0o027


@pytest.fixture
def plain(tmp_path: Path, no_leaks: None) -> Iterator[str]:
    """The file of a lab without programs, which is removed in the end."""
    (tmp_path / "plain.yml").write_text(PLAIN)
    yield str(tmp_path / "plain.yml")
    netlab("down", "--lab", "plain")


@pytest.mark.parametrize("umask", [0o000, 0o027, 0o077], ids=oct)
def test_the_umask_is_the_nodes_and_not_the_labs(plain: str, umask: int) -> None:
    """Processes in nodes have the caller's; everybody has `status`, and the builder `logs`, whatever it was."""
    netlab("up", plain, umask=umask, env=through_sudo())

    assert 0 == netlab_as_user("status", "--lab", "plain", "--format", "json")[0]
    eventually(lambda: f"{umask:04o}" in netlab_as_user("logs", "--lab", "plain", "a", group=BUILDER)[1])
    for words in (("exec", "--lab", "plain", "b", "sh", "-c", "umask"), ("shell", "--lab", "plain", "b")):
        done = netlab(*words, umask=umask, stdin=None, input="umask\n", env={**os.environ, "SHELL": "/bin/sh"})
        assert f"{umask:04o}" == done.stdout.strip()


def test_a_lab_of_roots_own_is_for_root(plain: str) -> None:
    """Nobody has come through sudo, so nobody's group may read it."""
    netlab("up", plain, env={name: value for name, value in os.environ.items() if name != "SUDO_GID"})

    assert 1 == netlab_as_user("logs", "--lab", "plain", group=BUILDER)[0]
    assert 0 == netlab_as_user("status", "--lab", "plain", "--format", "json", group=BUILDER)[0]


def test_no_demo_is_saved_where_another_can_redirect_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A link there would have root write over a file of anybody's."""
    names = ("theirs", "theirs/mine", "open", "group", "tmp", "own", "own/mine")
    theirs, within, open_to_all, of_a_group, like_tmp, own, mine = (tmp_path / name for name in names)
    for each in (theirs, within, open_to_all, of_a_group, like_tmp, own, mine):
        each.mkdir(0o755)
    os.chown(theirs, SECOND, SECOND)
    for each, mode in ((open_to_all, 0o777), (of_a_group, 0o775), (like_tmp, 0o1777), (mine, 0o775)):
        each.chmod(mode)
    os.chown(of_a_group, BUILDER, SECOND)
    for each in (own, mine):
        os.chown(each, BUILDER, BUILDER)

    reasons = {
        theirs: f"{theirs} belongs to user {SECOND}",
        theirs / "new": f"{theirs} belongs to user {SECOND}",
        theirs / "mine": f"{theirs} belongs to user {SECOND}",
        open_to_all: f"others can write to {open_to_all} (mode 777)",
        open_to_all / "new": f"others can write to {open_to_all} (mode 777)",
        of_a_group: f"others can write to {of_a_group} (mode 775)",
        like_tmp: "others can write to it (mode 1777)",
    }
    for given, why in reasons.items():
        done = netlab("demo", "parta", "--save", str(given), code=2, env=through_sudo())
        assert f"--save {given}: {why}: expected a folder of your own" in done.stderr
    assert [os.listdir(each) for each in (theirs, open_to_all)] == [["mine"], []]
    monkeypatch.setenv("SUDO_UID", str(BUILDER))
    for fine in (mine, like_tmp / "new"):
        with save.folder(str(fine)) as folder:
            assert os.listdir(folder) == [report.CAPTURES]


@pytest.fixture
def passing(tmp_path: Path, no_leaks: None) -> Iterator[str]:
    """The file of a lab with a program, which is removed in the end."""
    shutil.copy(os.path.join(os.path.dirname(os.path.dirname(PARTB)), "bpf", "pass.c"), tmp_path)
    (tmp_path / "passing.yml").write_text(
        "name: passing\nnodes:\n  a: {xdp: ./pass.c, command: [sleep, '1000']}\n  b: {}\nlinks: [[a, b]]\n"
    )
    yield str(tmp_path / "passing.yml")
    netlab("down", "--lab", "passing")


def test_a_cache_of_another_users_is_not_used(passing: str, tmp_path: Path) -> None:
    """It is said, and the program compiled; `reload` does so too."""
    cache = tmp_path / "cache"
    cache.mkdir()
    os.chown(cache, SECOND, SECOND)
    note = f"netlab: note: the cache {cache} is not used, because it belongs to user {SECOND}"
    environment = {**os.environ, "NETLAB_CACHE": str(cache)}

    assert note in netlab("up", passing, env=environment).stderr
    assert note in netlab("reload", "--lab", "passing", "a", env=environment).stderr
    assert [] == os.listdir(cache)


def test_a_cache_that_depends_on_the_current_folder_is_refused(passing: str) -> None:
    """As a usage error, and nothing is built."""
    done = netlab("up", passing, env={**os.environ, "NETLAB_CACHE": "cache"}, code=2)

    assert "NETLAB_CACHE is 'cache': expected the absolute path of a folder" in done.stderr
    assert not os.path.exists("/run/netlab/passing")


def test_no_module_of_pythonpath_runs_in_netlab(passing: str, tmp_path: Path) -> None:
    """Not even one that Python itself needs to start; the lab's processes find the variable as it was."""
    hostile = tmp_path / "hostile"
    for name in ("encodings", "netlab", "json"):
        (hostile / name).mkdir(parents=True)
        (hostile / name / "__init__.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w'); raise SystemExit(99)")
    environment = {**os.environ, "PYTHONPATH": str(hostile), "NETLAB_CACHE": ""}
    isolated = [sys.executable, "-I", "-m", "netlab"]
    for words in (["up", passing], ["exec", "--lab", "passing", "b", "sh", "-c", 'test "$PYTHONPATH" = "$0"', hostile]):
        done = subprocess.run([*isolated, *words], env=environment, capture_output=True, text=True, check=False)
        assert (done.returncode, "") == (0, done.stdout), done.stderr

    assert not (tmp_path / "ran").exists()
