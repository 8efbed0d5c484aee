"""What a change interrupts, and what moves, in words. Pure."""

from collections.abc import Callable, Collection, Iterable, Iterator
from typing import TypeVar

from netlab.paths import MIDDLE
from netlab.plan.attach_program import AttachProgram
from netlab.plan.dependencies import program
from netlab.plan.difference import Difference, stay_loaded
from netlab.plan.steps import AddAddress, AddLink, CreateNode, StartRole
from netlab.words import few

_Kind = TypeVar("_Kind")


def told(change: Difference) -> Iterator[str]:
    """Yield a sentence for each thing that people should know of a change."""
    gone, made = ({step.node for step in _of(CreateNode, steps)} for steps in (change.undo, change.do))
    yield from (f"{name} is made anew, and all that is there" for name in sorted(gone & made))
    yield from _links(change, gone | made)
    yield from _moves(change, gone | made)
    yield from _programs(change)
    ends, begins = ({step.key for step in _of(StartRole, steps)} for steps in (change.undo, change.do))
    if again := sorted(ends & begins):
        yield f"{few(again)} {'ends and starts' if len(again) == 1 else 'end and start'} again"
    for name in change.idle:
        yield f"{name} stands, so its setup, which is another one now, is not run"


def in_short(change: Difference) -> str:
    """Return in a few words what differs."""
    found = []
    kinds: tuple[tuple[str, str, Callable[[Iterable[object]], set[str]]], ...] = (
        ("node", "nodes", lambda steps: {step.node for step in _of(CreateNode, steps)}),
        ("link", "links", lambda steps: {"–".join(_nodes(step)) for step in _of(AddLink, steps)}),
        ("program", "programs", lambda steps: {step.key for step in _of(AttachProgram, steps)}),
        ("process", "processes", lambda steps: {step.key for step in _of(StartRole, steps)}),
    )
    for one, several, named in kinds:
        gone, new = named(change.undo), named(change.do)
        for words, verb in ((new - gone, "new"), (gone - new, "gone"), (gone & new, "changed")):
            if words:
                found.append(f"{verb}: {one if len(words) == 1 else several} {few(sorted(words))}")
    others = {type(step) for step in (*change.undo, *change.do)} - {CreateNode, AddLink, AttachProgram, StartRole}
    return "; ".join(found) or ("addresses, routes or settings" if others else "what no step is needed for")


def _of(kind: type[_Kind], steps: Iterable[object]) -> list[_Kind]:
    return [step for step in steps if isinstance(step, kind)]


def _links(change: Difference, others: Collection[str]) -> Iterator[str]:
    """Yield the links between nodes that stay which are made anew: meanwhile nothing passes."""
    made = {_nodes(step) for step in _of(AddLink, change.do)}
    told: dict[str, None] = {}
    for step in reversed(_of(AddLink, change.undo)):
        nodes, (a, b) = _nodes(step), _ends(step)
        if nodes in made and not set(nodes).intersection(others):
            told[f"the link of {a} and {b} is made anew"] = None
    yield from told


def _nodes(step: AddLink) -> tuple[str, str]:
    """Return the nodes that a link joins, also if that is led through the middle."""
    a = step.a.node if step.a.node != MIDDLE else step.b.peer
    b = step.b.node if step.b.node != MIDDLE else step.a.peer
    return a, b


def _ends(step: AddLink) -> tuple[str, str]:
    a, b = _nodes(step)
    a_name = step.a.name if step.a.node != MIDDLE else step.b.peer_interface
    b_name = step.b.name if step.b.node != MIDDLE else step.a.peer_interface
    return f"{a} ({a_name})", f"{b} ({b_name})"


def _moves(change: Difference, others: Collection[str]) -> Iterator[str]:
    """Yield the nodes that stay of which an address is another one afterwards."""
    before, after = (
        {(step.node, step.address): step.interface for step in _of(AddAddress, steps)}
        for steps in (reversed(change.undo), change.do)
    )
    for node in dict.fromkeys(node for node, _ in before):
        lost = [address for name, address in before if name == node and (name, address) not in after]
        came = [address for name, address in after if name == node and (name, address) not in before]
        if lost and came and node not in others:
            yield f"{node} moves from {few(lost)} to {few(came)}"


def _programs(change: Difference) -> Iterator[str]:
    stay = stay_loaded(change.left)
    before = {program(step) for step in _of(AttachProgram, change.undo)} - stay
    for step in _of(AttachProgram, change.do):
        if program(step) in before and not step.for_peer:
            yield f"{step.program.name} of {step.node} is replaced by another build"
