"""Part B's claims on what comes to workers: each request once, whole, with right headers and checksums. Pure."""

from collections.abc import Iterator

from netlab.judge.balanced import Arrival, Story
from netlab.judge.claim import Claim, judged, unjudged
from netlab.judge.packets import NONE, UNFINISHED, WRONG
from netlab.judge.played import Play, carried, first, lost_unfairly, named, shown
from netlab.words import count


def requests_are_sent(play: Play) -> Claim:
    """Return the claim without which nothing can be judged."""
    facts, sent = play.story.facts, len(play.story.requests)
    text = f"requests leave {facts.client} for {facts.balancer}, UDP port {facts.service_port}"
    wrong = [] if sent else [f"no packet to this port has left {facts.client}"]
    return judged(text, wrong, f"{count(sent, 'request')}", "partb.requests")


def each_is_served_once(play: Play) -> Claim:
    """Return the claim that none is lost and none is doubled."""
    text, name = "each request comes to one worker, once", "partb.served_once"
    story = play.story
    if not story.requests:
        return unjudged(text, "no request was sent", name)
    unfair = list(lost_unfairly(play))
    wrong = [f"{named(each)}, sent at {story.ms(each.ns)}, never came to a worker" for each in unfair]
    wrong += [
        f"{named(each.request)} came again, to {each.worker} at {story.ms(each.ns)}"
        for each in story.arrivals
        if each.request and each.again
    ]
    refused = len(story.lost) - len(unfair)
    right = f"{len(story.served)} of {len(story.requests)}"
    right += f", {refused} refused because {story.facts.queue} waited already" if refused else ""
    return judged(text, wrong, right, name)


def data_are_whole(play: Play) -> Claim:
    """Return the claim that workers get what was asked for."""
    text, name = (
        "what comes to a worker has the data of a request, whole; padding behind it does not count",
        "partb.data",
    )
    story = play.story
    if not story.arrivals:
        return unjudged(text, "nothing came to a worker", name)
    wrong = [
        f"{each.worker} got {shown(each.packet.data)} at {story.ms(each.ns)}, which nobody has asked for"
        for each in story.arrivals
        if not each.request
    ]
    padded = sum(each.request is not None and each.packet.data != each.request.packet.data for each in story.arrivals)
    right = count(len(story.arrivals), "packet") + (f", {padded} of them padded" if padded else "")
    return judged(text, wrong, right, name)


def headers_are_right(play: Play) -> Claim:
    """Return the claim on MACs, addresses, ports and lengths."""
    text, name = (
        "it has the worker's MAC, address and port, comes from the client, and its lengths agree",
        "partb.headers",
    )
    story = play.story
    if not story.arrivals:
        return unjudged(text, "nothing came to a worker", name)
    wrong = [
        f"{carried(each)} at {each.worker}: {mistake}" for each in story.arrivals for mistake in _mistakes(each, story)
    ]
    return judged(text, wrong, count(len(story.arrivals), "packet"), name)


def _mistakes(arrival: Arrival, story: Story) -> Iterator[str]:
    """Yield what is wrong with the headers of a packet that came to a worker."""
    packet, facts = arrival.packet, story.facts
    place = next(each for each in facts.places[packet.node] if each.interface == packet.interface)
    if place.mac and packet.target_mac != place.mac.lower():
        yield f"to MAC {packet.target_mac}, expected {place.mac}"
    if packet.target not in facts.addresses(packet.node):
        yield f"to {packet.target}, expected {' or '.join(place.addresses)}"
    if packet.target_port != facts.worker_port:
        yield f"to port {packet.target_port}, expected {facts.worker_port}"
    asked = arrival.request.packet if arrival.request else None
    clients = {asked.source} if asked else facts.addresses(facts.client)
    if packet.source not in clients | facts.addresses(facts.balancer):
        yield f"from {packet.source}, expected {' or '.join(sorted(clients))}"
    elif asked and packet.source == asked.source and packet.source_port != asked.source_port:
        yield f"from port {packet.source_port}, expected {asked.source_port}"
    if not packet.ttl:
        yield "its time to live is 0"
    yield from packet.mistakes


def ip_checksums_are_right(play: Play) -> Claim:
    """Return the claim on the checksums of IPv4."""
    text, name = "its IPv4 checksum is right", "partb.ip_checksum"
    checked = [each for each in play.story.arrivals if each.packet.ip_checksum != NONE]
    if not checked:
        return unjudged(text, "nothing came to a worker by IPv4", name)
    wrong = [f"{carried(each)} at {each.worker}" for each in checked if each.packet.ip_checksum == WRONG]
    return judged(text, first("wrong", wrong), f"{len(checked)} right", name)


def udp_checksums_are_right(play: Play) -> Claim:
    """Return the claim on the checksums of UDP."""
    text, name = "its UDP checksum is right, or 0 for none", "partb.udp_checksum"
    checked = [each for each in play.story.arrivals if each.packet.checksum != UNFINISHED]
    if not checked:
        return unjudged(text, "nothing came to a worker with a checksum that is computed", name)
    wrong = [
        f"{carried(each)} at {each.worker}, {count(len(each.packet.data), 'byte')}"
        for each in checked
        if each.packet.checksum == WRONG
    ]
    none = sum(each.packet.checksum == NONE for each in checked)
    odd = sum(len(each.packet.data) % 2 for each in checked)
    right = f"{len(checked) - none} right, {none} have none; {odd} lengths odd, {len(checked) - odd} even"
    return judged(text, first("wrong", wrong), right, name)


def each_is_completed(play: Play) -> Claim:
    """Return the claim that the workers do their part."""
    text, name = "each worker says once of each request that it is done", "partb.completed"
    story = play.story
    if not story.arrivals:
        return unjudged(text, "nothing came to a worker", name)
    got = dict.fromkeys(story.facts.threads, 0)
    done = dict(got)
    for arrival in story.arrivals:
        got[arrival.worker] += 1
    for completion in story.completions:
        done[completion.worker] += 1
    wrong = [f"{each} has got {got[each]} and completed {done[each]}" for each in got if got[each] != done[each]]
    return judged(text, wrong, ", ".join(f"{each} {done[each]}" for each in done), name)
