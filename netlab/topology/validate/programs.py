"""`xdp:` and `tc:`: the programs of a node, and the links that they are attached to."""

from netlab.named_tuple import NamedTuple
from netlab.paths import is_program_name
from netlab.topology import hooks
from netlab.topology.document.tree import Item, Mapping, Scalar, Sequence, show
from netlab.topology.model import OBJECT, Program
from netlab.topology.validate import untrusted
from netlab.topology.validate.files import Files
from netlab.topology.validate.findings import Findings, Name, Place, place
from netlab.topology.validate.links import Interfaces
from netlab.topology.validate.names import Names
from netlab.topology.validate.rules import Fields, Rule, choice, name, one_or_more, pairs, word
from netlab.topology.validate.settings import is_word

# Without a `name`, a program is called as its function, or else as its file. One of several has `interfaces`.
TC_KEYS = ("program", "name", "function", "define", "interfaces", "dialect", "include", "cflags")
XDP_KEYS = (*TC_KEYS, "mode")
PROGRAM = "a program, a mapping with program, or a list of these"
TC = f"a mapping with ingress, egress or both, each {PROGRAM}"
DIRECTIONS = {hooks.direction(hook): hook for hook in hooks.TC}
NAME = "a name of at most 63 letters, digits, underscores and inner hyphens"
USUAL_MODE = "native"
MODE = choice(USUAL_MODE, "generic")
DIALECT = choice("bcc", "libbpf")
FRAGMENTS = "xdp.frags"  # begins the section of a program that takes packets in several pieces
INTERFACES = one_or_more(name, "a list of interfaces")
NONE = ("", "")  # stands for a program that is a mistake
MAX_NATIVE_MTU = 3500  # a page less what XDP needs of it
LOWEST_CONSTANT, HIGHEST_CONSTANT = -(1 << 63), (1 << 64) - 1


# What names of sections have besides: a function may be called by its section, such as xdp/devmap.
IN_SECTIONS = str.maketrans("./-", "___")
NO_CONSTANTS: tuple[tuple[str, str | int], ...] = ()


class WrittenProgram(NamedTuple):
    """A program, and the interfaces it is meant for with their places; the node has them once links are known.

    `named` is the place of what gives the program its name, which `has_name` if that is `name`.
    """

    program: Program
    interfaces: tuple[Name, ...]
    says_where: bool
    place: Place
    named: Place
    has_name: bool = False


def read_programs(files: Files, findings: Findings, fields: Fields) -> tuple[WrittenProgram, ...]:
    """Read the programs of a node, at all of its hooks."""
    found = fields.read("xdp", lambda *at: _read_hook(files, hooks.XDP, *at), ())
    found += fields.read("tc", lambda *at: _read_tc(files, *at), ())
    if len(found) > 1:
        found = _named_apart(found)
        _check_names(findings, found)
    return found


def _read_tc(files: Files, findings: Findings, item: Item, path: str) -> tuple[WrittenProgram, ...] | None:
    """Read `tc:`, the programs of each direction."""
    if not isinstance(item, Mapping) or not item.pairs:
        findings.wrong(item, path, TC, "such as tc: {egress: ./mine.c}")
        return None
    fields = Fields(findings, item, path, tuple(DIRECTIONS), TC)
    found: tuple[WrittenProgram, ...] = ()
    for key, hook in DIRECTIONS.items():
        found += fields.read(key, lambda *at, hook=hook: _read_hook(files, hook, *at), ())
    return found


def _read_hook(files: Files, hook: str, findings: Findings, item: Item, path: str) -> tuple[WrittenProgram, ...] | None:
    """Read what is at one hook, which is a program, or a list of programs on different interfaces."""
    if not isinstance(item, Sequence):
        only = _read_program(files, hook, findings, item, path)
        return only and (only,)
    if not item.items:
        findings.wrong(item, path, PROGRAM)
        return None
    read = (_read_program(files, hook, findings, each, f"{path}.{number}") for number, each in enumerate(item.items))
    found = tuple(each for each in read if each)
    if len(item.items) > 1:
        _check_interfaces(findings, found)
    return found


def _read_program(files: Files, hook: str, findings: Findings, item: Item, path: str) -> WrittenProgram | None:
    """Read a program's name, or a mapping."""

    def program(findings: Findings, item: Item, path: str) -> tuple[str, str] | None:
        return files.rule("bpf", findings, item, path)

    where, is_xdp = place(item, path), hook == hooks.XDP
    if isinstance(item, Scalar) and item.value is not None:
        found = program(findings, item, path) or NONE
        transmits = is_xdp and found != NONE and (findings.untrusted or files.may_transmit(found[1], ()))
        read = Program(*found, mode=USUAL_MODE if is_xdp else "", transmits=transmits, hook=hook)
        return WrittenProgram(read, (), False, where, where)
    fields = Fields(findings, item, path, XDP_KEYS if is_xdp else TC_KEYS, PROGRAM)
    if not isinstance(item, Mapping):
        return None
    called, file = fields.require("program", program, NONE)
    name = fields.read("name", _name, "")
    function = fields.read("function", _function, "")
    mode = fields.read("mode", MODE, USUAL_MODE) if is_xdp else ""
    define = fields.read("define", constants, NO_CONSTANTS)
    dialect = fields.read("dialect", DIALECT, "")
    include = fields.read("include", one_or_more(files.folder, "a folder with headers, or a list of these"), ())
    cflags = fields.read("cflags", _flags, ())
    if file.endswith(OBJECT):
        _check_object(findings, fields, dialect)
    interfaces = fields.read("interfaces", INTERFACES, ())
    chosen = tuple(dict.fromkeys(interface.text for interface in interfaces))
    # Headers of an untrusted program are read by the compiler only, where they can be no other files.
    may = findings.untrusted or (bool(file) and files.may_transmit(file, define, include, cflags))
    transmits = is_xdp and bool(file) and may
    how = (function, mode, define, chosen, transmits, dialect, include, cflags)
    read = Program(name or _as_name(function) or called, file, *how, hook=hook)
    named = fields.value_place("name" if name else "function" if function else "program")
    return WrittenProgram(read, interfaces, "interfaces" in fields, where, named, bool(name))


def _flags(findings: Findings, item: Item, path: str) -> tuple[str, ...] | None:
    found = one_or_more(word, "an option of the compiler, or a list of these")(findings, item, path)
    if findings.untrusted and found:
        untrusted.check_flags(findings, item, path, found)
    return found


def _as_name(function: str) -> str:
    """Return the name of a program by its function, or by its section, which may have other signs."""
    return "".join(sign if sign.isalnum() or sign == "_" else "-" for sign in function).strip("-")


def _check_object(findings: Findings, fields: Fields, dialect: str) -> None:
    """Add the mistakes of an object for which something is said that only a source can have."""
    for key in ("include", "cflags"):
        if key in fields:
            findings.add(
                fields.key_place(key), f"expected no {key} for an object, which is compiled already, found some"
            )
    if dialect == "bcc":
        findings.add(fields.value_place("dialect"), "expected libbpf for an object, found 'bcc'", "leave it out")


def _named_apart(written: tuple[WrittenProgram, ...]) -> tuple[WrittenProgram, ...]:
    """Add the direction to names of tc programs that another hook has, too, unless the file gives them."""
    places: dict[str, set[str]] = {}
    for one in written:
        places.setdefault(one.program.name, set()).add(one.program.hook)

    def apart(one: WrittenProgram) -> WrittenProgram:
        name, hook = one.program.name, one.program.hook
        if one.has_name or hook == hooks.XDP or len(places[name]) == 1:
            return one
        return one._replace(program=one.program._replace(name=f"{name}-{hooks.direction(hook)}"))

    return tuple(map(apart, written))


def _check_names(findings: Findings, written: tuple[WrittenProgram, ...]) -> None:
    """Add the mistakes of programs of one node that cannot be told apart."""
    names: dict[str, Place] = {}
    for one in written:
        name = one.program.name
        if name in names:
            found = f"found two programs called {show(name)} (the other on line {names[name].line})"
            findings.add(one.named, f"expected names of their own, {found}", "give one of them another `name`")
        elif name and not is_program_name(name):
            findings.add(
                one.named, f"expected {NAME} for one of several programs, found {show(name)}", "give it a `name`"
            )
        if name:
            names.setdefault(name, one.named)


def _check_interfaces(findings: Findings, written: tuple[WrittenProgram, ...]) -> None:
    """Add the mistakes of programs of one hook that meet on an interface."""
    taken: dict[str, Place] = {}
    for one in written:
        if not one.says_where:
            at = "the node" if one.program.hook == hooks.XDP else one.program.hook
            message = f"expected interfaces, as {at} has several programs, found none"
            findings.add(one.place, message, "such as interfaces: [eth0]")
        for text, where in {interface.text: interface.place for interface in one.interfaces}.items():
            if text in taken:
                found = f"found two (the other on line {taken[text].line})"
                findings.add(where, f"expected one program on {show(text)}, {found}")
            taken.setdefault(text, where)


def check_program(
    findings: Findings, names: Names, files: Files, written: WrittenProgram, interfaces: Interfaces, group: str
) -> None:
    """Add the mistakes of a program whose node, or replicated node, lacks the interfaces for it."""
    is_fragmented = files.has_words(written.program.path, FRAGMENTS)
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
        if is_fragmented:
            continue
        for own_name, wire in own.items() if written.program.hook == hooks.XDP else ():
            attached = not written.interfaces or own_name in written.program.interfaces
            if attached and wire.link.mtu > MAX_NATIVE_MTU and written.program.mode == "native" and wire.link.mtu_place:
                message = f"expected an mtu of at most {MAX_NATIVE_MTU:,} for the program on {group}"
                findings.add(wire.link.mtu_place, f"{message}, found {wire.link.mtu}", "or set its mode to generic")


def _name(findings: Findings, item: Item, path: str) -> str | None:
    written = word(findings, item, path)
    if written is not None and not is_program_name(written):
        findings.add(place(item, path), f"expected {NAME}, found {show(written)}")
        return None
    return written


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
    if written is not None and not is_word(written.translate(IN_SECTIONS)):
        findings.add(place(item, path), f"expected the name of a C function, found {written!r}")
        return None
    return written


constants: Rule[tuple[tuple[str, str | int], ...]] = pairs(
    _constant_problem, _constant, "a mapping of constants to values"
)
