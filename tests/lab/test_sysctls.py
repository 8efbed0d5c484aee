"""Sysctls of nodes: written where they belong, and nowhere else."""

import os
import re

import pytest

from netlab.errors import HostError, NetlabError
from tests.lab.namespaces import HOST, Lab

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("no_leaks")]


def sysctl(name: str) -> str:
    """Return a sysctl of the namespace the calling thread is in."""
    with open(f"/proc/sys/{name.replace('.', '/')}", encoding="ascii") as file:
        return file.read().strip()


def test_sysctls_are_the_nodes_and_never_the_hosts(one: Lab) -> None:
    """A sysctl written in a node changes there, and nowhere else."""
    settings = (("net.ipv4.ip_forward", "1"), ("net.ipv6.conf.all.forwarding", "1"), ("net.ipv4.ip_default_ttl", "7"),
                ("net.ipv4.tcp_rmem", "4096 5000 6000"), ("net.ipv6.conf.default.accept_dad", "0"))  # fmt: skip
    before = {name: sysctl(name) for name, _ in settings}
    one.node("a", sysctls=settings)
    one.node("b", sysctls=[(name, "0") for name, _ in settings[:2]])
    one.link("a", "b")
    one.build()

    assert before == {name: sysctl(name) for name, _ in settings}
    assert [value.split() for _, value in settings] == [
        one.inside("a", lambda name=name: sysctl(name)).split()  # type: ignore[misc]
        for name, _ in settings
    ]
    assert one.inside("b", lambda: sysctl("net.ipv4.ip_forward")) == "0"


def test_sysctl_of_an_interface(one: Lab) -> None:
    """One that comes to exist with a link is written then."""
    one.node("a", sysctls=(*HOST, ("net.ipv4.conf.eth0.rp_filter", "2")))
    one.node("b", sysctls=(*HOST, ("net.ipv6.conf.eth0.mtu", "1400")))
    one.link("a", "b")
    one.build()

    assert one.inside("a", lambda: sysctl("net.ipv4.conf.eth0.rp_filter")) == "2"
    assert one.inside("b", lambda: sysctl("net.ipv6.conf.eth0.mtu")) == "1400"


def test_sysctls_that_cannot_be_read_are_written(one: Lab) -> None:
    """Some can only be written to, and one has no value before it is given one."""
    secret = "2001:0db8:0000:0000:0000:0000:0000:0001"
    late = ("net.ipv6.conf.eth0.stable_secret", secret)
    one.node("a", sysctls=(("net.ipv4.route.flush", "1"), ("net.ipv6.conf.default.stable_secret", secret), late))
    one.node("b")
    one.link("a", "b")
    one.build()

    assert secret == one.inside("a", lambda: sysctl("net.ipv6.conf.default.stable_secret"))
    assert secret == one.inside("a", lambda: sysctl("net.ipv6.conf.eth0.stable_secret"))


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("net.ipv4.no_such_thing", "1", "cannot set the sysctl net.ipv4.no_such_thing in node a: there is no such"),
        ("net.ipv6.conf.eth7.mtu", "1400", "cannot set the sysctl net.ipv6.conf.eth7.mtu in node a: there is no such"),
        ("net.ipv4.ip_default_ttl", "900", "sysctl net.ipv4.ip_default_ttl=900 in node a: Invalid argument"),
        ("kernel.hostname", "mine", "cannot set the sysctl kernel.hostname in node a: only net.* belongs to a node"),
        ("net/../kernel/hostname", "mine", "only net.* belongs to a node"),
        ("net.../kernel.hostname", "mine", "in node a: there is no such sysctl"),
    ],
)
def test_sysctl_that_cannot_be_set(one: Lab, name: str, value: str, message: str) -> None:
    """It is named, with the node, and no name leads to a sysctl of the host."""
    hostname = sysctl("kernel.hostname")
    one.node("a", sysctls=((name, value),))
    with pytest.raises(NetlabError, match=re.escape(message)):
        one.build()

    assert hostname == sysctl("kernel.hostname")


def test_kernel_without_ipv6(one: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the host that is unfit then, which the exit code tells too; and it is told before anything is linked."""
    exists = os.path.exists
    monkeypatch.setattr(os.path, "exists", lambda path: path != "/proc/sys/net/ipv6" and exists(path))
    one.node("a", sysctls=(("net.ipv6.conf.default.gone", "0"),))
    one.node("b")
    one.link("a", "b", "7")
    with pytest.raises(HostError, match=r"sysctl net\.ipv6\.conf\.default\.gone in node a: this kernel has no IPv6"):
        one.build()

    assert "eth0" not in one.ip("a", "link")


def test_large_lab_renews_its_proc(one: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sysctls are also right through a proc file system of the thread's own."""
    monkeypatch.setattr("netlab.kernel.sysctls.NODES_A_PROC", 2)
    one.node(*(f"n{number}" for number in range(9)), sysctls=(("net.ipv4.ip_default_ttl", "9"),))
    one.build()

    values = [one.inside(create.node, lambda: sysctl("net.ipv4.ip_default_ttl")) for create in one.creates]
    assert values == ["9"] * 9
