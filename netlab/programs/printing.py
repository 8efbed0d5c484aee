"""What a program that nobody trusts prints into the kernel's trace: texts that read and pretend nothing.

bpf_trace_printk() follows pointers, wherever they lead: `%s` prints the kernel's memory as text. And the trace is one
for all labs: a line says whose it is by how it begins. So the format of each call must be known before the program is
loaded, and is looked at, with the texts that it prints by `%s`: only constants. `known_values` finds out what is known.

That bytes of the packet which are printed lie in it depends on what the program has compared with its end. Only the
verifier knows: it is asked by copies of the program, in which each such call is an access to these bytes (`accesses`).
"""

import re
from collections.abc import Callable, Iterator, Mapping

from netlab.programs import instructions, known_values
from netlab.programs.known_state import ENTRY, PACKET, STACK, STACK_BYTES, Address, Number, State

_PRINT, _PRINT_ARRAY = 6, 177  # bpf_trace_printk, bpf_trace_vprintk
_FIRST_VALUE = 3  # the register of the first value that is printed
_CONVERSION = re.compile(r"%(?:%|[-+ #0-9.]*(?:hh|h|ll|l)?(?P<number>[diuxX])|(?P<address>p[iI][46]))|%(?P<text>s)")
_BYTES = {"4": 4, "6": 16}
_LONGEST_TEXT = 128  # bytes of a constant that is printed by %s
_LEAST_ENTRY = 8  # bytes: the kernel rounds a map's values up
_READ_DOUBLE = 0x79  # r0 = *(u64 *)(SOURCE + OFFSET): R0 may be any number then, as after a print

Constant = Callable[[int, int, int], bytes | None]
"""Returns bytes of a map that can never change, by descriptor, place and number; None for any other map."""


def problem(text: bytes, lab_node: str, constant: Constant, data_at: int, *, has_bytes: bool = True) -> str:
    """Return what is wrong with the first thing that a program prints; "" if nothing is.

    `lab_node` is how the lines of this program begin, `data_at` where its context has the packet's address. `has_bytes`
    says that entries of all of its maps are bytes: where they are maps, a lookup leads into the kernel's own memory.
    """
    entry_bytes = _LEAST_ENTRY if has_bytes else 0
    for state, one in known_values.at_calls(text, (_PRINT, _PRINT_ARRAY), data_at):
        found = _format(state, constant)
        if found is None:
            return "prints a text that is not constant where it is printed"
        is_array = one.value == _PRINT_ARRAY
        texts = {} if is_array else _texts(found, state, constant)
        if wrong := (
            _wrong(_filled(found, texts), lab_node)
            or _wrong_conversion(found, texts)
            or _wrong_addresses(found, state, entry_bytes, is_array=is_array)
        ):
            return wrong
    return ""


def accesses(text: bytes, constant: Constant, data_at: int) -> list[bytes]:
    """Return copies of a program without a `problem`; it prints bytes of its packet only, if the verifier takes all.

    In each copy, calls that print bytes of the packet are accesses to them.
    """
    calls: dict[int, set[tuple[int, int]]] = {}
    for state, one in known_values.at_calls(text, (_PRINT,), data_at):
        for register, size in _addresses(_format(state, constant) or ""):
            value = state.registers.get(register)
            if isinstance(value, Address) and value.memory == PACKET:
                # Eight bytes, since four would bound R0: those of an IPv4 address and the four before it.
                calls.setdefault(one.at, set()).update((register, at) for at in ((-4,) if size == 4 else (0, 8)))
    copies = []
    for nth in range(max(map(len, calls.values()), default=0)):
        copy = bytearray(text)
        for at, places in calls.items():
            register, offset = sorted(places)[min(nth, len(places) - 1)]
            instructions.put(copy, at, _READ_DOUBLE, 0, register, offset)
        copies.append(bytes(copy))
    return copies


def _format(state: State, constant: Constant) -> str | None:
    place, size = state.registers.get(1), state.registers.get(2)
    if not isinstance(place, Address) or place.offset is None or not isinstance(size, Number):
        return None
    if not 0 < size.value <= STACK_BYTES:
        return None
    if place.memory == STACK:
        data = state.bytes_at(place.offset, size.value)
    else:
        data = constant(place.memory, place.offset, size.value) if place.memory >= 0 else None
    return None if data is None else data.partition(b"\0")[0].decode(errors="replace")


def _wrong(text: str, lab_node: str) -> str:
    """Return what is wrong with a text: one of its lines may begin as another lab's do."""
    rest = text.removeprefix(f"{lab_node} ")
    first, *others = rest.split("\n")
    for line in others if rest != text else [first, *others]:
        if "/" in line.partition(" ")[0]:
            return f"prints a line that begins as those of another program do: {line[:40]!r}"
    return ""


def _texts(text: str, state: State, constant: Constant) -> dict[int, str]:
    """Return what is printed by each `%s`, by where that stands, as far as it is of a map that can never change."""
    found = {at: _constant_text(state.registers.get(register), constant) for at, register in _registers(text, "text")}
    return {at: each for at, each in found.items() if each is not None}


def _constant_text(place: Number | Address | None, constant: Constant) -> str | None:
    """Return the constant at a place; None if it is none, or does not end within twice _LONGEST_TEXT bytes."""
    if not isinstance(place, Address) or place.memory < 0 or place.offset is None:
        return None
    data, size = b"", _LONGEST_TEXT
    while size and b"\0" not in data:
        data += constant(place.memory, place.offset + len(data), size) or b""
        size //= 2
    text, end, _ = data.partition(b"\0")
    return text.decode(errors="replace") if end else None


def _filled(text: str, texts: Mapping[int, str]) -> str:
    """Return a format with these texts in their places."""
    for at in sorted(texts, reverse=True):
        text = text[:at] + texts[at] + text[at + len("%s") :]
    return text


def _wrong_conversion(text: str, texts: Mapping[int, str]) -> str:
    for at, found in _conversions(text):
        if found and found["text"] and at not in texts:
            return (
                "prints by '%s', which may read the kernel's memory, a text that is not constant: "
                "print a number (%u) or an address (%pI4), or write the text into the format"
            )
        if found is None:
            return f"prints by {text[at : at + 4]!r}, which may read the kernel's memory: numbers and %pI4 are printed"
    return ""


def _wrong_addresses(text: str, state: State, entry_bytes: int, *, is_array: bool) -> str:
    for register, size in _addresses(text):
        if is_array or not _is_own(state.registers.get(register), size, entry_bytes):
            what = "%pI4" if size == _BYTES["4"] else "%pI6"
            return f"prints by {what} what is neither in the packet nor in a variable of its own: copy it into one"
    return ""


def _addresses(text: str) -> Iterator[tuple[int, int]]:
    """Yield each register by which a text prints an address, and how many bytes that has."""
    for at, register in _registers(text, "address"):
        found = _CONVERSION.match(text, at)
        yield register, _BYTES[found["address"][-1]] if found else 0


def _registers(text: str, kind: str) -> Iterator[tuple[int, int]]:
    """Yield where each conversion of a kind stands, and the register that it prints."""
    register = _FIRST_VALUE
    for at, found in _conversions(text):
        if found and found[kind]:
            yield at, register
        register += 1 if found and found.lastgroup else 0


def _is_own(value: Number | Address | None, size: int, entry_bytes: int) -> bool:
    """Say whether so many bytes at a place are of the program's stack, of a map's value, or of the packet."""
    if isinstance(value, Address) and value.memory == PACKET:
        return True  # as far as its `accesses` are taken
    if not isinstance(value, Address) or value.offset is None:
        return False
    if value.memory == ENTRY:
        return 0 <= value.offset <= entry_bytes - size
    return value.memory == STACK and -STACK_BYTES <= value.offset <= -size


def _conversions(text: str) -> Iterator[tuple[int, re.Match[str] | None]]:
    at = text.find("%")
    while at >= 0:
        found = _CONVERSION.match(text, at)
        yield at, found
        at = text.find("%", found.end() if found else at + 1)
