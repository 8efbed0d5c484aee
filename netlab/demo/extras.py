"""What netlab does itself while part B is played: it sends what the client does not, and knocks at the balancer.

- If the client cannot be told what to send, netlab sends the requests of the demo from the client's node.
- While all threads are busy and a request waits, each worker sends packets to the balancer that are no completions. A
  balancer that takes them for some sends a request to a worker that has no thread for it.
- If the topology promises a depth of the queue, netlab fills it.
"""

import threading
import time
from collections.abc import Callable, Iterable

from netlab.demo import knocking, sockets
from netlab.demo.events import Asked
from netlab.demo.evidence import Evidence
from netlab.demo.sending import Cue, Sender, cues, distinct
from netlab.judge.balanced import Story, tell
from netlab.judge.facts import Balancing
from netlab.judge.threads import Moment, moments
from netlab.lab.standing import Standing
from netlab.named_tuple import NamedTuple
from netlab.supervise.logs import LogLine

_QUIET_S, _STUCK_S = 1.0, 4.0  # after which a client of one's own has had its turn: all is served, or something is not
_LATEST_S = 20.0  # after which workers that do not listen are waited for no longer
_PAUSE_NS = 200_000_000  # after which a client has sent all that it sends at a time
_FILLS = 30  # how often the queue is filled, until it is as deep as promised: meanwhile some leave
_SHORT_S = (0.01, 0.19)  # sleep times of requests that fill the queue


class Script(NamedTuple):
    """What the client of a demo sends: so many requests, how often, for how long, and some more after a rest."""

    requests: int
    interval_s: float
    sleep: tuple[float, float]
    late: int = 0
    rest_s: float = 0.0

    def cues(self, used: Iterable[bytes]) -> list[Cue]:
        """Return these requests; none has data that are used."""
        all_of_them = cues(self.requests + self.late, self.interval_s, self.sleep, set(used))
        return [
            each._replace(at_s=each.at_s + (self.rest_s if number >= self.requests else 0.0))
            for number, each in enumerate(all_of_them)
        ]


class Extras:
    """What is done during one play; `step` is called again and again."""

    def __init__(self, lab: Standing, facts: Balancing, script: Script | None, *, waits: bool) -> None:
        """`script` is what netlab sends, None if the client does; `waits` says that requests are meant to wait."""
        self._lab, self._facts, self._script, self._waits = lab, facts, script, waits
        self._senders: list[Sender] = []
        self._knocker: threading.Thread | None = None
        self.answers: dict[str, str] = {}
        self._fills = _FILLS if waits and facts.queue else 0

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to do, but what the play gave no occasion for."""
        is_knocking = self._knocker is not None and self._knocker.is_alive()
        return not is_knocking and not any(each.is_busy for each in self._senders) and not self._script

    @property
    def sent(self) -> int:
        """How many requests netlab has sent."""
        return sum(each.sent for each in self._senders)

    def step(self, evidence: Evidence, quiet_s: float) -> list[LogLine]:
        """Do what it is time for, and return the lines on what was sent."""
        story = tell(list(evidence.packets), self._facts, 0)
        if self._script and self._is_clients_turn_over(story, quiet_s) and self._are_workers_there(quiet_s):
            self._send(evidence, self._script.cues(each.key for each in story.requests))
            self._script = None
        replayed = list(moments(story)) if self._waits else []
        if replayed and not replayed[-1].after.free and replayed[-1].after.waiting:
            self._while_all_are_busy(evidence, story, replayed)
        return [line for sender in self._senders for line in sender.lines()]

    def stop(self) -> None:
        """End everything."""
        for sender in self._senders:
            sender.stop()
        if self._knocker:
            self._knocker.join()

    def _is_clients_turn_over(self, story: Story, quiet_s: float) -> bool:
        is_served = not story.lost and len(story.completions) >= len(story.arrivals)
        return quiet_s > (_QUIET_S if is_served else _STUCK_S)

    def _are_workers_there(self, quiet_s: float) -> bool:
        """Say whether all workers listen, or have had time enough for it."""
        port, lab = self._facts.worker_port, self._lab
        return quiet_s > _LATEST_S or all(sockets.listens(lab, name, port) for name in self._facts.threads)

    def _while_all_are_busy(self, evidence: Evidence, story: Story, replayed: list[Moment]) -> None:
        if not self._knocker:
            self._knocker = _background(self._knock)
        is_sending = time.monotonic_ns() - story.requests[-1].ns < _PAUSE_NS
        if not self._fills or self._script or is_sending or any(each.is_busy for each in self._senders):
            return
        deepest = max(each.after.waiting for each in replayed)
        missing = self._facts.queue - replayed[-1].after.waiting
        self._fills = self._fills - 1 if deepest < self._facts.queue else 0
        if self._fills:
            data = distinct(_SHORT_S, {each.key for each in story.requests})
            self._send(evidence, [Cue(0.0, next(data)) for _ in range(missing)])

    def _send(self, evidence: Evidence, script: list[Cue]) -> None:
        facts = self._facts
        host = knocking.address_facing(self._lab.record, facts.client, facts.balancer)
        first = len(evidence.events(Asked)) + 1
        if host and script:
            self._senders.append(Sender(self._lab, facts.client, (host, facts.service_port), script, first))

    def _knock(self) -> None:
        """Let each worker knock where no completions go."""
        facts = self._facts
        ports = {knocking.CLOSED_PORT: ("UDP", "TCP"), facts.completion_port: ("TCP",), facts.service_port: ("TCP",)}
        for worker in facts.threads:
            self.answers.update(knocking.from_node(self._lab, worker, facts.balancer, ports))
        ports = {facts.service_port: ("TCP",)}
        self.answers.update(knocking.from_node(self._lab, facts.client, facts.balancer, ports))


def _background(work: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=work, name="netlab-knocker", daemon=True)
    thread.start()
    return thread
