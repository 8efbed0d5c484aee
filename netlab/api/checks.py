"""Does checks in a lab that is up, and says of each what was expected and what was seen."""

import json
import re
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack

from netlab.api import lines
from netlab.api.lab import Lab
from netlab.errors import NetlabError, TimeLimitError
from netlab.lab import faults, happenings
from netlab.lab.faults import Happened, Played
from netlab.named_tuple import NamedTuple
from netlab.observe.events import Event
from netlab.record import shapes, store
from netlab.record.model import LabRecord
from netlab.topology import checks
from netlab.topology.checks import Check
from netlab.topology.faults import Fault

_LOOK_S = 0.1
_PING_S = 1  # for an answer
_COMMAND_S = 60.0  # for a command of a check that gives it no time
_NO_COMMAND = (126, 127)  # as a shell says that there is no such command, or that it cannot be executed
_MOST_EVENTS = 12  # of those around a check that fails
_MOST_SEEN = 400  # characters of what a command has printed
_SECOND_NS = 1_000_000_000
_AROUND_NS = 60 * _SECOND_NS


Search = Callable[[str, str], bool]


def _search(pattern: str, text: str) -> bool:
    return re.search(pattern, text) is not None


class Result(NamedTuple):
    """How a check has ended: whether it holds, after how many seconds; what was seen, and what happened meanwhile.

    `error` says that it could not be done; it does not hold then.
    """

    check: Check
    holds: bool
    seconds: float
    seen: str
    events: tuple[Event, ...] = ()
    error: bool = False


class Seen(NamedTuple):
    """What one look has shown: whether it is so, and what was seen."""

    is_so: bool
    text: str


def of(record: LabRecord) -> list[Check]:
    """Return the checks of a lab's topology."""
    return [Check(**{**each._asdict(), "after": tuple(map(faults.fault_of, each.after))}) for each in record.checks]


def run(
    lab: Lab, todo: Iterable[Check], tell: Callable[[Happened], None] = lambda _: None, search: Search = _search
) -> Iterator[Result]:
    """Do checks one after the other, and yield how each has ended.

    Faults that a check brings about stay in force for those behind it, unless one restores them; all are restored at
    the end. `tell` gets each fault as it happens. `search` says whether a text contains a pattern.
    """
    todo = list(todo)
    with ExitStack() as held:
        play: Callable[[Iterable[Fault]], Played] = _no_faults
        if any(check.after for check in todo):
            play = held.enter_context(faults.injecting(lab.standing, tell, _sleep))
        for check in todo:
            result = _result(_Looker(lab, search), check, play)
            _write_down(lab, result)
            yield result


def _write_down(lab: Lab, result: Result) -> None:
    """Let the lab's events have it."""
    check, how = result.check, "holds" if result.holds else "fails"
    told = {"check": check.title, "holds": result.holds, "expected": check.expected, "seen": result.seen[:_MOST_SEEN]}
    text = f"check {how}: {check.title}"
    happenings.write_down(lab.record.folder, "checked", check.node, text, data=told)


def _no_faults(_: Iterable[Fault]) -> Played:
    return Played(0)


def _result(looker: "_Looker", check: Check, play: Callable[[Iterable[Fault]], Played]) -> Result:
    began = time.monotonic_ns()
    try:
        if play(check.after).failed:
            seen, error = Seen(False, "a fault that comes before it could not be done"), True
        else:
            seen, error = _ended(looker, check), False
    except NetlabError as problem:
        seen, error = Seen(False, str(problem) if _is_up(looker.lab) else f"{looker.lab.name} is not up any more"), True
    seconds = (time.monotonic_ns() - began) / _SECOND_NS
    return Result(check, seen.is_so, seconds, seen.text, () if seen.is_so else _around(looker.lab, began), error)


def _is_up(lab: Lab) -> bool:
    return lab.name in store.labs()


def _sleep(seconds: float) -> bool:
    time.sleep(seconds)
    return False


def _ended(looker: "_Looker", check: Check) -> Seen:
    """Look until it is so, and then whether it stays so; return the last look."""
    began = time.monotonic_ns()
    until = began + check.within_ns
    while True:
        left_s = max(until - time.monotonic_ns(), 0) / _SECOND_NS
        try:
            seen = looker.look(check, left_s, began)
        except NetlabError as problem:  # what is looked for may come into being meanwhile
            if time.monotonic_ns() >= until or not _is_up(looker.lab):
                raise
            seen = Seen(False, str(problem))
        if seen.is_so or time.monotonic_ns() >= until:
            break
        time.sleep(min(_LOOK_S, left_s))
    until = time.monotonic_ns() + check.for_ns
    while seen.is_so and time.monotonic_ns() < until:
        time.sleep(_LOOK_S)
        seen = looker.look(check, 0, began)
    return seen


class _Looker:
    """Looks at a lab: one look shows whether a check is so now."""

    def __init__(self, lab: Lab, search: Search) -> None:
        self.lab = lab
        self._search = search

    def look(self, check: Check, left_s: float, began: int) -> Seen:
        """Return what is seen now; NetlabError if that cannot be found out."""
        doing: dict[str, Callable[[], Seen]] = {
            checks.PING: lambda: self._ping(check),
            checks.RUN: lambda: self._run(check, left_s),
            checks.LINE: lambda: self._line(check, began),
        }
        is_so, text = doing.get(check.do, lambda: self._value(check))()
        return Seen(is_so is not check.fails, text)

    def _ping(self, check: Check) -> Seen:
        (target,) = check.words
        done = self.lab[check.node].run(["ping", "-c1", "-W", str(_PING_S), target], timeout=_COMMAND_S)
        said = [line for line in (done.stdout + done.stderr).splitlines() if line]
        return Seen(done.returncode == 0, "an answer" if done.returncode == 0 else _last(said, "no answer"))

    def _run(self, check: Check, left_s: float) -> Seen:
        try:
            timeout = max(left_s, 1.0) if check.within_ns else _COMMAND_S
            done = self.lab[check.node].run(check.words, timeout=timeout)
        except TimeLimitError as error:
            return Seen(False, str(error))
        if done.returncode in _NO_COMMAND and check.code != done.returncode:
            raise NetlabError((done.stdout + done.stderr).strip() or f"the shell ends with {done.returncode}")
        output = done.stdout + done.stderr
        is_so = (
            done.returncode == check.code
            and (not check.shows or self._search(check.shows, output))
            and not (check.hides and self._search(check.hides, output))
        )
        said = output.strip()
        shown = said if len(said) <= _MOST_SEEN else f"{said[:_MOST_SEEN]} …"
        return Seen(is_so, f"exit code {done.returncode}" + (f", output:\n{shown}" if shown else ", no output"))

    def _line(self, check: Check, began: int) -> Seen:
        """Look for a line: of any time, but behind faults only one that has come since."""
        lines.catch_up(self.lab.record)
        since = began if check.after else 0
        for event in lines.read(self.lab.record, [check.node], since, "", follow=False):
            if event.kind != "checked" and self._search(check.words[0], event.text):
                return Seen(True, event.text)
        return Seen(False, "no such line")

    def _value(self, check: Check) -> Seen:
        found = {checks.STATS: _stats, checks.MAP: _map, checks.INTERFACE: _counter}[check.do](self.lab, check)
        return Seen(compared(found, check.comparison, check.wanted), f"{found}")


def _last(said: list[str], otherwise: str) -> str:
    """Return what ping says of a failure: the line on what was lost says less."""
    found = [line for line in said if "nreachable" in line or line.startswith("ping:") or "rohibited" in line]
    return found[-1] if found else otherwise


def compared(found: object, comparison: str, wanted: str) -> bool:
    """Say whether a value compares so; numbers as numbers, everything else as text."""
    try:
        a, b = float(str(found)), float(wanted)
    except ValueError:
        return (str(found) == wanted) is (comparison == "==") if comparison in ("==", "!=") else False
    return {"==": a == b, "!=": a != b, "<=": a <= b, ">=": a >= b, "<": a < b, ">": a > b}[comparison]


def _stats(lab: Lab, check: Check) -> object:
    """Return a value of a node's balancer, or of its program, by its path in `netlab stats --format json`."""
    data = shapes.plain(lab.stats())
    place = check.words[0].split(".")
    for what in ("balancers", "programs"):
        about = data.get(what, {}) if isinstance(data, dict) else {}
        found = about.get(check.node)
        for word in place if found is not None else ():
            found = found.get(word) if isinstance(found, dict) else None
        if found is not None:
            return found
    raise NetlabError(
        f"stats of {check.node} have no {check.words[0]}; netlab stats --format json shows what they have"
    )


def _map(lab: Lab, check: Check) -> object:
    name, key = check.words
    found = lab[check.node].map(name)[key]
    return json.dumps(found) if isinstance(found, dict | list) else found


def _counter(lab: Lab, check: Check) -> object:
    interface, counter = check.words
    done = lab[check.node].run(["ip", "-s", "-j", "link", "show", "dev", interface], check=True)
    (about,) = json.loads(done.stdout)
    direction, _, what = counter.partition("_")
    found = about["stats64"].get(direction, {}).get(what)
    if found is None:
        known = sorted(f"{way}_{each}" for way, of_it in about["stats64"].items() for each in of_it)
        raise NetlabError(f"{check.node} {interface} has no counter {counter}; it has {', '.join(known)}")
    return found


def _around(lab: Lab, began: int) -> tuple[Event, ...]:
    """Return the last events since a check began, and of the minute before."""
    try:
        lines.catch_up(lab.record)
        there = lines.read(lab.record, [], began - _AROUND_NS, "", follow=False)
        found = deque((event for event in there if event.kind != "checked"), _MOST_EVENTS)
    except NetlabError:
        return ()
    return tuple(found)
