"""What a step needs of the steps before it, and what it gives to those behind it. Pure.

By this a difference knows what else is to be undone with a step, and done again.
"""

from collections.abc import Iterable, Iterator
from typing import assert_never

from netlab.paths import MIDDLE
from netlab.plan.attach_program import AttachProgram
from netlab.plan.file_steps import GiveFiles
from netlab.plan.fill_maps import FillMaps
from netlab.plan.host_steps import GuardHost, JoinHost, OpenInternet
from netlab.plan.middle_steps import CreateMiddle, Impair, SendSingly
from netlab.plan.setup_steps import RunSetup
from netlab.plan.steps import LO, AddAddress, AddBridge, AddLink, AddRoute, CreateNode, FaceProgram, StartRole, Step
from netlab.plan.switch_steps import SetVlans
from netlab.topology.ip_arithmetic import Subnet, parse

Thing = tuple[str, ...]  # a node, an end of a link, an address: what a step makes


def node(name: str) -> Thing:
    """Return what CreateNode makes."""
    return "node", name


def end(of: str, interface: str) -> Thing:
    """Return what a step needs that works on an interface: the end of a link, or for lo the node."""
    return node(of) if interface == LO else ("end", of, interface)


def program(step: AttachProgram) -> Thing:
    """Return what a loaded program with its maps is, wherever it is attached."""
    return ("passing", step.node) if step.for_peer else ("program", step.key)


def build(step: AttachProgram) -> Thing:
    """Return what is attached: another build may take over the maps, and so be the same program."""
    return "build", *program(step)


def _bridge(of: str) -> Thing:
    return "bridge", of


def _address(step: AddAddress) -> Thing:
    return "address", step.node, step.interface, step.address


class Around:
    """What the other steps of a list say of one: networks on links, and programs, by node."""

    def __init__(self, steps: Iterable[Step]) -> None:
        self.networks: dict[str, list[tuple[Subnet, Thing]]] = {}
        self.programs: dict[str, list[Thing]] = {}
        for step in steps:
            if isinstance(step, AddAddress):
                reached = parse(step.peer or step.address)[1]
                self.networks.setdefault(step.node, []).append((reached, _address(step)))
            elif isinstance(step, AttachProgram) and not step.for_peer:
                there = self.programs.setdefault(step.node, [])
                if program(step) not in there:
                    there.append(program(step))

    def ways_to(self, of: str, hop: str) -> Iterator[Thing]:
        """Yield the addresses of a node by which it reaches a next hop."""
        there = parse(hop)[1]
        return (thing for network, thing in self.networks.get(of, ()) if network.covers(there))


def gives(step: Step) -> tuple[Thing, ...]:
    """Return what a step makes that others may need."""
    made: tuple[Thing, ...] = ()
    match step:
        case CreateNode() | JoinHost():
            made = (node(step.node),)
        case AddBridge():
            made = (_bridge(step.node),)
        case AddLink():
            made = end(step.a.node, step.a.name), end(step.b.node, step.b.name)
        case AddAddress():
            made = (_address(step),)
        case AttachProgram():
            made = () if step.interfaces else (program(step), build(step))
        case GiveFiles() | SetVlans() | GuardHost() | AddRoute() | OpenInternet() | FaceProgram():
            pass
        case CreateMiddle():
            made = (node(step.node),)
        case FillMaps() | RunSetup() | StartRole() | SendSingly() | Impair():
            pass
        case _:
            assert_never(step)
    return made


def needs(step: Step, around: Around) -> tuple[Thing, ...]:
    """Return what a step needs: if that is made anew, so must be what the step makes."""
    needed: tuple[Thing, ...] = ()
    match step:
        case CreateNode() | JoinHost() | CreateMiddle():
            pass
        case GiveFiles() | AddBridge() | RunSetup():
            needed = (node(step.node),)
        case AddLink():
            bridges = [_bridge(each.node) for each in (step.a, step.b) if each.bridge]
            needed = node(step.a.node), node(step.b.node), *bridges
        case SetVlans() | GuardHost() | AddAddress() | FaceProgram() | SendSingly():
            needed = (end(step.node, step.interface),)
        case Impair():
            needed = end(MIDDLE, step.source), end(MIDDLE, step.target)
        case AddRoute():
            where = end(step.node, step.interface) if step.interface else node(step.node)
            needed = where, *(around.ways_to(step.node, step.via) if step.via else ())
        case OpenInternet():
            needed = node(step.node), *(end(step.node, name) for name in step.interfaces)
        case FillMaps() | StartRole():
            needed = node(step.node), *around.programs.get(step.node, ())
        case AttachProgram():
            what = build(step) if step.interfaces else node(step.node)
            needed = what, *(end(step.node, name) for name in step.interfaces)
        case _:
            assert_never(step)
    return needed
