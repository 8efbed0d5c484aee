"""Where in a lab an error of XDP was, by the numbers that the kernel knows. Pure."""

import errno
from collections.abc import Mapping, Sequence
from typing import TypedDict

from netlab.named_tuple import NamedTuple
from netlab.programs import xdp_error_code as code
from netlab.programs.xdp_errors import Error
from netlab.record.model import LabRecord


class Node(TypedDict):
    """What of a node is to be known: its interfaces by their indexes, as text, and the programs of these by key."""

    node: str
    interfaces: Mapping[str, str]
    programs: Mapping[str, str]


class Where(NamedTuple):
    """Where an error was: a node, an interface, the program of that, and the interface to leave by; "" for unknown."""

    node: str
    interface: str
    program: str
    target: str


def nodes(record: LabRecord) -> list[Node]:
    """Return all nodes of a lab, in the order of the record, by which the kernel numbers them."""
    return [
        Node(
            node=name,
            interfaces={str(port.index): interface for interface, port in node.interfaces.items()},
            programs={interface: key for key, program in record.programs_of(name) for interface in program.interfaces},
        )
        for name, node in record.nodes.items()
    ]


def place_of(nodes: Sequence[Node], error: Error) -> Where:
    """Return where an error was."""
    node = nodes[error.node]
    target = error.target
    if error.kind == code.REDIRECT and error.code == errno.EBADRQC:
        target = ""  # the program has named none; old kernels tell what a program before it has named
    elif error.kind == code.REDIRECT and error.number:
        target = node["interfaces"].get(str(error.number), f"interface {error.number}")
    interface = _shown(error.interface)
    return Where(node["node"], interface, node["programs"].get(interface, ""), _shown(target))


def _shown(name: str) -> str:
    """Return the name of an interface as it can be printed on a terminal: anybody in a node may choose it."""
    return "".join(letter if letter.isascii() and letter.isprintable() else f"\\x{ord(letter):02x}" for letter in name)
