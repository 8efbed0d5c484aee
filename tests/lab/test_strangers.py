"""What another user can make to look like a part of a lab: it is not taken for one, and delays nobody.

Each thing is made by root too, for whom it counts; so it is known to look like what it is meant to.
"""

import os
import select
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from netlab.kernel import cgroups, kill, pids
from netlab.kernel.kill import Whose
from netlab.kernel.pids import is_alive, start_ticks
from netlab.record import mark
from netlab.supervise import client, identity, lab_cgroup
from netlab.testing.waiting import PATIENCE_S
from tests.lab.second_user import SECOND, as_user

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("no_leaks")]

FOLDER = "/run/netlab/strange"
# It takes no notice of SIGTERM.
SUPERVISOR = (
    "import signal, time\ndef main(*_):\n signal.signal(15, signal.SIG_IGN)\n print(flush=True)\n time.sleep(1e6)"
)
READY_AND_STAY = 'exec sh -c "echo; exec sleep 1000"'  # with all that it is to be seen with, once it has said so
# As `ip netns exec` does it, with what the mark says in the place of a lab's folder.
SHOW_MARK = f"""
mkdir $0 && mount -t tmpfs {mark.mark("strange")} $0 && mkdir $0/etc && touch $0/etc/hosts &&
mount --bind $0/etc/hosts /etc/hosts && """
SHOW_VARIABLE = "NETLAB_NODE_FILE=/strange; export NETLAB_NODE_FILE; "
WHOSE = Whose((), "NETLAB_NODE_FILE=/strange", mark.mark("strange"))
GIVE_UP = f"setpriv --reuid {SECOND} --regid {SECOND} --clear-groups"


class Strangers:
    """Processes that say when they are there, and a folder that each of them may use."""

    def __init__(self) -> None:
        self.folder = tempfile.mkdtemp(prefix="strangers-")
        os.chmod(self.folder, 0o1777)  # noqa: S103 - as /tmp is
        self.started: list[subprocess.Popen[str]] = []

    def run(self, argv: Sequence[str], user: int, executable: str | None = None) -> subprocess.Popen[str]:
        """Start one and wait for its first line, "" if it has ended without."""
        one = subprocess.Popen(
            argv,
            executable=executable,
            user=user,
            group=user,
            extra_groups=[],
            cwd="/",
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.started.append(one)
        assert one.stdout
        assert select.select([one.stdout], [], [], PATIENCE_S)[0]
        if said := one.stdout.readline().strip():
            pytest.fail(said) if user == 0 else pytest.skip(f"this host does not let a user do that: {said}")
        return one

    def supervisor(self, user: int, boot: str = identity.SUPERVISOR_BOOT) -> subprocess.Popen[str]:
        """Start a process with a supervisor's command line."""
        where = Path(self.folder, "netlab")
        if not where.exists():
            for folder in (where, where / "supervise"):
                folder.mkdir(0o755)
                for name, text in (("__init__.py", ""), ("supervisor.py", SUPERVISOR)):
                    (folder / name).write_text(text)
                    (folder / name).chmod(0o644)
        argv = ["python3", "-IS", "-c", boot, self.folder, FOLDER]
        return self.run(argv, user, shutil.which("python3", path="/usr/bin:/usr/local/bin"))

    def shell(self, script: str, user: int = 0, *, before: str = "") -> subprocess.Popen[str]:
        """Start a shell with a mount point of its own as its $0, after some words for unshare(1) and the like."""
        return self.run([*before.split(), "sh", "-c", script, f"{self.folder}/{len(self.started)}"], user)

    def close(self) -> None:
        for one in self.started:
            one.kill()
            one.communicate()
        shutil.rmtree(self.folder)


@pytest.fixture
def strangers() -> Iterator[Strangers]:
    made = Strangers()
    yield made
    made.close()


def test_who_is_called_like_a_supervisor_is_one_only_if_it_is_roots(
    strangers: Strangers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also one of an earlier build. All have one deadline: each is asked to end before the first one is killed."""
    theirs = strangers.supervisor(SECOND)
    ours = [strangers.supervisor(0, boot) for boot in identity.BOOTS]
    sent: list[int] = []
    send = kill.send

    def send_and_tell(pidfd: int, number: int) -> None:
        sent.append(number)
        send(pidfd, number)

    monkeypatch.setattr(kill, "send", send_and_tell)
    monkeypatch.setattr(client, "STOP_DEADLINE_S", 0.1)

    assert {pid for pid, _ in identity.supervisors(FOLDER)} == {one.pid for one in ours}
    assert client.stop_supervisor(FOLDER)
    assert sent == [signal.SIGTERM] * 2 + [signal.SIGKILL] * 2
    assert [one.wait(PATIENCE_S) for one in ours] == [-signal.SIGKILL] * 2
    assert not client.stop_supervisor(FOLDER)
    assert theirs.poll() is None


def test_a_setuid_program_is_not_roots() -> None:
    """Such as `su - -c ...`, which takes nearly any words from a user."""
    started = os.fork()
    if started == 0:
        counts = True
        try:
            os.setresuid(SECOND, 0, 0)
            counts = pids.is_ours(os.getpid())
        finally:
            os._exit(counts)

    assert os.waitpid(started, 0)[1] == 0
    assert pids.is_ours(os.getpid())


@pytest.mark.parametrize(
    ("user", "before", "shows", "counts"),
    [
        (0, "unshare -m", SHOW_MARK, True),
        (0, "unshare -Urm", SHOW_MARK, True),
        (0, "unshare -m", f"{SHOW_MARK} exec {GIVE_UP} ", True),
        (SECOND, "unshare -Urm", SHOW_MARK, False),
        (0, "unshare -n", SHOW_VARIABLE, True),
        (0, "unshare -n", f"{SHOW_VARIABLE} exec {GIVE_UP} ", False),
        (SECOND, "unshare -Urn", SHOW_VARIABLE, False),
    ],
)
def test_a_mark_counts_where_only_root_can_have_set_it(
    strangers: Strangers, user: int, before: str, shows: str, counts: bool
) -> None:
    """A user may be root in a namespace of their own, mount there what they like, and have any environment."""
    script = f"{shows}sh -c '{READY_AND_STAY}'" if "exec" in shows else f"{shows}{{ {READY_AND_STAY}; }}"
    one = strangers.shell(script, user, before=before)
    stopped = kill.stop_all(WHOSE)

    assert [int(name.split()[0]) for name in stopped.ended] == ([one.pid] if counts else [])
    assert (stopped.spared, stopped.left) == ([], [])
    assert is_alive(one.pid, start_ticks(one.pid)) != counts


def test_a_control_group_of_a_users_is_no_labs() -> None:
    """As in the part of a hierarchy that systemd gives to each user."""
    top = next(place.rpartition("/")[0] for place in lab_cgroup._places("x"))
    theirs = tempfile.mkdtemp(prefix="strange-", dir=top)
    os.chmod(theirs, 0o755)  # noqa: S103 - as the kernel makes them
    groups = [f"{theirs}/{mark.mark('ghost')}"]
    try:
        os.mkdir(groups[0])
        assert "ghost" in lab_cgroup.labs()
        os.rmdir(groups[0])
        os.chown(theirs, SECOND, SECOND)
        as_user(lambda: os.mkdir(groups[0]))
        assert os.path.isdir(groups[0])

        assert "ghost" not in lab_cgroup.labs()
        assert lab_cgroup.find("ghost", "/nowhere") == []
    finally:
        cgroups.remove([theirs])
