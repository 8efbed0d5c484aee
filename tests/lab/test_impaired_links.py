"""Links that do something to packets: through the middle, on plain links and on those that face programs."""

import json
import os
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from netlab.testing import waiting
from netlab.testing.waiting import PATIENCE_S, eventually
from tests.lab.lab import LAB, asked, background, inside, lab, netlab, python

pytestmark = [pytest.mark.root, pytest.mark.skipif(os.geteuid() != 0, reason="labs need root")]

# Of a rate, at least: a machine that many share gives TCP no more. With GRO in the middle it would be a hundredth.
SLOWEST = 0.1 if waiting.IS_SLOW else 0.5
CABLE = """\
/* A cable of two ports: what comes in by the one leaves by the other, unchanged. */
#include <uapi/linux/bpf.h>
int cable(struct xdp_md *ctx)
{
	return bpf_redirect(ctx->ingress_ifindex == LEFT ? RIGHT : LEFT, 0);
}
"""
TOPOLOGY = """
name: impaired
nodes:
  a: {}
  b: {}
  c: {}
  d: {}
  left: {setup: ip addr add 10.99.0.1/24 dev eth0}
  cable: {xdp: {program: ./cable.c, define: {LEFT: 16, RIGHT: 17}}}
  right: {setup: ip addr add 10.99.0.2/24 dev eth0}
links:
  - {endpoints: [a, {node: b, loss: {numbers: [2]}}], addresses: ipv4, delay: 20ms, rate: 20mbit}
  - [b, c]
  - {endpoints: [{node: left, address: none}, {node: cable, address: none}], rate: 30mbit}
  - [cable, right]
  - {endpoints: [c, d], loss: {every: 2}, addresses: ipv4}
"""
SINK = """
import socket, sys, time
server = socket.create_server((sys.argv[1], 9000))
print("READY", flush=True)
taken, _ = server.accept()
count, began = 0, 0.0
while data := taken.recv(1 << 16):
    began = began or time.monotonic()
    count += len(data)
print(count * 8 / (time.monotonic() - began) / 1e6)
"""
SOURCE = """
import socket, sys
source = socket.create_connection((sys.argv[1], 9000), timeout=60)
for _ in range(int(sys.argv[2])):
    source.sendall(bytes(100_000))
"""
UDP = """
import socket, sys
source = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for number in range(int(sys.argv[2])):
    source.sendto(number.to_bytes(4), (sys.argv[1], 9001))
"""


@pytest.fixture(scope="module")
def _impaired(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    folder = tmp_path_factory.mktemp("impaired")
    (folder / "cable.c").write_text(CABLE, encoding="utf-8")
    (folder / "lab.yml").write_text(TOPOLOGY, encoding="utf-8")
    with lab(f"{folder}/lab.yml"):
        yield


pytestmark += [pytest.mark.usefixtures("_impaired")]


def links() -> dict[str, Any]:
    """Return what `link show` tells, by the name of the link."""
    return {each["link"]: each for each in json.loads(asked("link", "show", "--json"))["links"]}


def counts(link: str, side: int) -> dict[str, int]:
    """Return what is counted of what one end of a link sends."""
    found: dict[str, int] = links()[link]["directions"][side]["counts"]
    return found


def rate(sender: str, receiver: str, address: str, hundred_kb: int) -> float:
    """Return the megabits a second that TCP moves."""
    sink = background(receiver, ["python3", "-c", SINK, address])
    assert sink.stdout
    assert sink.stdout.readline() == "READY\n"
    python(sender, SOURCE, address, str(hundred_kb), timeout=PATIENCE_S)
    return float(sink.communicate(timeout=PATIENCE_S)[0])


def address(node: str, interface: str = "eth0") -> str:
    """Return the first IPv4 address of an interface."""
    found = json.loads(inside(node, "ip", "-4", "-j", "addr", "show", "dev", interface).stdout)
    return str(found[0]["addr_info"][0]["local"])


def carrier(node: str, interface: str) -> bool:
    """Say whether an interface has a carrier."""
    return "LOWER_UP" in json.loads(inside(node, "ip", "-j", "link", "show", "dev", interface).stdout)[0]["flags"]


def everything(node: str) -> list[Any]:
    """Return what `ip` tells of a node: interfaces, addresses, routes, neighbours; but not of the other ends."""
    asked_for = ("addr", "route", "-6 route", "neigh show nud permanent")
    found = [sorted(json.loads(inside(node, "ip", "-j", *what.split()).stdout or "[]"), key=str) for what in asked_for]
    for link in found[0]:
        for key in ("link_index", "link_netnsid", "link"):
            link.pop(key, None)
    return found


def test_a_delay_is_that_of_both_directions() -> None:
    times = inside("a", "ping", "-c", "5", "-i", "0.2", "-q", address("b")).stdout.rpartition(" = ")[2]

    assert 40 <= float(times.split("/")[0]) < (60 if waiting.IS_SLOW else 42)


def test_what_is_lost_is_lost_in_one_direction_only() -> None:
    """The first end's packets all arrive. Of the second end's, the one with the number is lost."""
    assert counts("a-b", 0)["lost"] == 0
    assert counts("a-b", 1)["lost"] == 1


def test_tcp_moves_what_the_rate_allows() -> None:
    netlab("link", "a-b", "set", "delay=0")

    assert SLOWEST * 20 < rate("a", "b", address("b"), 40) < 1.05 * 20


def test_a_rate_holds_for_frames_that_a_program_redirects() -> None:
    """Frames that XDP redirects skip the queue of the interface that they leave by; TCP is as fast as it may be."""
    assert SLOWEST * 30 < rate("left", "right", "10.99.0.2", 60) < 1.05 * 30
    assert SLOWEST * 30 < rate("right", "left", "10.99.0.1", 60) < 1.05 * 30
    assert json.loads(asked("stats", "--format", "json"))["xdp_losses"] == []


def test_counts_are_told_by_stats_and_to_prometheus() -> None:
    before = counts("c-d", 0)
    python("c", UDP, address("d"), "100")
    eventually(lambda: counts("c-d", 0)["lost"] >= before["lost"] + 50, "half of them are lost")
    told = asked("stats", "--format", "prometheus")

    assert f'netlab_link_packets_total{{lab="{LAB}",from="c:eth1",to="d:eth0",fate="lost"}}' in told
    assert "loss every 2" in asked("stats")


def test_a_link_without_carrier_at_one_end_has_none_at_the_other() -> None:
    inside("a", "ip", "link", "set", "eth0", "down")
    eventually(lambda: not carrier("b", "eth0"), "the other end has lost its carrier")
    inside("a", "ip", "link", "set", "eth0", "up")
    eventually(lambda: carrier("b", "eth0") and carrier("a", "eth0"), "both ends have a carrier")
    netlab("link", "a-b", "up")

    assert inside("a", "ping", "-c", "1", address("b"))


def test_a_link_is_led_through_the_middle_while_it_runs() -> None:
    """All that was there stays, also what people have added; the counts begin, status agrees."""
    inside("c", "ip", "addr", "add", "10.66.0.1/24", "dev", "eth0")
    inside("c", "ip", "route", "add", "10.67.0.0/16", "via", "10.66.0.9")
    inside("c", "ip", "neigh", "add", "10.66.0.9", "lladdr", "02:00:00:00:00:77", "dev", "eth0")
    inside("c", "sysctl", "-qw", "net.ipv4.conf.eth0.arp_notify=1")
    before = {node: everything(node) for node in "bc"}
    said = netlab("link", "b", "c", "set", "loss={numbers: [1]}").stderr

    assert "has interrupted it for" in said
    eventually(lambda: before == {node: everything(node) for node in "bc"}, "all is as before")
    assert inside("c", "sysctl", "-n", "net.ipv4.conf.eth0.arp_notify").stdout == "1\n"
    assert inside("c", "ping", "-c", "3", "-i", "0.2", address("b", "eth1"), code=None)
    assert counts("b-c", 1)["lost"] == 1
    inside("c", "ip", "addr", "del", "10.66.0.1/24", "dev", "eth0")
    assert json.loads(asked("status", "--format", "json"))["problems"] == []


def test_a_link_with_programs_at_its_end_keeps_them() -> None:
    """The end without programs is replaced; frames that the program redirects arrive there still."""
    netlab("link", "cable", "right", "set", "rate=10mbit")

    assert SLOWEST * 10 < rate("left", "right", "10.99.0.2", 15) < 1.05 * 10
    assert json.loads(asked("status", "--format", "json"))["problems"] == []
    netlab("link", "reset")
    assert links()["cable-right"]["directions"][0]["does"] == "nothing"
    assert links()["a-b"]["directions"][0]["does"] == "delay 20ms, rate 20mbit"


def test_a_link_that_was_set_down_is_as_it_should_be() -> None:
    """Until somebody sets an end up; `up` brings the routes back, and the timeline has told it."""
    netlab("link", "b", "c", "down")
    assert json.loads(asked("status", "--format", "json"))["problems"] == []
    assert not carrier("b", "eth1")
    inside("b", "ip", "link", "set", "eth1", "up")
    assert "was set down" in asked("status", codes=(1,))
    netlab("link", "b", "c", "up")
    assert json.loads(asked("status", "--format", "json"))["problems"] == []
    told = asked("timeline")
    assert "link b-c: down" in told
    assert "what it sends: loss numbers 1" in told


def test_what_is_missing_is_told_and_mended() -> None:
    middle = f"{LAB}._middle"
    netlab("link", "right", "cable", "set", "delay=0")
    subprocess.run(["tc", "-n", middle, "qdisc", "del", "dev", "l1a", "clsact"], check=True)
    subprocess.run(["ip", "netns", "exec", middle, "ip", "link", "set", "l4a", "xdpdrv", "off"], check=True)
    said = asked("status", codes=(1,))
    assert "the program at l1a in the middle is gone" in said
    assert "no XDP program is attached to l4a" in said
    netlab("link", "a:eth0", "set")
    netlab("link", "right", "cable", "set")
    assert json.loads(asked("status", "--format", "json"))["problems"] == []


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["a-c", "show"], "no link is called 'a-c'; there are a-b, b-c, left-cable, cable-right, c-d"),
        (["set", "delay=1ms"], "which link? there are a-b, b-c, left-cable, cable-right, c-d"),
        (["a-b", "set", "delay=20"], "delay=20: expected a time such as 20ms or 1.5s, at most 60s, found 20"),
        (["a-b", "set", "dely=20ms"], "dely=20ms: expected a key, found 'dely' (did you mean 'delay'?)"),
        (["c-d", "set", "queue=20kB"], "queue: expected a rate beside queue, found none, at what c sends"),
        (["a-b", "set", "--from", "c"], "c is at no end of a-b: expected a or b"),
        (["a:eth9", "set", "delay=1ms"], "no link is called 'a:eth9'"),
        (["a-b"], "expected an action, set, down, up, reset, show, found 'a-b'"),
        (["a-b", "down", "loss=1%"], "link down takes no loss=1%: link set does"),
    ],
)
def test_what_does_not_fit_is_told(words: list[str], why: str) -> None:
    said = netlab("link", *words, code=2).stderr

    assert why in said
