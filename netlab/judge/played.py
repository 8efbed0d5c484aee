"""A story of part B with all its moments, and the words for what is in it. Pure."""

from collections.abc import Iterator

from netlab.judge.balanced import Arrival, Request, Story
from netlab.judge.threads import Moment
from netlab.named_tuple import NamedTuple

_SHOWN = 40  # bytes of data in a message


class Play(NamedTuple):
    """A story, and its moments."""

    story: Story
    moments: list[Moment]

    @property
    def waited(self) -> list[Request]:
        """The requests that found no free thread, or others that waited before them."""
        return [
            moment.what
            for moment in self.moments
            if isinstance(moment.what, Request) and (not moment.before.free or moment.before.waiting > 0)
        ]


def lost_unfairly(play: Play) -> Iterator[Request]:
    """Yield the requests that were lost, but those that came when as many waited as the topology promises."""
    lost = {each.number for each in play.story.lost}
    queue = play.story.facts.queue
    for moment in play.moments:
        if isinstance(moment.what, Request) and moment.what.number in lost:
            is_full = queue and moment.before.waiting >= queue and not moment.before.free
            if not is_full:
                yield moment.what


def named(request: Request) -> str:
    """Return a request as claims name it."""
    return f"request {request.number} ({shown(request.packet.data)})"


def carried(arrival: Arrival) -> str:
    """Return the request that a packet carries, or its data."""
    return named(arrival.request) if arrival.request else shown(arrival.packet.data)


def shown(data: bytes) -> str:
    """Return the beginning of data, readable."""
    text = data[:_SHOWN].decode("ascii", "backslashreplace").rstrip("\0 ")
    return '"' + "".join(each if each.isprintable() else f"\\x{ord(each):02x}" for each in text) + '"'


def first(what: str, wrong: list[str]) -> list[str]:
    """Return what is wrong, beginning with how many there are."""
    return [f"{len(wrong)} {what}: {wrong[0]}", *wrong[1:]] if wrong else []
