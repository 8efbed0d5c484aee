"""Interfaces of a node as they are now, beside what was planned. Pure."""

from collections.abc import Collection, Iterator, Mapping

from netlab.lab import addresses_now
from netlab.lab.node_drift import Inside, Link
from netlab.named_tuple import NamedTuple
from netlab.record.model import NodeRecord, ProgramRecord
from netlab.topology.hooks import XDP

UP, NO_CARRIER, DOWN, SET_DOWN, GONE, UNKNOWN = "up", "no carrier", "down", "set down", "gone", ""
_LO = "lo"


class InterfaceStatus(NamedTuple):
    """An interface: what is at its other end (NODE:INTERFACE, "" for nothing), and its state.

    `state` is `up`, `no carrier` (the other end is down), `down`, `set down` (by `netlab link`), `gone`, or "" where
    the node was not looked into. `port` is the state of a switch's port, such as forwarding. `addresses` are those that
    are there; where the node was not looked into, those that were planned. `lost` are planned ones that are not there,
    `added` those that nobody has planned. `is_planned` says whether the interface was. `programs` are attached, each
    with where, such as `balancer (native)` or `mark (tc egress)`; `lost_programs` were planned and are not.
    """

    peer: str
    state: str
    port: str = ""
    addresses: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()
    lost_programs: tuple[str, ...] = ()
    is_planned: bool = True

    @property
    def is_as_planned(self) -> bool:
        """Whether nothing of it is otherwise than it was planned, or set since."""
        is_there = self.state in (UP, NO_CARRIER, SET_DOWN, UNKNOWN)
        return self.is_planned and is_there and not (self.lost or self.added or self.lost_programs)


def of(about: NodeRecord, seen: Inside | None, down: Collection[str]) -> dict[str, InterfaceStatus]:
    """Return the interfaces of a node that were planned, and others that are there, beside what every node has.

    `seen` is None where the node was not looked into; `down` are those that `netlab link` has set down.
    """
    planned = about.all_addresses()
    now = addresses_now.of(about, seen) if seen else planned
    links = {link.name: link for link in seen.links} if seen else {}
    extra = [name for name in now if name not in planned and (now[name] or name != _LO) and name != _bridge(about)]
    return {
        name: _interface(about, name, planned, now, seen, links.get(name), name in down) for name in (*planned, *extra)
    }


def _bridge(about: NodeRecord) -> str:
    return about.bridge.name if about.bridge else ""


def _interface(
    about: NodeRecord,
    name: str,
    planned: Mapping[str, tuple[str, ...]],
    now: Mapping[str, tuple[str, ...]],
    seen: Inside | None,
    link: Link | None,
    is_down: bool,
) -> InterfaceStatus:
    port, wanted, there = about.interfaces.get(name), planned.get(name, ()), now.get(name, ())
    programs = {_called(each, seen): _is_attached(each, name, seen, link) for each in _planned(about, name)}
    return InterfaceStatus(
        f"{port.peer}:{port.peer_interface}" if port and port.peer else "",
        _state(link, is_down) if seen else UNKNOWN,
        link.state if link and about.bridge else "",
        there,
        tuple(each for each in wanted if each not in there),
        tuple(each for each in there if each not in wanted),
        tuple(program for program, is_there in programs.items() if is_there),
        tuple(program for program, is_there in programs.items() if not is_there),
        name in planned,
    )


def _state(link: Link | None, is_down: bool) -> str:
    if not link:
        return GONE
    if not link.is_up:
        return SET_DOWN if is_down else DOWN
    return UP if link.has_carrier else NO_CARRIER


def _planned(about: NodeRecord, name: str) -> Iterator[ProgramRecord]:
    return (each for each in about.programs if name in each.interfaces)


def _called(program: ProgramRecord, seen: Inside | None) -> str:
    """Return a program with where it is; of XDP's modes only root knows."""
    return f"{program.name} ({program.where if seen else program.hook})"


def _is_attached(program: ProgramRecord, name: str, seen: Inside | None, link: Link | None) -> bool:
    """Say whether a program is where one was planned; whether it is the right one is in the lab's problems."""
    if not seen:
        return True
    if program.hook == XDP:
        return bool(link and link.programs.get(program.mode))
    return bool(seen.tc.get((name, program.hook)))
