"""What can be played: for each demo its topology, what the client sends, and who judges it."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from netlab.demo import behaviour, parta, partb
from netlab.demo.evidence import Claim, Evidence
from netlab.demo.extras import Script
from netlab.errors import UsageError
from netlab.judge import facts
from netlab.named_tuple import NamedTuple
from netlab.record.model import LabRecord
from netlab.topology import declared
from netlab.topology.model import Topology


class Scene(NamedTuple):
    """A demo: its topology, what its client sends, the options by which it does, and how it is judged.

    `judge` returns the claims on behaviour, which hold for any program. `closer` returns those on the lines and maps of
    netlab's own programs.
    """

    about: str
    topology: str
    script: Script | None
    sends: Mapping[str, object]
    facts: Callable[[Topology, LabRecord], facts.Balancing | facts.Dropping]
    is_over: Callable[[Evidence], bool]
    judge: Callable[[Evidence], list[Claim]]
    closer: Callable[[Evidence], list[Claim]]


LOW = Script(30, 0.1, (0.2, 0.5))
HIGH = Script(40, 0.02, (0.7, 1.0), late=5, rest_s=3.0)


def _sent(script: Script) -> dict[str, Any]:
    """Return the options by which netlab's own client sends this."""
    late = {"late": script.late, "rest": script.rest_s}
    sends = {"count": script.requests, "interval": script.interval_s, "sleep": list(script.sleep), **late}
    return {**sends, "distinct": "true"}


SCENES = {
    "parta": Scene(
        "a server that loses every other byte",
        "parta",
        None,
        {"connections": 2, "isn": 1000},  # one initial number is even, one is odd
        facts.dropping,
        parta.is_over,
        behaviour.parta,
        parta.claims,
    ),
    "partb-low": Scene(
        "short requests: a thread is always free",
        "partb",
        LOW,
        _sent(LOW),
        facts.balancing,
        behaviour.is_balanced,
        behaviour.partb_low,
        partb.low,
    ),
    "partb-high": Scene(
        "long requests: they wait in the kernel",
        "partb",
        HIGH,
        _sent(HIGH),
        facts.balancing,
        behaviour.is_balanced,
        behaviour.partb_high,
        partb.high,
    ),
}


def find(name: str) -> Scene:
    """Return a demo by its name; UsageError, with all of them, if there is none."""
    if name not in SCENES:
        known = "\n".join(f"  {each:<12}{scene.about}" for each, scene in SCENES.items())
        raise UsageError(f"there is no demo {name}; there are\n{known}")
    return SCENES[name]


def sending(scene: Scene, options: Mapping[str, str]) -> Scene:
    """Return a demo whose client sends something else, by its options as JSON; UsageError for a wrong value."""
    script = scene.script
    try:
        if script:
            said = {**_sent(script), **{name: json.loads(value) for name, value in options.items()}}
            low, high = sorted(map(float, said["sleep"]))
            count, late = int(said["count"]), int(said["late"])
            script = Script(count, float(said["interval"]), (low, high), late, float(said["rest"]))
    except (ValueError, TypeError) as error:
        raise UsageError(f"sends: expected numbers for count, interval, sleep, late and rest: {error}") from None
    return scene._replace(sends={**scene.sends, **options}, script=script)


def changes(scene: Scene, topology: Topology, client: str) -> Sequence[str]:
    """Return the changes (`--set`) by which a client sends what the demo needs, as far as its role has such options."""
    node = next(each for each in topology.nodes if each.name == client)
    where = node.replica_of or node.name
    for process in node.processes:
        options = (declared.read(process.role_path) or {}) if process.role else {}
        if options.keys() >= scene.sends.keys() - _OWN:
            several = len(node.processes) > 1 or process.name != where
            below = f"nodes.{where}.processes.{process.name}" if several else f"nodes.{where}"
            return [f"{below}.args.{key}={value}" for key, value in scene.sends.items() if key in options]
    return ()


_OWN = {"distinct", "late", "rest"}  # options that only netlab's own roles have, and that are not needed
