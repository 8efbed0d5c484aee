"""Part B's claims on threads and waiting: who gets a request, who waits, for how long, and in which order. Pure.

Times have a tolerance, because a busy machine may let a packet lie for a while.
"""

from netlab.judge.balanced import Arrival, Completion, Request
from netlab.judge.claim import Claim, judged, unjudged
from netlab.judge.played import Play, lost_unfairly, named
from netlab.judge.threads import wastes
from netlab.words import count

TOLERANCE_MS = 50.0  # within which a request must leave, if there is a thread for it
ORDER_MS = 5.0  # by which two requests may arrive in the opposite order: the machine has several processors


def capacity_is_kept(play: Play) -> Claim:
    """Return the claim that no worker gets more than it has threads for."""
    threads = play.story.facts.threads
    text, name = "a request goes only to a worker that has a free thread", "partb.capacity"
    if not play.story.arrivals:
        return unjudged(text, "nothing came to a worker", name)
    wrong, most = [], dict.fromkeys(threads, 0)
    for moment in play.moments:
        if isinstance(moment.what, Arrival):
            worker, busy = moment.what.worker, moment.in_hand[moment.what.worker]
            most[worker] = max(most[worker], busy)
            if busy > threads[worker]:
                when = play.story.ms(moment.ns)
                wrong.append(f"{worker} has {busy} in hand at {when}, with {threads[worker]} threads")
    right = ", ".join(f"{worker} at most {most[worker]} of {threads[worker]}" for worker in threads)
    return judged(text, wrong, right, name)


def waits_only_while_all_are_busy(play: Play) -> Claim:
    """Return the claim on requests that come while a thread is free."""
    text, name = "a request waits only while no thread is free", "partb.waits_only_while_all_are_busy"
    met_free = [each for each in play.moments if isinstance(each.what, Request) and each.before.free]
    if not met_free:
        return unjudged(text, "no request came while a thread was free", name)
    longest, wrong = _wasted(play, came_to_it=True)
    right = f"{count(len(met_free), 'request')} found a free thread; the longest way took {longest:.1f} ms"
    return judged(text, wrong, right, name, is_timed=True)


def a_free_thread_is_used(play: Play) -> Claim:
    """Return the claim on threads that become free while requests wait."""
    text, name = "a thread that becomes free gets a waiting request at once", "partb.idle_thread_is_used"
    freed = [each for each in play.moments if isinstance(each.what, Completion) and each.before.waiting]
    if not freed:
        return unjudged(text, "no thread became free while a request waited", name)
    longest, wrong = _wasted(play, came_to_it=False)
    right = f"{count(len(freed), 'thread')} became free while requests waited; the longest way took {longest:.1f} ms"
    return judged(text, wrong, right, name, is_timed=True)


def _wasted(play: Play, *, came_to_it: bool) -> tuple[float, list[str]]:
    """Return the longest time, in ms, that a request waited beside a free thread, and those that were too long."""
    found = [each for each in wastes(play.moments, play.story.until_ns) if each.came_to_it == came_to_it]
    wrong = [
        f"{named(each.request)} waited for {each.ns / 1e6:.1f} ms from {play.story.ms(each.begin_ns)} on, beside "
        f"{count(each.state.free, 'free thread')} (tolerance {TOLERANCE_MS:.0f} ms)"
        for each in found
        if each.ns > TOLERANCE_MS * 1e6
    ]
    return max((each.ns / 1e6 for each in found), default=0.0), wrong


def nothing_waits(play: Play) -> Claim:
    """Return the claim for a play in which a thread is always free."""
    text, name = "with low sleep times no request waits", "partb.low_sleeps_wait_for_nothing"
    if not play.story.served:
        return unjudged(text, "no request came to a worker", name)
    if busy := len(play.waited):
        return unjudged(text, f"{count(busy, 'request')} found no free thread: the machine is too slow", name)
    ways = [(each.ns - each.request.ns) / 1e6 for each in play.story.served.values() if each.request]
    wrong = [
        f"a request waited for {way:.1f} ms (tolerance {TOLERANCE_MS:.0f} ms)" for way in ways if way > TOLERANCE_MS
    ]
    return judged(text, wrong, f"the longest way took {max(ways):.1f} ms", name, is_timed=True)


def those_without_a_thread_wait(play: Play) -> Claim:
    """Return the claim that requests are kept, and not dropped."""
    text = "with high sleep times a request that finds no free thread waits, and is served later"
    name = "partb.high_sleeps_wait"
    if not play.waited:
        return unjudged(text, "every request found a free thread", name)
    lost = {each.number for each in lost_unfairly(play)}
    wrong = [f"{named(each)} was never served" for each in play.waited if each.number in lost]
    deepest = max(moment.after.waiting for moment in play.moments)
    return judged(text, wrong, f"{len(play.waited)} waited, up to {deepest} at a time", name)


def first_in_first_out(play: Play) -> Claim:
    """Return the claim on the order of requests that wait."""
    text, name = "requests that wait leave in the order in which they came", "partb.fifo"
    served = [
        (each, play.story.served[each.number]) for each in play.story.requests if each.number in play.story.served
    ]
    waited = [each for each in play.waited if each.number in play.story.served]
    if not waited:
        return unjudged(text, "no request waited", name)
    wrong = []
    latest = served[0]
    for request, arrival in served:
        if (latest[1].ns - arrival.ns) / 1e6 > ORDER_MS:
            wrong.append(
                f"{named(request)} came to {arrival.worker} at {play.story.ms(arrival.ns)}, before "
                f"{named(latest[0])}, which was sent earlier and came at {play.story.ms(latest[1].ns)}"
            )
        if arrival.ns > latest[1].ns:
            latest = request, arrival
    if not wrong and (repeated := play.story.repeated):
        why = f"{repeated} requests have the same data as others, so nobody can tell them apart"
        return unjudged(text, why, name)
    return judged(text, wrong, f"{len(waited)} of {len(play.waited)} that waited have left in order", name)


def as_deep(play: Play) -> Claim:
    """Return the claim on the depth of the queue."""
    queue = play.story.facts.queue
    text, name = "as many requests may wait as are promised", "partb.depth"
    deepest = max((moment.after.waiting for moment in play.moments), default=0)
    lost = list(lost_unfairly(play))
    if not lost and deepest < queue:
        return unjudged(text, f"never more than {deepest} waited, {queue} are promised", name)
    wrong = [f"{named(each)} was lost" for each in lost]
    return judged(text, wrong, f"{deepest} waited, {queue} are promised", name)
