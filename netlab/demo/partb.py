"""A closer look at part B: the exercise's statements, checked against the lines and maps of netlab's own programs."""

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from typing import TypeVar

from netlab.demo import history
from netlab.demo.events import (
    AskedAll,
    Completion,
    Dequeue,
    Drop,
    Event,
    Exited,
    Finished,
    Forward,
    Ignored,
    Queue,
    Received,
    Request,
    seconds_in,
)
from netlab.demo.evidence import Claim, Evidence, closer, few, nothing_is_lost
from netlab.demo.witnesses import Play, sorted_out

_E = TypeVar("_E")
_ROUNDING_S = 1e-5  # seconds are printed to the microsecond, and summed
_CLOCK_S = 1e-3
_LATE_S = 0.1  # a request may arrive before an idle thread is awake, but not by more than a busy machine needs for that


def is_over(evidence: Evidence) -> bool:
    """Say whether the client has ended, all that it has sent is finished, and the kernel has seen every completion."""
    asked = sum(event.requests for event in evidence.events(AskedAll))
    done = min(len(evidence.events(Finished)), len(evidence.events(Completion)))
    return bool(evidence.events(Exited)) and 0 < asked <= done


def low(evidence: Evidence) -> list[Claim]:
    """Return the claims for a play in which a thread is always free."""
    play = sorted_out(evidence)
    return [*_always(evidence, play), *closer("partb", nothing_queued=_nothing_is_queued(play))]


def high(evidence: Evidence) -> list[Claim]:
    """Return the claims for a play with more requests than threads."""
    play = sorted_out(evidence)
    queued = _those_without_a_thread_are_queued(play)
    in_order = _every_queued_packet_leaves_in_order(play)
    return [*_always(evidence, play), *closer("partb", queued=queued, in_order=in_order)]


def _always(evidence: Evidence, play: Play) -> list[Claim]:
    return closer(
        "partb",
        asked=_every_request_is_printed_at_the_client(play),
        traced=_every_packet_is_in_the_trace(play),
        free_thread=_it_goes_to_a_worker_with_a_free_thread(play),
        queued_only_without=_it_is_queued_only_without_one(play),
        completions=_every_completion_is_in_the_trace(play),
        received=_workers_print_each_packet(play),
        slept=_workers_print_what_they_slept(play),
        threads=_workers_have_their_threads(play),
        served_once=_every_request_is_served_once(play),
        all_free=_all_threads_are_free_in_the_end(play),
        counters=_the_counters_agree(play),
        no_line_lost=nothing_is_lost(evidence),
    )


# --- one function a claim ---------------------------------------------------------------------------------------------


def _every_request_is_printed_at_the_client(play: Play) -> Claim:
    asked = [each for events in play.asked_by.values() for each in events]
    wrong = [f"#{each.number} has no sleep time: {each.data}" for each in asked if each.seconds is None]
    for node, events in play.asked_by.items():
        if [each.number for each in events] != list(range(1, len(events) + 1)):
            wrong.append(f"{node} does not number them one by one")
    figures = few([f"{len(asked)} of {play.said_asked}", *wrong])
    holds = len(asked) == play.said_asked > 0 and not wrong
    return Claim("every request is printed at the client, with its sleep time", holds, figures)


def _every_packet_is_in_the_trace(play: Play) -> Claim:
    numbers = [step.event.number for step in play.history.of(Request) if isinstance(step.event, Request)]
    decided = Counter(
        step.event.number
        for step in play.history.of(Forward, Queue, Drop)
        if isinstance(step.event, Forward | Queue | Drop)
    )
    wrong = [f"#{number} has {decided[number]} decisions" for number in numbers if decided[number] != 1]
    wrong += [f"#{each.number} is dropped, {each.why}" for each in _events(play, Drop)]
    wrong += _contradictions(play, history.NUMBER)
    figures = few([f"{len(numbers)} of {len(play.asked)} packets", *wrong])
    text = "every packet is in the trace, with its destination or that it was queued"
    return Claim(text, len(numbers) == len(play.asked) > 0 and not wrong, figures)


def _it_goes_to_a_worker_with_a_free_thread(play: Play) -> Claim:
    leaving = play.history.of(Forward, Dequeue)
    wrong = _contradictions(play, history.FREE)
    figures = few([f"{len(leaving)} packets sent to {len(play.sent)} workers", *wrong])
    text = "a packet goes only to a worker that has a free thread, and takes it"
    return Claim(text, bool(leaving) and not wrong, figures)


def _it_is_queued_only_without_one(play: Play) -> Claim:
    requests = play.history.of(Request)
    wrong = _contradictions(play, history.NEEDLESS)
    waited = len(play.history.of(Queue))
    figures = few([f"{waited} of {len(requests)} packets queued, {len(wrong)} of them beside a free thread", *wrong])
    return Claim("a packet is queued only when no thread is free", bool(requests) and not wrong, figures)


def _every_completion_is_in_the_trace(play: Play) -> Claim:
    seen = Counter(each.backend for each in _events(play, Completion))
    done = {name: len(events) for name, events in play.finished.items()}
    wrong = [
        f"{name} finished {count}, {seen[name]} in the trace" for name, count in done.items() if seen[name] != count
    ]
    wrong += [f"one from {each.backend} ignored, {each.why}" for each in _events(play, Ignored)]
    wrong += [_told(each) for each in play.history.contradictions if isinstance(each.event, Completion)]
    figures = few([f"{sum(seen.values())} of {sum(done.values())}", *wrong])
    text = "every completion is in the trace, with the threads that are free then"
    return Claim(text, sum(seen.values()) > 0 and not wrong, figures)


def _every_queued_packet_leaves_in_order(play: Play) -> Claim:
    came = [each.number for each in _events(play, Queue)]
    left = [each.number for each in _events(play, Dequeue)]
    wrong = _contradictions(play, history.ORDER, history.DEPTH)
    if came != left and not wrong:
        wrong = [f"#{number} does not leave" for number in came if number not in left]
    figures = few([f"{len(left)} of {len(came)} have left, first in, first out", *wrong])
    text = "every queued packet is in the trace again when it leaves, in the order in which it came"
    return Claim(text, came == left != [] and not wrong, figures)


def _workers_print_each_packet(play: Play) -> Claim:
    wrong = []
    for name, numbers in play.sent.items():
        received = Counter(each.data for each in play.received.get(name, []))
        expected = Counter(play.data.get(number, "") for number in numbers)
        wrong += [f'{name}: "{data}" sent by the trace, not received' for data in (expected - received)]
        wrong += [f'{name}: "{data}" received, not sent by the trace' for data in (received - expected)]
    figures = few([", ".join(f"{name} {len(events)}" for name, events in play.received.items()), *wrong])
    text = "every worker prints each packet that it was sent, and these are the client's"
    return Claim(text, any(play.received.values()) and not wrong, figures)


def _workers_print_what_they_slept(play: Play) -> Claim:
    wrong = list(_sleeps_wrong(play))
    totals = {name: max((each.total for each in events), default=0.0) for name, events in play.finished.items()}
    figures = few([", ".join(f"{name} {total:.3f} s" for name, total in totals.items()), *wrong])
    text = "every worker prints the total that it has slept"
    return Claim(text, any(play.finished.values()) and not wrong, figures)


def _sleeps_wrong(play: Play) -> Iterator[str]:
    for name, events in play.finished.items():
        slept_s = 0.0
        wanted = {each.number: each.seconds for each in play.received[name]}
        for each in events:
            slept_s += each.seconds
            if abs(slept_s - each.total) > _ROUNDING_S:
                yield f"{name} says {each.total:.6f} s after #{each.number}, it is {slept_s:.6f} s"
                slept_s = each.total
            if wanted.get(each.number) != each.seconds:
                yield f"{name} slept {each.seconds} s for #{each.number}, not {wanted.get(each.number)}"
            if play.lasted_s.get((name, each.number), 0.0) < each.seconds - _CLOCK_S:
                yield f"{name} was back from #{each.number} before {each.seconds} s were over"


def _workers_have_their_threads(play: Play) -> Claim:
    capacity = {name: each.capacity for name, each in play.now.backends.items()} if play.now else {}
    wrong = [
        f"{name} #{number} waited {waited_s:.3f} s for a thread that was still asleep"
        for (name, number), waited_s in play.waited_s.items()
        if waited_s > _LATE_S
    ]
    used = Counter(name for name, _ in play.threads)
    for (name, thread), events in play.threads.items():
        if not 0 < thread <= capacity.get(name, 0):
            wrong.append(f"{name} has a thread {thread}")
        wrong += [
            f"{name}'s thread {thread} takes #{event.number} before it has finished #{before.number}"
            for before, event in pairwise(events)
            if isinstance(before, Received) and isinstance(event, Received)
        ]
    figures = few([", ".join(f"{name} {used[name]} of {count} used" for name, count in capacity.items()), *wrong])
    text = "every worker has the threads that the balancer counts on: each packet finds one that is idle"
    return Claim(text, any(play.received.values()) and not wrong, figures)


def _every_request_is_served_once(play: Play) -> Claim:
    asked = Counter(each.data for each in play.asked)
    served: Counter[str] = Counter()
    for name, events in play.received.items():
        finished = {each.number for each in play.finished[name]}
        served.update(each.data for each in events if each.number in finished)
    wrong = [
        f'"{data}" asked {count} times, served {served[data]}' for data, count in asked.items() if served[data] != count
    ]
    wrong += [f'"{data}" served, not asked' for data in served if data not in asked]
    wrong += [
        f'{name} takes "{each.data}" for {each.seconds} s'
        for name, events in play.received.items()
        for each in events
        if seconds_in(each.data) != each.seconds
    ]
    slept_s = sum(each.seconds for events in play.finished.values() for each in events)
    asked_s = sum(each.seconds or 0.0 for each in play.asked)
    figures = few(
        [f"{sum(served.values())} of {len(play.asked)}, {slept_s:.3f} s slept of {asked_s:.3f} s asked", *wrong]
    )
    return Claim("every request is served exactly once", bool(asked) and not wrong, figures)


def _all_threads_are_free_in_the_end(play: Play) -> Claim:
    backends = play.now.backends if play.now else {}
    free = all(each.free == each.capacity for each in backends.values())
    waiting = play.now.queue_depth if play.now else 0
    figures = ", ".join(f"{name} {each.free} of {each.capacity}" for name, each in backends.items())
    text = "in the end all threads are free and nothing waits"
    return Claim(text, bool(backends and play.asked) and free and not waiting, f"{figures}; {waiting} waiting")


def _the_counters_agree(play: Play) -> Claim:
    printed: dict[type[Event], int] = {
        kind: len(_events(play, kind)) for kind in (Request, Forward, Queue, Dequeue, Drop, Completion)
    }
    names = ("received", "forwarded", "queued", "dequeued", "dropped", "completions")
    pairs = [(name, getattr(play.now, name, 0), count) for name, count in zip(names, printed.values(), strict=True)]
    counted = {**play.now.reasons, **play.now.carriers} if play.now else {}
    reasons = {name: count.packets for name, count in counted.items()}
    completed = reasons.get("COMPLETION_FREED", 0) + reasons.get("COMPLETION_CARRIED", 0)
    pairs += [(name, reasons.get(name, 0), printed[kind]) for name, kind in _COUNTED.items()]
    pairs.append(("COMPLETION_FREED and _CARRIED", completed, printed[Completion]))
    wrong = [f"{name} {count}, {lines} lines" for name, count, lines in pairs if count != lines]
    figures = few([", ".join(f"{name} {count}" for name, count, _ in pairs[: len(names)]), *wrong])
    return Claim("the program's counters agree with its trace", printed[Request] > 0 and not wrong, figures)


_COUNTED: dict[str, type[Event]] = {"FORWARDED": Forward, "QUEUED": Queue, "CARRIER_SENT": Dequeue}


def _nothing_is_queued(play: Play) -> Claim:
    waited = len(_events(play, Queue))
    figures = f"{waited} of {len(_events(play, Request))} packets queued"
    return Claim("with low sleep times nothing is queued", bool(play.history.steps) and not waited, figures)


def _those_without_a_thread_are_queued(play: Play) -> Claim:
    waited = _events(play, Queue)
    deepest = max((each.depth for each in waited), default=0)
    at_once = len(_events(play, Forward))
    figures = f"{at_once} left at once, {len(waited)} queued, up to {deepest} at a time"
    return Claim("with high sleep times those that find no free thread are queued", bool(waited), figures)


def _events(play: Play, kind: type[_E]) -> list[_E]:
    return [step.event for step in play.history.steps if isinstance(step.event, kind)]


def _contradictions(play: Play, *kinds: str) -> list[str]:
    return [_told(each) for each in play.history.contradictions if each.kind in kinds]


def _told(contradiction: history.Contradiction) -> str:
    return f'"{contradiction.line.text}", expected {contradiction.expected}'
