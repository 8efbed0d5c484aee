"""Lets the lab's supervisor take care of the middle of links, and note what has happened to links."""

from collections.abc import Callable, Sequence

from netlab.errors import NetlabError
from netlab.lab import happenings
from netlab.lab.standing import Standing
from netlab.network import directions, impairments
from netlab.paths import MIDDLE
from netlab.supervise import client, talk
from netlab.topology.impairment import Impairment

_START_S = 10.0  # for a supervisor that has nothing else to do


def care(
    lab: Standing,
    lock: int,
    sends: Sequence[Impairment | None],
    told: Sequence[tuple[str, str]],
    say: Callable[[str], None],
    *,
    may_start: bool = False,
) -> None:
    """Have the supervisor hand carrier loss through, hold packets up, and note what was told; `lock` is the lab's.

    A lab that has no middle any more has nobody look after it. One whose supervisor has ended, or that had none, gets
    another one if there is nothing else to do for it, or if it `may_start`. If it cannot be had, that is said.
    """
    folder = lab.record.folder
    does = [each for each in sends if each]
    holder = list(directions.holder(does, lab.runtime.netns_path)) if does else None
    try:
        if holder is not None:
            _hold(lab, lock, holder, may_start=may_start or not lab.record.has_work)
        elif client.supervisor_pid(folder):
            with talk.to(folder) as supervisor:
                supervisor.ask("links", holder=None)
    except NetlabError as error:
        say(f"netlab: note: the supervisor does not take care of the link: {error}")
    for about, text in told:
        happenings.write_down(folder, "fault", about, text)


def _hold(lab: Standing, lock: int, holder: list[str], *, may_start: bool) -> None:
    """Let the supervisor look after the middle; start one in a lab that has none."""
    folder = lab.record.folder
    if not client.supervisor_pid(folder):
        if not may_start:
            raise NetlabError("it has died")
        started = client.spawn(lab.record.lab, folder, lock)
        client.start(started, [], False, _START_S, holder=holder)
        client.keep(started)
    else:
        ends = not holder and impairments.end_holding(lab.runtime.netns_path(MIDDLE))
        with talk.to(folder) as supervisor:
            if ends:
                supervisor.ask("links", holder=None)  # which ends the process that has held packets up
            supervisor.ask("links", holder=holder)
    if holder:
        directions.await_holder(lab.runtime.netns_path)
