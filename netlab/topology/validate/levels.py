"""Which key belongs to which level of the file: a hint where one stands too high or too low."""

from collections.abc import Iterator, Sequence

from netlab.named_tuple import NamedTuple
from netlab.topology.document.tree import Item, Scalar
from netlab.topology.validate import (
    KEYS,
    demo,
    links,
    nodes,
    own_files,
    processes,
    programs,
    readiness,
    routes,
    settings,
    time_line,
)

_KEY = "KEY: VALUE"
_LONGEST = 30  # of a value that is shown


class Level(NamedTuple):
    """A mapping of the file: what it is called, its keys, how one of these is written there, and what is in it."""

    where: str
    keys: Sequence[str]
    form: str = ""
    below: tuple["Level", ...] = ()


_OF_PROCESSES = (
    Level("the sign", readiness.READY_KEYS, "ready: {…, KEY: VALUE}"),
    Level("the restarts", readiness.RESTART_KEYS, "restart: {…, KEY: VALUE}"),
)
_OF_NODES = (
    *_OF_PROCESSES,
    Level("the process", processes.ENTRY_KEYS, "processes: {NAME: {…, KEY: VALUE}}", _OF_PROCESSES),
    Level("the limits", settings.LIMITS, "limits: {KEY: VALUE}"),
    Level("the program", programs.XDP_KEYS, "xdp: {…, KEY: VALUE}"),
    Level("the route", routes.KEYS, "routes: [{…, KEY: VALUE}]"),
    Level("the file", own_files.FILE_KEYS, "files: {PATH: {…, KEY: VALUE}}"),
    Level("the folder", own_files.FOLDER_KEYS, "private: [{…, KEY: VALUE}]"),
)
_ENDS = (Level("the end of the link", links.END_KEYS, "endpoints: [{node: NAME, KEY: VALUE}, …]"),)
LAB = Level(
    "the lab",
    KEYS,
    "",
    (
        Level("the defaults", nodes.DEFAULTS, "defaults: {KEY: VALUE}"),
        Level("the node", nodes.NODE_KEYS, "nodes: {NAME: {…, KEY: VALUE}}", _OF_NODES),
        Level("the link", links.LINK_KEYS, "links: [{…, KEY: VALUE}]", _ENDS),
        Level("the demo", demo.KEYS, "demo: {KEY: VALUE}"),
        Level("the fault", time_line.KEYS, "faults: [{at: TIME, …, KEY: VALUE}]"),
    ),
)


def hint(known: Sequence[str], path: str, key: str, value: Item) -> str:
    """Return where a key belongs that is none of the `known` keys of the mapping at `path`; "" if nowhere."""
    is_in_process = path.split(".")[2:3] == [processes.LIST]
    for chain in _chains((LAB,)):
        level, above = chain[-1], chain[-2::-1]
        if level.keys != tuple(known)[: len(level.keys)] or is_in_process != any(
            each.keys is processes.ENTRY_KEYS for each in chain
        ):
            continue
        for lower in level.below:
            if key in lower.keys:
                return _in(lower, key, value)
        for steps, higher in enumerate(above, 1):
            if key in higher.keys:
                return f"did you mean it {'one level' if steps == 1 else f'{steps} levels'} up, at {higher.where}?"
        for lower in (each for higher in above for each in higher.below):
            if key in lower.keys:
                return _in(lower, key, value)
    return ""


def hint_for_args(key: str) -> str:
    """Return the hint to a key of a node, or of a process, that is among the options of a role; "" for others."""
    levels = (Level("the process", processes.ENTRY_KEYS), Level("the node", nodes.NODE_KEYS))
    where = next((level.where for level in levels if key in level.keys), "")
    return f"did you mean it beside args, at {where}?" if where else ""


def _chains(chain: tuple[Level, ...]) -> Iterator[tuple[Level, ...]]:
    """Yield each level with those above it, the highest first."""
    yield chain
    for lower in chain[-1].below:
        yield from _chains((*chain, lower))


def _in(level: Level, key: str, value: Item) -> str:
    text = value.text if isinstance(value, Scalar) and 0 < len(value.text) <= _LONGEST else "…"
    return f"did you mean it in {level.form.replace(_KEY, f'{key}: {text}')}?"
