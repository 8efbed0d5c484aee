"""The judge's view of a play: from the evidence to the claims on behaviour."""

from netlab.demo import partb
from netlab.demo.events import AskedAll, Completion, Exited, Finished
from netlab.demo.evidence import Claim, Evidence
from netlab.judge import balanced
from netlab.judge import parta as judge_parta
from netlab.judge import partb as judge_partb
from netlab.judge.facts import Balancing, Dropping


def is_balanced(evidence: Evidence) -> bool:
    """Say whether the client has ended, and everything that it has sent has come to workers and is done.

    If balancer and workers print lines that netlab knows, these must have come, too.
    """
    client = _facts(evidence).client
    has_client_ended = any(line.node == client for line, _ in evidence.of(Exited))
    if not has_client_ended and not any(line.node == client for line, _ in evidence.of(AskedAll)):
        return False
    story = _story(evidence)
    is_done = bool(story.requests) and not story.lost and len(story.completions) >= len(story.arrivals)
    are_lines_known = bool(evidence.events(Completion)) and bool(evidence.events(Finished))
    return is_done and (not are_lines_known or partb.is_over(evidence))


def partb_low(evidence: Evidence) -> list[Claim]:
    """Return the claims for a play in which a thread is always free."""
    return judge_partb.low(_story(evidence), evidence.probes)


def partb_high(evidence: Evidence) -> list[Claim]:
    """Return the claims for a play with more requests than threads."""
    return judge_partb.high(_story(evidence), evidence.probes)


def parta(evidence: Evidence) -> list[Claim]:
    """Return the claims on a server that loses segments."""
    if not isinstance(evidence.facts, Dropping):
        raise TypeError("part A is judged by the facts of a lab with a server that drops")
    return judge_parta.claims(judge_parta.tell(list(evidence.packets), evidence.facts), evidence.probes)


def _facts(evidence: Evidence) -> Balancing:
    if not isinstance(evidence.facts, Balancing):
        raise TypeError("part B is judged by the facts of a lab with a balancer")
    return evidence.facts


def _story(evidence: Evidence) -> balanced.Story:
    return balanced.tell(list(evidence.packets), _facts(evidence), evidence.until_ns)
