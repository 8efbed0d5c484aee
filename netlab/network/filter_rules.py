"""What becomes of a packet that no rule of a filter knows: a policy, or a last rule that holds for all. Pure."""

import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from netlab.named_tuple import NamedTuple

_ENDS = {"drop": True, "reject": True, "accept": False}  # whether a packet is dropped
_NEUTRAL = ("counter", "log", "mangle")  # of nft: these decide nothing
_TARGETS = {"DROP": "drop", "REJECT": "reject", "ACCEPT": "accept", "RETURN": "return"}  # of iptables
_WORDS = 4  # of a rule without a condition: -A CHAIN -j TARGET


class Verdict(NamedTuple):
    """What a rule without a condition does: drop, reject, accept, return, or jump or goto to a chain."""

    verb: str
    chain: str = ""


Chains = Mapping[str, Sequence[Verdict]]


def drops_all(chains: Chains, name: str, policy: str = "") -> bool:
    """Say whether a chain drops what no rule with a condition takes: by its rules or by its policy."""
    end = _end(chains, name, ())
    return policy.lower() == "drop" if end is None else end


def _end(chains: Chains, name: str, above: tuple[str, ...]) -> bool | None:
    """Return whether a packet is dropped at the latest here; None if it comes to the end of the chain."""
    for verb, chain in chains.get(name, ()) if name not in above else ():
        if verb in _ENDS:
            return _ENDS[verb]
        if verb == "return":
            return None
        end = _end(chains, chain, (*above, name))
        if end is not None or verb == "goto":
            return end
    return None


def of_nft(rules: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str], dict[str, list[Verdict]]]:
    """Return the verdicts without a condition, by family and table, and by chain, from what `nft -j` lists."""
    found: dict[tuple[str, str], dict[str, list[Verdict]]] = {}
    for rule in rules:
        chains = found.setdefault((rule["family"], rule["table"]), {})
        verdicts = [_of_expression(each) for each in rule.get("expr", ())]
        if None not in verdicts:
            chains.setdefault(rule["chain"], []).extend(each for each in verdicts if each and each.verb)
    return found


def _of_expression(expression: Mapping[str, Any]) -> Verdict | None:
    """Return what a part of a rule does, a verdict without a verb for nothing; None for a condition."""
    kind, about = next(iter(expression.items()))
    if kind in ("jump", "goto"):
        return Verdict(kind, about["target"])
    if kind in _ENDS or kind == "return":
        return Verdict(kind)
    if kind == "xt" and isinstance(about, Mapping):  # a part of a rule that iptables has made
        is_target = about.get("type") == "target"
        verb = _TARGETS.get(about.get("name", ""), "") if is_target else ""
        return Verdict(verb) if is_target or about.get("name") == "comment" else None
    return Verdict("") if kind in _NEUTRAL else None


def of_iptables(lines: Iterable[str]) -> tuple[dict[str, list[Verdict]], dict[str, str]]:
    """Return the verdicts without a condition, and the policies, by chain, from what `iptables -S` lists."""
    found: dict[str, list[Verdict]] = {}
    policies: dict[str, str] = {}
    for line in lines:
        words = _without_comment(shlex.split(line))
        if words[:1] == ["-P"]:
            policies[words[1]] = words[2]
        elif words[:1] == ["-A"] and len(words) >= _WORDS and words[2] in ("-j", "-g"):
            verb = _TARGETS.get(words[3], "goto" if words[2] == "-g" else "jump")
            found.setdefault(words[1], []).append(Verdict(verb, "" if words[3] in _TARGETS else words[3]))
    return found, policies


def _without_comment(words: list[str]) -> list[str]:
    if "--comment" not in words:
        return words
    at = words.index("--comment")
    return [*words[: at - 2], *words[at + 2 :]] if words[at - 2 : at] == ["-m", "comment"] else words
