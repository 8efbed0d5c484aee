"""Links that are led through the middle, in a change of a lab: afterwards they do what the file says.

What `netlab link` has set is no step. So it is looked at here: a link that stays is led through the middle still, and
does what the file says, nothing if that says nothing.
"""

import os
from collections.abc import Callable, Iterable, Iterator

from netlab import paths
from netlab.errors import NetlabError
from netlab.kernel import files
from netlab.lab import link_care, link_drift, named_links, through_middle
from netlab.lab.standing import Standing
from netlab.network import impairments
from netlab.network.impairment_settings import Direction as Wanted
from netlab.paths import MIDDLE
from netlab.plan.difference import Difference
from netlab.plan.middle import seed_of
from netlab.plan.middle_steps import Impair
from netlab.plan.steps import AddLink
from netlab.record import impaired
from netlab.record.impaired import Direction, Links
from netlab.record.model import LabRecord
from netlab.topology.impairment import PLAIN, Impairment
from netlab.words import few


def was_changed(record: LabRecord) -> bool:
    """Say whether a link does something else than the file says."""
    if not (links := impaired.read(record)):
        return False
    return any(each.sends and each.sends != _as_planned(each) for each in impaired.directions(record, links))


def spoilt(lab: Standing) -> list[str]:
    """Return what links lack that are led through the middle, and that a change sets again, a line for each."""
    return [f"{named_links.called(link)} is set again: {few(lacks)}" for link, lacks in link_drift.spoilt(lab)]


def check(before: LabRecord, after: LabRecord, change: Difference) -> None:
    """Raise NetlabError if a link that stays, and was led through the middle at run time, gets another number."""
    for each in _staying(before, change, impaired.read(before)):
        node = after.nodes.get(each.sender[0])
        port = node.interfaces.get(each.sender[1]) if node else None
        if port and port.middle != each.source and not each.planned:
            raise NetlabError(
                f"the link of {each.sender[0]} ({each.sender[1]}) was led through the middle by netlab link, and would"
                " have another number there: write new links behind those that stand, or netlab down, then up"
            )


def hold(before: Standing, after: Standing, change: Difference, lock: int, say: Callable[[str], None]) -> None:
    """Let the supervisor look after the links that are there now, before anything counts on them.

    Where the kernel has no netem, what is to be delayed is lost until it does.
    """
    staying = {each.name: each for each in _staying(before.record, change, impaired.read(before.record))}
    now = {each.name: each for each in impaired.directions(after.record, None)}
    does = [each.planned for each in now.values() if each.planned]
    does += [_as_planned(each) for name, each in now.items() if name in staying]
    if does:
        link_care.care(after, lock, does, [], say, may_start=not before.record.has_supervisor)


def hold_again(
    before: Standing, change: Difference, were_set: Links | None, lock: int, say: Callable[[str], None]
) -> None:
    """Set the links of a lab whose change was undone as they were, and let the supervisor look after them.

    `were_set` is what `netlab link` had set. Without links that are led through it the middle goes.
    """
    _set_back(before, change, were_set, say)
    links = impaired.directions(before.record, impaired.read(before.record))
    has_middle = os.path.exists(before.runtime.netns_path(MIDDLE))
    does = [each.sends for each in links if each.sends] if has_middle else []
    link_care.care(before, lock, does, [], say, may_start=not before.record.has_supervisor)
    if has_middle and not impaired.has_middle(before.record):
        before.runtime.remove([MIDDLE])


def _set_back(before: Standing, change: Difference, were_set: Links | None, say: Callable[[str], None]) -> None:
    """Set what `netlab link` had set. A link that was made anew is as the file has it."""
    if not were_set:
        return
    staying = list(_staying(before.record, change, were_set))
    sends = {each.name: does for each in staying if (does := each.sends)}
    if sends:
        wanted = [Wanted(each.source, each.target, sends[each.name]) for each in staying if each.name in sends]
        impairments.set_directions(before.runtime.netns_path(MIDDLE), wanted)
        impaired.write(before.record, were_set._replace(sends=sends))
    else:
        files.remove(f"{before.record.folder}/{paths.LINKS}")
    for name in sorted(set(were_set.sends) - set(sends)):
        say(f"netlab: note: what netlab link had set at {name} is gone: its link was made anew")


def mend(lab: Standing, lock: int) -> None:
    """Set again what links lack that are led through the middle, as somebody has deleted it there."""
    for link, _ in link_drift.spoilt(lab):
        through_middle.settle(lab, through_middle.way_of(lab.record, link[0]), lock)
        does = [Wanted(each.source, each.target, each.sends) for each in link if each.sends]
        impairments.set_directions(lab.runtime.netns_path(MIDDLE), does)


def settle(before: Standing, after: Standing, change: Difference, lock: int, say: Callable[[str], None]) -> None:
    """Set what stays as the file says, forget what is gone, and let the supervisor know."""
    staying = {each.name: each for each in _staying(before.record, change, impaired.read(before.record))}
    now = {each.name: each for each in impaired.directions(after.record, None)}
    led = {name: now[name] for name in staying if name in now}
    wanted = {name: _as_planned(each) for name, each in led.items()}
    if wanted:
        netns = after.runtime.netns_path(MIDDLE)
        impairments.set_directions(
            netns, [Wanted(each.source, each.target, wanted[name]) for name, each in led.items()]
        )
        impaired.write(after.record, Links(wanted))
    else:
        files.remove(f"{after.record.folder}/{paths.LINKS}")
    mend(after, lock)
    has_middle = bool(wanted) or after.record.has_middle
    does = [each.planned for each in now.values() if each.planned] + list(wanted.values())
    link_care.care(after, lock, does if has_middle else [], [], say, may_start=not before.record.has_supervisor)
    if not has_middle and os.path.exists(after.runtime.netns_path(MIDDLE)):
        after.runtime.remove([MIDDLE])


def commands(before: LabRecord, after: LabRecord, change: Difference) -> list[str]:
    """Return as shell commands what `settle` does to links that do something else than the file says."""
    now = {each.name: each for each in impaired.directions(after, None)}
    lines = []
    for each in _staying(before, change, impaired.read(before)):
        wanted = _as_planned(now[each.name]) if each.name in now else each.sends
        if each.sends and wanted and each.sends != wanted:
            found = Impair(*each.sender, each.source, each.target, each.sends, before.lab)
            lines += [found.undone(), str(found._replace(impairment=wanted))]
    for link, _ in link_drift.spoilt(Standing(before)):
        for each in link:
            if does := now[each.name].planned if each.name in now else None:
                lines.append(str(Impair(*each.sender, each.source, each.target, does, before.lab)))
    return lines


def _staying(record: LabRecord, change: Difference, links: Links | None) -> Iterator[Direction]:
    """Yield the directions that `netlab link` has set (`links`) of links that a change leaves alone."""
    anew = {(end.node, end.name) for step in _added((*change.undo, *change.do)) for end in (step.a, step.b)}
    for link in named_links.all_links(impaired.directions(record, links)) if links else ():
        if not anew.intersection(each.sender for each in link):
            yield from (each for each in link if links and each.name in links.sends)


def _added(steps: Iterable[object]) -> Iterator[AddLink]:
    return (step for step in steps if isinstance(step, AddLink))


def _as_planned(direction: Direction) -> Impairment:
    return direction.planned or PLAIN._replace(seed=seed_of(*direction.sender, *direction.receiver))
