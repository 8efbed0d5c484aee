"""`xdp:`: the program of a node, and the links that it is attached to."""

from typing import NamedTuple

from netlab.topology.document.tree import Item, Mapping, Scalar, show
from netlab.topology.model import Program
from netlab.topology.validate.files import Files
from netlab.topology.validate.findings import Findings, Name, Place, place
from netlab.topology.validate.links import Interfaces
from netlab.topology.validate.names import Names
from netlab.topology.validate.rules import Fields, Rule, choice, name, one_or_more, pairs, word
from netlab.topology.validate.settings import is_word

XDP_KEYS = ("program", "function", "define", "interfaces", "mode")
MODE = choice("native", "generic")
INTERFACES = one_or_more(name, "a list of interfaces")
NONE = ("", "")  # stands for a program that is a mistake
MAX_NATIVE_MTU = 3500  # a page less what XDP needs of it
LOWEST_CONSTANT, HIGHEST_CONSTANT = -(1 << 63), (1 << 64) - 1


NO_CONSTANTS: tuple[tuple[str, str | int], ...] = ()


class WrittenProgram(NamedTuple):
    """A program, and the interfaces it is meant for with their places; the node has them once links are known."""

    program: Program
    interfaces: tuple[Name, ...]
    place: Place


def read_program(files: Files, findings: Findings, item: Item, path: str) -> WrittenProgram | None:
    """Read `xdp:`, which is a program's name, or a mapping."""

    def program(findings: Findings, item: Item, path: str) -> tuple[str, str] | None:
        return files.rule("bpf", findings, item, path)

    if isinstance(item, Scalar) and item.value is not None:
        found = program(findings, item, path) or NONE
        transmits = found != NONE and files.may_transmit(found[1], ())
        return WrittenProgram(Program(*found, transmits=transmits), (), place(item, path))
    fields = Fields(findings, item, path, XDP_KEYS, "a program, or a mapping with program")
    if not isinstance(item, Mapping):
        return None
    found = fields.require("program", program, NONE)
    function = fields.read("function", _function, "")
    mode = fields.read("mode", MODE, "native")
    define = fields.read("define", constants, NO_CONSTANTS)
    interfaces = fields.read("interfaces", INTERFACES, ())
    chosen = tuple(dict.fromkeys(interface.text for interface in interfaces))
    transmits = found != NONE and files.may_transmit(found[1], define)
    read = Program(*found, function, mode, define, chosen, transmits)
    return WrittenProgram(read, interfaces, fields.place)


def check_program(
    findings: Findings, names: Names, written: WrittenProgram, interfaces: Interfaces, group: str
) -> None:
    """Add the mistakes of a program whose node, or replicated node, lacks the interfaces for it."""
    for node in names.members[group]:
        own = interfaces.get(node, {})
        if not own:
            findings.add(written.place, f"expected a link that the program can be attached to, found none of {node}")
            return
        missing = [interface for interface in written.interfaces if interface.text not in own]
        for other in missing:
            message = f"expected an interface of {node}, found {show(other.text)}"
            findings.add(other.place, message, findings.nearest(other.text, own))
        if missing:
            return
        for own_name, wire in own.items():
            attached = not written.interfaces or own_name in written.program.interfaces
            if attached and wire.link.mtu > MAX_NATIVE_MTU and written.program.mode == "native" and wire.link.mtu_place:
                message = f"expected an mtu of at most {MAX_NATIVE_MTU:,} for the program on {group}"
                findings.add(wire.link.mtu_place, f"{message}, found {wire.link.mtu}", "or set its mode to generic")


def _constant_problem(key: str) -> str:
    return "" if is_word(key) else "the name of a C constant, of letters, digits and underscores"


def _constant(findings: Findings, item: Item, path: str) -> str | int | None:
    """Take a whole number of 64 bits, or text on one line."""
    expected = "a whole number or text"
    if isinstance(item, Scalar) and isinstance(item.value, bool):
        findings.wrong(item, path, expected, "write 1 or 0")
        return None
    if not isinstance(item, Scalar) or item.value is None or isinstance(item.value, float) or "\n" in item.text:
        findings.wrong(item, path, expected)
        return None
    if isinstance(item.value, int) and not LOWEST_CONSTANT <= item.value <= HIGHEST_CONSTANT:
        findings.wrong(item, path, "a whole number of 64 bits")
        return None
    return item.value


def _function(findings: Findings, item: Item, path: str) -> str | None:
    written = word(findings, item, path)
    if written is not None and not is_word(written):
        findings.add(place(item, path), f"expected the name of a C function, found {written!r}")
        return None
    return written


constants: Rule[tuple[tuple[str, str | int], ...]] = pairs(
    _constant_problem, _constant, "a mapping of constants to values"
)
