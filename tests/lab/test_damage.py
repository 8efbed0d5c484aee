"""Ways of damaging a lab that runs: `status` names each, `up` refuses, `down` removes all, and the next `up` works."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple

import pytest

from netlab.cli import main
from netlab.record import mark, noted_pins
from netlab.record.notes import Pinned
from netlab.supervise import client
from netlab.testing import leaks
from netlab.testing.waiting import PATIENCE_S, eventually
from tests.contents import CONTENTS, LAB_FILES, put
from tests.lab.damage import ANEW, FILES, FOLDER, LAB, WAYS, Way
from tests.lab.lab import ROOT

pytestmark = pytest.mark.root


def netlab(*words: str) -> int:
    """Run a verb in this process: what takes longest in most commands is to start one."""
    try:
        return main.main([*words])
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP})  # `up` blocks them


def problems(capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    """Return what `status` says is not as planned, and what mends it; its exit code says whether there is anything."""
    capsys.readouterr()
    code = netlab("status", LAB, "--format", "json")
    found = json.loads(capsys.readouterr().out)["problems"]
    assert code == (1 if found else 0)
    return {
        re.sub(r"process \d+", "process PID", f"{one['where'] or 'the lab'}: {one['what']}"): one["mend"]
        for one in found
    }


def pids() -> dict[str, str]:
    """Return the lab's processes by the names that a way of damage has for them."""
    known = {one.process: str(one.pid) for one in client.processes(FOLDER)}
    return {**known, "supervisor": str(client.supervisor_pid(FOLDER))}


def shell(commands: str) -> None:
    known = {**pids(), "F": FOLDER, "mark": mark.mark(LAB)}
    subprocess.run(["sh", "-ec", commands], check=True, timeout=PATIENCE_S, env={**os.environ, **known})


def left(before: leaks.Snapshot, deadline_s: float = 5.0) -> list[str]:
    """Return what is left of the lab, but for programs, which take the kernel a while: the last test looks for them."""
    until = time.monotonic() + deadline_s
    while True:
        found = leaks.difference(before, leaks.snapshot())
        ours = [line for line in found if LAB in line or "process" in line]
        if not ours or time.monotonic() > until:
            return ours


class Built(NamedTuple):
    """The lab's file, and what there was on the machine before."""

    topology: str
    before: leaks.Snapshot


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Built]:
    """A lab that every test finds up, and leaves up."""
    folder = tmp_path_factory.mktemp("damage")
    for name, content in FILES.items():
        (folder / name).write_text(content)
    before = leaks.snapshot()
    yield Built(str(folder / "dmg.yml"), before)
    netlab("down", LAB)

    assert not (there := leaks.settled(before)), "\n".join(there[:40])


@pytest.fixture
def in_time() -> Iterator[None]:
    """Fail where something would wait for ever."""

    def fail(_number: int, _frame: object) -> None:
        raise TimeoutError(f"not done within {PATIENCE_S:g} s")

    before = signal.signal(signal.SIGALRM, fail)
    signal.setitimer(signal.ITIMER_REAL, PATIENCE_S)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def whole(built: Built, capsys: pytest.CaptureFixture[str]) -> Built:
    """The lab as planned."""
    if not os.path.exists(FOLDER) or problems(capsys):  # the first test, or the one before has failed
        netlab("down", LAB)
        assert netlab("up", built.topology) == 0
    return built


def test_there_are_many() -> None:
    """No two do the same."""
    assert len({way.damage for way in WAYS}) == len(WAYS) >= 30


@pytest.mark.parametrize("way", WAYS, ids=[way.damage for way in WAYS])
def test_damage_is_seen_and_removed(way: Way, whole: Built, capsys: pytest.CaptureFixture[str]) -> None:
    """Each by its place and in words; nothing of it is left after `down`."""
    shell(way.damage)
    mends: list[str] = []

    def is_told() -> bool:
        mends[:] = [mend for what, mend in problems(capsys).items() if what.startswith(way.said)]
        return bool(mends)

    eventually(is_told)
    assert mends[0].startswith(way.mend)
    assert netlab("up", whole.topology) == 1
    assert netlab("down", LAB) == 0
    assert left(whole.before) == []
    assert netlab("up", whole.topology) == 0
    assert problems(capsys) == {}


@pytest.mark.usefixtures("whole")
def test_a_lab_without_its_folder_is_reported(capsys: pytest.CaptureFixture[str]) -> None:
    """As long as something else of it is there, also where no lab was named."""
    shell("umount -l $F; rmdir $F")
    capsys.readouterr()
    code = netlab("status", "--format", "json")
    found = json.loads(capsys.readouterr().out)

    assert (code, found["lab"], found["state"]) == (1, LAB, "half-built")
    assert "dmg is not up any more" in found["problems"][0]["what"]
    assert netlab("down", LAB) == 0


SEEN = {"lab.json", "env.json", "status.json", "pinned", "processes", "supervisor", "supervisor.sock", "group"}


@pytest.mark.usefixtures("in_time")
@pytest.mark.parametrize("content", CONTENTS)
def test_any_content_of_the_labs_files_is_answered(
    content: str, whole: Built, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each file alone is told, and `down` works with all of them; no pipe is waited for."""
    told = {}
    for name in LAB_FILES:
        with replaced(name, content):
            told[name] = netlab("status", LAB), netlab("up", whole.topology)
    for name in LAB_FILES:
        with suppress(FileNotFoundError):
            os.unlink(f"{FOLDER}/{name}")
        put(f"{FOLDER}/{name}", content)
    with_all = netlab("status", LAB), netlab("down", LAB)
    shown = capsys.readouterr()

    assert "inside netlab" not in shown.out + shown.err
    assert with_all == (1, 0)
    assert left(whole.before) == []
    for name, codes in told.items():
        is_seen = name in SEEN and (name, content) != ("env.json", "an object")  # which is a lab without `env:`
        assert (name, codes) == (name, (int(is_seen), int(name in SEEN)))


@contextmanager
def replaced(name: str, content: str) -> Iterator[None]:
    """Put something else in the place of a file of the lab's, for a while."""
    path, kept = f"{FOLDER}/{name}", f"{FOLDER}/kept"
    there = os.path.exists(path)
    if there:
        os.rename(path, kept)
    put(path, content)
    yield
    (os.rmdir if os.path.isdir(path) else os.unlink)(path)
    if there:
        os.rename(kept, path)


MENDABLE = """
ip -n dmg.m link set eth0 xdp off
ip -n dmg.a link set eth0 down mtu 1300 address 02:00:00:00:77:77
ip -n dmg.sw link set eth0 nomaster
ip -n dmg.sw link set br0 down
ip -n dmg.h link set lo down
ip -n dmg.r addr flush dev eth2
ip -n dmg.h route del 10.99.0.0/16
ip netns exec dmg.r sysctl -qw net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=0
ip netns exec dmg.r ethtool -K eth1 gro off tx on >/dev/null
kill -STOP $a $supervisor
"""


def test_what_is_said_to_mend_does(whole: Built, capsys: pytest.CaptureFixture[str]) -> None:
    """Done in the order in which it is told, all of it leads back to the plan; a program is put back by `reload`."""
    shell(MENDABLE)
    told = problems(capsys)

    assert len(told) >= MENDABLE.count("\n")
    for mend in dict.fromkeys(told.values()):
        command = mend.partition(",")[0].replace("netlab", f"{sys.executable} -m netlab", 1)
        assert not mend.startswith(ANEW)
        subprocess.run(["sh", "-ec", command], cwd=ROOT, check=True, timeout=PATIENCE_S, capture_output=True)
    eventually(lambda: problems(capsys) == {})


def test_a_reload_is_as_planned(whole: Built, capsys: pytest.CaptureFixture[str]) -> None:
    """Another program, of another name and with one more map, is then the one that is to be attached."""
    source = os.path.join(os.path.dirname(whole.topology), "own.c")
    with open(source, "w", encoding="utf-8") as file:
        file.write(FILES["own.c"].replace("int own(", "BPF_ARRAY(more, u64, 1);\nint renamed("))
    try:
        assert netlab("reload", "--lab", LAB, "m") == 0
        assert problems(capsys) == {}
        shell("rm $F/bpf/m/maps/more")
        assert "m: the pin of the map more is gone" in problems(capsys)
        assert netlab("down", LAB) == 0
    finally:
        with open(source, "w", encoding="utf-8") as file:
            file.write(FILES["own.c"])


@pytest.fixture
def source(whole: Built) -> Iterator[str]:
    """The program's file, which is as it was afterwards."""
    path = os.path.join(os.path.dirname(whole.topology), "own.c")
    yield path
    os.unlink(path)
    with open(path, "w", encoding="utf-8") as file:
        file.write(FILES["own.c"])


@pytest.mark.usefixtures("in_time")
def test_a_source_that_has_become_a_pipe_is_reported(source: str, capsys: pytest.CaptureFixture[str]) -> None:
    """And not waited for, with the lab's lock."""
    os.unlink(source)
    os.mkfifo(source)

    assert netlab("reload", "--lab", LAB, "m") == 2
    assert f"cannot read {source}: it is a device, pipe or socket" in capsys.readouterr().err
    assert problems(capsys) == {}


def test_a_reload_without_room_for_its_notes_changes_nothing(
    source: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither what is attached nor what is pinned."""
    with open(source, "a", encoding="utf-8") as file:
        file.write("BPF_ARRAY(more, u64, 1);\n")

    def full(folder: str, found: object) -> None:
        raise OSError(28, "No space left on device", f"{folder}/pinned")

    with monkeypatch.context() as patch:
        patch.setattr("netlab.record.noted_pins.note", full)
        assert netlab("reload", "--lab", LAB, "m") == 3
    assert "No space left on device" in (said := capsys.readouterr().err)
    assert "nothing was changed" in said
    assert problems(capsys) == {}


def test_what_a_reload_changes_meanwhile_is_no_problem(
    whole: Built, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was noted is read before what is pinned."""
    known = noted_pins.read(FOLDER)
    before = {**known, "m": Pinned("older", ("maps/seen", "programs/older"))}
    answers = [before, known]
    monkeypatch.setattr("netlab.record.noted_pins.read", lambda _: answers.pop(0) if answers[1:] else known)

    assert problems(capsys) == {}
    assert answers == [known]


def test_what_a_user_adds_is_his_own_affair(whole: Built, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing planned is gone; a client that has ended, and a host that forwards, are as planned too."""
    shell(
        """
        ip -n dmg.a addr add 10.5.5.5/24 dev eth0
        ip -n dmg.a route add 10.77.0.0/16 via 10.0.0.2
        ip -n dmg.a link add mine type veth peer name yours
        ip -n dmg.r route append default via 10.0.0.1
        ip netns exec dmg.a sysctl -qw net.ipv4.ip_forward=1
        echo 10.0.0.1 other >>$F/etc/hosts
        """
    )

    assert problems(capsys) == {}
    assert netlab("down", LAB) == 0


def test_without_the_right_to_enter_nodes_the_rest_is_reported(
    whole: Built, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line says that root would see more."""

    def refused(fd: int, kind: int = 0) -> None:
        raise PermissionError(1, "setns: Operation not permitted")

    monkeypatch.setattr("netlab.lab.snapshot.setns", refused)
    shell("ip -n dmg.a link set eth0 down; rm /etc/netns/dmg.r")
    capsys.readouterr()
    code = netlab("status", LAB)
    shown = capsys.readouterr()

    assert code == 1
    assert "r: /etc/netns/dmg.r is gone; what mends it: netlab down dmg, then up" in shown.out
    assert "a eth0" not in shown.out
    assert "sudo netlab status" in shown.err
    assert netlab("down", LAB) == 0
