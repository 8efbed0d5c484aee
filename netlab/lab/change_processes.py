"""The processes of a change: some end, some begin, in a supervisor that stays."""

import json
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from netlab import paths
from netlab.errors import NetlabError
from netlab.kernel import files, umask
from netlab.kernel.kill import GRACE_S
from netlab.lab import launch, xdp_watch
from netlab.lab.standing import Standing
from netlab.named_tuple import NamedTuple
from netlab.plan.setup_steps import RunSetup
from netlab.plan.steps import StartRole
from netlab.runtime.base import home_of
from netlab.supervise import client, logs, schema, talk
from netlab.supervise.readiness import Readiness

if TYPE_CHECKING:
    from netlab.supervise.job import Setup, Start

Tell = Callable[[dict[str, Any]], None]
_STOP_S = 2 * GRACE_S + 6  # for all that are asked to stop at once


class Words(NamedTuple):
    """What a supervisor is to take: processes to forget, others on their next start, setups and starts of new ones.

    `deadline_s` is the time for each to be ready. `events` says that new programs have maps of events.
    """

    forget: tuple[str, ...] = ()
    later: tuple[StartRole, ...] = ()
    setups: tuple[RunSetup, ...] = ()
    starts: tuple[StartRole, ...] = ()
    deadline_s: float = 30.0
    events: bool = False


def stop(folder: str, keys: Collection[str]) -> None:
    """Have these processes ended, as far as they run; NetlabError if one does not end."""
    if not keys or not client.supervisor_pid(folder):
        return
    with talk.to(folder) as supervisor:
        supervisor.ask("watch", kinds=["exited"])
        for key, state in supervisor.states().items():
            if key in keys and (talk.runs(state) or talk.waits(state)):
                supervisor.ask("stop", process=key)
        until = time.monotonic() + _STOP_S
        while running := [key for key, state in supervisor.states().items() if key in keys and talk.runs(state)]:
            if time.monotonic() > until:
                raise NetlabError(f"these processes do not end: {', '.join(running)}")
            next(supervisor.heard(["exited"], until - time.monotonic()), None)


def take(lab: Standing, words: Words, lock: int, tell: Tell) -> None:
    """Have the supervisor take its part of a change; return when all new processes are there. `lab` is as it is to be.

    NetlabError as `client.start` raises it.
    """
    folder, home = lab.record.folder, home_of(lab.record)
    processes = dict(lab.record.processes())
    setups = [launch.setup(lab, step, home) for step in words.setups]
    starts = [_start(lab, step, processes, home) for step in words.starts]
    later = [_start(lab, step, processes, home) for step in words.later]
    has_programs = any(node.programs for node in lab.record.nodes.values())
    if not client.supervisor_pid(folder):
        _begin(lab, words, lock, tell, setups, starts, has_programs)
        return
    job = {
        "forget": words.forget,
        "later": [_plain(one) for one in later],
        "lab": lab.record.lab,
        "umask": umask.callers(),
        "trace": has_programs,
        "events": words.events,
        "deadline_s": words.deadline_s,
        "errors": xdp_watch.nodes(lab.record),
        "setups": [_plain(one) for one in setups],
        "starts": [_plain(one) for one in starts],
    }
    files.write(f"{folder}/{paths.TAKEN}", json.dumps(job), 0o600)
    _await(folder, starts, {one.node for one in setups}, words.deadline_s, tell)


def _begin(
    lab: Standing,
    words: Words,
    lock: int,
    tell: Tell,
    setups: "Sequence[Setup]",
    starts: "Sequence[Start]",
    has_programs: bool,
) -> None:
    """Start a supervisor, in a lab that has needed none."""
    if not lab.record.has_supervisor:
        return
    supervisor = client.spawn(lab.record.lab, lab.record.folder, lock)
    try:
        about = (starts, has_programs, words.deadline_s, tell, setups)
        client.start(supervisor, *about, errors=xdp_watch.nodes(lab.record), events=words.events)
        client.keep(supervisor)
    except BaseException:
        client.abandon(supervisor)
        raise


def _await(folder: str, starts: "Sequence[Start]", nodes: Collection[str], deadline_s: float, tell: Tell) -> None:
    awaited, own = Readiness(starts, deadline_s), {one.process for one in starts}
    with talk.to(folder) as supervisor:
        supervisor.ask("watch", kinds=schema.LIFE)
        supervisor.ask("take")
        while (left := awaited.until - time.monotonic()) > 0 and not awaited.is_over:
            event = next(supervisor.heard(schema.LIFE, left), None)
            if event is None or not _concerns(event, own, nodes):
                continue
            if blame := awaited.hear(event):
                raise _failure(folder, *blame)
            if event["kind"] != "complete":
                tell(event)
    if not awaited.is_over and (blame := awaited.late()):
        raise _failure(folder, *blame)


def _concerns(event: Mapping[str, Any], processes: Collection[str], nodes: Collection[str]) -> bool:
    if event["kind"] in ("setup", "prepared"):
        return event["node"] in nodes
    return event["kind"] == "complete" or event.get("process") in processes or event.get("process") in nodes


def _failure(folder: str, process: str, what: str) -> NetlabError:
    return NetlabError(f"{process} {what}{logs.last_words(folder, process)}" if process else what)


def _start(lab: Standing, step: StartRole, processes: Mapping[str, Any], home: str) -> "Start":
    start, problem = launch.start(lab, step, processes[step.key], home)
    if problem and not step.awaits_ready:
        raise NetlabError(f"{step.key}: command {step.argv[0]}: {problem}")
    return start


def _plain(one: "Setup | Start") -> dict[str, object]:
    return {**one._asdict(), "env": dict(one.env)}
