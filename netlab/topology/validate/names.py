"""The names of a lab: nodes, replicated nodes and their replicas."""

from collections.abc import Iterable, Sequence

from netlab.named_tuple import NamedTuple
from netlab.paths import label_of
from netlab.topology.document.tree import show
from netlab.topology.validate.findings import Findings, Name, Place

MAX_NODES = 4096


class Declared(NamedTuple):
    """A name in `nodes:`; `replicas` is 0 for a node that is not replicated.

    If what is written is wrong, `replicas` is None, or `switch` is.
    """

    name: str
    place: Place
    replicas: int | None
    switch: bool | None
    joins: bool = False  # it has no addresses, and hands on what arrives
    host: bool = False  # it is this host itself
    stp: bool = False  # a switch that keeps loops out
    filters: bool | None = None  # a switch that tells VLANs apart; None where that is not written


class Names:
    """What each name means.

    `members` has, for a node or a replica, itself; for a replicated node, all its replicas. `declared` has the place of
    each name; a replica has that of its replicated node. `kinds_known` and `replicas_known` are false if mistakes hide
    the shape of the lab.
    """

    def __init__(self, findings: Findings, declared: list[Declared], place: Place) -> None:
        self._findings = findings
        self._uncertain = {one.name for one in declared if one.replicas is None}
        self.members: dict[str, tuple[str, ...]] = {}
        self.declared: dict[str, Declared] = {one.name: one for one in declared}
        self.kinds_known = all(one.switch is not None for one in declared)
        count = sum(one.replicas or 1 for one in declared)
        if count > MAX_NODES:
            message = f"expected at most {MAX_NODES:,} nodes, found {count:,}"
            findings.add(place, message, "fewer replicas")
            self._uncertain.update(self.declared)
        self.replicas_known = not self._uncertain
        for one in declared:
            self._expand(one)
        self._check_labels()

    def _expand(self, one: Declared) -> None:
        if not one.replicas or one.name in self._uncertain:
            self.members[one.name] = (one.name,)
            return
        collided = set()
        replicas = tuple(f"{one.name}{number}" for number in range(1, one.replicas + 1))
        self.members[one.name] = replicas
        for replica in replicas:
            other = self.declared.setdefault(replica, one)
            if other is not one and (one.name, other.name) not in collided:
                collided.add((one.name, other.name))
                self._collide(one, other, replica)
            self.members.setdefault(replica, (replica,))

    def _check_labels(self) -> None:
        """Add the mistakes of names that make one DNS label, at the later of two."""
        seen: dict[str, tuple[str, Declared]] = {}
        collided = set()
        for name, one in self.declared.items():
            other, first = seen.setdefault(label_of(name), (name, one))
            if other == name or (one.name, first.name) in collided:
                continue
            collided.add((one.name, first.name))
            later, earlier = ((name, one), (other, first)) if one.place > first.place else ((other, first), (name, one))
            message = f"expected names that make DNS labels of their own, found {show(later[0])}, which makes"
            found = f"{show(label_of(name))} as {show(earlier[0])} does (line {earlier[1].place.line})"
            self._findings.add(later[1].place, f"{message} {found}", "rename one of them")

    def _collide(self, one: Declared, other: Declared, replica: str) -> None:
        """Add the mistake of a replica with the name of something else, at the later of the two."""
        later, earlier = (one, other) if one.place > other.place else (other, one)
        line = earlier.place.line
        both = "is a replica of " + (f"both {one.name} and {other.name}" if other.name != replica else one.name)
        message = f"expected names of their own, found {show(replica)}, which {both} (line {line})"
        self._findings.add(later.place, message, "rename one of them")

    def is_switch(self, name: str) -> bool:
        """Say whether the node, or replicated node, of this name is a switch."""
        return bool(self.declared[name].switch)

    def is_host(self, name: str) -> bool:
        """Say whether the node of this name is this host itself."""
        return self.declared[name].host

    def join(self, nodes: Iterable[str]) -> None:
        """Note that these hosts join their links."""
        for name in nodes:
            self.declared[name] = self.declared[name]._replace(joins=True)

    def joins(self, name: str) -> bool:
        """Say whether a host hands frames from link to link, without addresses of its own."""
        return self.declared[name].joins

    def is_replicated(self, name: str) -> bool:
        """Say whether `name` means the replicas of a node, however many."""
        return bool(self.declared[name].replicas) and self.declared[name].name == name

    def find(self, name: Name, what: str = "a node", others: Sequence[str] = ()) -> tuple[str, ...]:
        """Return the nodes that `name` stands for, () after adding the mistake where there are none.

        `others` are names that could have been meant, too.
        """
        members = self.members.get(name.text, ())
        if not members and name.text.rstrip("0123456789") not in self._uncertain:
            hint = self._findings.nearest(name.text, [*others, *self.members])
            self._findings.add(name.place, f"expected {what}, found no node {show(name.text)}", hint)
        return members

    def find_host(self, name: Name) -> tuple[str, ...]:
        """Return the hosts that `name` means; (), after adding the mistake, if there are none."""
        members = self.find(name, "a host")
        if members and self.is_switch(name.text):
            self._findings.add(name.place, f"expected a host, found {show(name.text)}, a switch", "it has no address")
            return ()
        return members
