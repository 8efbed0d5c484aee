"""Turns values that a user has written into the bytes of a map's keys and values, by their types.

A value is a number, a name of an enum, a text for an array of bytes, a list for an array, or a mapping for a struct. A
text may also name what is in the lab (`lab_names`): four bytes can be an IPv4 address, six a MAC, sixteen an IPv6
address, and a number of four bytes or more the index of an interface. Addresses are written in network byte order.
"""

import sys
from math import prod

from netlab.errors import Mistake
from netlab.programs.lab_names import IPV4_BYTES, IPV6_BYTES, MAC_BYTES, LabNames, UnknownNameError, packed
from netlab.record.layouts import NETWORK, OTHER, SIGNED, STRUCT, Field, Layouts
from netlab.topology.document.tree import Item, Mapping, Scalar, Sequence, found, join, moved, nearest

_PREFIX_BYTES = 4  # of a key of a trie: the length of its prefix
_HEX_OF_A_BYTE = 2


class Misfit(ValueError):  # noqa: N818 - as Mistake, which it becomes
    """A value that does not fit: the value, its path in the file, what was expected, and a hint."""

    def __init__(self, item: Item, path: str, expected: str, hint: str = "") -> None:
        super().__init__(f"expected {expected}, found {found(item)}" + (f" ({hint})" if hint else ""))
        self.item = item
        self.path = path
        self.message = f"expected {expected}, found {found(item)}"
        self.hint = hint


class Writer:
    """Writes values of a program's types."""

    def __init__(self, known: Layouts, names: LabNames) -> None:
        self._known = known
        self._names = names

    def value(self, field: Field, item: Item, path: str) -> bytes:
        """Return the bytes of a value; Misfit if it cannot be one of this type."""
        if isinstance(item, Scalar) and isinstance(item.value, str) and item.text[:1] in ("{", "["):
            item = _parsed(item)
        if field.counts:
            return self._array(field, item, path)
        if field.kind == STRUCT:
            return self._struct(field, item, path)
        if field.kind == OTHER or not field.type:
            return self._bytes(field, item, path)
        return self._number(field, item, path)

    def prefix(self, field: Field, item: Item, path: str) -> bytes:
        """Return a key of a trie of prefixes, which may be written as `10.0.0.0/8`."""
        size = field.size - _PREFIX_BYTES
        if not isinstance(item, Scalar) or size not in (IPV4_BYTES, IPV6_BYTES) or item.text.startswith("{"):
            return self.value(field, item, path)
        text, slash, length = item.text.partition("/")
        expected = f"a network such as {'10.0.0.0/8' if size == IPV4_BYTES else 'fd00::/16'}"
        address = packed(text) or self._named(text, size, item, path)
        is_length = not slash or (length.isascii() and length.isdigit() and int(length) <= 8 * size)
        if not address or len(address) != size or not is_length:
            raise Misfit(item, path, expected)
        return (int(length) if slash else 8 * size).to_bytes(_PREFIX_BYTES, sys.byteorder) + address

    def _array(self, field: Field, item: Item, path: str) -> bytes:
        width = field.size // max(prod(field.counts), 1)
        if isinstance(item, Sequence):
            first, *inner = field.counts
            if len(item.items) > first:
                raise Misfit(item, path, f"a list of at most {first} values", f"this one has {len(item.items)}")
            element = field._replace(size=field.size // max(first, 1), counts=tuple(inner))
            parts = [self.value(element, each, f"{path}.{at}") for at, each in enumerate(item.items)]
            return b"".join(parts).ljust(field.size, b"\0")
        found = self._bytes_by_name(field, item, path) if isinstance(item, Scalar) else None
        if found is not None:
            return found
        if width == 1 and isinstance(item, Scalar) and isinstance(item.value, str):
            data = item.text.encode()
            if len(data) > field.size:
                raise Misfit(item, path, f"a text of at most {field.size} bytes", f"this one has {len(data)}")
            return data.ljust(field.size, b"\0")
        what = "a text or a list of bytes" if width == 1 else f"a list of at most {field.counts[0]} values"
        raise Misfit(item, path, what)

    def _bytes_by_name(self, field: Field, item: Scalar, path: str) -> bytes | None:
        """Return the bytes of a text that is an address, a MAC, a name of the lab or hexadecimal digits; else None."""
        text, size = item.text, field.size
        if _is_hex(text, size):
            return bytes.fromhex(text[2:])
        if not isinstance(item.value, str):
            return None
        literal = _mac(text) if size == MAC_BYTES else packed(text)
        if literal and len(literal) == size:
            return literal
        if field.type == "char":
            return None  # an array of single bytes may be any text
        return self._named(text, size, item, path)

    def _struct(self, field: Field, item: Item, path: str) -> bytes:
        struct = self._known.structs[field.type]
        if isinstance(item, Mapping):
            return self._members(field, item, path)
        if isinstance(item, Scalar):
            if (data := self._bytes_by_name(field, item, path)) is not None:
                return data
            if len(struct.fields) == 1 and struct.fields[0].size == struct.size:
                return self.value(struct.fields[0], item, path)
        raise Misfit(item, path, f"a mapping for {field.type}", f"its fields: {_names(struct.fields)}")

    def _members(self, field: Field, item: Mapping, path: str) -> bytes:
        """Return a struct with these fields, and zeros in all others."""
        struct = self._known.structs[field.type]
        members = {each.name: each for each in struct.fields}
        room = bytearray(field.size)
        if field.type.startswith("union ") and len(item.pairs) > 1:
            raise Misfit(item, path, f"one field of {field.type}", "its fields share their bytes")
        for key, each in item.pairs:
            below = join(path, key.text)
            member = members.get(key.text)
            if not member:
                raise Misfit(key, below, f"a field of {field.type}", nearest(key.text, list(members)))
            if member.bits:
                self._put_bits(room, member, each, below)
            else:
                room[member.offset : member.offset + member.size] = self.value(member, each, below)
        return bytes(room)

    def _put_bits(self, room: bytearray, member: Field, item: Item, path: str) -> None:
        if sys.byteorder != "little":
            raise Misfit(item, path, "no bit field", "netlab writes these on little-endian machines only")
        number = self._whole(member, member.bits, item, path) & (1 << member.bits) - 1
        end = member.offset + (member.first_bit + member.bits + 7) // 8
        before = int.from_bytes(room[member.offset : end], "little")
        mask = (1 << member.bits) - 1 << member.first_bit
        now = before & ~mask | number << member.first_bit
        room[member.offset : end] = now.to_bytes(end - member.offset, "little")

    def _number(self, field: Field, item: Item, path: str) -> bytes:
        if isinstance(item, Scalar) and isinstance(item.value, str) and field.size == IPV4_BYTES:
            address = packed(item.text)
            is_interface = self._names.interface(item.text)
            if not address and not is_interface and item.text not in self._enum(field):
                address = self._named(item.text, IPV4_BYTES, item, path)
            if address and len(address) == IPV4_BYTES:
                return address
        number = self._whole(field, 8 * field.size, item, path)
        order = "big" if field.kind == NETWORK else sys.byteorder
        return number.to_bytes(field.size, order, signed=field.kind == SIGNED)

    def _whole(self, field: Field, bits: int, item: Item, path: str) -> int:
        """Return the whole number that an item stands for; Misfit if `bits` bits are not enough."""
        low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if field.kind == SIGNED else (0, (1 << bits) - 1)
        number = self._meant(field, item)
        if number is None:
            what = f"a number from {low} to {high}" + (f" for {field.type}" if field.type else "")
            enum = self._enum(field)
            raise Misfit(item, path, what, nearest(item.text, list(enum)) if enum and isinstance(item, Scalar) else "")
        if not low <= number <= high:
            raise Misfit(item, path, f"a number from {low} to {high}" + (f" for {field.type}" if field.type else ""))
        return number

    def _meant(self, field: Field, item: Item) -> int | None:
        """Return the number that a single value stands for, None if it stands for none."""
        if not isinstance(item, Scalar) or isinstance(item.value, float | None):
            return None
        if isinstance(item.value, int):
            return int(item.value)
        if item.text in (enum := self._enum(field)):
            return enum[item.text]
        if field.size >= IPV4_BYTES and (index := self._names.index(item.text)):
            return index
        return ord(item.text) if field.type == "char" and len(item.text) == 1 else _number(item.text)

    def _enum(self, field: Field) -> dict[str, int]:
        return dict(self._known.enums.get(field.type.removeprefix("enum "), {})) if field.type[:5] == "enum " else {}

    def _bytes(self, field: Field, item: Item, path: str) -> bytes:
        """Return the bytes of a value of which only the size is known."""
        if isinstance(item, Scalar):
            if (data := self._bytes_by_name(field, item, path)) is not None:
                return data
            if isinstance(item.value, int) or field.size == IPV4_BYTES:
                return self._number(field, item, path)
        hint = "" if field.type else "the program has no BTF for this type"
        raise Misfit(item, path, f"0x and {_HEX_OF_A_BYTE * field.size} hexadecimal digits, or a number", hint)

    def _named(self, text: str, size: int, item: Scalar, path: str) -> bytes | None:
        """Return the MAC or the address of `size` bytes that a name of the lab stands for; None if there is none."""
        try:
            if size == MAC_BYTES:
                return self._names.mac(text)
            return self._names.address(text, size) if size in (IPV4_BYTES, IPV6_BYTES) else None
        except UnknownNameError as error:
            raise Misfit(item, path, error.expected, error.hint) from None


def _parsed(item: Scalar) -> Item:
    """Return the list or mapping in a text, such as in a key or on the command line; the text itself if it has none."""
    from netlab.topology.document.composer import ComposeError, compose

    mistakes: list[Mistake] = []
    try:
        made = compose(item.text, mistakes)
    except ComposeError:
        return item
    return item if mistakes else moved(made, item.line, item.column)


def _number(text: str) -> int | None:
    try:
        return int(text, 0)
    except ValueError:
        return None


def _mac(text: str) -> bytes | None:
    parts = text.replace("-", ":").split(":")
    if len(parts) != MAC_BYTES or any(len(part) != _HEX_OF_A_BYTE for part in parts):
        return None
    try:
        return bytes.fromhex("".join(parts))
    except ValueError:
        return None


def _is_hex(text: str, size: int) -> bool:
    digits = text[2:] if text[:2] == "0x" else ""
    return len(digits) == _HEX_OF_A_BYTE * size and all(each in "0123456789abcdefABCDEF" for each in digits)


def _names(fields: tuple[Field, ...]) -> str:
    return ", ".join(each.name for each in fields)
