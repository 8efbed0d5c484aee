"""Applies `netlab balancer` commands to a running balancer."""

from collections.abc import Callable, Sequence

from netlab import balancer
from netlab.balancer import control
from netlab.cli import typed
from netlab.errors import UsageError
from netlab.lab.standing import Standing
from netlab.paths import node_of
from netlab.record import store
from netlab.record.model import LabRecord, ProgramRecord
from netlab.runtime.base import Runtime
from netlab.words import count

Say = Callable[[str], None]
ACTIONS = {
    "drain": "NODE ...",
    "undrain": "NODE ...",
    "weight": "NODE ... NUMBER",
    "policy": "NAME",
    "add": "NODE ... [--capacity THREADS]",
    "remove": "NODE ... [--timeout SECONDS] [--now]",
}
OPTIONS = {"capacity": "add", "timeout": "remove", "now": "remove"}  # each belongs to one action
WAIT_S = 30.0  # for the requests in hand of a backend that is removed


def operate(lab: Standing, args: typed.Balancer, say: Say) -> None:
    """Do `args.action` with `args.words_of_action`; `args.node` names the balancer, if the lab has several.

    Raises UsageError for what is not understood, NetlabError for what cannot be done now. Then nothing has changed,
    except that backends to be removed are drained.
    """
    if args.action not in ACTIONS:
        raise UsageError(f"balancer {args.action}: there is no such action; there are {', '.join(ACTIONS)}")
    if len(args.words_of_action) < (2 if args.action == "weight" else 1):
        raise UsageError(f"balancer {args.action} needs more: netlab balancer {args.action} {ACTIONS[args.action]}")
    for option, action in OPTIONS.items():
        if getattr(args, option) and args.action != action:
            raise UsageError(f"balancer {args.action} takes no --{option}; {action} does")
    name, (here, program) = lab.record.lab, _meant(lab.record, args.node)
    with store.locked(name, waiting=lambda: say(f"netlab: waiting for another command to leave the lab {name}")):
        said = _done(lab.record, here, program, args, lab.runtime)
    say(f"netlab: {name}: {here}: {said}")


def _meant(lab: LabRecord, wanted: str | None) -> tuple[str, ProgramRecord]:
    """Return the balancer that is meant, with its key; `wanted` is that, or the node of the only one there."""
    there = balancer.carried(lab)
    found = {key: each for key, each in there.items() if not wanted or wanted in (key, node_of(key))}
    if wanted and not found:
        raise UsageError(f"{wanted} carries no balancer; {', '.join(there) or 'no node of this lab'} does")
    if not there:
        raise UsageError(f"no node of the lab {lab.lab} carries a balancer")
    if len(found) > 1:
        raise UsageError(f"there are several balancers: choose one of {', '.join(found)} with --node NODE")
    return next(iter(found.items()))


def _done(lab: LabRecord, key: str, program: ProgramRecord, args: typed.Balancer, runtime: Runtime) -> str:
    """Make the change, and return what to tell the user."""
    pins, words, here = program.pins, args.words_of_action, node_of(key)
    netns = runtime.netns_path(here)
    if args.action == "policy":
        if words[1:] or words[0] not in balancer.POLICIES:
            raise UsageError(f"policy {' '.join(words)}: expected one of {', '.join(balancer.POLICIES)}")
        control.set_policy(pins, words[0])
        return f"policy {words[0]}"
    weight = _weight(words.pop()) if args.action == "weight" else 0
    names = _names(lab, words)
    listed = ", ".join(names)
    if args.action == "drain":
        control.drain(pins, names)
        return f"{listed} drained; {_in_hand(pins, names)} in hand"
    if args.action == "undrain":
        control.undrain(pins, names, netns)
        return f"{listed} undrained"
    if args.action == "weight":
        control.set_weight(pins, names, weight)
        return f"{listed}: weight {weight}"
    if args.action == "add":
        capacity = args.capacity or max(balancer.snapshot(pins).capacity.values(), default=1)
        control.add(pins, balancer.find(lab.nodes, here, program, names, capacity), netns)
        return f"{listed} added, {capacity} threads each"
    control.remove(pins, names, args.timeout or WAIT_S, args.now)
    return f"{listed} removed"


def _names(lab: LabRecord, words: list[str]) -> list[str]:
    """Return the nodes that are meant; a replicated node's name means all its replicas."""
    replicated = {node.replica_of for node in lab.nodes.values()}
    for word in words:
        if word not in replicated:
            store.node_of(lab, word)
    return balancer.expand(lab.nodes, words)


def _weight(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < int(text) <= control.MAX_WEIGHT:
        raise UsageError(f"weight {text}: expected a whole number from 1 to {control.MAX_WEIGHT}")
    return int(text)


def _in_hand(pins: str, names: Sequence[str]) -> str:
    return count(sum(control.in_hand(pins, names).values()), "request")
