"""Which name servers nodes ask, when they may reach the outside."""

from pathlib import Path

import pytest

from netlab.lab.name_servers import Names, chosen

AT = ("fd00::2/64", "10.0.0.2/24")
NONE = Names("# this host has no name server that a node can reach\n")
CASES = {
    "nameserver 192.0.2.1\nnameserver 2001:db8::1\nsearch a b\noptions ndots:2\n# nameserver 192.0.2.9\n": Names(
        "nameserver 192.0.2.1\nnameserver 2001:db8::1\nsearch a b\noptions ndots:2\n"
    ),
    "nameserver 127.0.0.1\nnameserver 192.0.2.1\n": Names("nameserver 192.0.2.1\n"),
    "nameserver ::1\nnameserver 127.0.0.1\n": Names("nameserver 10.0.0.2\n", "127.0.0.1", "10.0.0.2"),
    "nameserver ::1\n": NONE,
    "nameserver\nnameserver example.org\n": NONE,
    "": NONE,
}


@pytest.mark.parametrize("text", CASES)
def test_nodes_ask_whom_they_can_reach(tmp_path: Path, text: str) -> None:
    own = tmp_path / "resolv.conf"
    own.write_text(text)

    assert chosen(AT, str(own), ()) == CASES[text]


def test_those_behind_a_stub_are_asked_directly(tmp_path: Path) -> None:
    own, behind = tmp_path / "resolv.conf", tmp_path / "behind"
    own.write_text("nameserver 127.0.0.53\nsearch lan\n")
    behind.write_text("nameserver 192.0.2.7\n")

    assert chosen(AT, str(own), (str(tmp_path / "none"), str(behind))) == Names("nameserver 192.0.2.7\nsearch lan\n")


def test_a_lab_without_ipv4_cannot_be_led_to_a_local_one(tmp_path: Path) -> None:
    own = tmp_path / "resolv.conf"
    own.write_text("nameserver 127.0.0.53\n")

    assert chosen(("fd00::2/64",), str(own), ()) == NONE
    assert chosen(AT, str(tmp_path / "missing"), ()) == NONE
