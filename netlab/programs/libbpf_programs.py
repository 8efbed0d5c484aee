"""Which programs of an object are loaded, of which type each is, and which one is attached."""

import re

from netlab.programs import btf, build
from netlab.programs.btf import BadBtfError
from netlab.programs.build import Refused
from netlab.programs.libbpf_calls import (
    ATTACH_CPUMAP,
    ATTACH_DEVMAP,
    ATTACH_INTERFACE,
    SCHED_ACT,
    UNSPECIFIED,
    XDP,
    ObjectFile,
    Program,
)
from netlab.programs.loader import Job
from netlab.topology import hooks

_SECTIONS = {build.XDP_KIND: re.compile("xdp"), build.TC_KIND: re.compile(r"(?:tcx?|classifier|cls)(?:$|[/_.])")}
_DIRECTION = re.compile(r"(?:^|[/_.])(ingress|egress)$")
_SECOND = re.compile(r"(?:^|/)(?:xdp_)?(cpumap|devmap)(?:/|$)")  # xdp/devmap, or xdp_devmap/NAME of old libbpf


def of_kind(opened: ObjectFile, kind: build.Kind) -> list[Program]:
    """Return the programs of a kind, also those of which libbpf cannot tell it by the section."""
    try:
        takers = btf.functions_of(opened.types(), kind.context)
    except BadBtfError:
        takers = set()
    return [
        each
        for each in opened.programs
        if each.type == kind.number
        or (each.type == UNSPECIFIED and (_SECTIONS[kind].match(each.section) or each.name in takers))
    ]


def set_types(opened: ObjectFile, kind: build.Kind, programs: list[Program]) -> None:
    """Set the types of the programs of a kind; the other programs will not be loaded."""
    for each in opened.programs:
        if each not in programs:
            each.want(False)
        elif kind is build.XDP_KIND:
            each.become(XDP, _attach_type(each))
        else:
            each.become(kind.number, 0)  # by this type it may be attached in each direction, by each kernel


def _attach_type(program: Program) -> int:
    """Return a program's attach type, by its section or else its name."""
    known = {ATTACH_DEVMAP, ATTACH_CPUMAP}
    if program.type == XDP and program.attach_type in known:
        return program.attach_type
    second = _SECOND.search(program.section)
    if second and second[1] == "cpumap":
        return ATTACH_CPUMAP
    return ATTACH_DEVMAP if second or program.name.endswith(build.DEVMAP_SUFFIX) else ATTACH_INTERFACE


def entry(job: Job, opened: ObjectFile, programs: dict[str, Program]) -> str:
    """Return the program to attach: `function` may name a program, or a section with only one program."""
    wanted = job.function
    if wanted and wanted not in programs:
        inside = [name for name, each in programs.items() if each.section == wanted]
        if len(inside) > 1:
            raise Refused("plain", f"has several programs in the section {wanted}: {', '.join(inside)}")
        wanted = inside[0] if inside else wanted
    ordinary = [name for name, each in programs.items() if each.is_wanted and _is_for(each, job.hook)]
    if not wanted or wanted not in programs:
        _refuse_others(job, opened, programs)
    if not wanted and not ordinary and job.hook in hooks.TC and programs:
        there = ", ".join(f"{name} in {each.section}" for name, each in programs.items())
        raise Refused("plain", f"has no program for {job.hook}: it has {there}; to attach one here, say `function:`")
    return build.entry(job._replace(function=wanted), list(programs) if wanted or not ordinary else ordinary)


def _is_for(program: Program, hook: str) -> bool:
    """Say whether a program of a hook's kind is for this hook, by its section and types."""
    if hook == hooks.XDP:
        return program.attach_type == ATTACH_INTERFACE
    found = _DIRECTION.search(program.section)
    return not found or found[1] == hooks.direction(hook)


def _refuse_others(job: Job, opened: ObjectFile, programs: dict[str, Program]) -> None:
    """Refuse a job for programs of other kinds than its own."""
    kind = build.kind_at(job.hook)
    named = [each for each in opened.programs if job.function in (each.name, each.section)]
    for each in named or (() if programs else opened.programs):
        if each.type == SCHED_ACT:
            what = f"{each.name} in the section {each.section} is an action, which netlab does not attach"
            raise Refused("plain", f'{what}: make it a program of its own, SEC("tc")')
    others = {each.name: each for each in of_kind(opened, build.other_kind(kind))}
    function = next((each.name for each in named if each.name in others), job.function)
    build.refuse_other_kind(job._replace(function=function), programs, others)
    if not programs and opened.programs:
        there = ", ".join(f"{each.name} in {each.section}" for each in opened.programs)
        raise Refused("plain", f"has no program for {kind.name}, which takes a struct {kind.context} *: it has {there}")
