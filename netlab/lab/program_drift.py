"""Which programs of a node are no longer attached or pinned as planned: the lab's record beside what was read. Pure."""

from collections.abc import Collection, Iterator, Mapping

from netlab.lab.node_drift import Inside, Problem, anew
from netlab.named_tuple import NamedTuple
from netlab.record.model import NodeRecord
from netlab.topology.hooks import XDP, direction


class Pins(NamedTuple):
    """What is pinned of a program: numbers of functions by name, names of maps, numbers of a new build's functions.

    `entry` is the one that is attached. `expected` is what was pinned when the lab was built. They are "" and () if the
    lab does not know.
    """

    programs: Mapping[str, int]
    maps: frozenset[str] = frozenset()
    coming: frozenset[int] = frozenset()
    entry: str = ""
    expected: tuple[str, ...] = ()

    @property
    def gone(self) -> list[str]:
        """Those that were pinned and are gone, such as maps/NAME."""
        there = {*(f"programs/{name}" for name in self.programs), *(f"maps/{name}" for name in self.maps)}
        return [name for name in self.expected if name not in there]

    @property
    def attachable(self) -> frozenset[int]:
        """The numbers of what may be attached, also while a reload is at work; none if the lab does not know."""
        return self.coming | {self.programs[self.entry]} if self.entry in self.programs else frozenset()

    @property
    def is_whole(self) -> bool:
        """Whether everything is there that was pinned when the lab was built."""
        return bool(self.expected) and not self.gone


NO_PINS = Pins({})


def program_problems(
    lab: str, node: str, about: NodeRecord, seen: Inside, own: Mapping[str, Pins], passing: Pins
) -> Iterator[Problem]:
    """Yield which programs are not attached as planned: the node's own, and those that pass, for neighbours.

    `own` are, in the order of the record, the keys of the node's programs and what is pinned of them.
    """
    planned = [
        (name, program.name, program.hook, program.mode, key, pins)
        for program, (key, pins) in zip(about.programs, own.items(), strict=True)
        for name in program.interfaces
    ]
    planned += [(name, "pass", XDP, "native", "", passing) for name, port in about.interfaces.items() if port.passes]
    links = {link.name: link for link in seen.links}
    for name, called, hook, mode, key, pins in (each for each in planned if each[0] in links):
        if hook == XDP:
            what = _attachment(links[name].programs, called, mode, pins)
        else:
            what = _shared_attachment(seen.tc[name, hook], called, hook, pins) if (name, hook) in seen.tc else ""
        if what:
            others = hook == XDP and any(number for other, number in links[name].programs.items() if other != mode)
            renewable = key and pins.is_whole and not others
            mend = f"netlab reload --lab {lab} {key}, with its source as it is now" if renewable else anew(lab)
            yield Problem(f"{node} {name}", what, mend)


def pin_problems(lab: str, where: str, pins: Pins) -> Iterator[Problem]:
    """Yield what is no longer pinned of a program, by its key, or of the one that only passes, by its node."""
    if pins.coming:  # a reload is moving them at this moment
        return
    for name in pins.gone:
        kind, _, plain = name.partition("/")
        yield Problem(where, f"the pin of the {kind.removesuffix('s')} {plain} is gone", anew(lab))


def _attachment(attached: Mapping[str, int], called: str, mode: str, pins: Pins) -> str:
    """Return what is wrong with the program of an interface: "" for nothing."""
    number = attached[mode]
    if not number:
        others = "".join(f", but one in {other} mode" for other, there in attached.items() if there and other != mode)
        return f"no XDP program is attached in {mode} mode{others}; planned is {called}"
    if pins.attachable and number not in pins.attachable:
        return f"another XDP program (number {number}) is attached in the place of {called}"
    return ""


def _shared_attachment(attached: Collection[int], called: str, hook: str, pins: Pins) -> str:
    """Return what is wrong with a tc program, beside which others may be attached: "" for nothing."""
    at = direction(hook)
    if not attached:
        return f"no tc program is attached at {at}; planned is {called}"
    if pins.attachable and pins.attachable.isdisjoint(attached):
        numbers = ", ".join(map(str, attached))
        return f"another tc program (number {numbers}) is attached at {at} in the place of {called}"
    return ""
