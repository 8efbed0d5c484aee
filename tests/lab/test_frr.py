"""FRR in several nodes of one host: each with its own configuration, sockets and `vtysh`, and OSPF between them."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from netlab.testing.waiting import eventually
from tests.lab.lab import inside, lab, netlab

DAEMONS = "/usr/lib/frr"
pytestmark = [
    pytest.mark.root,
    pytest.mark.usefixtures("no_leaks"),
    pytest.mark.skipif(not os.path.exists(f"{DAEMONS}/ospfd"), reason="FRR is not installed (Debian: frr)"),
]

COUNT = 10
WITHIN_S = 90  # OSPF's hello interval is 1 s here, but the machine may be slow
CONFIGURATION = """frr version 8.4
hostname r{number}
interface eth0
 ip ospf area 0
 ip ospf network point-to-point
 ip ospf hello-interval 1
 ip ospf dead-interval 4
interface eth1
 ip ospf area 0
 ip ospf network point-to-point
 ip ospf hello-interval 1
 ip ospf dead-interval 4
router ospf
 ospf router-id 10.255.0.{number}
"""
NODE = """
  r{number}:
    files:
      /etc/frr/frr.conf: {{source: "./${{node}}.conf", mode: 0640, owner: "frr:frr"}}
      /etc/frr/vtysh.conf: {{text: "service integrated-vtysh-config\\n", owner: "frr:frrvty"}}
    private: [{{path: /run/frr, owner: "frr:frr"}}, {{path: /var/log/frr, owner: "frr:frr"}}]
    processes:
      zebra:
        command: [/usr/lib/frr/zebra, -d, -A, 127.0.0.1, -f, /etc/frr/frr.conf]
        ready: {{file: /run/frr/zserv.api}}
      ospfd:
        command: [/usr/lib/frr/ospfd, -A, 127.0.0.1, -f, /etc/frr/frr.conf]
        after: [zebra]
        ready: {{command: [vtysh, -d, ospfd, -c, show version]}}
        restart: on-failure
"""


@pytest.fixture
def ring(tmp_path: Path) -> Iterator[str]:
    """A ring of routers, each with a zebra and an ospfd."""
    numbers = range(1, COUNT + 1)
    for number in numbers:
        (tmp_path / f"r{number}.conf").write_text(CONFIGURATION.format(number=number))
    nodes = "".join(NODE.format(number=number) for number in numbers)
    links = "".join(f"  - [r{number}, r{number % COUNT + 1}]\n" for number in numbers)
    (tmp_path / "ring.yml").write_text(f"name: ring\nnodes:{nodes}links:\n{links}")
    with lab(str(tmp_path / "ring.yml")) as name:
        yield name


def vtysh(node: str, command: str) -> Any:
    """Return what a router says, as data."""
    return json.loads(inside(node, "vtysh", "-c", f"{command} json").stdout or "{}")


def process(key: str) -> Any:
    """Return what `status` says of a process."""
    nodes = json.loads(netlab("status", "--format", "json", code=None).stdout)["nodes"]
    return next(each for each in nodes[key.split("/", maxsplit=1)[0]]["processes"] if each["process"] == key)


def has_two_neighbours(node: str) -> bool:
    """Say whether OSPF has agreed with both neighbours of a router."""
    found = vtysh(node, "show ip ospf neighbor")["neighbors"].values()
    return [each[0]["nbrState"].partition("/")[0] for each in found] == ["Full", "Full"]


def test_each_router_is_its_own(ring: str) -> None:
    """Ten routers are neighbours of two others each; what `vtysh` says and writes is of the node where it runs.

    An ospfd that is killed starts again, and has its neighbours again; the zebra beside it goes on in the background.
    """
    names = [f"r{number}" for number in range(1, COUNT + 1)]
    for name in names:
        assert f"hostname {name}\n" in inside(name, "vtysh", "-c", "show running-config").stdout
    for number, name in enumerate(names, 1):
        eventually(partial(has_two_neighbours, name), f"{name} has two neighbours", WITHIN_S)
        assert f"10.255.0.{number}" == vtysh(name, "show ip ospf")["routerId"]

    was = process("r1/ospfd")["pid"]
    os.kill(was, signal.SIGKILL)
    eventually(lambda: process("r1/ospfd")["pid"] != was, "ospfd has started again")
    eventually(partial(has_two_neighbours, "r1"), "r1 has two neighbours again", WITHIN_S)
    assert "-d" in Path(f"/proc/{process('r1/zebra')['pid']}/cmdline").read_text().split("\0")  # in the background

    said = ("configure terminal", "interface eth0", "description only-r3", "end", "write memory")
    inside("r3", "vtysh", *(word for line in said for word in ("-c", line)))

    assert "only-r3" in inside("r3", "cat", "/etc/frr/frr.conf").stdout
    assert "only-r3" not in inside("r4", "cat", "/etc/frr/frr.conf").stdout
    assert subprocess.run(["grep", "-rs", "only-r3", "/etc/frr"], check=False, capture_output=True).stdout == b""
