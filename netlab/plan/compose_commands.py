"""The commands of a node's container in Compose: first those that prepare the node, then its processes. Pure."""

import os
import shlex
from collections.abc import Sequence

from netlab import assets
from netlab.plan.steps import StartRole
from netlab.topology.model import Node

IDLE = ["sleep", "infinity"]
_RUN = '{ "$@"; echo "exited with code $?"; exec sleep infinity; }'
_ROLES_THERE = "/opt/netlab/roles"  # in the image (Dockerfile)


def command(node: Node, prepared: Sequence[str], running: Sequence[StartRole]) -> list[str]:
    """Return the shell command of a container. It ends in a wait without end, because nodes outlive their processes.

    `prepared` are commands that come before the node's setup.
    """
    first = [*prepared, *(shlex.join(each.argv) for each in node.setup)]
    if len(running) == 1:
        return ["sh", "-c", " && ".join([*first, _RUN]), "netlab", *_argv_there(running[0])]
    if running:
        beside = " ".join(_beside(step, node) for step in running)
        return ["sh", "-c", " && ".join([*first, f"{{ {beside} exec {' '.join(IDLE)}; }}"])]
    return ["sh", "-c", " && ".join([*first, " ".join(("exec", *IDLE))])] if first else IDLE


def _argv_there(step: StartRole) -> list[str]:
    """Return a role or command as it is called in the container."""
    own = assets.folder("roles")
    return [
        f"{_ROLES_THERE}/{os.path.basename(word)}" if step.awaits_ready and os.path.dirname(word) == own else word
        for word in step.argv
    ]


def _beside(step: StartRole, node: Node) -> str:
    """Return one of several processes as a shell starts it beside the others, with the variables that are its own."""
    variables = [f"{name}={value}" for name, value in step.env if (name, value) not in node.env]
    words = [*(("env", *variables) if variables else ()), *_argv_there(step)]
    return f'{{ {shlex.join(words)}; echo "{step.name} exited with code $?"; }} &'
