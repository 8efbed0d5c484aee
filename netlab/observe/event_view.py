"""Events of programs as they come: told by the lab's supervisor to any number of readers, each of whom gets all."""

from collections.abc import Callable, Collection, Iterator
from typing import Any

from netlab.errors import NetlabError, UsageError
from netlab.named_tuple import NamedTuple
from netlab.observe.following import goes_down
from netlab.programs import bpf, pinned
from netlab.programs.maps import Map
from netlab.record import named
from netlab.record.model import LabRecord
from netlab.supervise import talk

_KINDS = ("event", "overrun")
_FOREVER_S = 1e6


class Told(NamedTuple):
    """An event, as docs/supervisor.md says it; or `lost`, if some are missing here, with a `text` that says so."""

    kind: str
    ns: int
    what: dict[str, Any]


def choose(lab: LabRecord, called: str = "", name: str = "") -> list[tuple[str, str]]:
    """Return the maps of events that are meant, as keys of programs and names; UsageError if there is none.

    Without a name all of the lab, or of the programs that NODE or NODE/NAME means.
    """
    programs = named.programs(lab, called) if called else dict(lab.programs())
    found: dict[tuple[str, str], int] = {}
    unread = []
    for key, program in programs.items():
        for each, path in pinned.maps(program.pins).items():
            with Map.open(path) as of:
                if of.type in bpf.EVENTS and each not in program.unfollowed:
                    found[key, each] = of.id
                elif of.type in bpf.EVENTS:
                    unread.append(each)
    whose = called or lab.lab
    if name and name in unread and name not in (each for _, each in found):
        raise UsageError(f"{name} of {whose} is not read, as the topology says `follow: false`")
    meant = [(key, each) for key, each in found if name in ("", each)]
    if meant:
        return meant
    there = ", ".join(sorted({each for _, each in found})) or "none"
    what = f"a ring buffer or a perf event array {name} of {whose}" if name else "a ring buffer or a perf event array"
    raise UsageError(
        f"--follow shows events: expected {what}, {whose} has {there}; --watch shows what changes in others"
    )


def follow(
    lab: LabRecord, maps: Collection[tuple[str, str]], duration_s: float | None, begun: Callable[[], None]
) -> Iterator[Told]:
    """Yield events of these maps from when `begun` is called; end when the time is over, or with the lab.

    NetlabError if the lab's supervisor has ended, and the lab has not.
    """
    with talk.to(lab.folder) as supervisor:
        events = supervisor.events(_KINDS, _FOREVER_S if duration_s is None else duration_s)
        begun()
        for told in events:
            if told["kind"] == "lost":
                text = (
                    f"{told['count']} events are missing here, as this reader was too slow: netlab timeline shows them"
                )
                yield Told("lost", told["ns"], {"count": told["count"], "text": text})
            elif "map" not in told and told["kind"] == "overrun" and told["count"]:
                continue  # lines that programs have printed
            elif "map" not in told or (told["program"], told["map"]) in maps:
                what = {key: value for key, value in told.items() if key not in ("kind", "ns")}
                yield Told("event" if told["kind"] == "event" else "lost", told["ns"], what)
        if supervisor.is_over and not goes_down(lab):
            raise NetlabError(f"the supervisor of {lab.lab} has ended, and nobody reads events any more: netlab status")
