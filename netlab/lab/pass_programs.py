"""Attaches pass programs, which pass every frame, at the other ends of links of a program that sends by XDP_TX.

In native mode a veth delivers such frames only to an end with a program. `up` attaches pass programs as the plan says;
this module adds them later, when a reload brings a build that transmits and the build before did not.
"""

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from functools import partial

from netlab import assets, paths
from netlab.errors import NetlabError
from netlab.kernel import syscalls
from netlab.lab.standing import Standing
from netlab.programs import attachment, loader
from netlab.programs.build import Refused
from netlab.programs.maps import LoadedProgram
from netlab.record import noted_pins
from netlab.record.model import LabRecord, ProgramRecord
from netlab.topology.hooks import XDP

_NAME = "pass"


def make_ready(
    undo: ExitStack, lab: Standing, node: str, program: ProgramRecord, lock: int, say: Callable[[str], None]
) -> None:
    """Attach a pass program to each other end of a node's links that has no program; `undo` removes them.

    Raises NetlabError, with nothing attached, if one cannot be attached.
    """
    if program.mode != "native":  # in generic mode a transmitted frame leaves like any other
        return
    for peer, interfaces in _without(lab.record, node, program):
        if not is_pinned(lab.record, peer):
            undo.callback(_unpin, lab.record, peer)
            pin(lab.record, peer, lock)
        attached = attach(lab, peer, interfaces)
        undo.callback(syscalls.inside, lab.runtime.netns_path(peer), partial(attachment.detach, attached))
        if attached:
            where = ", ".join(attached)
            say(f"netlab: {lab.record.lab}: {peer}: {_NAME} attached to {where} (native), for what {node} transmits")


def is_pinned(record: LabRecord, peer: str) -> bool:
    """Say whether a node, or the middle, has the pass program."""
    return os.path.exists(paths.program_pin(paths.passing_pins(record.folder, peer), _NAME))


def attach(lab: Standing, peer: str, interfaces: Sequence[str]) -> list[str]:
    """Attach the pinned pass program to those of these interfaces that have no program, and return their names.

    Raises NetlabError, with nothing attached, if it cannot be attached to one.
    """
    pins = paths.passing_pins(lab.record.folder, peer)
    with LoadedProgram.open(paths.program_pin(pins, _NAME)) as passing:
        try:
            where = partial(attachment.attach_where_none, passing.fd, interfaces)
            return syscalls.inside(lab.runtime.netns_path(peer), where)
        except Refused as refusal:
            raise NetlabError(f"{peer}: {_NAME} {refusal.text}") from None


def _without(record: LabRecord, node: str, program: ProgramRecord) -> Iterator[tuple[str, list[str]]]:
    """Yield the other ends of the program's links that have no program planned: each node with its interfaces."""
    found: dict[str, list[str]] = {}
    led = _led(record)
    for name in program.interfaces:
        if (node, name) in led:
            continue  # the middle has passed what it transmits from the beginning
        port = record.nodes[node].interfaces[name]
        there = (each for each in record.nodes[port.peer].programs if each.hook == XDP)
        own = (interface for each in there for interface in each.interfaces)
        if port.peer_interface not in own:
            found.setdefault(port.peer, []).append(port.peer_interface)
    yield from found.items()


def _led(record: LabRecord) -> set[tuple[str, str]]:
    """Return the ends of links that are led through the middle."""
    from netlab.record import impaired

    if not impaired.has_middle(record):
        return set()
    return {each.sender for each in impaired.directions(record, impaired.read(record)) if each.sends}


def pin(record: LabRecord, peer: str, lock: int) -> None:
    """Load the pass program, and pin it for a node, or for the middle."""
    path, pins = os.path.join(assets.folder("bpf"), f"{_NAME}.c"), paths.passing_pins(record.folder, peer)
    compilation = loader.start(loader.Job(record.lab, peer, path, pins, f"{record.folder}/{paths.COMPILER}"), lock)
    try:
        loaded = compilation.pinned()
    finally:
        compilation.kill()
    noted_pins.note(record.folder, {os.path.basename(pins): loaded.noted()})


def _unpin(record: LabRecord, peer: str) -> None:
    """Remove what `pin` has pinned, also if it failed half-way."""
    pins = paths.passing_pins(record.folder, peer)
    with suppress(FileNotFoundError):
        shutil.rmtree(pins)
    noted_pins.forget(record.folder, os.path.basename(pins))
