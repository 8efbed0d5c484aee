"""Tells balancers of a change, so that no request is lost: backends that are concerned are drained before.

A balancer goes on with its program and its maps. What it knows of links and backends is in the maps; its role has
written that once, when it was set up.
"""

import time
from collections.abc import Callable, Collection, Iterable, Iterator
from functools import partial

from netlab import balancer
from netlab.balancer import control, rewiring
from netlab.errors import NetlabError
from netlab.kernel import syscalls
from netlab.lab.standing import Standing
from netlab.paths import node_of
from netlab.plan.difference import Difference
from netlab.plan.steps import AddLink, CreateNode, StartRole
from netlab.record.model import LabRecord, ProgramRecord
from netlab.words import few

Say = Callable[[str], None]
_ROLE, _CAPACITY = "balancer", 5  # of roles/balancer.py; a backend's threads if the file does not say how many
_LOOK_S = 0.05


class Balancers:
    """The balancers that go on through a change. The constructor only reads."""

    def __init__(self, before: Standing, after: Standing, change: Difference, anew: Collection[str]) -> None:
        there, stay = balancer.carried(before.record), dict(after.record.programs())
        made = {step.node for step in change.do if isinstance(step, CreateNode)}
        keys = [key for key in there if key in stay and key not in anew and node_of(key) not in made]
        ones = (_Balancer(before, after, key, change) for key in keys)
        self._all = [one for one in ones if one.is_concerned]

    def quiet(self, deadline_s: float, say: Say) -> None:
        """Drain the backends that are concerned; return when they have no requests. NetlabError if they keep some."""
        for one in self._all:
            one.quiet(deadline_s, say)

    def tell(self, say: Say) -> None:
        """Tell each balancer what has changed: all that it may send to is there."""
        for one in self._all:
            one.tell(say)

    def back(self) -> None:
        """Have the backends as before the change, which is undone."""
        for one in self._all:
            one.back()


class _Balancer:
    """One balancer, and what of it changes: backends that go, that come, and that are elsewhere or out of reach."""

    def __init__(self, before: Standing, after: Standing, key: str, change: Difference) -> None:
        self.node, self.before, self.after = node_of(key), before, after
        self.was, self.program = (dict(lab.record.programs())[key] for lab in (before, after))
        self.pins = self.program.pins
        there = rewiring.backends(self.pins)
        listed, wanted = (_listed(lab.record, self.node) for lab in (before, after))
        nodes = after.record.nodes
        self.gone = [name for name in there if name not in nodes or (name in listed and name not in wanted)]
        self.new = [name for name in wanted if name not in there and name not in listed]
        self.fresh = {end for node, end in _ends(change.do) if node == self.node}
        self.lost = {end for node, end in _ends(change.undo) if node == self.node}
        hit = _interrupted(change, self.node)
        self.moved = [name for name in there if name not in self.gone and (name in hit or self._is_elsewhere(name))]
        self.drained = rewiring.drained(self.pins, there)
        self.capacity = balancer.snapshot(self.pins).capacity if there else {}
        self.is_concerned = bool(there and (self.gone or self.moved or self.new or self.fresh or self.lost))

    def _is_elsewhere(self, name: str) -> bool:
        """Say whether a backend is reached in another way afterwards, or through an interface that is made anew."""
        try:
            (before,) = _find(self.before.record, self.node, self.was, [name])
            (after,) = _find(self.after.record, self.node, self.program, [name])
        except NetlabError:  # it is no neighbour any more
            return True
        return before != after or before.interface in self.lost

    def quiet(self, deadline_s: float, say: Say) -> None:
        """Drain what is concerned, and wait until it has no requests."""
        names = [*self.gone, *self.moved]
        if not names:
            return
        say(f"netlab: {self.before.record.lab}: {self.node}: {few(names)} drained")
        control.drain(self.pins, names)
        until = time.monotonic() + deadline_s
        while left := control.in_hand(self.pins, names):
            if time.monotonic() > until:
                what = ", ".join(f"{name} {count}" for name, count in left.items())
                raise NetlabError(
                    f"{self.node}: these backends still have requests in hand after {deadline_s:g} s: {what}; wait"
                    f" longer with --timeout, or `netlab balancer remove --now` them first"
                )
            time.sleep(_LOOK_S)

    def tell(self, say: Say) -> None:
        """Write what has changed into the maps."""
        lab = self.after
        syscalls.inside(lab.runtime.netns_path(self.node), partial(self._write, lab, self.gone))
        if self.new:
            capacity = _capacity(lab.record, self.node)
            self._add(lab, dict.fromkeys(self.new, capacity))
            say(f"netlab: {lab.record.lab}: {self.node}: {few(self.new)} added, {capacity} threads each")
        if self.gone:
            say(f"netlab: {lab.record.lab}: {self.node}: {few(self.gone)} removed")

    def _write(self, lab: Standing, gone: Collection[str]) -> None:
        interfaces = [
            balancer.Interface(name, each.mac, tuple(address.split("/")[0] for address in each.addresses))
            for name, each in lab.record.nodes[self.node].interfaces.items()
        ]
        rewiring.retire(self.pins, gone)
        rewiring.rewire(self.pins, interfaces, {*self.fresh, *self.lost})
        moved = [_find(lab.record, self.node, self.program, [name], self.capacity[name])[0] for name in self._left()]
        rewiring.rejoin(self.pins, moved, self.drained)

    def _left(self) -> list[str]:
        """Return those of the backends that are drained for this change which are still in the maps."""
        there = rewiring.backends(self.pins)
        return [name for name in (*self.gone, *self.moved) if name in there]

    def _add(self, lab: Standing, capacity: dict[str, int]) -> None:
        found = [_find(lab.record, self.node, self.program, [name], each)[0] for name, each in capacity.items()]
        control.add(self.pins, found, lab.runtime.netns_path(self.node))

    def back(self) -> None:
        """Have links and backends as they were; those that were added go."""
        there = rewiring.backends(self.pins)
        came = [name for name in self.new if name in there]
        syscalls.inside(self.before.runtime.netns_path(self.node), partial(self._write, self.before, came))
        there = rewiring.backends(self.pins)
        self._add(self.before, {name: self.capacity[name] for name in self.gone if name not in there})


def _interrupted(change: Difference, here: str) -> set[str]:
    """Return the nodes behind links that are made anew, and those of which processes end."""
    found = {step.node for step in change.undo if isinstance(step, StartRole | CreateNode)}
    return found | {node for node, _ in _ends(change.undo)} - {here}


def _ends(steps: Iterable[object]) -> Iterator[tuple[str, str]]:
    for step in steps:
        if isinstance(step, AddLink):
            yield step.a.node, step.a.name
            yield step.b.node, step.b.name


def _find(
    record: LabRecord, here: str, program: ProgramRecord, names: list[str], capacity: int = 1
) -> tuple[balancer.Backend, ...]:
    return balancer.find(record.nodes, here, program, names, capacity)


def _options(record: LabRecord, here: str) -> list[str]:
    """Return the options of the balancer's role in a node."""
    node = record.nodes.get(here)
    roles = [each for each in node.processes if each.role == _ROLE] if node else []
    return list(roles[0].argv[2:]) if roles else []


def _listed(record: LabRecord, here: str) -> list[str]:
    """Return the backends that the file gives to a balancer's role."""
    words = _values(_options(record, here), "--backends")
    return balancer.expand(record.nodes, words) if words else []


def _capacity(record: LabRecord, here: str) -> int:
    words = _values(_options(record, here), "--capacity")
    return int(words[0]) if words else _CAPACITY


def _values(words: list[str], option: str) -> list[str]:
    if option not in words:
        return []
    behind = words[words.index(option) + 1 :]
    end = next((at for at, word in enumerate(behind) if word.startswith("--")), len(behind))
    return behind[:end]
