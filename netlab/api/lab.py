"""A lab from Python."""

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from netlab.errors import HostError, NetlabError, TimeLimitError, UsageError
from netlab.lab.standing import Standing
from netlab.record import store
from netlab.record.model import LabRecord

if TYPE_CHECKING:  # each is imported where it is used: the command line uses this, too, and starts fast
    from netlab.api import packets
    from netlab.api.balancer import Balancer
    from netlab.api.link import Link
    from netlab.api.node import Node
    from netlab.api.processes import Processes
    from netlab.api.topology import Topology
    from netlab.observe import stats, status
    from netlab.observe.events import Event
    from netlab.observe.link_stats import LinkStats
    from netlab.topology import document

_T = TypeVar("_T")
_RUNTIMES = ("netns", "docker")
_READY_S = 30.0
_WAIT_S = 10.0
_LOOK_S = 0.02


class Lab:
    """A lab that is up: `Lab.up` builds one, `Lab.attach` takes one that is there. A `with` removes it at its end.

    It needs root. Nothing is printed, and no state is kept but the lab's record as it was then. It may be used from any
    thread. Every error is one of netlab.errors, as NetlabError. `notes` are what `netlab` would have told on the way.

        with Lab.up("topologies/partb.yml", set={"nodes.client.args.count": 5}) as lab:
            lab["client"].run(["ping", "-c1", "lb"], check=True)
    """

    def __init__(self, standing: Standing, notes: list[str]) -> None:
        """Not for callers: see `up` and `attach`."""
        self.standing = standing
        self.notes = notes

    @classmethod
    def up(
        cls,
        topology: "str | os.PathLike[str] | Topology",
        *,
        set: Mapping[str, object] = {},  # noqa: A002 - as the option is called
        name: str = "",
        runtime: str = "",
        untrusted: bool = False,
        timeout: float = _READY_S,
    ) -> "Lab":
        """Build the lab of a file or of a Topology, and return when its processes are ready.

        `set` changes values by their place in the topology, such as nodes.client.args.count. `name` and `runtime` are
        taken instead of the topology's own. With `untrusted` nobody vouches for the topology: whatever it runs and
        loads is confined (docs/trust.md), and it may name nothing outside its folder. Each process may take `timeout`
        seconds until it is ready.

        TopologyError with all mistakes; NetlabError, with everything undone, if a step fails, or a lab of this name is
        there; HostError if this host cannot do it. While it works, SIGINT, SIGTERM and SIGHUP to the main thread undo
        the lab and raise KeyboardInterrupt.
        """
        _need_root()
        if runtime not in ("", *_RUNTIMES):
            raise UsageError(f"runtime {runtime!r}: expected {' or '.join(_RUNTIMES)}")
        from netlab.lab import bring_up, planning

        notes: list[str] = []

        def plan() -> Any:
            return planning.planned(_document(topology, _sets(set)), name, runtime, untrusted=untrusted)

        planned = plan()
        if not bring_up.up(planned, timeout, notes.append, again=plan):
            raise NetlabError(
                f"{planned.topology.name} is up already: Lab.attach takes it, or give this one another name"
            )
        return cls(Standing.read(planned.topology.name), notes)

    @classmethod
    def attach(cls, name: str = "") -> "Lab":
        """Return a lab that is up; without a name, the only one. NetlabError if there is none."""
        _need_root()
        return cls(Standing.read(store.choose(name or None)), [])

    def apply(
        self,
        topology: "str | os.PathLike[str] | Topology",
        *,
        set: Mapping[str, object] = {},  # noqa: A002 - as the option is called
        timeout: float = _READY_S,
    ) -> None:
        """Make this lab what a file or a Topology says now, by the difference only; what is the same goes on.

        Errors and signals are as for `up`: then the lab is as it was before.
        """
        from netlab.lab import changing, planning

        planned = planning.planned(_document(topology, _sets(set)), self.name, as_it_stands=True)
        changing.apply(planned, timeout, self.notes.append)
        self.standing = Standing.read(self.name)

    def down(self) -> None:
        """Remove the lab, with all that belongs to it; it is no error if it is gone already."""
        from netlab.lab import bring_up

        bring_up.down(self.name, self.notes.append)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.down()

    def __repr__(self) -> str:
        return f"<lab {self.name}>"

    # ---- what it is --------------------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """The lab's name."""
        return self.record.lab

    @property
    def record(self) -> LabRecord:
        """What the lab is meant to be, as it was planned."""
        return self.standing.record

    @property
    def nodes(self) -> "dict[str, Node]":
        """The lab's nodes by their names, in the order of the file."""
        return {name: self[name] for name in self.record.nodes}

    def __getitem__(self, node: str) -> "Node":
        """Return a node; UsageError, with the nearest name, if there is none of this name."""
        from netlab.api.node import Node

        store.node_of(self.record, node)
        return Node(self.standing, node, self.notes.append)

    def __iter__(self) -> Iterator[str]:
        return iter(self.record.nodes)

    def __contains__(self, node: object) -> bool:
        return node in self.record.nodes

    def __len__(self) -> int:
        return len(self.record.nodes)

    # ---- what happens in it ------------------------------------------------------------------------------------------

    def status(self) -> "status.LabStatus":
        """Return what runs in the nodes, and what is not as planned (`problems`)."""
        from netlab.observe import status

        self._need_up()
        return status.read(self.name)

    def stats(self) -> "stats.LabStats":
        """Return what programs count, and a balancer's threads and queue."""
        from netlab.observe import stats

        self._need_up()
        return stats.read(self.standing)

    def events(
        self, *sources: str, since_ns: int = 0, pattern: str = "", follow: bool = False, interval: float = 0.0
    ) -> "Iterator[Event]":
        """Yield what was printed and what happened, in the order of time: of these nodes, or NODE/NAME, or of all.

        Only from `since_ns` on (CLOCK_MONOTONIC), and what has the regular expression `pattern` in its text. With
        `follow` it goes on with what comes, until the lab is removed; close the iterator to end it before. Then it also
        tells which links go up and down and, every `interval` seconds, the rates of interfaces and counters.
        """
        from netlab.api import lines

        lines.catch_up(self.record)
        return lines.read(self.record, sources, since_ns, pattern, follow, interval)

    def wait_for(self, pattern: str, *sources: str, since_ns: int = 0, timeout: float = _WAIT_S) -> "Event":
        """Return the first line with the regular expression in it, also one that is there already; else TimeLimitError.

        `sources` are nodes, or NODE/NAME.
        """
        from netlab.api import lines

        return lines.wait_for(self.record, pattern, sources, since_ns, timeout)

    def wait(self, condition: Callable[[], _T], what: str = "the condition", *, timeout: float = _WAIT_S) -> _T:
        """Call something again and again until its result is true, and return that; TimeLimitError if it never is."""
        until = time.monotonic() + timeout
        while not (found := condition()):
            if time.monotonic() >= until:
                raise TimeLimitError(f"{what} is not so after {timeout:g} s; it is {found!r}")
            time.sleep(_LOOK_S)
        return found

    def capture(
        self,
        path: "str | os.PathLike[str]" = "",
        *places: str,
        filter: str = "",  # noqa: A002 - as everybody calls it
        verdicts: bool = False,
    ) -> "AbstractContextManager[packets.Packets]":
        """Capture packets while a block runs: into a new pcapng file, or, without one, into `seen` of what it yields.

        `places` are NODE or NODE:INTERFACE, all if there are none; `filter` is in tcpdump's words. With `verdicts` the
        programs there tell what becomes of each packet. UsageError, or NetlabError if something cannot be captured.
        """
        from netlab.api import packets

        return packets.capture(self.standing, os.fspath(path), places, filter, verdicts, self.notes.append)

    def processes(self, *names: str) -> "Processes":
        """Return processes, each as NODE or NODE/NAME, to be started, stopped, killed or paused together."""
        from netlab.api.processes import Processes

        if not names:
            raise UsageError("expected processes, as NODE or NODE/NAME, found none")
        return Processes(self.record, names, self.notes.append)

    def link(self, *names: str) -> "Link":
        """Return the link between two nodes, or that of an end NODE:INTERFACE; UsageError if there is none."""
        from netlab.api.link import Link
        from netlab.lab import named_links
        from netlab.record import impaired

        named_links.find(impaired.directions(self.record, None), names)
        return Link(self.standing, names, self.notes.append)

    def links(self, *, sender: str = "") -> "tuple[LinkStats, ...]":
        """Return all links: what they do to packets, and what was counted; of `sender`, only what that node sends."""
        from netlab.observe import link_view

        self._need_up()
        return link_view.read(self.standing, sender=sender)

    def _need_up(self) -> None:
        """Refuse to look into a lab that is gone: nothing is there, and zeros would look like counts."""
        if self.name not in store.labs():
            raise store.gone(self.name)

    def balancer(self, node: str = "") -> "Balancer":
        """Return the balancer of a node, or the only one; UsageError if there is none, or several."""
        from netlab.api.balancer import Balancer

        return Balancer(self.standing, node, self.notes.append)


def _sets(changes: Mapping[str, object]) -> list[str]:
    """Return changes of a topology as they are typed; JSON is YAML."""
    return [f"{at}={value if isinstance(value, str) else json.dumps(value)}" for at, value in changes.items()]


def _document(topology: "str | os.PathLike[str] | Topology", sets: list[str]) -> "document.Document":
    from netlab.api.topology import Topology
    from netlab.topology import document

    if isinstance(topology, Topology):
        return document.changed(topology.document(), sets)
    return document.load(os.fspath(topology), sets)


def _need_root() -> None:
    if os.geteuid():
        raise HostError("labs are built and entered by root: run this Python as root, such as by sudo -E")
