"""Compares maps of two builds field by field, to see if the new build reads the old values as they were meant."""

from collections.abc import Iterator

from netlab.record.layouts import OTHER, STRUCT, Field, Layouts


def differences(name: str, before: Layouts, now: Layouts) -> list[str]:
    """Return in words how the fields of a map have changed.

    Each old field must keep its place and its type. New fields may use bytes that had no field. Sizes of keys and
    values are compared in `map_reuse`. If one of the builds has no BTF, nothing is found.
    """
    if name not in before.maps or name not in now.maps:
        return []
    old, new = before.maps[name], now.maps[name]
    sides = (("keys", "key's field ", old.key, new.key), ("values", "field ", old.value, new.value))
    return [
        text
        for plural, word, was, is_now in sides
        if was.type and is_now.type
        for text in _whole(plural, word, _Side(before, was), _Side(now, is_now))
    ]


class _Side:
    """A field, and the build that it belongs to."""

    def __init__(self, build: Layouts, field: Field) -> None:
        self.build = build
        self.field = field
        self.is_struct = field.kind == STRUCT

    def inner(self) -> "dict[str, _Side]":
        """Return the fields of a struct by name."""
        return {each.name: _Side(self.build, each) for each in self.build.structs[self.field.type].fields}

    def place(self) -> tuple[int, int]:
        return self.field.offset, self.field.first_bit

    def shape(self) -> tuple[object, ...]:
        """Return what must be equal in both builds. Names of number types and structs may differ."""
        field = self.field
        name = field.type if field.kind == OTHER else ""
        return field.kind, field.counts, field.bits, name, 0 if self.is_struct else field.size

    def __str__(self) -> str:
        counts = "".join(f"[{count}]" for count in self.field.counts)
        return f"{self.field.type}{counts}{f':{self.field.bits}' if self.field.bits else ''}"

    def where(self) -> str:
        byte = f"at byte {self.field.offset}"
        return f"{byte}, bit {self.field.first_bit}" if self.field.bits else byte


def _whole(plural: str, word: str, old: _Side, new: _Side) -> Iterator[str]:
    """Compare keys or values as a whole. If they are no structs, `map_reuse` reports another size."""
    if old.shape()[:-1] != new.shape()[:-1]:
        if old.field.size == new.field.size or old.is_struct or new.is_struct:
            yield f"{plural} of type {new} instead of {old}"
    elif old.is_struct:
        yield from _struct(word, "", old, new)


def _struct(word: str, path: str, old: _Side, new: _Side) -> Iterator[str]:
    """Compare two structs; `path` leads to them, such as "flow."."""
    before, now = old.inner(), new.inner()
    for name, was in before.items():
        is_now = now.get(name)
        if not is_now:
            yield f"{word}{_gone(path, was, [each for each in now.values() if each.field.name not in before])}"
            continue
        if was.place() != is_now.place():
            yield f"{word}{path}{name} {is_now.where()} instead of {was.field.offset}{_bit(was)}"
        if was.shape() != is_now.shape():
            yield f"{word}{path}{name} of type {is_now} instead of {was}"
        elif was.is_struct:
            yield from _struct(word, f"{path}{name}.", was, is_now)


def _bit(side: _Side) -> str:
    return f", bit {side.field.first_bit}" if side.field.bits else ""


def _gone(path: str, was: _Side, fresh: list[_Side]) -> str:
    """Say whether a field that is gone has another name now, or was removed."""
    here = [each for each in fresh if (each.place(), each.shape()) == (was.place(), was.shape())]
    if here:
        return f"{path}{here[0].field.name} instead of {path}{was.field.name}, {was.where()}"
    return f"{path}{was.field.name} is gone, which was {was} {was.where()}"
