"""What a library may do to the process that calls it: nothing. Labs are built, changed and removed meanwhile."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from netlab import Lab, Topology
from netlab.cli import typed
from netlab.cli.balancer import operate
from netlab.demo import parta
from netlab.demo.play import play
from netlab.errors import NetlabError
from netlab.kernel.signals import ENDINGS
from netlab.lab import bring_up, launch
from netlab.lab.host import Host
from netlab.lab.reload import reload
from netlab.lab.standing import Standing
from netlab.observe import log_view, stats, status
from netlab.observe.painter import Plain
from netlab.plan.planner import Plan, plan
from netlab.record import store
from netlab.topology import document, validate
from tests.lab.lab import LAB, PARTB, ROOT
from tests.lab.namespaces import own_namespace

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("no_leaks")]

PAIR = """
nodes:
  left: {xdp: pass}
  right: {command: [sleep, inf]}
links: [[left, right]]
"""
UP_S = 60.0


@pytest.fixture(autouse=True)
def _as_before(capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    """See that signals, namespaces, folder, umask, descriptors and threads of this process are not touched.

    Nor is anything printed: what there is to say, `say` is told.
    """
    before = state()
    yield
    assert before == state()
    assert ("", "") == capfd.readouterr()


def state() -> dict[str, object]:
    """Return what a library has to leave alone."""
    umask = os.umask(0)
    os.umask(umask)
    return {
        "mask": signal.pthread_sigmask(signal.SIG_BLOCK, ()),
        "handlers": [signal.getsignal(number) for number in signal.valid_signals()],
        "namespaces": [own_namespace(), *(os.readlink(f"/proc/self/ns/{name}") for name in ("mnt", "pid", "uts"))],
        "folder": os.getcwd(),
        "root": os.readlink("/proc/self/root"),
        "umask": umask,
        "descriptors": len(os.listdir("/proc/self/fd")),
        "threads": threading.active_count(),
    }


def planned(text: str, tmp_path: str) -> Plan:
    """Return the plan of a topology."""
    path = f"{tmp_path}/lab.yml"
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"name: {LAB}\n{text}")
    return plan(validate.topology(document.load(path)))


@contextmanager
def built(lab: Plan) -> Iterator[list[str]]:
    """Build a lab in this process, and remove it afterwards; yield what there was to say."""
    said: list[str] = []
    try:
        assert bring_up.up(lab, UP_S, said.append)
        yield said
    finally:
        bring_up.down(lab.topology.name, said.append)


def test_a_lab_comes_changes_and_goes(tmp_path: str) -> None:
    with built(planned(PAIR, tmp_path)) as said:
        after_up = state()
        reload(LAB, "left", (), said.append)

        assert after_up == state()
    assert any("is up after" in line for line in said)
    assert any("pass renewed on eth0" in line for line in said)
    assert f"netlab: {LAB} is down" == said[-1]


def test_a_lab_is_looked_at(tmp_path: str) -> None:
    """What is seen comes as data."""
    with built(planned(PAIR, tmp_path)):
        before = state()
        standing = Standing.read(LAB)
        seen = status.read(LAB)
        counted = stats.read(standing)
        command = launch.command(standing, "right", ["true"])
        said = list(log_view.of_processes(standing.record, ["right"], None, follow=False, style="text", paint=Plain()))

        assert before == state()
    assert ("up", ["left", "right"]) == (seen.state, list(seen.nodes))
    assert stats.LabStats(LAB, {}, {"left": stats.ProgramStats({})}, {"left": 0, "right": 0}) == counted
    assert ["ip", "netns", "exec", f"{LAB}.right", "true"] == command.argv
    assert ["right started as process"] == [line.split(" ", 1)[1].rpartition(" ")[0] for line in said]


def test_a_lab_that_fails(tmp_path: str) -> None:
    """What is undone leaves as little behind."""
    with pytest.raises(NetlabError, match="no such command"):
        bring_up.up(planned("nodes: {a: {command: [nosuch]}}", tmp_path), UP_S, lambda _: None)

    assert LAB not in store.labs()


def test_in_any_thread(tmp_path: str) -> None:
    """Only the main thread can have handlers of signals; labs can be built in others all the same."""
    lab, said = planned(PAIR, tmp_path), []

    def work() -> None:
        with built(lab) as told:
            said.append(told)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()

    assert 1 == len(said)
    assert f"netlab: {LAB} is down" == said[0][-1]


def test_a_signal_while_the_lab_is_written_down_reaches_the_caller_after_that(
    tmp_path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is too late to undo the lab, and the caller's own handler has it as soon as the lab stands."""
    heard: list[bool] = []
    complete = Host.complete

    def interrupted(host: Host) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        complete(host)

    monkeypatch.setattr(Host, "complete", interrupted)
    before = signal.signal(signal.SIGTERM, lambda *_: heard.append(store.is_complete(LAB)))
    try:
        with built(planned(PAIR, tmp_path)):
            pass
    finally:
        signal.signal(signal.SIGTERM, before)

    assert [True] == heard


def test_a_play_leaves_the_callers_mask(tmp_path: str) -> None:
    """Also where the caller has had them blocked."""
    path = f"{ROOT}/topologies/parta.yml"
    lab = plan(validate.topology(document.load(path, ["nodes.client.args.text=ab"]))._replace(name=LAB))
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, ENDINGS)
    blocked = state()
    evidence = play(lab, parta.is_over, UP_S, lambda _: None, lambda *_: None)
    assert blocked == state()
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    assert evidence.timeline


def test_a_play_that_is_interrupted_as_its_lab_is_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    """The lab goes, whoever built it."""
    complete = Host.complete

    def interrupted(host: Host) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        complete(host)

    monkeypatch.setattr(Host, "complete", interrupted)
    lab = plan(validate.topology(document.load(f"{ROOT}/topologies/parta.yml"))._replace(name=LAB))
    with pytest.raises(KeyboardInterrupt):
        play(lab, parta.is_over, UP_S, lambda _: None, lambda *_: None)

    assert LAB not in store.labs()


def test_a_balancer_is_changed_from_where_the_caller_is() -> None:
    """Devmaps and carriers belong to the balancer's namespace: a thread goes there, and not the caller."""
    changes = ("nodes.lb.args.backends=[worker1, worker2]", "nodes.lb.xdp.define.TRACE=0")
    lab = plan(validate.topology(document.load(PARTB, changes))._replace(name=LAB))
    words = typed.Balancer()
    words.node = words.capacity = words.timeout = None
    with built(lab) as said:
        for action, names in (("drain", "worker1"), ("undrain", "worker1"), ("add", "worker3"), ("remove", "worker3")):
            words.action, words.words_of_action, words.now = action, [names], action == "remove"
            now = state()
            operate(Standing.read(LAB), words, said.append)
            assert now == state()

    assert any("worker3 added" in line for line in said)


def test_a_lab_from_python() -> None:
    """Its commands, lines and captures leave nothing behind either."""
    with Lab.up(Topology(LAB).node("a", command=["echo", "said"], may_exit=True).node("b").link("a", "b")) as lab:
        assert lab["a"].run(["ping", "-c1", "b"], check=True).stdout
        assert lab.wait_for("said", "a").node == "a"
        with pytest.raises(NetlabError):
            lab["b"].run("sleep 100", timeout=0.05)
