"""What goes wrong with XDP in the kernel is counted, told, and named in words; one lab provokes it."""

import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from netlab.kernel import syscalls
from netlab.kernel.netlink import Channel
from netlab.observe import xdp_losses
from netlab.programs.maps import LoadedProgram
from netlab.record import store
from netlab.supervise import talk
from netlab.testing.leaks import nothing_left
from netlab.testing.waiting import PATIENCE_S, eventually
from tests.lab.lab import LAB, ROOT, inside, lab, netlab, python

pytestmark = [pytest.mark.root]

SOURCE = """
#include "lab.h"
#include <linux/if_ether.h>

BPF_DEVMAP(out, 4);
BPF_CPUMAP(cpus, 4);

int act(struct xdp_md *ctx)
{
	void *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = (void *)(long)ctx->data;
	unsigned char *what = (void *)(eth + 1);

	if ((void *)(what + 1) > end || eth->h_proto != 0xb588)
		return XDP_PASS;
	switch (*what) {
	case 1: return XDP_ABORTED;
	case 2: return 7;
	case 3: return bpf_redirect(77, 0);
	case 4: return XDP_REDIRECT;
	case 5: return bpf_redirect(TO_B_IFINDEX, 0);
	case 6: return out.redirect_map(0, 0);
	case 7: return XDP_TX;
	case 8: return cpus.redirect_map(0, 0);
	case 9: bpf_trace_printk("mine\\n"); return XDP_DROP;
	}
	return XDP_PASS;
}
"""
TOPOLOGY = f"""
name: {LAB}
nodes:
  a:
  fw:
    xdp: {{program: ./act.c, interfaces: [eth0]}}
    maps: {{out: {{0: eth1}}, cpus: {{0: 1}}}}
  b:
links: [[a, fw], [fw, b]]
"""
SEND = """
import socket, sys
what, count, size = map(int, sys.argv[1:])
packets = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
packets.bind(("eth0", 0))
for _ in range(count):
    packets.send(bytes(12) + b"\\x88\\xb5" + bytes([what]).ljust(size, b"\\0"))
"""
ABORTED, UNKNOWN, NOWHERE, NO_TARGET, OUT, BY_MAP, BACK, TO_CPU, PRINTS = range(1, 10)
FLOOD = 30_000
SET_GRO = 0x2C  # enum of linux/ethtool.h: ETHTOOL_SGRO
Loss = tuple[str, str, str, str]


@pytest.fixture(scope="module", autouse=True)
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Build the lab, where each link works."""
    folder = tmp_path_factory.mktemp("errors")
    (folder / "act.c").write_text(SOURCE)
    (folder / "errors.yml").write_text(TOPOLOGY)
    with nothing_left(), lab(str(folder / "errors.yml")):
        take_redirected("b", True)
        yield


def take_redirected(node: str, on: bool) -> None:
    """Let an interface take frames that XDP redirects to the other end of its link, by its GRO, or not."""

    def change() -> None:
        with closing(Channel()) as channel:
            channel.ethtool("eth0", SET_GRO, int(on))

    syscalls.inside(f"/run/netlab/{LAB}/netns/{node}", change)


def send(what: int, count: int = 1, size: int = 46) -> None:
    python("a", SEND, str(what), str(count), str(size))


def frame(what: int) -> bytes:
    return bytes(12) + b"\x88\xb5" + bytes([what]).ljust(46, b"\0")


def losses() -> Counter[Loss]:
    """Return how many frames were lost, by node, interface, reason and where they were to go."""
    found: Counter[Loss] = Counter()
    for each in xdp_losses.read(store.read(LAB)):
        found[each.node, each.interface, each.reason, each.target] += each.frames
    return found


@contextmanager
def reading() -> Iterator[None]:
    """Read events of XDP meanwhile, so that what is lost on the way is counted."""
    with talk.to(f"/run/netlab/{LAB}") as supervisor:
        supervisor.ask("watch", kinds=["xdp"])
        yield


def lines(verb: str, stream: str = "xdp") -> list[dict[str, Any]]:
    found = [json.loads(line) for line in netlab(verb, "--format", "json").stdout.splitlines()]
    return [line for line in found if line["stream"] == stream]


def lost(what: int, reason: str, target: str = "", count: int = 2, size: int = 46) -> None:
    """Send frames, of which each is lost for this reason and for no other."""
    before = losses()
    send(what, count, size)
    eventually(lambda: sum(losses().values()) == sum(before.values()) + count, f"{count} frames lost: {reason}")
    assert Counter({("fw", "eth0", reason, target): count}) == losses() - before


def test_each_loss_has_its_reason() -> None:
    """Whatever the program returns, and whatever the other interface is like."""
    send(OUT, 3)
    send(BY_MAP, 3)
    assert Counter() == losses()

    lost(ABORTED, "aborted")
    lost(UNKNOWN, "unknown-action")
    lost(NOWHERE, "no-such-interface")
    lost(NO_TARGET, "no-target")
    inside("b", "ip", "link", "set", "eth0", "mtu", "600")
    with reading():
        lost(BY_MAP, "receiver-full", "eth1", size=1000)
    inside("fw", "ip", "link", "set", "eth1", "mtu", "600")
    lost(BY_MAP, "too-large", "eth1", size=1000)
    lost(OUT, "too-large", "eth1", size=1000)
    inside("fw", "ip", "link", "set", "eth1", "down")
    lost(OUT, "interface-down", "eth1")
    lost(BY_MAP, "interface-down", "eth1")
    inside("fw", "ip", "link", "set", "eth1", "up")
    take_redirected("b", False)
    with reading():  # before Linux 6.3 it is known only on the way
        lost(OUT, "no-receiver", "eth1")
        lost(BY_MAP, "no-receiver", "eth1")

    told = lines("trace")
    assert told == [{key: each[key] for key in told[0]} for each in lines("timeline")]
    assert {"fw"} == {each["node"] for each in told} == {each["program"] for each in told}
    texts = [each["text"] for each in told]
    assert "eth0: 1 frame lost: the program returned an action that XDP does not know (7)" in texts
    assert "eth0: 1 frame lost: redirected to an index that no interface has (77)" in texts
    assert "eth0: 1 frame lost: redirected to eth1, which is down" in texts
    assert [] == lines("trace", "lost")
    assert "fw    eth0       4       redirected to eth1, which is down" in netlab("stats").stdout
    shown = json.loads(netlab("stats", "--format", "json").stdout)["xdp_losses"]
    down = {"reason": "interface-down", "target": "eth1", "text": "redirected to eth1, which is down"}
    assert {"node": "fw", "interface": "eth0", "program": "fw", **down, "frames": 4} in [
        {key: value for key, value in each.items() if key != "detail"} for each in shown
    ]


def test_xdp_tx_to_an_end_without_a_program() -> None:
    """Such frames wait in a queue that nobody empties; once it is full they are lost."""
    inside("a", "ip", "link", "set", "eth0", "xdp", "off")
    take_redirected("a", True)
    before = losses()

    def is_full() -> bool:
        send(BACK, 300)
        return losses() != before

    following = subprocess.Popen([sys.executable, "-m", "netlab", "trace", "-f"], cwd=ROOT, stdout=subprocess.DEVNULL)
    try:
        eventually(is_full, "the queue is full")
    finally:
        following.terminate()
        following.wait(PATIENCE_S)
    assert {("fw", "eth0", "tx-receiver-full", "")} == losses().keys() - before.keys()


def test_what_is_lost_elsewhere_is_not_counted() -> None:
    """The same program loses frames in a namespace that is no node's."""
    before = losses()
    with LoadedProgram.open(f"/run/netlab/{LAB}/bpf/fw/programs/act") as program:
        program.send(frame(NOWHERE), repeat=8)
        program.send(frame(UNKNOWN), repeat=8)

    assert before == losses()


def test_the_queue_of_a_cpu() -> None:
    """Frames of a test run are handed on eight at a time, and here the queue has room for one."""
    with LoadedProgram.open(f"/run/netlab/{LAB}/bpf/fw/programs/act") as program, reading():
        program.send(frame(TO_CPU), repeat=64)
    eventually(lambda: losses().get(("fw", "", "cpu-full", "")), "frames for a CPU are lost")

    assert "redirected to CPU 0, whose queue is full" in netlab("trace").stdout


def test_a_flood_is_counted_and_leaves_room_for_what_programs_print() -> None:
    """A new build goes on where the one before has ended; of all lines together, each frame is in one."""
    place = ("fw", "eth0", "no-such-interface", "")
    before = losses()[place]
    send(NOWHERE, FLOOD)
    send(PRINTS, 20)
    netlab("reload", "fw")
    send(NOWHERE, FLOOD)

    def in_lines() -> int:
        texts = [each["text"] for each in lines("timeline") if "no interface has" in each["text"]]
        numbers = [re.match(r"eth0: (?:… and )?([\d,]+) (?:more|frames?) lost", text) for text in texts]
        return sum(int(found[1].replace(",", "")) for found in numbers if found)

    eventually(lambda: in_lines() == before + 2 * FLOOD, "each frame is in a line")
    assert before + 2 * FLOOD == losses()[place]
    assert ["mine"] * 20 == [each["text"] for each in lines("trace", "trace")]
    assert len(lines("trace")) < FLOOD / 10
    text = Path(f"/run/netlab/{LAB}/xdp.log").read_text(encoding="utf-8").splitlines()
    times = [int(line.split()[0]) for line in text]
    assert times == sorted(times)
