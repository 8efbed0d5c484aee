"""`lab.h`, which a program may include: what netlab knows of the lab, as constants of C with the topology's names.

It is made for a node when its program is compiled, from the lab's record. The plan chooses the indexes of interfaces,
so they are known before the interfaces exist.
"""

import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence

from netlab import paths
from netlab.kernel import files
from netlab.programs.lab_names import IPV4_BYTES, packed
from netlab.record import store
from netlab.record.model import InterfaceRecord, LabRecord
from netlab.topology import program_text

NAME = "lab.h"
_FOLDER = "lab"  # of the compilers' work folder


def flags(lab: str, key: str, program: str, source: str, work_folder: str) -> tuple[list[str], bytes]:
    """Write the header, and return the compiler's options that find it, and its text; nothing if it is not included.

    `key` is the program's in its lab, `source` its text with its headers. A `lab.h` beside the program is used instead.
    NetlabError if the lab has no record.
    """
    if not program_text.includes(source, NAME) or os.path.exists(os.path.join(os.path.dirname(program), NAME)):
        return [], b""
    node = paths.node_of(key)
    folder = os.path.join(work_folder, _FOLDER, node)
    made = text(store.read(lab), node)
    for each in (work_folder, os.path.dirname(folder), folder):
        files.ensure_folder(each, files.FOR_OWNER)
    files.write(os.path.join(folder, NAME), made, 0o600)
    return [f"-I{folder}"], made.encode()


def text(lab: LabRecord, node: str) -> str:
    """Return the header of a node. Pure."""
    own = lab.nodes[node].interfaces
    constants: dict[str, str] = {}
    for name, value in [*_own(own), *_neighbours(lab, node), *_nodes(lab), *_groups(lab)]:
        constants.setdefault(name, value)  # two names may become the same name of C: the first one counts
    lines = [f"#define {name} {value}" for name, value in constants.items()]
    about = f"/* The lab {lab.lab} as its node {node} sees it. Made by netlab: docs/programs.md explains the names. */"
    return "\n".join([about, "#pragma once", *lines, ""])


def _own(interfaces: Mapping[str, InterfaceRecord]) -> Iterator[tuple[str, str]]:
    """Yield MY_ETH0_… for the node's own interfaces, and MY_… for the first."""
    for name, record in interfaces.items():
        yield from _interface(f"MY_{_in_c(name)}", record)
    for record in interfaces.values():
        yield from _interface("MY", record)


def _neighbours(lab: LabRecord, node: str) -> Iterator[tuple[str, str]]:
    """Yield TO_CLIENT_… for each node that is reached without a router: the interface to it, and its own interface."""
    for record in lab.nodes[node].interfaces.values():
        for other, there in _segment(lab, node, record):
            name = _in_c(other)
            yield f"TO_{name}_IFINDEX", str(record.index)
            yield f"TO_{name}_MY_MAC", _mac(record.mac)
            for key, value in _interface(f"TO_{name}", there):
                if not key.endswith("_IFINDEX"):
                    yield key, value


def _segment(lab: LabRecord, node: str, own: InterfaceRecord) -> Iterator[tuple[str, InterfaceRecord]]:
    """Yield the hosts on the link of an interface, and behind its switches, with their interfaces there."""
    seen = {node}
    waiting = [(own.peer, own.peer_interface)]
    while waiting:
        other, interface = waiting.pop(0)
        if lab.nodes[other].kind != "switch":
            if other != node:
                yield other, lab.nodes[other].interfaces[interface]
        elif other not in seen:
            seen.add(other)
            waiting += [(port.peer, port.peer_interface) for port in lab.nodes[other].interfaces.values()]


def _nodes(lab: LabRecord) -> Iterator[tuple[str, str]]:
    """Yield LAB_CLIENT_ETH0_… for every interface of every node, and LAB_CLIENT_… for its first."""
    for node, about in lab.nodes.items():
        for name, record in about.interfaces.items():
            yield from _interface(f"LAB_{_in_c(node)}_{_in_c(name)}", record)
        yield from _addresses(f"LAB_{_in_c(node)}_LO", about.loopback)
        for record in about.interfaces.values():
            yield from _interface(f"LAB_{_in_c(node)}", record)


def _groups(lab: LabRecord) -> Iterator[tuple[str, str]]:
    """Yield LAB_WORKER_COUNT, and LAB_EACH_WORKER(DO), which is DO(0, WORKER1) DO(1, WORKER2) and so on."""
    members: dict[str, list[str]] = {}
    for node, about in lab.nodes.items():
        if about.replica_of:
            members.setdefault(about.replica_of, []).append(node)
    for name, nodes in members.items():
        yield f"LAB_{_in_c(name)}_COUNT", str(len(nodes))
        calls = " ".join(f"DO({number}, {_in_c(node)})" for number, node in enumerate(nodes))
        yield f"LAB_EACH_{_in_c(name)}(DO)", calls


def _interface(prefix: str, record: InterfaceRecord) -> Iterator[tuple[str, str]]:
    """Yield the constants of an interface: its index in its node, MAC, MTU, and addresses in network byte order."""
    yield f"{prefix}_IFINDEX", str(record.index)
    yield f"{prefix}_MAC", _mac(record.mac)
    yield f"{prefix}_MTU", str(record.mtu)
    yield from _addresses(prefix, record.addresses)


def _addresses(prefix: str, addresses: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield addresses and the lengths of their prefixes: …_IP4, …_IP4_2 and so on."""
    count = {"IP4": 0, "IP6": 0}
    for address in addresses:
        alone, _, length = address.partition("/")
        data = packed(alone) or b""
        family = "IP4" if len(data) == IPV4_BYTES else "IP6"
        count[family] += 1
        name = f"{prefix}_{family}{f'_{count[family]}' if count[family] > 1 else ''}"
        in_c = f"0x{int.from_bytes(data, sys.byteorder):08x}U" if family == "IP4" else _bytes(data)
        yield name, f"{in_c} /* {alone} */"
        yield f"{name}_LENGTH", length


def _mac(mac: str) -> str:
    return _bytes(bytes.fromhex(mac.replace(":", "")))


def _bytes(data: bytes) -> str:
    return "{ " + ", ".join(f"0x{each:02x}" for each in data) + " }"


def _in_c(name: str) -> str:
    return re.sub(r"\W", "_", name).upper()
