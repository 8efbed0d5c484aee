"""`netlab maps`: lists maps, shows what is in them, watches them, and changes them."""

from collections.abc import Callable, Iterator
from typing import Any

from netlab.cli import json_data, typed
from netlab.errors import UsageError
from netlab.lab import map_changes
from netlab.lab.standing import Standing
from netlab.observe import map_view
from netlab.observe.map_view import EntryView, MapAbout, MapView, Viewer
from netlab.programs.shown_values import is_set, line
from netlab.record import store
from netlab.words import entries

Say = Callable[[str], None]
ACTIONS = {"set": "NODE MAP KEY VALUE", "delete": "NODE MAP KEY", "clear": "NODE MAP"}
_WIDTH = 100  # characters of an entry on one line
_BYTES = 2 + 2 * 64  # characters of bytes that are shown as digits
_ELEMENTS = 64  # of an array, that are not zeros


def operate(lab: Standing, args: typed.Maps, say: Say) -> None:
    """Do what the words say. UsageError for what is not understood."""
    if args.follow:
        from netlab.cli.follow import follow

        follow(lab.record, args, say)
    elif args.target[:1] and args.target[0] in ACTIONS:
        _change(lab, args.target[0], args.target[1:], say)
    elif len(args.target) > len("NMK"):
        raise UsageError(f"maps takes NODE, MAP and KEY, or first {', '.join(ACTIONS)}; found {' '.join(args.target)}")
    elif args.watch and len(args.target) > 1:
        map_view.refuse_events(lab.record, *args.target[:2])
        from netlab.cli.watch import watch

        watch(lab, args, *args.target)
    elif args.watch:
        raise UsageError("--watch needs a map: netlab maps --watch NODE MAP")
    elif len(args.target) < len("NM"):
        _list(map_view.all_of(lab.record, *args.target), args.format, say)
    else:
        _show(lab, args, *args.target)


def _change(lab: Standing, action: str, words: list[str], say: Say) -> None:
    """Change a map, under the lab's lock."""
    name = lab.record.lab
    usage = f"netlab maps {action} {ACTIONS[action]}"
    if len(words) < len("NM"):
        raise UsageError(f"maps {action} needs more: {usage}")
    called, map_name, *rest = words
    program = map_view.program_with(lab.record, called, map_name)
    map_view.refuse_events(lab.record, called, map_name)
    with (
        store.locked(name, waiting=lambda: say(f"netlab: waiting for another command to leave the lab {name}")),
        Viewer(lab.record, program) as viewer,
    ):
        of = viewer.of(map_name)
        keys = int(bool(of.map.key_size))  # a queue has none
        if len(rest) != {"set": 1 + keys, "delete": keys, "clear": 0}[action]:
            usage = usage if keys else usage.replace(" KEY", "")
            raise UsageError(f"expected {usage}, found {' '.join(['netlab maps', action, *words])}")
        key = rest[0] if keys and rest else None
        match action:
            case "set":
                map_changes.put(lab, program, of, key, rest[-1])
                said = f"{key or 'a value'} set" if keys else "a value put in"
            case "delete":
                map_changes.delete(lab, program, of, key)
                said = f"{key} deleted" if keys else "the next value taken out"
            case _:
                said = f"{entries(map_changes.clear(program, of))} cleared"
    say(f"netlab: {name}: {program}: {map_name}: {said}")


# ---- showing ---------------------------------------------------------------------------------------------------------


def _list(found: list[MapAbout], style: str, say: Say) -> None:
    if style == "json":
        json_data.show({"maps": [each._asdict() for each in found]})
        return
    if not found:
        say("netlab: no program here has a map")
        return
    from netlab.cli import tables

    table = tables.table("PROGRAM", "MAP", "KIND", "ID", "KEY", "VALUE", "ENTRIES", "MEMORY")
    for each in found:
        size = f"{each.memory_bytes / 1e3:,.1f} kB"
        table.add_row(
            *(each.program, each.name, each.kind, str(each.id), each.key, each.value, str(each.max_entries), size)
        )
    tables.show(table)


def _show(lab: Standing, args: typed.Maps, called: str, name: str, key: str | None = None) -> None:
    program = map_view.program_with(lab.record, called, name)
    with Viewer(lab.record, program) as viewer:
        of = viewer.of(name)
        if key is not None:
            entry = viewer.entry(of, map_changes.key_of(lab, program, of, key))
            if args.format == "json":
                json_data.show(_plain_entry(entry))
            else:
                print("\n".join(_entry_lines(entry, "")))
            return
        view = viewer.view(of, args.limit, args.all)
        if args.format == "json":
            json_data.show(_plain(view))
        else:
            print("\n".join(_lines(view, "")))


def _lines(view: MapView, indent: str) -> Iterator[str]:
    about = view.about
    types = f"{about.kind}, {about.key} → {about.value}"
    yield f"{indent}{about.program}: {about.name}: {types}, at most {entries(about.max_entries)}"
    for entry in view.entries:
        yield from _entry_lines(entry, f"{indent}  ")
    if view.problem:
        yield f"{indent}  ({view.problem})"
    elif view.zeros:
        yield f"{indent}  ({entries(view.zeros)} of zeros left out: --all shows all)"
    elif not view.entries:
        yield f"{indent}  (empty)"
    if view.more:
        yield f"{indent}  (there are more: --limit N shows N)"


def _entry_lines(entry: EntryView, indent: str) -> Iterator[str]:
    head = "next" if entry.key is None else line(entry.key)
    if entry.map:
        first, *others = _lines(entry.map, f"{indent}")
        yield f"{indent}{head}: {first.lstrip()}"
        yield from others
        return
    value = entry.value
    if not entry.per_cpu:
        yield from _value_lines(head, value, indent)
        return
    cpus = [(f"cpu{number}", each) for number, each in enumerate(entry.per_cpu) if is_set(each)]
    if isinstance(value, int):
        shares = ", ".join(f"{cpu} {each}" for cpu, each in cpus)
        yield f"{indent}{head}: {value}" + (f" ({shares})" if shares else "")
        return
    yield from _value_lines(head, value, indent)
    for cpu, each in cpus:
        yield from _value_lines(cpu, _set_parts(each), f"{indent}  ")


def _set_parts(value: Any) -> Any:
    """Return what is set in a value; a struct without its fields of zeros."""
    return (
        {name: _set_parts(each) for name, each in value.items() if is_set(each)} if isinstance(value, dict) else value
    )


def _value_lines(head: str, value: Any, indent: str) -> Iterator[str]:
    """Yield a value on one line, or its parts on lines of their own; zeros at the end of an array are left out."""
    whole = short(value)
    if len(whole) + len(indent) + len(head) <= _WIDTH or not isinstance(value, dict | list):
        yield f"{indent}{head}: {whole}"
        return
    yield f"{indent}{head}:"
    if isinstance(value, dict):
        for name, each in value.items():
            yield from _value_lines(name, each, f"{indent}  ")
        return
    there = [(number, each) for number, each in enumerate(value) if is_set(each)]
    for number, each in there[:_ELEMENTS]:
        yield from _value_lines(f"[{number}]", each, f"{indent}  ")
    if there[_ELEMENTS:]:
        yield f"{indent}  … and {len(there) - _ELEMENTS} more that are not zeros: --format json has all"


def short(value: Any) -> str:
    """Return a value on one line; of many bytes, only the first."""
    text = line(value)
    if isinstance(value, str) and value[:2] == "0x" and len(value) > _BYTES:
        return f"{value[:_BYTES]}… ({len(value) // 2 - 1} bytes)"
    return text


def _plain(view: MapView) -> dict[str, Any]:
    entries = [_plain_entry(entry) for entry in view.entries]
    zeros = {"zeros_left_out": view.zeros, "more": view.more, "problem": view.problem}
    return {**view.about._asdict(), "entries": entries, **zeros}


def _plain_entry(entry: EntryView) -> dict[str, Any]:
    found = {"key": entry.key, "value": entry.value}
    if entry.per_cpu:
        found["per_cpu"] = list(entry.per_cpu)
    if entry.map:
        found["map"] = _plain(entry.map)
    return found
