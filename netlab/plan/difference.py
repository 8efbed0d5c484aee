"""What stands and a plan → what is to be undone, and what is to be done. Pure.

What looks the same on both sides is kept. What depends on a step that is undone is undone with it, and done again:
`dependencies` says what depends on what. So each kind of step takes part that says what it needs and gives.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence

from netlab.kernel.sysctls import is_of
from netlab.named_tuple import NamedTuple
from netlab.plan.attach_program import AttachProgram
from netlab.plan.dependencies import Around, Thing, end, gives, needs, node, program
from netlab.plan.file_steps import GiveFiles
from netlab.plan.fill_maps import FillMaps
from netlab.plan.host_steps import GuardHost
from netlab.plan.middle_steps import CreateMiddle, Impair, SendSingly
from netlab.plan.sameness import Looks, Reasons, parts, whole
from netlab.plan.setup_steps import RunSetup
from netlab.plan.steps import AddAddress, AddBridge, AddLink, AddRoute, CreateNode, FaceProgram, StartRole, Step
from netlab.plan.switch_steps import SetVlans
from netlab.plan.sysctl_step import UNKNOWN, ChangeSysctls


class Difference(NamedTuple):
    """What is to be undone and done, each in the order in which that happens.

    `left` is what stands in between. `later` are processes that go on, with other words on their next start: what they
    wait for, what shows that they are ready, when they start again. `idle` are nodes whose setup has changed, and is
    not run, because they stand. `gone_with` are steps of `undo` that need no work of their own: what they need goes.
    """

    undo: tuple[Step, ...] = ()
    do: tuple[Step | ChangeSysctls, ...] = ()
    left: tuple[Step, ...] = ()
    later: tuple[StartRole, ...] = ()
    idle: tuple[str, ...] = ()
    gone_with: frozenset[Step] = frozenset()

    @property
    def is_empty(self) -> bool:
        """Whether nothing is to be done to what stands."""
        return not (self.undo or self.do)

    def undone(self) -> list[Step]:
        """Return the steps that are undone by work of their own."""
        return [step for step in self.undo if step not in self.gone_with]


class _Item(NamedTuple):
    """A part of what a list of steps makes."""

    step: Step
    looks: object
    gives: tuple[Thing, ...]
    needs: tuple[Thing, ...]


def difference(stands: Sequence[Step], wanted: Sequence[Step], reasons: Reasons = Reasons()) -> Difference:  # noqa: B008
    """Return what makes a lab of these steps one of the wanted steps."""
    bare = _switches(stands) - _switches(wanted)
    before, after = _items(stands, reasons._replace(bare=bare)), _items(wanted)
    kept = _kept(before, after, reasons.fresh)
    undo = [each.step for at, each in enumerate(before) if at not in kept]
    stays = set(kept.values())
    do = [each.step for at, each in enumerate(after) if at not in stays]
    pairs = [(before[old].step, after[new].step) for old, new in kept.items()]
    idle = _idle(pairs, undo, do)
    undo, do = ([each for each in steps if not _is_setup_of(each, idle)] for steps in (undo, do))
    changes = list(_sysctls(pairs, do))
    undone = tuple(reversed(whole(undo)))
    left = whole(before[old].step for old in sorted(kept))
    return Difference(
        undone,
        (*changes, *whole(do)),
        tuple(_uncertain(left, changes)),
        tuple(new for old, new in pairs if isinstance(new, StartRole) and old != new),
        tuple(sorted(idle)),
        frozenset(_gone_with(undone, stands, left, do)),
    )


def _switches(steps: Iterable[Step]) -> set[str]:
    """Return the nodes of which a bridge has a port."""
    links = (step for step in steps if isinstance(step, AddLink))
    return {end.node for step in links for end in (step.a, step.b) if end.bridge}


def _items(steps: Sequence[Step], reasons: Reasons = Reasons()) -> list[_Item]:  # noqa: B008
    looks, around = Looks(steps, reasons), Around(steps)
    return [_Item(each, looks.of(each), gives(each), needs(each, around)) for each in parts(steps)]


def _kept(before: Sequence[_Item], after: Sequence[_Item], fresh: Collection[str]) -> dict[int, int]:
    """Return what is kept, as places in both lists: it looks the same, and so does all that it depends on."""
    free: dict[object, list[int]] = {}
    for at in range(len(after) - 1, -1, -1):
        free.setdefault(after[at].looks, []).append(at)
    kept = {at: free[each.looks].pop() for at, each in enumerate(before) if free.get(each.looks)}
    while True:
        stays = set(kept.values())
        gone = [each for at, each in enumerate(before) if at not in kept]
        new = [each for at, each in enumerate(after) if at not in stays]
        anew = {thing for each in (*gone, *new) for thing in each.gives} - _renewed(gone, new, fresh)
        lost = [
            old
            for old, at in kept.items()
            if not anew.isdisjoint(before[old].needs) or not anew.isdisjoint(after[at].needs)
        ]
        if not lost:
            return kept
        for old in lost:
            del kept[old]


def _renewed(gone: Iterable[_Item], new: Iterable[_Item], fresh: Collection[str]) -> set[Thing]:
    """Return the programs of which another build takes over the maps, in a node that stays."""
    nodes = {thing for each in gone for thing in each.gives if thing[0] == "node"}
    old = {program(step) for step in _programs(gone)}
    return {
        program(step)
        for step in _programs(new)
        if program(step) in old and not step.for_peer and step.key not in fresh and node(step.node) not in nodes
    }


def _programs(items: Iterable[_Item]) -> Iterator[AttachProgram]:
    steps = (each.step for each in items)
    return (step for step in steps if isinstance(step, AttachProgram) and not step.interfaces)


def _idle(pairs: Iterable[tuple[Step, Step]], undo: Sequence[Step], do: Sequence[Step]) -> set[str]:
    """Return the nodes that stay, and have another setup than before."""
    made = {step.node for step in do if isinstance(step, CreateNode)}
    found = {step.node for step in (*undo, *do) if isinstance(step, RunSetup) and step.node not in made}
    found -= {step.node for step in undo if isinstance(step, CreateNode)}
    for old, new in pairs:
        if isinstance(old, RunSetup) and isinstance(new, RunSetup) and _argvs(old) != _argvs(new):
            found.add(new.node)
    return found


def _argvs(step: RunSetup) -> list[tuple[str, ...]]:
    return [each.argv for each in step.commands]


def _is_setup_of(step: Step, nodes: Collection[str]) -> bool:
    return isinstance(step, RunSetup) and step.node in nodes


def _sysctls(pairs: Iterable[tuple[Step, Step]], do: Sequence[Step]) -> Iterator[ChangeSysctls]:
    """Yield the changes of sysctls in nodes that stay; those of an interface that is made anew are written again."""
    new_ends: dict[str, list[str]] = {}
    for step in do:
        if isinstance(step, AddLink):
            for side in (step.a, step.b):
                new_ends.setdefault(side.node, []).append(side.name)
    for old, new in pairs:
        if isinstance(old, CreateNode) and isinstance(new, CreateNode):
            was, now, ends = dict(old.sysctls), dict(new.sysctls), new_ends.get(new.node, ())
            before = tuple((name, value) for name, value in old.sysctls if now.get(name) != value)
            after = tuple(
                (name, value) for name, value in new.sysctls if was.get(name) != value or (ends and is_of(name, ends))
            )
            if before or after:
                yield ChangeSysctls(new.node, before, after, new.lab)


def _uncertain(left: Iterable[Step], changes: Iterable[ChangeSysctls]) -> Iterator[Step]:
    """Yield what is left with the sysctls unknown that may have changed."""
    of = {change.node: change for change in changes}
    for step in left:
        if isinstance(step, CreateNode) and step.node in of:
            change = of[step.node]
            known = {**dict(step.sysctls), **dict.fromkeys(dict((*change.before, *change.after)), UNKNOWN)}
            yield step._replace(sysctls=tuple(known.items()))
        else:
            yield step


def stay_loaded(left: Iterable[Step]) -> set[Thing]:
    """Return the programs that stay loaded: steps of these only attach and detach them."""
    return {program(step) for step in left if isinstance(step, AttachProgram)}


def _gone_with(
    undone: Sequence[Step], stands: Sequence[Step], left: Sequence[Step], do: Sequence[Step]
) -> Iterator[Step]:
    """Yield the steps of which the kernel undoes all when it removes a node, a link or a program.

    And those that set a direction of a link which is set otherwise: packets that are under way there stay so.
    """
    set_anew = {step.source for step in do if isinstance(step, Impair)}
    around, stay = Around(stands), stay_loaded(left)
    roots = [step for step in undone if isinstance(step, CreateNode | CreateMiddle | AddLink)]
    gone = {thing for step in roots for thing in gives(step)}
    unloaded = {program(step) for step in undone if isinstance(step, AttachProgram)} - stay
    for step in undone:
        match step:
            case Impair():
                is_gone = step.source in set_anew or not gone.isdisjoint(needs(step, around))
            case SetVlans() | GuardHost() | AddAddress() | FaceProgram() | AddBridge() | SendSingly():
                is_gone = not gone.isdisjoint(needs(step, around)) or node(step.node) in gone
            case AddRoute():
                ways = [end(at[1], at[2]) for at in around.ways_to(step.node, step.via)] if step.via else []
                is_gone = (
                    node(step.node) in gone
                    or end(step.node, step.interface) in gone
                    or (bool(ways) and gone.issuperset(ways))
                )
            case FillMaps():
                is_gone = not unloaded.isdisjoint(around.programs.get(step.node, ()))
            case AttachProgram() if program(step) in stay:
                is_gone = gone.issuperset(end(step.node, name) for name in step.interfaces)
            case GiveFiles():
                is_gone = node(step.node) in gone
            case RunSetup():
                is_gone = True
            case _:
                is_gone = False
        if is_gone:
            yield step
