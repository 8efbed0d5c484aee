"""Turns the bytes of a map's keys and values into a form for people, by their types; `written_values` is the inverse.

A struct becomes a dict, an array a list, a number of an enum its name. Addresses, MACs and texts are recognised by
their types, their sizes and the names of their fields. Bytes of an unknown type become hexadecimal digits.
"""

import re
import sys
from math import prod
from typing import Any

from netlab.programs.lab_names import IPV4_BYTES, IPV6_BYTES, MAC_BYTES, LabNames, unpacked
from netlab.record.layouts import NETWORK, OTHER, SIGNED, STRUCT, Field, Layouts

Shown = Any  # a number, a text, a list or a dict of these, as in JSON
_PREFIX_BYTES = 4
_ADDRESS = re.compile(
    r"(^|_)(ip|ipv4|ip4|v4|addr|address|saddr|daddr|vip|gateway)\d?($|_)|addr$|_ip$|^ip_?(src|dst)", re.IGNORECASE
)
_ZEROS = (0, "", "::", "0.0.0.0", "00:00:00:00:00:00")  # noqa: S104 - it is shown
_KERNELS_OWN = ("struct bpf_spin_lock", "struct bpf_timer")  # the kernel returns zeros for them
_NEEDS_QUOTES, _PLAIN = re.compile(r"[\s,{}\[\]:#\"']"), re.compile(r"[\da-fA-F:./]+")
_PRINTABLE = re.compile(r"[^\x00-\x1f\x7f]*")


class Shower:
    """Shows values of a program's types."""

    def __init__(self, known: Layouts, names: LabNames) -> None:
        self._known = known
        self._names = names

    def key(self, field: Field, data: bytes, is_address: bool = False) -> Shown:
        """Return a key. A number of four bytes is an address if `is_address` says so, or if it is in a lab's subnet."""
        is_number = field.size == IPV4_BYTES and not field.counts and field.kind != STRUCT
        if is_number and (is_address or self._names.has_network_of(data)):
            return unpacked(data)
        return self.value(field, data)

    def prefix(self, field: Field, data: bytes) -> Shown:
        """Return a key of a trie of prefixes."""
        address = data[_PREFIX_BYTES:]
        if len(address) not in (IPV4_BYTES, IPV6_BYTES):
            return self.value(field, data)
        return f"{unpacked(address)}/{int.from_bytes(data[:_PREFIX_BYTES], sys.byteorder)}"

    def value(self, field: Field, data: bytes) -> Shown:
        """Return the value of these bytes."""
        if len(data) != field.size or not field.type:
            return _hex(data)
        if field.counts:
            return self._array(field, data)
        if field.kind == STRUCT:
            return self._struct(field, data)
        if field.kind == OTHER:
            return _hex(data)
        return self._number(field, data)

    def _array(self, field: Field, data: bytes) -> Shown:
        first, *inner = field.counts
        width = field.size // max(prod(field.counts), 1)
        if width == 1 and not inner:
            if field.type == "char":
                return _text(data)
            if field.size == MAC_BYTES:
                return data.hex(":")
            if field.size == IPV6_BYTES or (field.size == IPV4_BYTES and _ADDRESS.search(field.name)):
                return unpacked(data)
        if field.size == IPV6_BYTES and not inner and width in (4, 8) and _ADDRESS.search(field.name):
            return unpacked(data)
        size = field.size // max(first, 1)
        element = field._replace(size=size, counts=tuple(inner))
        return [self.value(element, data[at : at + size]) for at in range(0, first * size, max(size, 1))]

    def _struct(self, field: Field, data: bytes) -> Shown:
        if self._is_address(field):
            return unpacked(data)
        shown: dict[str, Shown] = {}
        for member in self._known.structs[field.type].fields:
            part = data[member.offset : member.offset + member.size]
            if member.type in _KERNELS_OWN:
                continue
            shown[member.name] = _bits(member, data) if member.bits else self.value(member, part)
        return shown

    def _is_address(self, field: Field) -> bool:
        """Say whether a struct is an address: a known one of C, or one with such a name and a single field."""
        if field.type in ("struct in_addr", "struct in6_addr"):
            return True
        members = self._known.structs[field.type].fields
        is_one = len(members) == 1 and members[0].size == field.size and field.size in (IPV4_BYTES, IPV6_BYTES)
        return is_one and bool(_ADDRESS.search(field.type.partition(" ")[2]))

    def _number(self, field: Field, data: bytes) -> Shown:
        number = int.from_bytes(data, "big" if field.kind == NETWORK else sys.byteorder, signed=field.kind == SIGNED)
        if field.type.startswith("enum "):
            enum = self._known.enums.get(field.type.removeprefix("enum "), {})
            return next((name for name, value in enum.items() if value == number), number)
        is_address = field.size == IPV4_BYTES and (field.type == "__be32" or _ADDRESS.search(field.name))
        return unpacked(data) if is_address else number


def _bits(field: Field, data: bytes) -> int:
    """Return a bit field. On big-endian machines, bits are counted from the other end."""
    end = field.offset + (field.first_bit + field.bits + 7) // 8
    number = int.from_bytes(data[field.offset : end], sys.byteorder)
    skipped = field.first_bit if sys.byteorder == "little" else 8 * (end - field.offset) - field.first_bit - field.bits
    number = number >> skipped & (1 << field.bits) - 1
    return number - (1 << field.bits) if field.kind == SIGNED and number >> field.bits - 1 else number


def _text(data: bytes) -> str:
    """Return a C string up to its final zero; hexadecimal digits if it is no text."""
    head, _, rest = data.partition(b"\0")
    try:
        text = head.decode()
    except UnicodeDecodeError:
        return _hex(data)
    return _hex(data) if rest.strip(b"\0") or not _PRINTABLE.fullmatch(text) else text


def _hex(data: bytes) -> str:
    return f"0x{data.hex()}"


def line(value: Shown) -> str:
    """Return a value on one line, in a form that can be written back."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {line(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(line, _without_zeros(value))) + "]"
    if isinstance(value, str) and (not value or (_NEEDS_QUOTES.search(value) and not _PLAIN.fullmatch(value))):
        return "'" + value.replace("'", "''") + "'"
    return "(differs)" if value is None else str(value)


def _without_zeros(values: list[Shown]) -> list[Shown]:
    """Leave out the zeros at the end of a long list. A shorter list can be written back: the rest becomes zeros."""
    last = max((at for at, each in enumerate(values) if is_set(each)), default=-1)
    return values[: max(last + 1, 1)] if len(values) > 8 else values


def is_set(value: Shown) -> bool:
    """Say whether there is anything but zeros in a value."""
    if isinstance(value, dict):
        return any(map(is_set, value.values()))
    if isinstance(value, list):
        return any(map(is_set, value))
    return value not in _ZEROS
