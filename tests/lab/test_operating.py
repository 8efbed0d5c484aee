"""A balancer that is changed while requests come in, by the verbs that a person types: no request is lost."""

import os
import re
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from netlab.testing.waiting import eventually
from tests.lab.feed import Feed, fed, in_hand
from tests.lab.lab import LAB, again, frozen, lab, netlab, pid, pids, stats, texts
from tests.lab.test_healing import free

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("no_leaks")]

FOUR = """
name: four
nodes:
  client: {role: client, autostart: false, args: {target: "lb:8080"}}
  lb:
    role: balancer
    args: {backends: [worker1, worker2, worker3], capacity: 5}
    xdp: {program: balancer, interfaces: [eth0, eth1, eth2, eth3, eth4, eth5]}
  worker: {replicas: 4, role: worker, args: {threads: 5, balancer: "lb:9090"}}
  thin: {role: worker, args: {threads: 5, balancer: "lb:9090"}}
  aside: {}
links: [[client, lb], [worker, lb], {endpoints: [thin, lb], mtu: 1400}, [aside, lb]]
"""
ALL_FREE = {"worker1": 5, "worker2": 5, "worker3": 5}


@pytest.fixture(scope="module")
def four(tmp_path_factory: pytest.TempPathFactory) -> str:
    path: Path = tmp_path_factory.mktemp("four") / "four.yml"
    path.write_text(FOUR)
    return str(path)


def served() -> Counter[str]:
    """Return how many requests each worker has received."""
    counts: Counter[str] = Counter()
    for worker in ("worker1", "worker2", "worker3", "worker4"):
        counts[worker] = sum(bool(re.match(r"received #", line)) for line in texts("logs", worker))
    return counts


@contextmanager
def traffic(name: str) -> Iterator[Feed]:
    """Send requests meanwhile, of which some always wait, and at the end wait until all of them are served."""
    with fed(name, lambda number: "0.02", in_hand(20)) as feed:
        yield feed
    eventually(lambda: stats()["received"] == feed.sent and not stats()["queue_depth"])
    eventually(lambda: free() == {name: each["capacity"] for name, each in stats()["backends"].items()})


def balancer(*words: str, code: int = 0) -> str:
    return netlab("balancer", *words, code=code).stderr


def test_every_change_under_traffic_and_no_request_is_lost(four: str) -> None:
    """Drained, weighed, removed, added, by another policy: each request is served once."""
    with lab(four):
        with traffic(LAB) as feed:
            assert "worker2 drained" in balancer("drain", "worker2")
            eventually(lambda: free()["worker2"] == 5)
            before = served()["worker2"]
            asked = stats()["received"]
            eventually(lambda: stats()["received"] > asked + 60)
            assert served()["worker2"] == before  # it gets nothing
            balancer("policy", "round-robin")
            balancer("add", "worker4", "--capacity", "3")
            eventually(lambda: served()["worker4"] > 0)
            balancer("undrain", "worker2")
            balancer("weight", "worker2", "3")
            balancer("remove", "worker1")
            assert set(free()) == {"worker2", "worker3", "worker4"}
            balancer("add", "worker1")
            eventually(lambda: served()["worker2"] > before)
        now = stats()

        assert sum(served().values()) == feed.sent == now["forwarded"] + now["dequeued"] == now["completions"]
        assert now["dropped"] == 0
        assert now["policy"] == "round-robin"
        assert {name: (each["capacity"], each["weight"]) for name, each in now["backends"].items()} == {
            "worker1": (5, 1), "worker2": (5, 3), "worker3": (5, 1), "worker4": (3, 1)
        }  # fmt: skip


def test_waiting_requests_go_to_the_backend_that_comes_back(four: str) -> None:
    """With all backends drained requests wait; an undrained one gets them at once, no completion is needed for it."""
    with lab(four):
        balancer("drain", "worker1", "worker2", "worker3")
        netlab("run", "client", "--count", "12", "--interval", "0", "--sleep", "0.05")
        eventually(lambda: stats()["queue_depth"] == 12)
        assert not any(served().values())
        balancer("undrain", "worker3")
        eventually(lambda: not stats()["queue_depth"] and free() == ALL_FREE)

        assert served() == Counter({"worker3": 12})
        balancer("drain", "worker3")
        netlab("run", "client", "--count", "4", "--interval", "0", "--sleep", "0.05")
        balancer("add", "worker4", "--capacity", "2")
        eventually(lambda: served()["worker4"] == 4)


def test_a_backend_with_work_in_hand_is_not_removed(four: str) -> None:
    """It stays, drained, unless it is to go now; what comes from it then is from a stranger, and changes nothing."""
    with lab(four):
        with frozen(*pids("worker1", "worker2", "worker3")):
            netlab("run", "client", "--count", "15", "--interval", "0", "--sleep", "0")
            eventually(lambda: free() == dict.fromkeys(ALL_FREE, 0))
            said = balancer("remove", "worker2", "--timeout", "0.2", code=1)
            assert "requests in hand after 0.2 s: worker2 5" in said
            assert stats()["backends"]["worker2"]["drained"]
            balancer("remove", "worker2", "--now")
            assert set(stats()["backends"]) == {"worker1", "worker3"}
        eventually(lambda: free() == {"worker1": 5, "worker3": 5})
        eventually(lambda: stats()["reasons"]["COMPLETION_STRANGER"]["packets"] == 5)
        balancer("add", "worker2")
        assert free() == ALL_FREE


def test_a_role_that_starts_again_keeps_what_was_changed(four: str) -> None:
    with lab(four):
        balancer("remove", "worker1")
        balancer("policy", "random")
        os.kill(pid("lb"), signal.SIGKILL)
        with again("lb") as said:
            eventually(lambda: stats()["reasons"]["ROLE_RESUMED"]["packets"])
            assert "worker1" not in free()
            assert stats()["policy"] == "random"
        text = "\n".join(said)
        assert "it keeps its settings and its state" in text
        assert "worker1" not in text
        assert "random" in text


MISTAKES = [
    (("shake", "worker1"), 2, "balancer shake: there is no such action; there are drain, undrain"),
    (("drain",), 2, "balancer drain needs more: netlab balancer drain NODE ..."),
    (("weight", "worker1"), 2, "balancer weight needs more"),
    (("weight", "worker1", "0"), 2, "weight 0: expected a whole number from 1 to 1000"),
    (("weight", "worker1", "half"), 2, "weight half: expected a whole number"),
    (("policy", "best"), 2, "policy best: expected one of most-free, round-robin, random, first-free"),
    (("drain", "worker4"), 2, "worker4 is no backend; there are worker1, worker2, worker3"),
    (("drain", "nobody"), 2, f"the lab {LAB} has no node nobody; it has client, lb"),
    (("add", "worker1", "wroker4"), 2, f"the lab {LAB} has no node wroker4; did you mean worker4?"),
    (("add", "worker1"), 2, "worker1 is a backend already"),
    (("add", "lb"), 2, "lb is the balancer itself"),
    (("add", "aside"), 1, "the program is not on eth6, where aside lives"),
    (("add", "thin"), 1, "thin's link carries packets of 1400 bytes; the others' carry 1500"),
    (("add", "client"), 0, "client added"),  # a node of any role may serve
    (("remove", "worker1", "worker2", "worker3", "client"), 2, "these are all backends that there are"),
    (("drain", "worker1", "--node", "client"), 2, "client carries no balancer; lb does"),
    (("drain", "worker1", "--capacity", "3"), 2, "balancer drain takes no --capacity; add does"),
    (("policy", "random", "--now"), 2, "balancer policy takes no --now; remove does"),
    (("add", "worker4", "--timeout", "1"), 2, "balancer add takes no --timeout; remove does"),
]


def test_mistakes_are_told_and_change_nothing(four: str) -> None:
    with lab(four):
        for words, code, message in MISTAKES:
            assert message in balancer(*words, code=code)
        assert not any(each["drained"] for each in stats()["backends"].values())
        assert set(free()) == {*ALL_FREE, "client"}
