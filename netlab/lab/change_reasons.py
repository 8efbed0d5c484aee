"""Why something is made anew though its steps are the same: limits, what a container was made with, sources."""

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress

from netlab import paths
from netlab.kernel import files
from netlab.plan.attach_program import AttachProgram
from netlab.plan.sameness import Reasons
from netlab.plan.steps import Step
from netlab.record.model import LabRecord, NodeRecord
from netlab.runtime import container_files
from netlab.topology import program_text


def reasons(before: LabRecord, after: LabRecord, wanted: Sequence[Step]) -> Reasons:
    """Return what differs besides the steps."""
    nodes = [name for name, node in after.nodes.items() if name in before.nodes and _is_anew(before, after, name, node)]
    steps = [step for step in wanted if isinstance(step, AttachProgram) and not step.for_peer]
    return Reasons(tuple(nodes), tuple(step.key for step in steps if _has_changed(before.folder, step)))


def _is_anew(before: LabRecord, after: LabRecord, name: str, now: NodeRecord) -> bool:
    """Say whether a node that stands cannot become what it is to be."""
    was = before.nodes[name]
    if (was.kind, was.limits) != (now.kind, now.limits):
        return True
    if after.runtime != "docker" or now.kind == "host":
        return False
    if (was.env, was.capabilities) != (now.env, now.capabilities):
        return True
    return bool(now.programs and not any(node.programs for node in before.nodes.values())) or _sees_more(
        before, after, now
    )


def _sees_more(before: LabRecord, after: LabRecord, node: NodeRecord) -> bool:
    """Say whether a container needs folders of this host that it was made without: those of its roles."""
    more = set(container_files.shared(after)).difference(container_files.shared(before))
    roles = [process.argv[1] for process in node.processes if process.role]
    return any(role == folder or role.startswith(f"{folder}/") for role in roles for folder in more)


def _has_changed(folder: str, step: AttachProgram) -> bool:
    """Say whether the source of a program, or a header of it, is another one than when it was loaded last."""
    kept = paths.source(folder, step.key, step.program.path)
    with suppress(OSError):
        text = program_text.read_bytes(step.program.path)
        return text != files.read(kept) or any(_is_younger(path, kept) for path in _headers(step, text))
    return False  # it is a new program; or its source cannot be read, which the compiler will say


def _headers(step: AttachProgram, text: bytes) -> Iterator[str]:
    program = step.program
    for header in program_text.headers(program.path, text.decode(errors="replace"), program.include):
        yield header.path


def _is_younger(path: str, than: str) -> bool:
    return os.stat(path).st_mtime_ns > os.stat(than).st_mtime_ns
