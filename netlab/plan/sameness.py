"""Which steps of two plans make the same thing, so that it can stay as it is. Pure.

Steps may differ in what does not matter to a lab that stands: the places of entries in the file, what a process waits
for when it starts. And equal steps may differ by what was done before: the first address of an interface is its main
one.
"""

from collections.abc import Collection, Iterable, Iterator

from netlab.named_tuple import NamedTuple
from netlab.plan.attach_program import AttachProgram
from netlab.plan.dependencies import program
from netlab.plan.file_steps import GiveFiles
from netlab.plan.fill_maps import FillMaps
from netlab.plan.setup_steps import RunSetup
from netlab.plan.steps import AddAddress, AddLink, CreateNode, StartRole, Step
from netlab.topology.document.tree import Item, Mapping, Scalar
from netlab.topology.model import MapEntries, Restart


class Reasons(NamedTuple):
    """Why something that stands is made anew though its steps are the same.

    `nodes` have other limits or the like. `changed` are the keys of programs with another source, and `fresh` of those
    that cannot take over the maps of the build before.
    """

    nodes: Collection[str] = ()
    changed: Collection[str] = ()
    fresh: Collection[str] = ()


def parts(steps: Iterable[Step]) -> Iterator[Step]:
    """Yield these steps, and of each program the program itself, and then each interface that it is attached to."""
    for step in steps:
        if isinstance(step, AttachProgram):
            yield step._replace(interfaces=())
            yield from (step._replace(interfaces=(name,)) for name in step.interfaces)
        else:
            yield step


def whole(steps: Iterable[Step]) -> list[Step]:
    """Return steps of `parts` with each program as one step again, in the place of its first part."""
    found: list[Step] = []
    at: dict[object, int] = {}
    for step in steps:
        if not isinstance(step, AttachProgram):
            found.append(step)
            continue
        before = at.setdefault(program(step), len(found))
        if before == len(found):
            found.append(step)
        else:
            known = found[before]
            interfaces = known.interfaces if isinstance(known, AttachProgram) else ()
            found[before] = step._replace(interfaces=(*interfaces, *step.interfaces))
    return found


class Looks:
    """Says what steps of one list look like; two that look the same make the same thing."""

    def __init__(self, steps: Iterable[Step], reasons: Reasons = Reasons()) -> None:  # noqa: B008 - it is immutable
        self._reasons = reasons
        self._own: dict[str, GiveFiles] = {}
        self._mtu: dict[str, int] = {}
        self._before: dict[object, tuple[object, ...]] = {}
        for step in steps:
            if isinstance(step, GiveFiles):
                self._own[step.node] = step
            elif isinstance(step, AddLink):
                for end in (step.a, step.b):
                    self._mtu[end.node] = max(end.mtu, self._mtu.get(end.node, 0))

    def of(self, step: Step) -> object:
        """Return what a step looks like; to be called for all steps, in their order."""
        looks: object = step
        match step:
            case CreateNode():
                looks = (CreateNode, step.node, step.image, self._own.get(step.node), step.node in self._reasons.nodes)
            case AddAddress():
                looks = step, self._behind((step.node, step.interface, ":" in step.address), step.address)
            case AttachProgram() if step.interfaces:
                where = (step.node, step.interfaces, step.program.hook, step.program.mode)
                looks = AttachProgram, program(step), where, self._behind(where, program(step))
            case AttachProgram():
                about = step.program._replace(interfaces=(), transmits=False)
                is_changed = not step.for_peer and step.key in (*self._reasons.changed, *self._reasons.fresh)
                looks = AttachProgram, program(step), about, self._mtu.get(step.node, 0), is_changed
            case FillMaps():
                looks = FillMaps, step.node, tuple(map(_entries, step.maps))
            case RunSetup():
                looks = RunSetup, step.node
            case StartRole():
                looks = step._replace(after=(), ready=None, restart=Restart())
        return looks

    def _behind(self, place: object, what: object) -> tuple[object, ...]:
        """Return what is in a place before this."""
        before = self._before.get(place, ())
        self._before[place] = (*before, what)
        return before


def _entries(each: MapEntries) -> tuple[object, ...]:
    event = each.event.text if each.event else ""
    return each.name.text, plain(each.content), each.max_entries, event, each.follow


def plain(item: Item) -> object:
    """Return what is written in a file, without the places."""
    if isinstance(item, Scalar):
        return type(item.value), item.value
    if isinstance(item, Mapping):
        return Mapping, tuple((key.text, plain(value)) for key, value in item.pairs)
    return tuple(map(plain, item.items))
