import ipaddress

import pytest

from netlab.errors import UsageError
from netlab.plan.addresses import interface_names, layout, macs
from netlab.topology.model import Endpoint, Link, Node, Topology


def lab(*links: Link, switches: tuple[str, ...] = ()) -> Topology:
    """Return a topology of these links; every node they name is a host, except the switches."""
    names = dict.fromkeys(end.node for link in links for end in (link.a, link.b))
    nodes = tuple(Node(name, "switch" if name in switches else "node") for name in names)
    return Topology("lab", "", nodes, links)


def link(a: str, b: str, *subnets: str) -> Link:
    return Link(Endpoint(a), Endpoint(b), subnets)


def subnets(topology: Topology) -> list[list[str]]:
    return [[str(known[4]), str(known[6])] for known in layout(topology).subnets]


def addresses(topology: Topology) -> list[list[str]]:
    return [[own[4], own[6]] if own else [] for own in layout(topology).addresses]


def star(leaves: int) -> Topology:
    return lab(*(link(f"leaf{number}", "centre") for number in range(leaves)))


def test_each_link_has_a_subnet_and_its_ends_count_from_one() -> None:
    topology = lab(link("a", "b"), link("b", "c"))

    assert subnets(topology) == [["10.0.0.0/24", "fd00::/64"], ["10.0.1.0/24", "fd00:0:0:1::/64"]]
    assert addresses(topology) == [
        ["10.0.0.1/24", "fd00::1/64"],
        ["10.0.0.2/24", "fd00::2/64"],
        ["10.0.1.1/24", "fd00:0:0:1::1/64"],
        ["10.0.1.2/24", "fd00:0:0:1::2/64"],
    ]


def test_numbers_carry_into_the_second_byte_and_are_hexadecimal_in_ipv6() -> None:
    assert subnets(star(257))[255:] == [["10.0.255.0/24", "fd00:0:0:ff::/64"], ["10.1.0.0/24", "fd00:0:0:100::/64"]]


def test_connected_switches_are_one_segment_and_have_no_addresses() -> None:
    topology = lab(link("h1", "s1"), link("x", "y"), link("h2", "s2"), link("s1", "s2"), switches=("s1", "s2"))

    assert subnets(topology) == [["10.0.0.0/24", "fd00::/64"], ["10.0.1.0/24", "fd00:0:0:1::/64"]]
    assert [own[:1] for own in addresses(topology)] == [
        ["10.0.0.1/24"],
        [],
        ["10.0.1.1/24"],
        ["10.0.1.2/24"],
        ["10.0.0.2/24"],
        [],
        [],
        [],
    ]


def test_separate_switches_are_separate_segments() -> None:
    topology = lab(link("h1", "s1"), link("h2", "s2"), switches=("s1", "s2"))

    assert len(layout(topology).segments) == 2


@pytest.mark.parametrize(("hosts", "block"), [(254, "10.0.1.0/24"), (255, "10.0.2.0/23"), (511, "10.0.4.0/22")])
def test_a_segment_has_a_block_that_holds_its_hosts(hosts: int, block: str) -> None:
    switched = [link(f"h{number}", "s") for number in range(hosts)]
    topology = lab(link("a", "b"), *switched, link("y", "z"), switches=("s",))

    found = layout(topology)

    network = ipaddress.ip_network(block)
    assert str(found.subnets[1][4]) == block
    assert {ipaddress.ip_interface(own[4]).network for own in found.addresses[2:-2] if own} == {network}
    assert not ipaddress.ip_network(str(found.subnets[2][4])).overlaps(network)
    assert len({own[4] for own in found.addresses if own}) == hosts + 4


def test_a_written_subnet_is_used_and_the_other_family_is_still_chosen() -> None:
    topology = lab(link("a", "b", "192.168.7.0/28"), link("b", "c", "fd12::/48"))

    assert addresses(topology) == [
        ["192.168.7.1/28", "fd00::1/64"],
        ["192.168.7.2/28", "fd00::2/64"],
        ["10.0.1.1/24", "fd12::1/48"],
        ["10.0.1.2/24", "fd12::2/48"],
    ]


def test_writing_a_subnet_does_not_renumber_the_other_segments() -> None:
    plain = lab(link("a", "b"), link("b", "c"), link("c", "d"))
    written = lab(link("a", "b"), link("b", "c", "172.31.0.0/24", "fd99::/64"), link("c", "d"))

    assert subnets(plain)[::2] == subnets(written)[::2]


def test_a_written_address_makes_its_network_the_subnet() -> None:
    topology = lab(Link(Endpoint("a"), Endpoint("b", addresses=("192.168.7.1/29", "fd12::9/64"))))

    assert addresses(topology) == [["192.168.7.2/29", "fd12::1/64"], ["192.168.7.1/29", "fd12::9/64"]]


def test_written_addresses_become_canonical() -> None:
    topology = lab(Link(Endpoint("a", addresses=("FD12:0:0:0::0A/64",)), Endpoint("b")))

    assert addresses(topology)[0] == ["10.0.0.1/24", "fd12::a/64"]


@pytest.mark.parametrize(
    "written",
    [
        link("x", "y", "10.0.1.0/24"),
        link("x", "y", "10.0.1.128/25"),
        Link(Endpoint("x", addresses=("10.0.1.77/30",)), Endpoint("y")),
        link("x", "y", "fd00:0:0:1::/64"),
        link("x", "y", "fd00:0:0:1:8000::/80"),
    ],
)
def test_automatic_subnets_skip_whatever_overlaps_something_written_further_down(written: Link) -> None:
    topology = lab(link("a", "b"), link("b", "c"), written)

    assert subnets(topology)[:2] == [["10.0.0.0/24", "fd00::/64"], ["10.0.2.0/24", "fd00:0:0:2::/64"]]


def test_a_wide_written_subnet_is_skipped_as_a_whole() -> None:
    topology = lab(link("a", "b", "10.0.0.0/16"), link("b", "c"))

    assert subnets(topology) == [["10.0.0.0/16", "fd00::/64"], ["10.1.0.0/24", "fd00:0:0:100::/64"]]


def test_a_file_that_uses_all_of_10_gets_subnets_of_172_16() -> None:
    topology = lab(link("a", "b", "10.0.0.0/8"), link("b", "c"))

    assert subnets(topology)[1] == ["172.16.0.0/24", "fd00:0:1::/64"]


def test_no_room_for_another_subnet_is_an_error_that_names_the_link() -> None:
    topology = lab(link("a", "b", "10.0.0.0/8"), link("b", "c", "172.16.0.0/12"), link("c", "d"))

    with pytest.raises(UsageError, match="no subnet is left for the link of c and d"):
        layout(topology)


def test_a_link_too_narrow_for_ipv6_has_ipv4_only() -> None:
    narrow, wide = link("a", "b")._replace(mtu=1279), link("b", "c")._replace(mtu=1280)

    assert [sorted(own) for own in layout(lab(narrow, wide)).addresses] == [[4], [4], [4, 6], [4, 6]]


def test_point_to_point_subnets_use_both_of_their_addresses() -> None:
    topology = lab(link("a", "b", "10.9.9.0/31", "fd12::/127"))

    assert addresses(topology) == [["10.9.9.0/31", "fd12::/127"], ["10.9.9.1/31", "fd12::1/127"]]


def test_a_subnet_that_is_too_small_is_an_error_that_names_the_node() -> None:
    switched = (link("h1", "s", "10.9.9.0/30"), link("h2", "s"), link("h3", "s"))

    with pytest.raises(UsageError, match=r"subnet 10\.9\.9\.0/30 has no address left for h3"):
        layout(lab(*switched, switches=("s",)))


def test_interfaces_are_named_by_the_position_of_their_link_on_the_node() -> None:
    topology = lab(link("a", "b"), Link(Endpoint("b", "up"), Endpoint("c")), link("c", "b"))

    assert interface_names(topology) == ("eth0", "eth0", "up", "eth0", "eth1", "eth2")


def test_macs_tell_link_and_end() -> None:
    chosen = macs(star(300))

    assert chosen[:3] == ("02:6e:00:00:00:00", "02:6e:00:00:00:01", "02:6e:00:00:01:00")
    assert chosen[-1] == "02:6e:00:01:2b:01"
    assert len(set(chosen)) == 600


def test_no_mac_equals_a_written_one() -> None:
    written = Link(Endpoint("b", mac="02:6E:00:00:00:00"), Endpoint("c", mac="02:6f:00:00:00:00"))

    assert macs(lab(link("a", "b"), written)) == (
        "02:70:00:00:00:00",
        "02:6e:00:00:00:01",
        "02:6e:00:00:00:00",
        "02:6f:00:00:00:00",
    )


def test_what_is_added_at_the_end_changes_nothing_before_it() -> None:
    links = (link("a", "s"), link("b", "s"), link("b", "c", "10.0.9.0/24"), link("c", "d"))
    before = lab(*links, switches=("s",))
    after = lab(*links, link("e", "s"), link("d", "e"), link("b", "e"), switches=("s",))

    assert addresses(after)[:8] == addresses(before)
    assert macs(after)[:8] == macs(before)
    assert interface_names(after)[:8] == interface_names(before)


def test_second_addresses_stand_behind_the_first_of_each_family() -> None:
    topology = lab(
        Link(Endpoint("a", addresses=("10.1.0.1/24", "10.2.0.1/24", "fd01::1/64", "10.1.0.9/24")), Endpoint("b"))
    )

    found = layout(topology)

    assert addresses(topology) == [["10.1.0.1/24", "fd01::1/64"], ["10.1.0.2/24", "fd01::2/64"]]
    assert found.further == (("10.2.0.1/24", "10.1.0.9/24"), ())


def test_the_widest_network_of_the_first_addresses_is_the_subnet() -> None:
    hosts = [
        Link(Endpoint(name, addresses=(word,)), Endpoint("s"))
        for name, word in (("a", "10.6.0.1/24"), ("b", "10.6.0.2/16"))
    ]

    found = layout(lab(*hosts, link("c", "s"), switches=("s",)))

    assert str(found.subnets[0][4]) == "10.6.0.0/16"
    assert found.addresses[4][4] == "10.6.0.3/16"


def test_one_address_alone_is_no_subnet_and_none_is_chosen_for_nobody() -> None:
    one, other = ("10.4.0.1/32",), ("10.5.0.1/32",)
    topology = lab(
        Link(Endpoint("a", addresses=one, peers=("10.5.0.1",)), Endpoint("b", addresses=other)), link("a", "b")
    )

    found = layout(topology)

    assert [sorted(subnets) for subnets in found.subnets] == [[6], [4, 6]]
    assert [str(subnet) for _, subnet in found.on_link(0)] == ["10.4.0.1/32", "fd00::/64", "10.5.0.1/32"]
    assert found.addresses[2][4] == "10.0.1.1/24"


def test_automatic_addresses_are_of_the_families_that_are_wanted() -> None:
    links = [Link(Endpoint("a", automatic=said), Endpoint("b", automatic=said)) for said in ((4,), (6,), ())]

    found = layout(lab(*links))

    assert [sorted(own) for own in found.addresses] == [[4], [4], [6], [6], [], []]
    assert [sorted(subnets) for subnets in found.subnets] == [[4], [6], []]


def test_links_of_joined_ends_are_one_segment_in_which_their_node_has_no_address() -> None:
    cable = Endpoint("cable", automatic=(), joined=True)
    topology = lab(Link(Endpoint("a"), cable), Link(cable, Endpoint("b")), Link(Endpoint("cable"), Endpoint("c")))

    assert addresses(topology) == [
        ["10.0.0.1/24", "fd00::1/64"],
        [],
        [],
        ["10.0.0.2/24", "fd00::2/64"],
        ["10.0.1.1/24", "fd00:0:0:1::1/64"],
        ["10.0.1.2/24", "fd00:0:0:1::2/64"],
    ]


def test_two_segments_with_one_subnet_have_no_address_twice() -> None:
    bare = Endpoint("r", automatic=())
    topology = lab(*(Link(Endpoint(name), bare, ("10.8.0.0/24",)) for name in "abc"))

    assert [own[4] for own in layout(topology).addresses[::2]] == ["10.8.0.1/24", "10.8.0.2/24", "10.8.0.3/24"]


def test_automatic_subnets_skip_loopback_addresses() -> None:
    topology = lab(link("a", "b"))
    node = topology.nodes[0]._replace(loopback=("10.0.0.77/32", "fd00:0:0:1::1/128"))

    assert subnets(topology._replace(nodes=(node, *topology.nodes[1:]))) == [["10.0.2.0/24", "fd00:0:0:2::/64"]]
