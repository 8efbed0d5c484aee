"""What the loader is to do for a program of a plan."""

import os
from collections.abc import Collection, Iterable

from netlab import paths
from netlab.plan.attach_program import AttachProgram
from netlab.plan.planner import Plan
from netlab.programs import loader
from netlab.topology import program_text
from netlab.topology.trust import is_own


def of(plan: Plan, folder: str, step: AttachProgram, pin_folder: str = "") -> loader.Job:
    """Return the loader's job for a program of a lab in this folder; `pin_folder` is another place for its pins."""
    program, lab = step.program, plan.topology.name
    mtu = max(interface.mtu for interface in plan.interfaces if step.node in (interface.node, paths.MIDDLE))
    own = paths.passing_pins(folder, step.node) if step.for_peer else paths.pins(folder, step.key)
    pins = pin_folder or own
    return loader.Job(
        *(lab, step.key, program.path, pins, f"{folder}/{paths.COMPILER}"),
        function=program.function,
        mode=program.mode,
        define=program.define,
        builtins=(("MTU", mtu),),
        layouts=paths.layouts(pins),
        dialect=program.dialect,
        include=program.include,
        cflags=program.cflags,
        map_sizes=program.map_sizes,
        hook=program.hook,
        event_types=program.event_types,
        untrusted=plan.untrusted and not is_trusted(program.path, program.define, program.cflags),
        folder=os.path.dirname(plan.topology.path),
        code="" if step.for_peer else paths.code(folder),
    )


def is_trusted(path: str, define: Iterable[tuple[str, str | int]], cflags: Collection[str]) -> bool:
    """Say whether a program is netlab's own, and compiled as it is meant: with numbers for its own settings.

    Any other constant may put any C into it.
    """
    if cflags or not is_own(path, "bpf"):
        return False
    chosen = dict(define)
    settings = program_text.settings(path) if chosen else set()
    return all(isinstance(value, int) and name in settings for name, value in chosen.items())
