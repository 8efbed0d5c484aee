"""Changes of maps by hand: sets, deletes and clears entries, by their types."""

from contextlib import closing

from netlab import paths
from netlab.errors import Mistake, NetlabError, UsageError, reason
from netlab.kernel import syscalls
from netlab.lab.standing import Standing
from netlab.programs import bpf, map_reader
from netlab.programs.lab_names import LabNames
from netlab.programs.map_types import TypedMap
from netlab.programs.map_writer import MapWriter
from netlab.programs.written_values import Misfit
from netlab.topology.document.composer import ComposeError, compose
from netlab.topology.document.tree import Item, Scalar


def key_of(lab: Standing, program: str, of: TypedMap, text: str) -> bytes:
    """Return the bytes of a key that a user has typed for a map; UsageError if the text is no such key.

    `program` is the key of the map's program in the lab.
    """
    with closing(_writer(lab, program, of)) as writer:
        return _key(writer, text)


def _writer(lab: Standing, program: str, of: TypedMap) -> MapWriter:
    node = paths.node_of(program)
    return MapWriter(of, LabNames(lab.record, node), dict(lab.record.programs_of(node))[program].pins)


def _key(writer: MapWriter, text: str) -> bytes:
    if not writer.target.map.key_size:
        raise UsageError(f"{writer.target.name} is a {writer.target.kind}, which has no keys")
    try:
        return writer.key(_item(text), "")
    except Misfit as misfit:
        raise UsageError(f"key {text}: {misfit}") from None


def put(lab: Standing, program: str, of: TypedMap, key: str | None, value: str) -> None:
    """Write an entry; without a key, put a value into a queue or onto a stack."""
    with closing(_writer(lab, program, of)) as writer:
        try:
            writer.check_kind(_item(of.name), "")
            number = b"" if key is None else _key(writer, key)
            values = writer.values(_item(value), "")
        except Misfit as misfit:
            raise UsageError(f"value {value}: {misfit}") from None
        # the kernel looks up a devmap's interface in the namespace of the process that writes the entry
        netns = lab.runtime.netns_path(paths.node_of(program))
        try:
            syscalls.inside(netns, lambda: of.map.set_per_cpu(number, values))
        except OSError as error:
            raise NetlabError(
                f"the kernel does not take this entry for {of.name} of {program}: {reason(error)}"
            ) from None


def delete(lab: Standing, program: str, of: TypedMap, key: str | None) -> None:
    """Remove an entry; without a key, the next one of a queue or a stack. NetlabError if there is none."""
    try:
        if key is None:
            of.map.pop()
        else:
            of.map.delete(key_of(lab, program, of, key))
    except KeyError:
        what = "has no such key" if key is not None else "is empty"
        raise NetlabError(f"{of.name} of {program} {what}") from None
    except OSError as error:
        hint = (
            ": entries of an array are always there: set one to 0, or clear it"
            if of.map.type in bpf.FULL_ARRAYS
            else ""
        )
        raise NetlabError(f"the kernel removes no entry of {of.name} of {program}: {reason(error)}{hint}") from None


def clear(program: str, of: TypedMap) -> int:
    """Remove all entries, or set them to zeros where they are always there; return how many there were."""
    try:
        if of.map.type in bpf.QUEUES:
            return _emptied(of)
        entries = [entry.key for entry in map_reader.entries(of.map)]
        zeros = [bytes(of.map.value_size)] * of.map.cpus
        for key in entries:
            if of.map.type in bpf.FULL_ARRAYS:
                of.map.set_per_cpu(key, zeros)
            else:
                _remove(of, key)
    except OSError as error:
        raise NetlabError(f"the kernel does not clear {of.name} of {program}: {reason(error)}") from None
    return len(entries)


def _remove(of: TypedMap, key: bytes) -> None:
    try:
        of.map.delete(key)
    except KeyError:
        return


def _emptied(of: TypedMap) -> int:
    """Take all values out of a queue; stop after as many as fit into it, because a program may add new ones."""
    for count in range(of.map.max_entries):
        try:
            of.map.pop()
        except KeyError:
            return count
    return of.map.max_entries


def _item(text: str) -> Item:
    """Return the text that a user has typed as an item of a topology."""
    mistakes: list[Mistake] = []
    try:
        found = compose(text, mistakes, empty=True) if text.strip() else Scalar(1, 1, text, text)
    except ComposeError:
        return Scalar(1, 1, text, text)
    return Scalar(1, 1, text, text) if mistakes else found
