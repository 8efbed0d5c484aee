"""Part A as a user has it: a lab, its client run by the command line, and what dropper and server saw of that."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar

from netlab.demo.events import Accepted, Arrived, Byte, Closed, Connected, EndOfFile, Event, Segment
from netlab.demo.wordings import parse
from netlab.supervise.logs import LogLine
from netlab.testing.waiting import eventually
from tests.lab.lab import ROOT, netlab

PARTA = f"{ROOT}/topologies/parta.yml"
SERVER = ("10.0.0.2", "fd00::2")
NUMBERS = 1 << 32
LISTENING = "0A"  # in /proc/net/tcp
TO_THE_PORT_FROM = "PASS_FIRST_FRAGMENT"  # the first reason of those that segments to the port have

_E = TypeVar("_E")


class Run(NamedTuple):
    """What one client did, and what the program and the server saw of it, each in its order."""

    connected: Connected
    sent: list[Byte]
    closed: bool
    traced: list[Segment]
    arrived: list[Arrived]
    ended: list[EndOfFile]

    @property
    def judged(self) -> list[Segment]:
        """The segments with data."""
        return [segment for segment in self.traced if segment.bytes]

    def check(self, count: int) -> None:
        """Fail unless each byte left with the next number, all were judged, and the odd ones, no others, arrived."""
        numbers = [(self.connected.isn + at) % NUMBERS for at in range(1, count + 1)]
        letters = [byte.data for byte in self.sent]
        odd = [(seq, letter, 1) for seq, letter in zip(numbers, letters, strict=True) if seq % 2]
        verdicts = [(seq, 1, *(("odd", "pass") if seq % 2 else ("even", "drop"))) for seq in numbers]
        before_the_hole = "".join(letters[: numbers[0] % 2]) if count else ""
        assert (numbers, list(range(1, count + 1))) == ([b.seq for b in self.sent], [b.number for b in self.sent])
        assert verdicts == [segment[1:] for segment in self.judged]
        assert odd == [segment[1:] for segment in self.arrived]
        assert [(len(before_the_hole), before_the_hole)] == [end[1:] for end in self.ended]
        assert {segment.connection for segment in self.arrived} <= {end.connection for end in self.ended}
        assert self.closed


class PartA:
    """A lab of part A that is up."""

    def __init__(self, name: str) -> None:
        self.name = name

    def command(self, verb: str, *words: str) -> list[str]:
        return [sys.executable, "-m", "netlab", verb, "--lab", self.name, *words]

    def netlab(self, verb: str, *words: str, code: int | None = 0) -> "subprocess.CompletedProcess[str]":
        return netlab(verb, "--lab", self.name, *words, code=code)

    def client(self, *options: str, code: int = 0) -> "subprocess.CompletedProcess[str]":
        """Run the client's role with other options."""
        return self.netlab("run", "client", *options, code=code)

    def start(self, verb: str, *words: str) -> "subprocess.Popen[str]":
        """Start a command of netlab beside the test."""
        return subprocess.Popen(
            self.command(verb, *words),
            cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONPATH": ROOT},
        )  # fmt: skip

    def role(self, node: str, *words: str, code: int = 0) -> "subprocess.CompletedProcess[str]":
        """Run a role, or another command with Python's way to it, in a node."""
        words = ("--lab", self.name, node, *words)
        return netlab("exec", *words, code=code, env={**os.environ, "PYTHONPATH": ROOT})

    def lines(self, *words: str) -> Iterator[Event]:
        """Yield the events that `logs` or `trace` tell."""
        for line in self.netlab(*words, "--format", "json").stdout.splitlines():
            about = json.loads(line)
            if event := parse(LogLine(0, about["node"], about["stream"], about["text"])):
                yield event

    def reasons(self) -> dict[str, int]:
        """Return the packets that the dropper has counted, by reason."""
        found: dict[str, Any] = json.loads(self.netlab("stats", "--format", "json").stdout)["programs"]["server"]
        return {name: count["packets"] for name, count in found["reasons"].items()}

    def trace(self) -> list[Segment]:
        """Return what the trace says of segments to the port, once it has a line for each that has been counted."""

        def traced() -> list[Segment]:
            return [event for event in self.lines("trace") if isinstance(event, Segment)]

        def counted() -> int:
            reasons = self.reasons()
            return sum(list(reasons.values())[list(reasons).index(TO_THE_PORT_FROM) :])

        eventually(lambda: len(traced()) == counted())
        return traced()

    def results(self, *outputs: str) -> list[Run]:
        """Return what there is to know of the runs whose clients have printed this."""
        said = [[parse(LogLine(0, "client", "out", line)) for line in text.splitlines()] for text in outputs]
        connected = [event for lines in said for event in lines if isinstance(event, Connected)]
        traced = self.trace()
        found = [conversation(traced, one) for one in connected]
        wanted = [(port_of(one.client), earlier) for one, (earlier, _) in zip(connected, found, strict=True)]
        eventually(lambda: all(self.ends(port, earlier) for port, earlier in wanted))
        logged = list(self.lines("logs", "server"))
        return [
            Run(
                one,
                [event for event in lines if isinstance(event, Byte)],
                any(isinstance(event, Closed) for event in lines),
                segments,
                of_connection(Arrived, logged, port_of(one.client), earlier),
                of_connection(EndOfFile, logged, port_of(one.client), earlier),
            )
            for one, lines, (earlier, segments) in zip(connected, said, found, strict=True)
        ]

    def ends(self, port: int, earlier: int) -> list[EndOfFile]:
        """Return the end that the server has seen of what came from a port, after so many earlier connections."""
        return of_connection(EndOfFile, list(self.lines("logs", "server")), port, earlier)

    def tcp(self, *names: str) -> dict[str, list[int]]:
        """Return what each node's kernel has counted of TCP under these names (/proc/net/snmp)."""
        found = {}
        for node in ("client", "server"):
            text = self.netlab("exec", node, "cat", "/proc/net/snmp").stdout
            heads, values = (line.split() for line in text.splitlines() if line.startswith("Tcp:"))
            found[node] = [int(values[heads.index(name)]) for name in names]
        return found

    def sockets(self, port: int = 9000) -> list[str]:
        """Return the TCP sockets of both nodes that do not listen and have this port at either end."""
        files = ("/proc/net/tcp", "/proc/net/tcp6")
        lines = [
            line
            for node in ("client", "server")
            for line in self.netlab("exec", node, "cat", *files).stdout.splitlines()
        ]
        return [line for line in lines if line.split()[3] != LISTENING and f":{port:04X} " in line]


def port_of(place: str) -> int:
    return int(place.rpartition(":")[2])


def conversation(traced: list[Segment], connected: Connected) -> tuple[int, list[Segment]]:
    """Return the segments of one connection, and how many connections came earlier from its port: ports come again."""
    from_port = [segment for segment in traced if segment.port == port_of(connected.client)]
    begin = max(at for at, each in enumerate(from_port) if (each.seq, each.bytes) == (connected.isn, 0))
    later = [at for at, each in enumerate(from_port) if at > begin and each.what == "SYN"]
    earlier = [segment for segment in from_port[:begin] if segment.what == "SYN"]
    return len(earlier), from_port[begin : min(later, default=None)]


def of_connection(kind: type[_E], logged: list[Event], port: int, earlier: int) -> list[_E]:
    """Return the server's events of a kind that belong to one connection from a port, after so many earlier ones."""
    numbers = [event.connection for event in logged if isinstance(event, Accepted) and port_of(event.client) == port]
    wanted = numbers[earlier : earlier + 1]
    return [event for event in logged if isinstance(event, kind) and getattr(event, "connection", "") in wanted]


@contextmanager
def parta(name: str, *options: str) -> Iterator[PartA]:
    """Build a lab of part A, and remove it afterwards."""
    try:
        netlab("up", PARTA, "--lab", name, *options)
        yield PartA(name)
    finally:
        netlab("down", "--lab", name)
