"""A balancer of a lab from Python: changes while requests come in. `netlab balancer` are words for it."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from netlab import balancer
from netlab.balancer import control
from netlab.errors import UsageError
from netlab.lab.standing import Standing
from netlab.paths import node_of
from netlab.record import store
from netlab.record.model import LabRecord, ProgramRecord

_REMOVE_S = 30.0  # for the requests in hand of a backend that is removed
Note = Callable[[str], None]


class Balancer:
    """A balancer of a lab that is up, by its node, or NODE/NAME; "" is the only one there.

    Backends are given by the names of their nodes; the name of a replicated node means all its replicas. UsageError
    for what does not fit, NetlabError for what cannot be done now; then nothing has changed.
    """

    def __init__(self, lab: Standing, called: str = "", note: Note = lambda _: None) -> None:
        self._lab = lab
        self._note = note
        self.key, self._program = _meant(lab.record, called)

    @property
    def node(self) -> str:
        """The balancer's node."""
        return node_of(self.key)

    def policy(self, name: str) -> None:
        """Choose among free backends by another policy, from the next request on."""
        if name not in balancer.POLICIES:
            raise UsageError(f"policy {name}: expected one of {', '.join(balancer.POLICIES)}")
        with self._changing() as pins:
            control.set_policy(pins, name)

    def drain(self, *nodes: str) -> int:
        """Send backends no more requests; they finish what they have. Return how many requests they have in hand."""
        names = self._names(nodes)
        with self._changing() as pins:
            control.drain(pins, names)
            return sum(control.in_hand(pins, names).values())

    def undrain(self, *nodes: str) -> None:
        """Send drained backends requests again."""
        names = self._names(nodes)
        with self._changing() as pins:
            control.undrain(pins, names, self._netns)

    def weight(self, weight: int, *nodes: str) -> None:
        """Give backends a weight, from 1 to 1000."""
        if not 0 < weight <= control.MAX_WEIGHT:
            raise UsageError(f"weight {weight}: expected a whole number from 1 to {control.MAX_WEIGHT}")
        names = self._names(nodes)
        with self._changing() as pins:
            control.set_weight(pins, names, weight)

    def add(self, *nodes: str, capacity: int = 0) -> int:
        """Add backends with so many threads each (0: as many as the others have), and return how many."""
        names = self._names(nodes)
        with self._changing() as pins:
            threads = capacity or max(balancer.snapshot(pins).capacity.values(), default=1)
            found = balancer.find(self._lab.record.nodes, self.node, self._program, names, threads)
            control.add(pins, found, self._netns)
            return threads

    def remove(self, *nodes: str, timeout: float = _REMOVE_S, now: bool = False) -> None:
        """Drain backends, wait until they have no requests in hand, and remove them; with `now`, do not wait."""
        names = self._names(nodes)
        with self._changing() as pins:
            control.remove(pins, names, timeout, now)

    def listed(self, nodes: Sequence[str]) -> str:
        """Return the backends that are meant, for messages."""
        return ", ".join(self._names(nodes))

    @property
    def _netns(self) -> str:
        return self._lab.runtime.netns_path(self.node)

    @contextmanager
    def _changing(self) -> Iterator[str]:
        """Yield the folder of the program's pins, while nobody else changes the lab."""
        name = self._lab.record.lab
        said = f"netlab: waiting for another command to leave the lab {name}"
        with store.locked(name, waiting=lambda: self._note(said)):
            yield self._program.pins

    def _names(self, nodes: Sequence[str]) -> list[str]:
        record = self._lab.record
        replicated = {node.replica_of for node in record.nodes.values()}
        for node in nodes:
            if node not in replicated:
                store.node_of(record, node)
        return balancer.expand(record.nodes, list(nodes))


def _meant(lab: LabRecord, called: str) -> tuple[str, ProgramRecord]:
    """Return the balancer that is meant, with its key."""
    there = balancer.carried(lab)
    found = {key: each for key, each in there.items() if not called or called in (key, node_of(key))}
    if called and not found:
        raise UsageError(f"{called} carries no balancer; {', '.join(there) or 'no node of this lab'} does")
    if not there:
        raise UsageError(f"no node of the lab {lab.lab} carries a balancer")
    if len(found) > 1:
        raise UsageError(f"there are several balancers: choose one of {', '.join(found)} with --node NODE")
    return next(iter(found.items()))
