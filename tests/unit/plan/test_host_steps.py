"""Names of interfaces and tables on the host, and what the lab's table says."""

import pytest

from netlab.plan import host_steps
from netlab.plan.host_steps import Closed, OpenInternet
from netlab.topology.ip_arithmetic import IPV4, IPV6

LONG = "a-very-long-name-of-a-lab"


@pytest.mark.parametrize("lab", ["a", "demo-1", "eightchr", LONG, LONG + "x"])
def test_a_name_on_the_host_is_short_and_no_other_labs(lab: str) -> None:
    names = {host_steps.interface_name(lab, number, is_way=is_way) for number in (0, 99) for is_way in (True, False)}

    assert len(names) == 4
    assert max(map(len, names)) <= 15
    for other in ("a", "demo-1", "demo", "eightchr", LONG, LONG + "x"):
        assert {host_steps.is_interface_of(name, other) for name in names} == {other == lab}


def test_a_name_with_a_number_is_not_that_of_another_lab() -> None:
    assert host_steps.is_interface_of("nl-demo-1-0", "demo-1")
    assert not host_steps.is_interface_of("nl-demo-1-0", "demo")
    assert not host_steps.is_interface_of("nl-demo-x", "demo")
    assert not host_steps.is_interface_of("eth0", "demo")


def test_indexes_are_above_the_hosts_own_and_fit() -> None:
    found = {host_steps.interface_index(lab, number) for lab in ("a", "b", LONG) for number in (0, 1, 99)}

    assert len(found) == 9
    assert all(1 << 30 <= index < 1 << 31 for index in found)


def test_a_table_tells_its_lab() -> None:
    assert host_steps.lab_of_table(host_steps.table_name("demo-1")) == "demo-1"
    assert [host_steps.lab_of_table(name) for name in ("filter", "netlab", "netlab_", "netlab_A")] == [""] * 4


def test_a_host_that_forwarded_nothing_still_forwards_nothing_else() -> None:
    step = OpenInternet("world", ("nl-demo-0", "nl-demo-1"), (IPV4, IPV6), "demo")
    plain, closed = host_steps.ruleset(step), host_steps.ruleset(step, (Closed(IPV4),))

    assert 'iifname { "nl-demo-0", "nl-demo-1" } oifname != { "nl-demo-0", "nl-demo-1" } masquerade' in plain
    assert "nfproto" not in plain
    assert 'meta nfproto ipv4 iifname != "nl-*" oifname != "nl-*" drop' in closed
    assert "nfproto ipv6" not in closed

    from_some = host_steps.ruleset(step, (Closed(IPV4, ("br7", "wlan0.7")),))
    assert 'iifname != "nl-*" oifname != "nl-*" iifname != { "br7", "wlan0.7" } drop' in from_some


def test_queries_are_led_to_a_server_that_only_the_host_reaches() -> None:
    step = OpenInternet("world", ("nl-demo-0",), (IPV4,), "demo")
    led = host_steps.ruleset(step, resolver="127.0.0.53", at="10.0.0.2")

    assert 'iifname { "nl-demo-0" } ip daddr 10.0.0.2 udp dport 53 dnat ip to 127.0.0.53' in led
    assert "tcp dport 53" in led
    assert "type filter hook prerouting priority raw" in led
    assert 'iifname { "nl-demo-0" } ip daddr 127.0.0.0/8 drop' in led
    assert 'iifname { "nl-demo-0" } ip saddr 127.0.0.0/8 drop' in led
    assert not [word for word in ("dnat", "127.0.0.0/8") if word in host_steps.ruleset(step)]
