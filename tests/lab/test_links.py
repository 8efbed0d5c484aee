"""Links, bridges, addresses, routes and offloads, in real namespaces."""

import fcntl
import json
import os
import re
import socket
import struct
from array import array

import pytest

from netlab.errors import NetlabError
from netlab.kernel import netlink
from netlab.network import links, visits
from netlab.plan.steps import AddAddress, AddLink, FaceProgram
from tests.lab.namespaces import ROUTER, Lab, lab, own_namespace

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("no_leaks")]

GET_GRO, GET_TX_CHECKSUM = 0x2B, 0x16


def pair(made: Lab, mtu: int = 1500) -> AddLink:
    """Fill a lab with hosts a (10.0.7.1, fd00:7::1) and b (.2, ::2) on one link."""
    made.node("a", "b")
    return made.link("a", "b", "7", mtu)


def shown(made: Lab, node: str, interface: str) -> dict[str, object]:
    """Return what `ip` knows of an interface."""
    found: list[dict[str, object]] = json.loads(made.ip(node, "-d", "-j", "link", "show", "dev", interface))
    return found[0]


def offload(made: Lab, node: str, interface: str, command: int) -> int:
    """Return one of ethtool's values."""

    def ask() -> int:
        value = array("I", (command, 9))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
            request = struct.pack("16sP16x", interface.encode(), value.buffer_info()[0])
            fcntl.ioctl(any_socket, 0x8946, request)
        return value[1]

    return made.inside(node, ask)


def test_two_hosts_reach_each_other_at_once(one: Lab) -> None:
    """The first packet after `build` is answered, by IPv4 and by IPv6: nobody waits for duplicate detection."""
    pair(one)
    one.build()

    assert one.ping("a", "10.0.7.2")
    assert one.ping("b", "fd00:7::1")


@pytest.mark.parametrize("threads_from", [1, 1000])
def test_all_ends_carry_packets_when_build_returns(
    one: Lab, monkeypatch: pytest.MonkeyPatch, threads_from: int
) -> None:
    """A carrier comes in a queue of the kernel's, and until then what leaves there is dropped: see network/carriers."""
    monkeypatch.setattr(visits, "THREADS_FROM", threads_from)
    names = [f"n{number}" for number in range(24)]
    one.node(*names)
    for number in range(1, 24):
        one.link("n0", names[number], str(number))
        if number > 1:
            one.link(names[number - 1], names[number], str(100 + number))

    one.build()
    late = [(name, end) for name in names for end, up in one.inside(name, carrying).items() if not up]

    assert late == []


def carrying() -> dict[int, bool]:
    """Return the indexes of this namespace's links, and whether the kernel has come to their carriers."""
    channel = netlink.Channel()
    try:
        answers = channel.ask_all(struct.pack("=IHHIIBxHiII", 32, 18, 0x301, 0, 0, 0, 0, 0, 0, 0))
    finally:
        channel.close()
    found = {struct.unpack_from("=i", answer, 4)[0]: dict(netlink.attributes(answer[16:])) for answer in answers}
    return {index: about[16] == bytes([6]) for index, about in found.items() if index != 1}


def test_link_local_addresses_are_there_too(one: Lab) -> None:
    """IPv6 works as on any Ethernet: an interface makes itself a link-local address."""
    pair(one)
    one.build()

    assert "fe80::" in one.ip("a", "addr", "show", "dev", "eth0", "scope", "link")


@pytest.mark.parametrize("threads_from", [1, 1000])
def test_star_of_thirty_leaves_routes_through_its_centre(
    one: Lab, monkeypatch: pytest.MonkeyPatch, threads_from: int
) -> None:
    """Every leaf reaches the next one through the centre, whether one thread built the lab or two."""
    monkeypatch.setattr(visits, "THREADS_FROM", threads_from)
    one.node("centre", sysctls=ROUTER)
    for number in range(1, 31):
        one.node(f"leaf{number}")
        one.link("centre", f"leaf{number}", str(number))
        one.route(f"leaf{number}", "default", f"10.0.{number}.1")
        one.route(f"leaf{number}", "default", f"fd00:{number}::1")
    one.build()

    for number in range(1, 31):
        other = number % 30 + 1
        assert one.ping(f"leaf{number}", f"10.0.{other}.2")
        assert one.ping(f"leaf{number}", f"fd00:{other}::2")


def test_switch_forwards_from_the_first_frame_on(one: Lab) -> None:
    """A bridge has no spanning tree, no delay and no snooping, and its ports learn nothing before they forward."""
    one.switch("sw")
    for number, name in enumerate("abc", 1):
        one.node(name)
        end = one.link("sw", name, bridges=("br0", "")).b
        one.address(end, f"10.0.0.{number}/24", f"fd00::{number}/64")
    one.build()

    for sender, target in ("ab", "bc", "ca"):
        assert one.ping(sender, f"10.0.0.{'abc'.index(target) + 1}")
        assert one.ping(sender, f"fd00::{'abc'.index(target) + 1}")
    data = json.loads(one.ip("sw", "-d", "-j", "link", "show", "type", "bridge"))[0]["linkinfo"]["info_data"]
    assert (data["stp_state"], data["forward_delay"], data["mcast_snooping"]) == (0, 0, 0)


def test_switches_and_hosts_in_any_order_of_ownership(one: Lab) -> None:
    """Ports are put into their bridge at whichever end of a link they are, also between two switches."""
    one.switch("s1")
    one.switch("s2")
    one.node("a", "b")
    one.link("s1", "s2", bridges=("br0", "br0"))
    one.address(one.link("a", "s1", bridges=("", "br0")).a, "10.0.0.1/24")
    one.address(one.link("s2", "b", bridges=("br0", "")).b, "10.0.0.2/24")
    one.build()

    assert one.ping("a", "10.0.0.2")
    masters = {(node, name): shown(one, node, name)["master"] for node in ("s1", "s2") for name in ("eth1", "eth2")}
    assert set(masters.values()) == {"br0"}


def test_same_addresses_in_two_labs_at_once(one: Lab) -> None:
    """Two labs with the same addresses, names and indexes know nothing of each other."""
    with lab() as two:
        pair(one)
        pair(two)
        one.build()
        two.build()

        assert one.ping("a", "10.0.7.2")
        assert two.ping("a", "10.0.7.2")


def test_link_is_as_planned(one: Lab) -> None:
    """Names, indexes, MAC addresses and MTU are those of the plan, on both ends."""
    step = pair(one, mtu=9000)
    one.build()

    for end in (step.a, step.b):
        found = shown(one, end.node, end.name)
        assert (end.index, end.mac, 9000, "UP") == (found["ifindex"], found["address"], found["mtu"], flag(found))
    assert flag(shown(one, "a", "lo")) == "UP"


def flag(found: dict[str, object]) -> str:
    """Return UP for an interface that is."""
    flags = found["flags"]
    return "UP" if isinstance(flags, list) and "UP" in flags else ""


def test_interface_of_any_name(one: Lab) -> None:
    """Names of one letter, of fifteen, and with other bytes than letters, are taken as they are."""
    one.node("a", "b")
    step = one.link("a", "b")
    names = ("q", "up~link.b-longer")
    ends = [end._replace(name=name[:15]) for end, name in zip(step[:2], names, strict=True)]
    one.steps[0] = AddLink(ends[0], ends[1], one.name)
    one.address(ends[0], "10.0.0.1/31")
    one.address(ends[1], "10.0.0.0/31")
    one.build()

    assert one.ping("a", "10.0.0.0")
    assert ends[1].name == shown(one, "b", ends[1].name)["ifname"]


def test_both_ends_in_one_node(one: Lab) -> None:
    """A node may be linked to itself."""
    one.node("a")
    step = one.link("a", "a")
    one.build()

    assert [shown(one, "a", end.name)["ifindex"] for end in step[:2]] == [2, 3]


def test_more_links_than_descriptors_at_once(one: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Links come in portions, and messages in batches: none is lost between them."""
    monkeypatch.setattr(links, "LINKS_AT_ONCE", 7)
    monkeypatch.setattr(netlink, "BATCH_BYTES", 1000)
    one.node("a", "b")
    for number in range(40):
        one.link("a", "b", str(number))
    one.build()

    assert one.ping("a", "10.0.39.2")
    for node in "ab":
        assert len(re.findall(r"inet 10\.0\.", one.ip(node, "addr"))) == 40


def test_routes_to_networks(one: Lab) -> None:
    """A route leads to a network by its next hop, which the kernel finds the interface of."""
    pair(one)
    one.route("a", "10.9.0.0/16", "10.0.7.2")
    one.route("a", "fd09::/32", "fd00:7::2")
    one.build()

    assert one.ip("a", "route", "show", "10.9.0.0/16").split()[:5] == ["10.9.0.0/16", "via", "10.0.7.2", "dev", "eth0"]
    assert "fd09::/32 via fd00:7::2 dev eth0" in one.ip("a", "-6", "route")


def test_offloads_change_only_where_a_program_is_faced(one: Lab) -> None:
    """GRO goes on and TX checksums off on that end alone, not on its peer or on the node's other interfaces."""
    one.node("a", "b")
    one.link("a", "b", "1")
    one.link("a", "b", "2")
    one.steps.append(FaceProgram("a", "eth1", one.name))
    one.build()

    ends = [(node, name) for node in "ab" for name in ("eth0", "eth1")]
    values = {end: (offload(one, *end, GET_GRO), offload(one, *end, GET_TX_CHECKSUM)) for end in ends}
    assert values.pop(("a", "eth1")) == (1, 0)
    assert set(values.values()) == {(0, 1)}


def test_a_clash_names_the_step_and_the_reason(one: Lab) -> None:
    """What the kernel refuses is told as the command that would do it, with the kernel's own reason."""
    link = pair(one)
    one.address(link.b, "10.0.7.2/24")
    with pytest.raises(NetlabError, match=re.escape("addr add 10.0.7.2/24 dev eth0`: File exists")) as caught:
        one.build()

    assert str(caught.value).startswith(f"cannot `ip -n {one.name}.b addr add")


def test_the_kernels_own_words(one: Lab) -> None:
    """Where the kernel says more than an error number, so do we."""
    pair(one)
    one.route("a", "default", "10.1.1.1")
    with pytest.raises(NetlabError, match=r"route add default via 10.1.1.1`: Network is unreachable \(.+\)"):
        one.build()


def test_two_interfaces_of_one_name(one: Lab) -> None:
    """A link that cannot be made is named whole, on one line."""
    one.node("a", "b")
    first, second = one.link("a", "b"), one.link("a", "b")
    one.steps[1] = AddLink(second.a, second.b._replace(name=first.b.name), one.name)
    with pytest.raises(NetlabError, match=r"cannot `ip link add .*`: File exists") as caught:
        one.build()

    assert "\n" not in str(caught.value)


def test_first_of_many_errors_is_reported(one: Lab) -> None:
    """A thousand refusals at once overrun nothing, and the first is the one that counts."""
    end = pair(one).b
    one.steps += [
        AddAddress("b", end.name, 99, f"10.{number // 256 + 1}.{number % 256}.1/24") for number in range(1000)
    ]
    with pytest.raises(NetlabError, match=r"10\.1\.0\.1/24 dev eth0`: "):
        one.build()


def test_kernel_that_does_not_answer(one: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer is waited for until a deadline, which is told with what was asked."""
    monkeypatch.setattr(netlink, "DEADLINE_S", 1)
    monkeypatch.setattr(netlink, "_NLM_F_ACK", 0)
    one.node("a")
    with pytest.raises(NetlabError, match=r"link set lo up.*`: the kernel gave no answer within 1 s"):
        one.build()


def test_program_to_face_on_a_missing_interface(one: Lab) -> None:
    """An interface that is not there is told with the step."""
    pair(one)
    one.steps.append(FaceProgram("a", "eth5", one.name))
    with pytest.raises(NetlabError, match=r"ethtool -K eth5 gro on tx off`: No such device"):
        one.build()


def test_missing_namespace(one: Lab) -> None:
    """A node that was never made is named."""
    pair(one)
    one.runtime.create(["a"])
    with pytest.raises(NetlabError, match=r"namespace of node b: .*No such file"):
        links.build([*one.creates, *one.steps], one.runtime.netns_path)


def test_forwarding_is_off_where_the_plan_says_so(one: Lab) -> None:
    """Without forwarding in the middle nothing passes; this is the counterpart of the star."""
    one.node("middle", "a", "b")
    for number, name in enumerate("ab"):
        one.link("middle", name, str(number))
        one.route(name, "default", f"10.0.{number}.1")
    one.build()

    assert one.ping("a", "10.0.1.1")
    assert not one.ping("a", "10.0.1.2", wait_s=1)


@pytest.mark.parametrize("fails", [False, True])
def test_main_thread_stays_where_it_is(one: Lab, fails: bool) -> None:
    """Neither a lab that was built nor one that failed leaves this thread elsewhere, or a descriptor open."""
    here, open_files = own_namespace(), len(os.listdir("/proc/self/fd"))
    pair(one)
    if fails:
        one.route("a", "default", "10.1.1.1")
        with pytest.raises(NetlabError):
            one.build()
    else:
        one.build()

    assert here == own_namespace()
    assert open_files == len(os.listdir("/proc/self/fd"))
