"""What a verb works on: a plan, or a lab that stands; and the way to root."""

import os
import sys
from typing import TYPE_CHECKING

from netlab import paths
from netlab.cli import typed
from netlab.cli.console import detail, say
from netlab.errors import HostError, UsageError
from netlab.kernel import umask
from netlab.record import store

if TYPE_CHECKING:
    from netlab.lab.standing import Standing
    from netlab.plan.planner import Plan


_NO_COLOUR = "NO_COLOR"
_LOOKED_AT = 1 << 20  # characters of a file that may be a topology
# All variables that control netlab, except NETLAB_LAB.
KEPT = (
    "DOCKER_HOST",
    "DOCKER_TLS_VERIFY",
    "DOCKER_CERT_PATH",
    "DOCKER_CLIENT_TIMEOUT",
    paths.SIZE_VARIABLE,
    paths.CACHE_VARIABLE,
    "NETLAB_DEBUG",
    _NO_COLOUR,
)


def planned(args: typed.OfTopology) -> "Plan":
    """Return the plan of the topology that the verb names."""
    from netlab.lab import planning
    from netlab.topology import document

    args.file = args.file or _only_topology()
    runtime = args.runtime if isinstance(args, typed.Up | typed.Test) else None
    untrusted = isinstance(args, typed.Validate) and args.untrusted
    written, stands = document.load(args.file, args.set), isinstance(args, typed.Apply)
    return planning.planned(written, args.lab or "", runtime or "", untrusted=untrusted, as_it_stands=stands)


def _only_topology() -> str:
    """Return the file that is the only topology of the current folder, and say so; UsageError if it is not clear."""
    import re

    names = sorted(name for name in os.listdir() if name.endswith((".yml", ".yaml")) and os.path.isfile(name))
    found = []
    for name in names:
        with open(name, encoding="utf-8", errors="replace") as file:
            if re.search(r"^[\"']?nodes[\"']?\s*:", file.read(_LOOKED_AT), re.MULTILINE):
                found.append(name)
    if len(found) == 1:
        say(f"netlab: note: the topology is {found[0]}")
        return found[0]
    if found:
        raise UsageError(f"which topology? This folder has {', '.join(found)}: name one as FILE")
    raise UsageError("no topology is named, and this folder has none (a .yml file with `nodes:`): name one as FILE")


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
    whole = ["sudo", "--", *(("env", *kept) if kept else ()), *start, *words]
    detail(f"{args.words[0]} needs root: {' '.join(whole)}")
    try:
        os.execvp("sudo", whole)
    except OSError:
        raise HostError(f"{args.words[0]} needs root, and there is no sudo here: run it as root") from None


def _told() -> dict[str, str]:
    """Return the caller's variables that matter; root has another home, so the folder of certificates is added."""
    found = {name: os.environ[name] for name in KEPT if name in os.environ}
    if found.get("DOCKER_TLS_VERIFY") and not found.get("DOCKER_CERT_PATH"):
        found["DOCKER_CERT_PATH"] = os.path.expanduser("~/.docker")
    return found
