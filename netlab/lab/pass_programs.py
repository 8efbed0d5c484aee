"""Attaches pass programs, which pass every frame, at the other ends of links of a program that sends by XDP_TX.

In native mode a veth delivers such frames only to an end with a program. `up` attaches pass programs as the plan says;
this module adds them later, when a reload brings a build that transmits and the build before did not.
"""

import os
import shutil
from collections.abc import Callable, Iterator
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
        pins = paths.passing_pins(lab.record.folder, peer)
        if not os.path.exists(paths.program_pin(pins, _NAME)):
            undo.callback(_unpin, lab.record, pins)
            _pin(lab.record, peer, pins, lock)
        netns = lab.runtime.netns_path(peer)
        with LoadedProgram.open(paths.program_pin(pins, _NAME)) as passing:
            try:
                attached = syscalls.inside(netns, partial(attachment.attach_where_none, passing.fd, interfaces))
            except Refused as refusal:
                raise NetlabError(f"{peer}: {_NAME} {refusal.text}") from None
        undo.callback(syscalls.inside, netns, partial(attachment.detach, attached))
        if attached:
            where = ", ".join(attached)
            say(f"netlab: {lab.record.lab}: {peer}: {_NAME} attached to {where} (native), for what {node} transmits")


def _without(record: LabRecord, node: str, program: ProgramRecord) -> Iterator[tuple[str, list[str]]]:
    """Yield the other ends of the program's links that have no program planned: each node with its interfaces."""
    found: dict[str, list[str]] = {}
    for name in program.interfaces:
        port = record.nodes[node].interfaces[name]
        own = (interface for each in record.nodes[port.peer].programs for interface in each.interfaces)
        if port.peer_interface not in own:
            found.setdefault(port.peer, []).append(port.peer_interface)
    yield from found.items()


def _pin(record: LabRecord, peer: str, pins: str, lock: int) -> None:
    """Load the pass program, and pin it."""
    path = os.path.join(assets.folder("bpf"), f"{_NAME}.c")
    compilation = loader.start(loader.Job(record.lab, peer, path, pins, f"{record.folder}/{paths.COMPILER}"), lock)
    try:
        loaded = compilation.pinned()
    finally:
        compilation.kill()
    noted_pins.note(record.folder, {os.path.basename(pins): loaded.noted()})


def _unpin(record: LabRecord, pins: str) -> None:
    """Remove what `_pin` has pinned, also if it failed half-way."""
    with suppress(FileNotFoundError):
        shutil.rmtree(pins)
    noted_pins.forget(record.folder, os.path.basename(pins))
