"""Part B's claims on behaviour: what a load balancer must do, judged from the packets at client and workers. Pure.

Nothing is asked of how the balancer does it: any policy is right that uses a free thread.
"""

from collections.abc import Mapping, Sequence

from netlab.judge import deliveries, lines, met, queueing, speakers
from netlab.judge.balanced import Story
from netlab.judge.claim import Claim, judged, unjudged
from netlab.judge.lines import Fitting, Line
from netlab.judge.played import Play
from netlab.judge.prints import claims as print_claims
from netlab.judge.threads import moments
from netlab.named_tuple import NamedTuple

PASSED = ("connection refused", "answered")  # what becomes of a probe that passes


class Printed(NamedTuple):
    """What was printed: by the balancer's program, by the client and by each worker, and how many lines were lost.

    `patterns` say what the program's lines are about, for wordings that netlab does not know; `unread` says why there
    is no telling that, "" if there is. `netlabs` requests were netlab's own.
    """

    program: Sequence[Line] = ()
    client: Sequence[Line] = ()
    workers: Mapping[str, Sequence[Line]] = {}
    lost: int = 0
    patterns: Sequence[Fitting] = ()
    unread: str = ""
    netlabs: int = 0


def low(story: Story, probes: Mapping[str, str]) -> list[Claim]:
    """Return the claims on a play in which a thread is always free; `probes` says what became of other packets."""
    play = played(story)
    return [*_always(play, probes), queueing.nothing_waits(play)]


def high(story: Story, probes: Mapping[str, str]) -> list[Claim]:
    """Return the claims on a play with more requests than threads."""
    play = played(story)
    waiting = [queueing.those_without_a_thread_wait, queueing.a_free_thread_is_used, queueing.first_in_first_out]
    waiting += [queueing.as_deep] if story.facts.queue else []
    return [*_always(play, probes), *(claim(play) for claim in waiting)]


def prints(story: Story, printed: Printed) -> list[Claim]:
    """Return the claims on what was printed."""
    happened = met.happened(played(story))
    names = story.facts.places.keys()
    told = lines.read(printed.program, happened, names, printed.patterns)
    of_program = print_claims(told, happened, printed.lost)
    if printed.unread:
        of_program = [unjudged(claim.text, printed.unread, claim.id) for claim in of_program]
    return [
        *of_program,
        speakers.client_prints(story, printed.client, printed.netlabs),
        *speakers.workers_print(story, printed.workers),
    ]


def played(story: Story) -> Play:
    """Return a story with its moments."""
    return Play(story, list(moments(story)))


def _always(play: Play, probes: Mapping[str, str]) -> list[Claim]:
    return [
        deliveries.requests_are_sent(play),
        deliveries.each_is_served_once(play),
        deliveries.data_are_whole(play),
        deliveries.headers_are_right(play),
        deliveries.ip_checksums_are_right(play),
        deliveries.udp_checksums_are_right(play),
        queueing.capacity_is_kept(play),
        queueing.waits_only_while_all_are_busy(play),
        deliveries.each_is_completed(play),
        other_traffic_passes(probes, "partb.other_traffic"),
    ]


def other_traffic_passes(probes: Mapping[str, str], name: str) -> Claim:
    """Return the claim on packets that are nobody's request."""
    text = "other traffic passes"
    if not probes:
        return unjudged(text, "nobody could send any", name)
    wrong = [f"{what}: {answer}" for what, answer in probes.items() if answer not in PASSED]
    return judged(text, wrong, ", ".join(probes), name)
