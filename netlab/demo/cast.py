"""Who plays a demo: its topology with the changes that the demo needs, as a plan, and the facts for the judge."""

import os
import shlex
from collections.abc import Callable, Sequence
from typing import Protocol

from netlab import assets
from netlab.demo import report, scenes
from netlab.demo.extras import Extras
from netlab.demo.scenes import Scene
from netlab.judge.facts import Balancing, Dropping
from netlab.lab import host_networks
from netlab.lab.standing import Standing
from netlab.named_tuple import NamedTuple
from netlab.plan.description import describe
from netlab.plan.planner import Plan, plan
from netlab.topology import document, validate
from netlab.topology.validate.demo import read_prints


class Wanted(Protocol):
    """What a user wants of a demo: its name, a topology of his own and changes to it, and where to save everything."""

    name: str
    file: str | None
    set: list[str]
    lab: str | None
    runtime: str | None
    save: str | None
    prints: str | None
    untrusted: bool  # nobody vouches for the topology and what it names
    timeout: float  # seconds, until all roles are ready
    time_limit: float  # seconds, for all of it


class Cast(NamedTuple):
    """Who plays: the plan, the facts of its lab, and the changes by which it differs from the file."""

    scene: Scene
    path: str
    plan: Plan
    facts: Balancing | Dropping
    changes: tuple[str, ...]
    is_client_told: bool

    def extras(self) -> Callable[[Standing], Extras] | None:
        """Return what netlab does itself during a play."""
        known, script = self.facts, self.scene.script
        if not isinstance(known, Balancing) or script is None:
            return None
        own = None if self.is_client_told else script
        return lambda standing: Extras(standing, known, own, waits=script.rest_s > 0)

    def played(self, wanted: Wanted) -> report.Played:
        """Return what a report says of it."""
        words = [*filter(None, (wanted.name, wanted.file)), *(f"--set={change}" for change in wanted.set)]
        words += [f"--runtime={wanted.runtime}"] if wanted.runtime else []
        words += [f"--prints={wanted.prints}"] if wanted.prints else []
        words += ["--untrusted"] if wanted.untrusted else []
        with open(self.path, encoding="utf-8") as file:
            return report.Played(wanted.name, shlex.join(["netlab", "demo", *words]), file.read(), self.changes)


def cast(wanted: Wanted, scene: Scene | None = None) -> Cast:
    """Read the topology twice: first to know who the client is, and then with what it has to send.

    `scene` is played instead of the demo as it is.
    """
    scene = scene or scenes.find(wanted.name)
    path = wanted.file or os.path.join(assets.folder("topologies"), f"{scene.topology}.yml")
    name = wanted.lab or f"demo-{wanted.name}"

    patterns = read_prints(document.load(wanted.prints, what="a file of prints")) if wanted.prints else ()

    def read(changes: Sequence[str]) -> tuple[Plan, Balancing | Dropping]:
        written = document.load(path, changes)
        topology = validate.topology(written, untrusted=wanted.untrusted)
        if patterns:
            topology = topology._replace(judged=topology.judged._replace(prints=patterns))
        meant = topology._replace(name=name, runtime=wanted.runtime or topology.runtime)
        planned = plan(meant, written, host_networks.around(meant), untrusted=wanted.untrusted)
        return planned, scene.facts(topology, describe(planned, ""))

    first, known = read(wanted.set)
    told = scenes.changes(scene, first.topology, known.client)
    changes = (*told, *wanted.set)
    return Cast(scene, path, *read(changes), changes, bool(told))
