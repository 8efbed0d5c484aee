"""What a person calls the processes and programs of a lab → their keys; UsageError where there is none, with others."""

from typing import NoReturn

from netlab.errors import UsageError
from netlab.paths import process_key
from netlab.record import store
from netlab.record.model import LabRecord, ProcessRecord, ProgramRecord


def process(record: LabRecord, called: str) -> tuple[str, ProcessRecord]:
    """Return node and process that NODE/NAME means; NODE is the one of that name, or the only one there."""
    node, _, name = called.partition("/")
    there = _there(record, node)
    if not there:
        raise UsageError(f"{node} has neither a role nor a command to run")
    if "/" not in called and len(there) == 1:
        return node, next(iter(there.values()))
    found = there.get(process_key(node, name if "/" in called else node))
    if found is None and "/" not in called:
        raise UsageError(f"{node} has several processes: name one of {', '.join(there)}")
    return node, found or _missing(node, name, there)


def keys(record: LabRecord, called: str) -> list[str]:
    """Return the keys that NODE, for all of its processes, or NODE/NAME means."""
    node, slash, name = called.partition("/")
    there = _there(record, node)
    if not slash:
        return list(there)
    key = process_key(node, name)
    if key not in there:
        _missing(node, name, there)
    return [key]


def logs(record: LabRecord, called: str) -> list[str]:
    """Return the keys of the logs that NODE, with what its setup has printed, or NODE/NAME means."""
    return keys(record, called) if "/" in called else (store.node_of(record, called), record.logs_of(called))[1]


def programs(record: LabRecord, called: str) -> dict[str, ProgramRecord]:
    """Return, by key, the programs that NODE, for all that it carries, or NODE/NAME means."""
    node, slash, name = called.partition("/")
    store.node_of(record, node)
    there = dict(record.programs_of(node))
    if not there:
        raise UsageError(f"{node} has no program")
    found = {key: each for key, each in there.items() if not slash or each.name == name}
    if not found:
        others = ", ".join(f"{node}/{each.name}" for each in there.values())
        raise UsageError(f"{node} has no program {name!r}; it has {others}")
    return found


def _there(record: LabRecord, node: str) -> dict[str, ProcessRecord]:
    return {process_key(node, each.name): each for each in store.node_of(record, node).processes}


def _missing(node: str, name: str, there: dict[str, ProcessRecord]) -> NoReturn:
    raise UsageError(f"{node} has no process {name!r}; it has {', '.join(there) or 'none'}")
