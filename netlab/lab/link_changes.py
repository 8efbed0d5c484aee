"""Changes links of a lab that stands: what they do to packets, and whether they are up. One command at a time."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from netlab.errors import NetlabError, UsageError
from netlab.kernel import signals
from netlab.lab import link_care, link_state, named_links, planned_routes, through_middle
from netlab.lab.named_links import Link
from netlab.lab.standing import Standing
from netlab.network import impairments
from netlab.network.impairment_settings import Direction as Wanted
from netlab.paths import MIDDLE
from netlab.plan.middle import seed_of
from netlab.record import impaired, store
from netlab.record import links as record_links
from netlab.record.impaired import Direction, Links
from netlab.topology import impairment_words
from netlab.topology.impairment import PLAIN, Impairment, seed
from netlab.topology.link_names import Ends
from netlab.topology.validate.impairments import problem

Say = Callable[[str], None]


class _LinkWork:
    """A lab that is locked, and what was set in it last."""

    def __init__(self, lab: Standing, lock: int, say: Say) -> None:
        self.lab, self.lock, self.say = lab, lock, say
        self.links = impaired.read(lab.record) or Links()
        self.told: list[tuple[str, str]] = []  # for the timeline: nodes and what has happened to their links

    @property
    def directions(self) -> list[Direction]:
        """Both directions of all links, as they are set now."""
        return impaired.directions(self.lab.record, self.links)

    def write(self, **changes: Any) -> None:
        """Write down what is set from now on."""
        self.links = self.links._replace(**changes)
        impaired.write(self.lab.record, self.links)

    def tell(self, link: Link, what: str) -> None:
        """Say what has happened to a link."""
        self.say(f"netlab: {self.lab.record.lab}: {named_links.called(link)}: {what}")

    def note(self, about: str, what: str) -> None:
        """Keep what has happened for the timeline: to a node, or "" for a link as a whole."""
        self.told.append((about, what))

    def ends(self, link: Link) -> Ends:
        """Return the ends of a link as `link_state` takes them."""
        return record_links.link(self.lab.record, ":".join(link[0].sender))


@contextmanager
def _locked(lab: str, say: Say) -> Iterator[_LinkWork]:
    """Hold the lab's lock. A signal waits until the change is done."""
    waiting = f"netlab: waiting for another command to leave the lab {lab}"
    with store.locked(lab, waiting=lambda: say(waiting)) as lock, signals.waiting():
        standing = Standing.read(lab)
        if not store.is_complete(lab):
            raise NetlabError(f"{lab} is not whole: netlab down --lab {lab} removes it")
        work = _LinkWork(standing, lock, say)
        yield work
        link_care.care(standing, lock, [each.sends for each in work.directions], work.told, say)


def set_values(lab: str, words: Sequence[str], sender: str, changes: Mapping[str, Any], say: Say) -> None:
    """Change what a link does to packets: of both directions, or of what `sender` sends; only what `changes` names.

    Without changes, what was set last is set again, where anything of it is missing. UsageError for what does not fit.
    """
    with _locked(lab, say) as work:
        link = named_links.find(work.directions, words)
        if not changes and not link[0].sends:
            called = named_links.called(link)
            raise UsageError(
                f"{called} does nothing to packets yet: netlab link {called} set KEY=VALUE, as in delay=20ms"
            )
        meant = named_links.side(link, sender) if sender else link
        wanted = {each.name: _changed(each, changes, at) for at, each in enumerate(meant)}
        for each in meant:
            key, what = problem(wanted[each.name])
            if key:
                raise UsageError(f"{key}: {what}, at what {each.sender[0]} sends")
        _apply(work, link, wanted)


def reset(lab: str, words: Sequence[str], sender: str, say: Say) -> None:
    """Set a link as the topology has it, and up; all links, if there are no words."""
    with _locked(lab, say) as work:
        are_down = link_state.are_down(work.lab)
        if words:
            links = [named_links.find(work.directions, words)]
        else:
            there = named_links.all_links(work.directions)
            links = [link for link in there if link[0].sends or named_links.is_among(link, are_down)]
        for link in links:
            meant = named_links.side(link, sender) if sender else link
            is_down = named_links.is_among(link, are_down)
            if link[0].sends:
                _apply(work, link, {each.name: each.planned or _plain(each) for each in meant})
            if is_down:
                _up(work, link)
            if not link[0].sends and not is_down:
                work.tell(link, "as the topology has it")
        if not links:
            say(f"netlab: {lab}: all links are as the topology has them")


def down(lab: str, words: Sequence[str], say: Say) -> None:
    """Set both ends of a link down."""
    with _locked(lab, say) as work:
        link = named_links.find(work.directions, words)
        link_state.set_down(work.lab, work.ends(link))
        work.tell(link, "down")
        work.note("", f"link {named_links.called(link)}: down")


def up(lab: str, words: Sequence[str], say: Say) -> None:
    """Set both ends of a link up, and give back the addresses and routes that it had lost, planned ones in any case."""
    with _locked(lab, say) as work:
        _up(work, named_links.find(work.directions, words))


def _up(work: _LinkWork, link: Link) -> None:
    for told in link_state.set_up(work.lab, work.ends(link)):
        work.say(f"netlab: note: {told}")
    for each in link:
        planned_routes.add(work.lab, *each.sender)
    work.tell(link, "up")
    work.note("", f"link {named_links.called(link)}: up")


def _changed(direction: Direction, changes: Mapping[str, Any], at: int) -> Impairment:
    """Return what a direction does after these changes; `at` is its number among those that are meant."""
    found = (direction.sends or _plain(direction))._replace(**changes)
    return found._replace(seed=seed(found.seed, 0, at)) if "seed" in changes else found


def _plain(direction: Direction) -> Impairment:
    return PLAIN._replace(seed=seed_of(*direction.sender, *direction.receiver))


def _apply(work: _LinkWork, link: Link, wanted: Mapping[str, Impairment]) -> None:
    """Set directions of a link, which is led through the middle first if it is not."""
    first = link[0]
    way = through_middle.way_of(work.lab.record, first)
    sends = {each.name: wanted.get(each.name) or each.sends or _plain(each) for each in link}
    to_set = [Wanted(each.source, each.target, sends[each.name]) for each in link]
    netns = work.lab.runtime.netns_path(MIDDLE)
    number = str(first.number)
    interrupted = ""
    if first.sends is None or number in work.links.changing:
        work.lab.runtime.open_middle()
        written = work.links.changing.get(number) or through_middle.saved(work.lab, way)
        work.write(sends={**work.links.sends, **sends}, changing={**work.links.changing, number: written})
        seconds = through_middle.lead(
            work.lab, way, written, work.lock, lambda: impairments.set_directions(netns, to_set)
        )
        work.write(changing={key: each for key, each in work.links.changing.items() if key != number})
        interrupted = f"; it is led through the middle now, which has interrupted it for {seconds * 1000:.0f} ms"
    else:
        before = work.links.sends
        work.write(sends={**before, **sends})
        try:
            through_middle.settle(work.lab, way, work.lock)
            impairments.set_directions(netns, to_set)
        except BaseException:
            work.write(sends=before)
            raise
    for each in (each for each in link if each.name in wanted):
        does = impairment_words.words(sends[each.name])
        work.note(each.sender[0], f"{each.sender[1]}: what it sends: {does}")
        work.tell(link, f"what {each.sender[0]} sends: {does}{interrupted}")
        interrupted = ""
