"""Sets up the node's XDP program `balancer`: which ports, which backends, which policy. Then it helps it to recover.

The program does all the work in the kernel; this role writes its maps once and says READY. Ten times a second it looks
whether a carrier was lost: a request that waits beside a free thread gets another one. With `timeout` it has threads
freed whose completion does not come. With `on_worker_failure: retry` it reads the workers' reports, and has requests
sent again that were lost with a worker. With `health` it checks whether the backends are well. If it is stopped, the
program goes on balancing.
"""

import signal
import sys
import time
from collections.abc import Callable
from typing import Any

from netlab import balancer, options
from netlab.errors import NetlabError
from netlab.role import ready, say

STAYS = True  # until it is told to end
OPTIONS: dict[str, dict[str, Any]] = {
    "service_port": {"type": "port", "default": 8080, "help": "the UDP port of the requests"},
    "completion_port": {"type": "port", "default": 9090, "help": "the UDP port of the completions"},
    "policy": {
        "type": "text",
        "choices": ["most-free", "round-robin", "random", "first-free"],
        "default": "most-free",
        "help": "which backend gets a request when several have a free thread",
    },
    "backends": {
        "type": "node",
        "values": [1, 128],
        "required": True,
        "help": "a replicated node's name, or nodes' names",
    },
    "completion": {
        "type": "text",
        "choices": ["packet", "reply"],
        "default": "packet",
        "help": "what frees a thread: a packet to the completion port, or the reply to a request",
    },
    "report_port": {"type": "port", "help": "the UDP port of the backends' reports; none are taken without"},
    "timeout": {
        "type": "number",
        "default": 0,
        "minimum": 0,
        "help": "seconds after which a thread that is not heard of is free again; 0 is never",
    },
    "on_worker_failure": {
        "type": "text",
        "choices": ["drop", "retry"],
        "default": "drop",
        "needs": {"retry": [["report_port"], ["completion=reply", "timeout"]]},
        "help": "what becomes of requests at a worker that fails; those that are retried are served at least once",
    },
    "retries": {
        "type": "integer",
        "default": 3,
        "minimum": 0,
        "maximum": 1000,
        "help": "how often such a request is sent again before it is dropped",
    },
    "health": {
        "type": "text",
        "choices": ["none", "udp", "command"],
        "default": "none",
        "needs": {"udp": [["health_with", "completion=reply"]], "command": [["health_with"]]},
        "help": "how backends are asked whether they are well: by a UDP packet that they answer, or a command",
    },
    "health_with": {
        "type": "text",
        "help": "the data of that packet, \\xNN for a byte, or the command, with the backend as $NAME and $ADDRESS",
    },
    "health_interval": {
        "type": "number",
        "default": 1,
        "minimum": 0.1,
        "help": "seconds from one check of a backend to the next, and for which it may last",
    },
    "health_rise": {
        "type": "integer",
        "default": 2,
        "minimum": 1,
        "help": "so many good checks in a row bring a backend back",
    },
    "health_fall": {
        "type": "integer",
        "default": 3,
        "minimum": 1,
        "help": "after so many bad checks in a row a backend gets no requests",
    },
    "program": {"type": "text", "help": "the name of the balancer, if the node carries several"},
    "capacity": {"type": "integer", "default": 5, "minimum": 1, "maximum": 65535, "help": "threads of each backend"},
}

CAPABILITIES = ["BPF"]  # to make the small devmaps that carriers need; on older kernels, to open any map
WATCH_S = 0.1
LOOK_S = 0.02


def settings(lab: "balancer.LabRecord", here: str, program: "balancer.ProgramRecord", args: Any) -> balancer.Settings:
    """Turn the role's options and the lab's addresses into the program's settings."""
    if args.service_port == args.completion_port:
        raise NetlabError(f"service_port and completion_port are both {args.service_port}; they must differ")
    if args.report_port in (args.service_port, args.completion_port):
        raise NetlabError(f"report_port is {args.report_port}, as another port is; it must differ")
    names = balancer.expand(lab.nodes, args.backends)
    backends = balancer.find(lab.nodes, here, program, names, args.capacity)
    if not all(each.ipv4 for each in backends) and not all(each.ipv6 for each in backends):
        raise NetlabError("backends: some have only IPv4, others only IPv6; a queued request must suit them all")
    return balancer.Settings(
        args.service_port,
        args.completion_port,
        args.policy,
        backends,
        tuple(
            balancer.Interface(name, each.mac, tuple(address.split("/")[0] for address in each.addresses))
            for name, each in lab.nodes[here].interfaces.items()
        ),
        args.completion == "reply",
        args.report_port or 0,
        known_by(args),
        args.retries,
    )


def known_by(args: Any) -> str:
    """Return by what a held request is known to be done; "" if requests are not held."""
    if args.on_worker_failure != "retry":
        return ""
    return balancer.BY_REPLIES if args.completion == "reply" and args.timeout else balancer.BY_REPORTS


def main() -> None:
    """Set the program up and wait for SIGTERM."""
    args = options.parse(OPTIONS, __doc__)
    lab, here = balancer.own_lab()
    program = balancer.own_program(lab, here, args.program or "")
    pins = program.pins
    chosen = settings(lab, here, program, args)
    if balancer.set_up(pins, chosen):
        for backend in chosen.backends:
            where = " ".join(filter(None, (backend.ipv4, backend.ipv6)))
            say(f"backend {backend.name} {where} on {backend.interface}: {backend.capacity} threads")
    else:
        say("the program is set up already; it keeps its settings and its state")
    now = balancer.snapshot(pins)
    freed_by = "freed by replies" if chosen.replies else f"completions on {chosen.completion_port}"
    say(f"balancing UDP port {chosen.service_port} to {', '.join(now.capacity)}, {freed_by}, {now.policy}")
    look = looking(balancer.Keeper(pins), chosen, args.timeout) if chosen.holds else None
    healer = balancer.Healer(pins)
    health, own = checking(healer, args), balancer.OwnRequests(args.service_port)
    ready()
    heal(Rounds(healer, args.timeout, bool(chosen.report_port), look, lambda: [*health.look(), *own.look()]))
    health.end()
    own.end()


def looking(keeper: balancer.Keeper, chosen: balancer.Settings, timeout_s: float) -> Callable[[], int]:
    """Return a function that looks after the held requests, and returns how many wait again."""
    if chosen.holds == balancer.BY_REPLIES:
        return lambda: keeper.look_at_replies(timeout_s)
    try:
        listener = balancer.Listener(chosen.report_port)
    except OSError as error:
        message = f"cannot hear reports on port {chosen.report_port}: {error.strerror}; is the role running already?"
        raise NetlabError(message) from None
    return lambda: keeper.look_at_reports(listener.heard())


def checking(healer: balancer.Healer, args: Any) -> "balancer.Checks | balancer.Patience":
    """Return what watches the backends' health."""
    if args.health == "none":
        return balancer.Patience(healer)
    rule = balancer.Rule(args.health_interval, args.health_rise, args.health_fall)
    start = balancer.command(args.health_with)
    if args.health == "udp":
        start = balancer.question(args.service_port, args.health_with)
    return balancer.Checks(healer, start, rule)


def is_ended(endings: set[signal.Signals], within_s: float) -> bool:
    """Wait at most so long for one of these signals; return whether it has come.

    If the process was stopped, and continues after that time, Python returns a signal without a number.
    """
    info = signal.sigtimedwait(endings, within_s)
    return info is not None and info.si_signo in endings


class Rounds:
    """Rounds of work that the program cannot do by itself."""

    def __init__(
        self,
        healer: balancer.Healer,
        timeout_s: float,
        is_told: bool,
        look: Callable[[], int] | None,
        health: Callable[[], list[str]] | None = None,
    ) -> None:
        """`timeout_s` is 0 for never. `is_told`: backends report, so that one can fall silent.

        `look` releases held requests; it is called most often, as each of them takes a slot. `health` returns lines
        about the backends' health, and about requests that nobody can serve.
        """
        self._health = health
        self._healer, self._timeout_s, self._is_told, self._look = healer, timeout_s, is_told, look
        self._age_s = timeout_s / (healer.ages - 1)  # a thread taken at the end of an age has the whole timeout, too
        self._every_s = min(self._age_s or WATCH_S, WATCH_S)
        self.pause_s = LOOK_S if look else self._every_s
        self._older, self._due, self._silent = time.monotonic() + self._age_s, 0.0, 0

    def go(self) -> None:
        """Do what is due."""
        if self._look and (again := self._look()):
            say(f"retry: {again} requests wait again, which were lost with their workers")
        elif self._look and time.monotonic() < self._due:
            return
        self._due = time.monotonic() + self._every_s
        if self._timeout_s and time.monotonic() >= self._older:
            self._older = time.monotonic() + self._age_s  # without those missed: a stopped role knows of nobody
            if expired := self._healer.age():
                say(f"expired: {expired} threads are free again, not heard of for {self._timeout_s:g} s")
        if self._is_told and (now := self._healer.watch()) != self._silent:
            self._silent = now
            say(f"silent: {now} backends")
        for line in self._health() if self._health else ():
            say(line)
        self._healer.arrange()
        self._healer.kick()


def heal(rounds: Rounds) -> None:
    """Do rounds until SIGTERM. If the kernel refuses something, say so once, and go on."""
    trouble = ""
    while not is_ended({signal.SIGTERM, signal.SIGINT}, rounds.pause_s):
        try:
            rounds.go()
            trouble = ""
        except OSError as error:
            if str(error) != trouble:
                trouble = str(error)
                say(f"cannot heal: {error.strerror or error}; trying again")


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    try:
        main()
    except NetlabError as error:
        sys.exit(f"balancer: {error}")
