"""The judge's view of a play: from the evidence to the claims on behaviour."""

from netlab import paths
from netlab.demo import matching, partb
from netlab.demo.events import AskedAll, Completion, Exited, Finished, Lost
from netlab.demo.evidence import Claim, Evidence
from netlab.judge import balanced, segment_prints
from netlab.judge import parta as judge_parta
from netlab.judge import partb as judge_partb
from netlab.judge.facts import Balancing, Dropping
from netlab.judge.lines import Line


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
    story = _story(evidence)
    return [*judge_partb.low(story, evidence.probes), *judge_partb.prints(story, _printed(evidence))]


def partb_high(evidence: Evidence) -> list[Claim]:
    """Return the claims for a play with more requests than threads."""
    story = _story(evidence)
    return [*judge_partb.high(story, evidence.probes), *judge_partb.prints(story, _printed(evidence))]


def parta(evidence: Evidence) -> list[Claim]:
    """Return the claims on a server that loses segments."""
    facts = evidence.facts
    if not isinstance(facts, Dropping):
        raise TypeError("part A is judged by the facts of a lab with a server that drops")
    traffic = judge_parta.tell(list(evidence.packets), facts)
    printed = segment_prints.Said(
        program=_lines(evidence, facts.server, "trace"),
        client=_lines(evidence, facts.client, "out", "err"),
        server=_lines(evidence, facts.server, "out", "err"),
        lost=sum(event.amount for event in evidence.events(Lost)),
    )
    return [*judge_parta.claims(traffic, evidence.probes), *segment_prints.claims(traffic, printed)]


def _printed(evidence: Evidence) -> judge_partb.Printed:
    """Return who has printed what."""
    facts = _facts(evidence)
    program = _lines(evidence, facts.balancer, "trace")
    patterns, unread = matching.compare(facts.patterns, [line.text for line in program])
    return judge_partb.Printed(
        program=program,
        client=_lines(evidence, facts.client, "out", "err"),
        workers={name: _lines(evidence, name, "out", "err") for name in facts.threads},
        lost=sum(event.amount for event in evidence.events(Lost)),
        patterns=patterns,
        unread=unread,
        netlabs=evidence.netlabs,
    )


def _lines(evidence: Evidence, node: str, *streams: str) -> list[Line]:
    return [
        Line(line.ns, paths.node_of(line.node), line.text)
        for line, _ in evidence.timeline
        if paths.node_of(line.node) == node and line.stream in streams
    ]


def _facts(evidence: Evidence) -> Balancing:
    if not isinstance(evidence.facts, Balancing):
        raise TypeError("part B is judged by the facts of a lab with a balancer")
    return evidence.facts


def _story(evidence: Evidence) -> balanced.Story:
    return balanced.tell(list(evidence.packets), _facts(evidence), evidence.until_ns)
