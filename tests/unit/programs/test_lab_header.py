"""The constants of `lab.h` are those of the lab, as one of its nodes sees it."""

import re
import socket
import sys
from pathlib import Path

import pytest

from netlab.errors import NetlabError
from netlab.programs import lab_header
from tests.unit.described import described

LAB = """
name: x
nodes:
  client: {}
  other-one: {}
  sw: {kind: switch}
  sw2: {kind: switch}
  lb: {}
  worker: {replicas: 2}
  far: {loopback: [10.255.0.1/32]}
links:
  - [client, sw]
  - [other-one, sw2]
  - [sw, sw2]
  - [sw, lb]
  - [lb, worker]
  - {endpoints: [{node: worker1, interface: a.b}, {node: far, address: [10.7.0.2/24, 10.7.0.3/24]}], mtu: 1400}
"""


@pytest.fixture
def constants(tmp_path: Path) -> dict[str, str]:
    text = lab_header.text(described(LAB, tmp_path), "lb")
    found = re.findall(r"^#define (\S+) (.*?)(?: /\* .* \*/)?$", text, re.MULTILINE)
    assert len(found) == text.count("#define") == len(dict(found))
    return dict(found)


def ipv4(address: str) -> str:
    return f"0x{int.from_bytes(socket.inet_aton(address), sys.byteorder):08x}U"


def test_own_interfaces(constants: dict[str, str]) -> None:
    """Each by its name, and the first one by no name."""
    assert (constants["MY_ETH0_IFINDEX"], constants["MY_ETH1_IFINDEX"], constants["MY_IFINDEX"]) == ("16", "17", "16")
    assert constants["MY_ETH1_MAC"] == "{ 0x02, 0x6e, 0x00, 0x00, 0x04, 0x00 }"
    assert (constants["MY_ETH1_IP4"], constants["MY_ETH1_IP4_LENGTH"]) == (ipv4("10.0.1.1"), "24")
    assert (constants["MY_IP4"], constants["MY_MTU"]) == (constants["MY_ETH0_IP4"], "1500")
    assert constants["MY_ETH1_IP6"].startswith("{ 0xfd, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00,")


def test_neighbours_are_the_hosts_that_no_router_is_before(constants: dict[str, str]) -> None:
    """Also behind several switches; a switch has no address and is none."""
    neighbours = {name.removesuffix("_IFINDEX") for name in constants if re.fullmatch("TO_.*_IFINDEX", name)}

    assert neighbours == {"TO_CLIENT", "TO_OTHER_ONE", "TO_WORKER1", "TO_WORKER2"}
    assert [constants[f"{name}_IFINDEX"] for name in sorted(neighbours)] == ["16", "16", "17", "18"]
    assert constants["TO_WORKER1_MAC"] == constants["LAB_WORKER1_ETH0_MAC"] != constants["TO_WORKER1_MY_MAC"]
    assert constants["TO_WORKER1_MY_MAC"] == constants["MY_ETH1_MAC"]
    assert constants["TO_WORKER2_IP4"] == constants["LAB_WORKER2_IP4"] == ipv4("10.0.2.2")


def test_every_node_and_the_replicas_of_one(constants: dict[str, str]) -> None:
    """What a name has that C has not becomes an underscore."""
    assert (constants["LAB_WORKER1_A_B_MTU"], constants["LAB_FAR_MTU"]) == ("1400", "1400")
    assert constants["LAB_OTHER_ONE_IP4"] == constants["TO_OTHER_ONE_IP4"]
    assert constants["LAB_WORKER_COUNT"] == "2"
    assert (constants["LAB_FAR_IP4"], constants["LAB_FAR_IP4_2"]) == (ipv4("10.7.0.2"), ipv4("10.7.0.3"))
    assert (constants["LAB_FAR_LO_IP4"], constants["LAB_FAR_LO_IP4_LENGTH"]) == (ipv4("10.255.0.1"), "32")
    assert constants["LAB_EACH_WORKER(DO)"] == "DO(0, WORKER1) DO(1, WORKER2)"


def test_only_a_program_that_includes_it_gets_one(tmp_path: Path) -> None:
    """One of its own comes first; without a lab there is none."""
    program, work = str(tmp_path / "a.c"), str(tmp_path / "work")

    assert lab_header.flags("nolab", "lb", program, '#include "laboratory.h"\n// lab.h', work) == ([], b"")
    with pytest.raises(NetlabError, match="nolab is not up any more"):
        lab_header.flags("nolab", "lb", program, '#include "lab.h"\n', work)
    (tmp_path / "lab.h").write_text("")
    assert lab_header.flags("nolab", "lb", program, '#include "lab.h"\n', work) == ([], b"")
    assert not (tmp_path / "work").exists()
