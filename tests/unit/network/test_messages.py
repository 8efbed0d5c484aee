"""Netlink messages: what pyroute2 makes of them, and how it is loaded."""

import itertools
import subprocess
import sys
from collections.abc import Callable

import pytest

from netlab.network.messages import Messages
from netlab.plan.steps import AddRoute, Interface
from netlab.testing.waiting import PATIENCE_S
from tests.checkout import ROOT

MAC = "02:25:62:70:7e:7d"  # among others the bytes of `%b`
ADDRESSES = {"10.0.1.1/24", "255.37.98.0/32", "0.0.0.0/0", "fd00::1/64", "2562:2562:2562:2562:7e7d:7c7b:7a79:7877/127"}
HOSTS = ("10.0.0.2", "37.98.37.98", "fd00::2")


def end(name: str, index: int, mac: str = MAC, mtu: int = 1500) -> Interface:
    """Return an end of a link."""
    return Interface("n", name, index, mac, mtu, (), "", "", "")


CASES: list[Callable[[Messages], bytes]] = [
    *(
        lambda messages, near=near, far=far: messages.veth(
            end(near, 2), end(far, 0x7FFFFFFF, "00:00:00:00:00:01", 68), 9
        )
        for near, far in itertools.product(["e", "~", "%b%b", "eth0", "eth4711", "fifteen-letters"], repeat=2)
    ),
    *(lambda messages, name=name: messages.bridge(7, name) for name in ("br0", "b", "bridge")),
    *(lambda messages, on=on: messages.bridge(7, "br0", *on) for on in itertools.product((False, True), repeat=2)),
    *(lambda messages, tagged=tagged: messages.vlan(17, 4094, tagged=tagged) for tagged in (False, True)),
    lambda messages: messages.no_vlan(17, 10),
    *(
        lambda messages, text=text: messages.alias(1 << 30, text)
        for text in (f"netlab.{'a' * 63}.4026531836-123456789", "x")
    ),
    *(lambda messages, index=index: messages.up(index) for index in (1, 0x25256225)),
    *(lambda messages, index=index: messages.up(index, 3) for index in (1, 0x25256225)),
    *(lambda messages, address=address: messages.address(5, address) for address in sorted(ADDRESSES)),
    *(
        lambda messages, peer=peer: messages.address(5, peer[0], peer[1])
        for peer in (("10.4.0.1/32", "10.5.0.1"), ("fd00::1/128", "fd00::2"))
    ),
    *(lambda messages, via=via: messages.route(AddRoute("a", "default", via)) for via in HOSTS),
    *(
        lambda messages, to=to: messages.route(AddRoute("a", to, "10.0.0.2", 20))
        for to in ("10.9.0.0/16", "10.9.0.7", "192.0.2.128/25")
    ),
    *(lambda messages, to=to: messages.route(AddRoute("a", to, "fd00::2")) for to in ("fd09::/32", "fd00::7", "::/0")),
    *(
        lambda messages, route=route: messages.route(route)
        for route in (
            AddRoute("a", "10.9.0.0/16", interface="eth0", index=16),
            AddRoute("a", "::/0", kind="blackhole"),
            AddRoute("a", "default", "fe80::1", 4_278_190_080, "eth0", index=16),
        )
    ),
    *(lambda messages, index=index: messages.no_link(index) for index in (1, 0x25256225)),
    *(lambda messages, address=address: messages.no_address(5, address) for address in sorted(ADDRESSES)),
    *(
        lambda messages, to=to: messages.no_route(AddRoute("a", to, "10.0.0.2"))
        for to in ("default", "10.9.0.0/16", "10.9.0.7")
    ),
]


@pytest.fixture(scope="module")
def direct() -> Messages:
    """An encoder that has pyroute2 encode every message."""

    class Direct(Messages):
        def _template(self, *_: object) -> bytes:
            return b""

    return Direct()


@pytest.mark.parametrize("case", CASES)
def test_templates_give_what_pyroute2_gives(case: Callable[[Messages], bytes], direct: Messages) -> None:
    """A message through a template, new or known, is byte for byte the one that pyroute2 encodes."""
    messages = Messages()
    expected = case(direct)

    assert expected == case(messages)
    assert expected == case(messages)
    assert len(expected) % 4 == 0


def test_a_template_serves_other_values(direct: Messages) -> None:
    """Once known, a shape serves any values of the same lengths."""
    messages = Messages()
    messages.veth(end("eth0", 2), end("eth1", 3), 8)
    other = (end("abcd", 4, "0a:00:00:00:00:0b", 9000), end("%b%b", 5, MAC, 1280), 300)

    assert direct.veth(*other) == messages.veth(*other)
    assert len(messages._templates) == 1


def test_usual_shapes_have_templates() -> None:
    """The messages of a large lab are not encoded one by one."""
    messages = Messages()
    messages.veth(end("eth0", 2), end("eth999", 3), 8)
    messages.up(2)
    messages.up(2, 3)
    for text in ("10.0.0.1/24", "fd00::1/64"):
        messages.address(2, text)
        messages.route(AddRoute("a", "default", text.partition("/")[0], 255 << 24))

    assert all(messages._templates.values())


def test_route_without_a_length_is_to_a_host(direct: Messages) -> None:
    """An address is a network of one."""
    assert direct.route(AddRoute("a", "10.9.0.7/32", "10.0.0.2")) == direct.route(AddRoute("a", "10.9.0.7", "10.0.0.2"))


def python(code: str) -> str:
    """Return what a fresh interpreter prints."""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S, check=True
    )
    return done.stdout.strip()


def test_pyroute2_itself_is_not_run() -> None:
    """The message classes come without the rest of the package."""
    loaded = python("import sys; from netlab.network.messages import Messages; Messages(); print(*sys.modules)").split()

    assert "pyroute2.netlink.rtnl.ifinfmsg" in loaded
    assert not {
        "asyncio",
        "multiprocessing",
        "logging",
        "traceback",
        "pkgutil",
        "pyroute2.iproute",
        "pyroute2.ndb",
    } & set(loaded)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("import pyroute2; print(pyroute2.IPRoute.__name__)", "IPRoute"),
        ("from pyroute2 import IPRoute, NDB; print(IPRoute.__name__)", "IPRoute"),
        ("import pyroute2.config; print(bool(pyroute2.config.kernel))", "True"),
        ("from pyroute2 import config; print(bool(config.uname))", "True"),
        ("import pyroute2; pyroute2.IPRoute; print(pyroute2.netlink.nlmsg.__name__)", "nlmsg"),
        ("import pyroute2; print(hasattr(pyroute2, 'no_such_thing'))", "False"),
        ("from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg as other; print(other is m._classes.link)", "True"),
        ("import logging; print(logging.getLogger() is logging.root, logging.__spec__.name)", "True logging"),
        ("import logging.handlers, traceback; print(bool(logging.handlers.SocketHandler))", "True"),
        ("import pkgutil; print(pkgutil.iter_modules.__module__, pkgutil.__spec__.name)", "pkgutil pkgutil"),
        ("from pyroute2.netlink import log; print(log.isEnabledFor(40), log.name)", "True pyroute2.netlink"),
    ],
)
def test_pyroute2_can_still_be_imported(code: str, expected: str) -> None:
    """Other code in the same process finds all of pyroute2 where it expects it."""
    assert expected == python(f"from netlab.network.messages import Messages; m = Messages(); {code}")


def test_pyroute2_that_is_there_already_is_used() -> None:
    """An import before ours is not replaced."""
    code = """
import sys, pyroute2
from netlab.network.messages import Messages
Messages()
print(sys.modules["pyroute2"] is pyroute2)
"""

    assert python(code) == "True"


def test_other_layout_falls_back_to_the_ordinary_import() -> None:
    """When the modules cannot be had alone, the whole package is imported."""
    code = """
import sys
from netlab import lazy_import
from netlab.network import messages
def trap(name, **known):
    sys.modules[name] = None   # importing it, or anything below it, fails
lazy_import.module = trap
messages.Messages()
print("IPRoute" in vars(sys.modules["pyroute2"]))
"""
    assert python(code) == "True"
