"""Labs from Python: `from netlab import Lab, Topology`."""

import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from netlab import Lab, Topology
from netlab.api.balancer import Balancer
from netlab.api.link import Link
from netlab.api.maps import LabMap
from netlab.api.node import Node
from netlab.api.processes import Processes
from netlab.errors import CommandError, NetlabError, TimeLimitError, TopologyError, UsageError
from netlab.record import store
from netlab.testing.waiting import PATIENCE_S
from tests import pcapng
from tests.lab.lab import LAB, PARTB, ROOT, netlab

pytestmark = pytest.mark.root

COUNTER = """
#include <uapi/linux/bpf.h>
BPF_ARRAY(seen, u64, 4);
BPF_HASH(wanted, u32, u32);
int count(struct xdp_md *ctx)
{
	int zero = 0;
	seen.increment(zero);
	return XDP_PASS;
}
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("api")
    (folder / "count.c").write_text(COUNTER)
    built = (
        Topology(LAB, folder=folder)
        .node("a", command=["sh", "-c", "echo begins; exec sleep inf"], env={"COLOUR": "red"})
        .node("b", xdp=Path("count.c"), processes={"one": {"command": ["sleep", "inf"]}})
        .node("own", private=["/opt"])
        .link("a", {"node": "b", "interface": "wan"}, subnet="10.77.0.0/24")
        .link("b", "own")
    )
    with Lab.up(built) as lab:
        yield lab
    assert LAB not in store.labs()


def test_a_lab_has_nodes_with_addresses(lab: Lab) -> None:
    assert ["a", "b", "own"] == list(lab) == list(lab.nodes)
    assert len(lab) == 3
    assert "b" in lab
    assert "c" not in lab
    assert lab["a"].address == "10.77.0.1"
    assert lab["b"].addresses[0] == "10.77.0.2"
    with pytest.raises(UsageError, match="no node ow; did you mean own"):
        lab["ow"]


@pytest.mark.parametrize("node", ["a", "own"])
def test_a_command_runs_in_a_node(lab: Lab, node: str) -> None:
    """Also in one with files of its own; with the node's variables and the caller's."""
    done = lab[node].run('echo "$NETLAB_NODE $MORE"; cat; echo wrong >&2; exit 3', input="in\n", env={"MORE": "yes"})
    assert (3, f"{node} yes\nin\n", "wrong\n") == (done.returncode, done.stdout, done.stderr)
    assert lab["a"].run(["ping", "-c1", "b"], check=True).stdout.startswith("PING b ")


def test_a_command_that_fails_or_does_not_end_is_an_error(lab: Lab) -> None:
    with pytest.raises(CommandError, match="a: echo no >&2; exit 4: exit code 4\nno") as failed:
        lab["a"].run("echo no >&2; exit 4", check=True)
    assert (4, "no\n") == (failed.value.code, failed.value.err)
    assert lab["a"].run(["no-such-command"]).returncode == 127
    assert lab["own"].run(["no-such-command"]).returncode == 127
    began = time.monotonic()
    with pytest.raises(TimeLimitError, match=r"a: sleep 1000 & sleep 1000 is not over after 0\.2 s"):
        lab["a"].run("sleep 1000 & sleep 1000", timeout=0.2)
    assert time.monotonic() - began < PATIENCE_S


def test_what_no_node_can_run_is_wrong_usage(lab: Lab) -> None:
    with pytest.raises(UsageError, match="expected a folder as cwd, found no /nowhere"):
        lab["a"].run(["true"], cwd="/nowhere")
    with pytest.raises(UsageError, match="expected a command, found an empty list"):
        lab["a"].run([])


@pytest.mark.parametrize("ask", [lambda lab: lab.events(pattern="("), lambda lab: lab.wait_for("(", "a")])
def test_a_pattern_that_is_none_is_wrong_usage(lab: Lab, ask: Callable[[Lab], object]) -> None:
    with pytest.raises(UsageError, match=r"expected a regular expression, found '\('"):
        ask(lab)


def test_a_runtime_that_is_none_makes_nothing() -> None:
    with pytest.raises(UsageError, match="runtime 'vm': expected netns or docker"):
        Lab.up(Topology("vm").node("a"), runtime="vm")
    assert "vm" not in store.labs()


def test_a_lab_that_is_gone_has_nothing_to_show_and_is_not_waited_for() -> None:
    with Lab.up(Topology("gone").node("a")) as lab:
        lab.down()
        for look in (lab.status, lab.stats, lab.links):
            with pytest.raises(NetlabError, match="gone is not up any more"):
                look()
        with pytest.raises(NetlabError, match="gone is not up any more"):
            lab.wait_for("never", timeout=PATIENCE_S)


def test_a_started_command_is_the_caller_s(lab: Lab) -> None:
    with lab["a"].popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as running:
        out, _ = running.communicate("text", timeout=PATIENCE_S)
    assert (0, "text") == (running.returncode, out)


def test_processes_stop_start_and_are_killed(lab: Lab) -> None:
    def state() -> str:
        return lab.status().nodes["a"].processes[0].state

    lab["a"].stop()
    assert state() == "exited" or lab.status().nodes["a"].processes[0].stopped_by_request
    lab["a"].start()
    assert state() == "running"
    lab["a"].pause()
    assert state() == "paused"
    lab["a"].resume()
    lab["a"].kill(number=signal.SIGTERM)
    lab.wait(lambda: state() == "killed", "a is killed", timeout=PATIENCE_S)
    lab["a"].restart()
    assert ["a: begins"] * 3 == [f"{each.source}: {each.text}" for each in lab["a"].logs() if each.stream == "out"]
    with pytest.raises(UsageError, match="two"):
        lab["b"].stop("two")
    with pytest.raises(UsageError, match="found none"):
        lab.processes()
    several = lab.processes("a")
    several.stop()
    several.start()
    assert ["netlab: {0}: a stopped", "netlab: {0}: a started: process"] == [
        each.replace(lab.name, "{0}").rstrip(" 0123456789") for each in lab.notes[-2:]
    ]


def test_lines_are_waited_for(lab: Lab) -> None:
    before = time.monotonic_ns()
    with ThreadPoolExecutor(1) as other:
        found = other.submit(lab.wait_for, "^begin", "a", since_ns=before, timeout=PATIENCE_S)
        lab["a"].restart()
        event = found.result()
    assert ("a", "out", "begins") == (event.node, event.stream, event.text)
    assert event.monotonic_ns >= before
    assert abs(event.time_ns - time.time_ns()) < PATIENCE_S * 1e9
    with pytest.raises(
        TimeLimitError, match=r"no line from b with 'nothing' within 0.1 s; the last lines are:\n  b/one: "
    ):
        lab.wait_for("nothing", "b", timeout=0.1)


def test_events_are_followed_until_the_iterator_is_closed(lab: Lab) -> None:
    threads = threading.active_count()
    events = lab.events("a", since_ns=time.monotonic_ns(), pattern="begins", follow=True)
    lab["a"].restart()
    assert next(events).text == "begins"
    events.close()  # type: ignore[attr-defined]
    assert threads == threading.active_count()


def test_a_condition_is_waited_for(lab: Lab) -> None:
    assert lab.wait(lambda: 7) == 7
    with pytest.raises(TimeLimitError, match=r"seven is not so after 0\.05 s; it is 0"):
        lab.wait(lambda: 0, "seven", timeout=0.05)


def test_maps_are_read_and_written(lab: Lab) -> None:
    seen, wanted = lab["b"].map("seen"), lab["b"].map("wanted")
    assert {"seen", "wanted"} == {each.name for each in lab["b"].maps()}
    before = seen[0]
    lab["a"].run(["ping", "-c1", "b"], check=True)
    assert seen[0] > before
    wanted[5] = 7
    assert {5: 7} == dict(wanted.items())
    del wanted[5]
    with pytest.raises(NetlabError, match="no such key"):
        wanted[5]
    wanted["6"] = "8"
    assert wanted.clear() == 1
    with pytest.raises(UsageError, match="did you mean seen"):
        lab["b"].map("sen")


def test_a_program_is_replaced(lab: Lab) -> None:
    before = lab["b"].map("seen")[0]
    lab["b"].reload(define={"MORE": 1})
    assert lab["b"].map("seen")[0] >= before > 0


def test_a_link_is_impaired_and_cut(lab: Lab) -> None:
    link = lab.link("a", "b")
    link.set(delay="30ms", sender="a")
    link.set(loss="100%", sender="b")
    assert lab["a"].run(["ping", "-c1", "-W1", "b"]).returncode == 1
    link.set(loss=0, sender="b")
    found = lab["a"].run(["ping", "-c1", "b"], check=True).stdout
    assert float(found.partition("time=")[2].partition(" ")[0]) >= 30
    counted = {way.sender[0]: way.counts for way in link.stats().directions}
    assert counted["b"]
    assert counted["b"].lost >= 1
    link.reset()
    link.down()
    assert "a-b" in [each.link for each in lab.links() if each.is_down]
    link.up()
    lab["a"].run(["ping", "-c1", "b"], check=True)
    with pytest.raises(UsageError, match="expected a key, found 'dely'"):
        link.set(dely="1s")


def test_a_lab_is_changed_to_another_topology(tmp_path: Path) -> None:
    """What is the same goes on: a's process is the one that was there."""
    first = Topology(f"{LAB}c").node("a", command=["sleep", "inf"]).node("b").link("a", "b")
    with Lab.up(first) as lab:
        before = lab.status().nodes["a"].processes[0].pid
        lab.apply(first.node("c").link("b", "c"))
        assert lab["b"].run(["ping", "-c1", "c"], check=True).stdout
        assert before == lab.status().nodes["a"].processes[0].pid
        assert "c" in lab


def test_links_are_captured(lab: Lab, tmp_path: Path) -> None:
    """Into a file, and into a list; a wrong place or filter, and a file that is there, are refused."""
    with lab.capture(tmp_path / "a.pcapng", "a", filter="icmp") as packets, lab.capture(filter="icmp") as kept:
        lab["a"].run(["ping", "-c1", "b"], check=True)
    found = pcapng.read((tmp_path / "a.pcapng").read_bytes())

    assert (2, [], ["a:eth0", "a:eth0"]) == (packets.count, packets.lost, [each.interface for each in found.packets])
    assert {"a:eth0", "b:wan"} <= {each.place for each in kept.seen}
    with pytest.raises(UsageError, match="nobody: expected NODE or NODE:INTERFACE"), lab.capture("", "nobody"):
        pass
    with pytest.raises(UsageError, match="expected one in tcpdump's words"), lab.capture(filter="udp prot"):
        pass
    with pytest.raises(UsageError, match="there is one already"), lab.capture(tmp_path / "a.pcapng"):
        pass


def test_the_lab_of_a_name_is_there_once(lab: Lab) -> None:
    again = Lab.attach(LAB)
    assert again.record == lab.record
    assert f"<lab {LAB}>" == repr(again)
    with pytest.raises(NetlabError, match=f"lab named {LAB} is up"):
        Lab.up(Topology(LAB).node("x"))
    with pytest.raises(NetlabError, match="no lab named none-such is up"):
        Lab.attach("none-such")


def test_nodes_work_from_many_threads(lab: Lab) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda number: lab["a"].run(f"echo {number}", check=True).stdout, range(24)))
    assert found == [f"{number}\n" for number in range(24)]


def test_mistakes_come_all_at_once_and_nothing_is_made() -> None:
    with pytest.raises(TopologyError) as wrong:
        Lab.up(Topology("api-wrong").node("a", colour="red").link("a", "c"))
    assert ["nodes.a.colour", "links.0.1"] == [each.path for each in wrong.value.mistakes]
    assert "api-wrong" not in store.labs()


def test_a_balancer_is_changed_and_its_counts_are_read() -> None:
    with Lab.up(PARTB, name=f"{LAB}b", set={"nodes.client.autostart": False}) as lab:
        balancer = lab.balancer()
        assert ("lb", "lb") == (balancer.key, balancer.node)
        assert balancer.drain("worker1", "worker2") == 0
        balancer.policy("round-robin")
        balancer.weight(3, "worker3")
        lab["client"].run(
            [sys.executable, f"{ROOT}/roles/client.py", "--count", "4", "--sleep", "0.01"], timeout=PATIENCE_S
        )
        lab.wait(lambda: lab.stats().balancers["lb"].queue_depth == 0, timeout=PATIENCE_S)
        balancer.remove("worker2")
        with pytest.raises(UsageError, match="expected one of most-free"):
            balancer.policy("best")
        with pytest.raises(UsageError, match="client carries no balancer; lb does"):
            lab.balancer("client")
        assert f"{LAB}b" in netlab("list").stdout
        lab.apply(PARTB, set={"nodes.client.autostart": False, "nodes.worker.replicas": 4}, timeout=PATIENCE_S)
        assert "worker4" in lab
        assert lab.stats().balancers["lb"].backends.keys() >= {"worker3", "worker4"}


USER = '''
"""All of the interface, as a user's program has it."""
import signal
import subprocess
import time
from pathlib import Path

from netlab import Lab, Topology, errors


def main() -> int:
    topology = Topology("typed", description="x").node("a", command=["sleep", "inf"]).switch("s")
    topology.link("a", "s", mtu=1400)
    with Lab.up(topology, set={"nodes.a.env": {"A": 1}}, name="t", runtime="netns", timeout=3.0) as lab:
        done: subprocess.CompletedProcess[str] = lab["a"].run(["true"], check=True, timeout=3, cwd=Path())
        with lab["a"].popen("cat", stdin=subprocess.DEVNULL) as running:
            running.wait()
        a = lab.nodes["a"]
        a.kill(number=signal.SIGHUP)
        for change in (a.start, a.stop, a.restart):
            change("web", timeout=3.0)
        a.pause()
        a.resume()
        a.reload(define={"LIMIT": 5})
        said = [event.text for event in a.logs()]
        where: list[str] = [a.address, *a.addresses, lab.name, *lab.record.nodes, *a.record.interfaces]
        for each in a.maps():
            entries = [entry.value for entry in each.entries(zeros=True)], dict(each.items()), each.clear()
        text: str = lab.wait_for("x", "a", timeout=1).text
        number: int = lab.wait(lambda: 5)
        depths = [each.queue_depth for each in lab.stats().balancers.values()]
        for event in lab.events("a", since_ns=time.monotonic_ns(), follow=True):
            print(event.time_ns, event.source, event.stream, event.text, event.data)
        balancer = lab.balancer()
        in_hand: int = balancer.drain("a")
        balancer.undrain("a")
        balancer.weight(3, "a")
        balancer.policy("random")
        balancer.add("b", capacity=in_hand)
        balancer.remove("b", now=True)
        print(balancer.node, balancer.listed(["a"]), topology.document().root)
        lab.link("a", "s").reset(sender="a")
        lab.link("a", "s").set(delay="20ms", loss="1%", sender="a")
        lab.processes("a").restart()
        carried = [way.counts.carried for each in lab.links() for way in each.directions if way.counts]
        lab.apply(topology, set={"nodes.a.env": {"A": 2}}, timeout=3.0)
        lab["a"].map("m")["k"] = {"field": 1}
        with lab.capture("/tmp/a.pcapng", "a", filter="udp", verdicts=True) as packets:
            pass
        drops = [each.place for each in packets.seen if each.verdict and each.verdict.is_drop]
        problems: list[str] = [problem.said for problem in lab.status().problems]
    try:
        Lab.attach("x").down()
    except errors.NetlabError as error:
        return error.exit_code
    counts = (text, depths, drops, problems, carried + said + where)
    return done.returncode + number + sum(map(len, counts))
'''


def test_the_program_uses_all_of_the_interface() -> None:
    kinds = (Lab, Node, Processes, Link, Balancer, LabMap, Topology)
    public = {name for kind in kinds for name in vars(kind) if not name.startswith("_")}

    assert set() == {name for name in public if not re.search(rf"\.{name}\b", USER)}


def test_a_user_s_program_is_typed(tmp_path: Path) -> None:
    """Under mypy --strict, where netlab is installed."""
    (tmp_path / "user.py").write_text(USER)
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--cache-dir",
        str(tmp_path / "cache"),
        str(tmp_path / "user.py"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, timeout=PATIENCE_S)
    assert done.returncode == 0, done.stdout


def test_a_command_and_a_link_of_a_lab_that_is_gone_say_so() -> None:
    with Lab.up(Topology("gone").node("a").node("b").link("a", "b")) as lab:
        node, link = lab["a"], lab.link("a", "b")
        with pytest.raises(UsageError, match="no link is called 'a x'; there are a-b"):
            lab.link("a", "x")
        lab.down()
        for use in (lambda: node.run("true"), link.stats, lambda: link.set(delay="1ms"), lambda: node.popen("true")):
            with pytest.raises(NetlabError, match="gone is not up any more"):
                use()
