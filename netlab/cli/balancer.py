"""Reads the words of `netlab balancer`, and says what was done."""

from collections.abc import Callable

from netlab.api.balancer import Balancer
from netlab.cli import typed
from netlab.errors import UsageError
from netlab.lab.standing import Standing
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
    balancer = Balancer(lab, args.node or "", say)
    said = _done(balancer, args)
    say(f"netlab: {lab.record.lab}: {balancer.key}: {said}")


def _done(balancer: Balancer, args: typed.Balancer) -> str:
    """Make the change, and return what to tell the user."""
    words = list(args.words_of_action)
    match args.action:
        case "policy":
            balancer.policy(" ".join(words))
            return f"policy {words[0]}"
        case "weight":
            weight = _weight(words.pop())
            balancer.weight(weight, *words)
            return f"{balancer.listed(words)}: weight {weight}"
        case "drain":
            return f"{balancer.listed(words)} drained; {count(balancer.drain(*words), 'request')} in hand"
        case "undrain":
            balancer.undrain(*words)
            return f"{balancer.listed(words)} undrained"
        case "add":
            threads = balancer.add(*words, capacity=args.capacity or 0)
            return f"{balancer.listed(words)} added, {threads} threads each"
        case _:
            more = {"timeout": args.timeout} if args.timeout else {}
            balancer.remove(*words, now=args.now, **more)
            return f"{balancer.listed(words)} removed"


def _weight(text: str) -> int:
    """Return a whole number; 0, which is no weight, for any other text."""
    if not text.isascii() or not text.isdigit():
        raise UsageError(f"weight {text}: expected a whole number from 1 to 1000")
    return int(text)
