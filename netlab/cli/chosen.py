"""What a verb works on: a plan, or a lab that stands; and the way to root."""

import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from netlab import paths
from netlab.cli import typed
from netlab.cli.console import say
from netlab.errors import HostError, NetlabError
from netlab.kernel import umask
from netlab.record import store

if TYPE_CHECKING:
    from netlab.lab.standing import Standing
    from netlab.plan.planner import Plan
    from netlab.plan.surroundings import Surroundings
    from netlab.topology.model import Topology


_NO_COLOUR = "NO_COLOR"
# All variables that control netlab, except NETLAB_LAB.
KEPT = (
    "DOCKER_HOST",
    "DOCKER_TLS_VERIFY",
    "DOCKER_CERT_PATH",
    "DOCKER_CLIENT_TIMEOUT",
    store.SIZE_VARIABLE,
    paths.CACHE_VARIABLE,
    "NETLAB_DEBUG",
    _NO_COLOUR,
)


def planned(args: typed.OfTopology) -> "Plan":
    """Return the plan of the topology that the verb names."""
    from netlab.plan.planner import plan
    from netlab.topology import document, validate

    written = document.load(args.file, args.set)
    topology = validate.topology(written)
    if args.lab:
        paths.folder_of(args.lab)
        topology = topology._replace(name=args.lab)
    if isinstance(args, typed.Up) and args.runtime:
        topology = topology._replace(runtime=args.runtime)
    if isinstance(args, typed.Apply) and topology.name in store.labs():
        with suppress(NetlabError):  # `apply` reads the record again later, and reports this
            topology = topology._replace(runtime=store.public(topology.name).runtime)
    return plan(topology, written, surroundings_of(topology))


def surroundings_of(topology: "Topology") -> "Surroundings":
    """Return what of this host a lab must take into account; only one with a node that is this host has to."""
    from netlab.plan.surroundings import NOWHERE

    if not any(node.kind == "host" for node in topology.nodes):
        return NOWHERE
    from netlab.lab import host_networks

    return host_networks.around(topology)


def note(plan: "Plan") -> None:
    """Tell what a person should see of a plan: which files were chosen, and what may be meant otherwise."""
    from netlab.plan import chosen_files

    for text in (*chosen_files.of(plan.topology), *plan.notes):
        say(f"netlab: note: {text}")


def standing(args: typed.Arguments) -> "Standing":
    """Return the lab that the verb means, as root."""
    lab = store.choose(args.lab)
    elevate(args, lab)
    from netlab.lab.standing import Standing

    return Standing.read(lab)


def lab_of(args: typed.OfNode) -> "Standing":
    """Return the lab that the verb means, as root and with the node it names in it."""
    found = standing(args)
    store.node_of(found.record, args.node)
    return found


def elevate(args: typed.Arguments, lab: str | None = None) -> None:
    """Go on as root: if we are not, start this very command again through sudo.

    sudo drops the environment. So the lab is passed as an option, and all other variables that matter as words of
    `env`. A rule that lets somebody run netlab through sudo does not let him run `env`, so it is there only if needed.
    """
    if os.geteuid() == 0:
        return
    lab = lab or args.lab
    told = _told()
    # many have this one for all programs, and netlab works without it
    kept = [f"{name}={value}" for name, value in told.items()] if told.keys() - {_NO_COLOUR} else []
    words = [args.words[0], *(("--lab", lab) if lab and not args.lab_given else ()), *args.words[1:]]
    program = sys.argv[0]
    start = [program] if os.access(program, os.X_OK) else [sys.executable, "-I", "-m", "netlab"]
    umask.give_back()
    try:
        os.execvp("sudo", ["sudo", "--", *(("env", *kept) if kept else ()), *start, *words])
    except OSError:
        raise HostError(f"{args.words[0]} needs root, and there is no sudo here: run it as root") from None


def _told() -> dict[str, str]:
    """Return the caller's variables that matter; root has another home, so the folder of certificates is added."""
    found = {name: os.environ[name] for name in KEPT if name in os.environ}
    if found.get("DOCKER_TLS_VERIFY") and not found.get("DOCKER_CERT_PATH"):
        found["DOCKER_CERT_PATH"] = os.path.expanduser("~/.docker")
    return found
