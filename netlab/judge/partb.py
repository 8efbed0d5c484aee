"""Part B's claims on behaviour: what a load balancer must do, judged from the packets at client and workers. Pure.

Nothing is asked of how the balancer does it: any policy is right that uses a free thread.
"""

from collections.abc import Mapping

from netlab.judge import deliveries, queueing
from netlab.judge.balanced import Story
from netlab.judge.claim import Claim, judged, unjudged
from netlab.judge.played import Play
from netlab.judge.threads import moments

PASSED = ("connection refused", "answered")  # what becomes of a probe that passes


def low(story: Story, probes: Mapping[str, str]) -> list[Claim]:
    """Return the claims on a play in which a thread is always free; `probes` says what became of other packets."""
    play = Play(story, list(moments(story)))
    return [*_always(play, probes), queueing.nothing_waits(play)]


def high(story: Story, probes: Mapping[str, str]) -> list[Claim]:
    """Return the claims on a play with more requests than threads."""
    play = Play(story, list(moments(story)))
    waiting = [queueing.those_without_a_thread_wait, queueing.a_free_thread_is_used, queueing.first_in_first_out]
    waiting += [queueing.as_deep] if story.facts.queue else []
    return [*_always(play, probes), *(claim(play) for claim in waiting)]


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
