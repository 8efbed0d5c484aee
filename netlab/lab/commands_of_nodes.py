"""Refuses commands of a lab's nodes that could not be started."""

import os
from collections.abc import Sequence

from netlab.errors import HostError, NetlabError
from netlab.kernel import commands
from netlab.lab.standing import Standing
from netlab.plan.steps import StartRole


def check(lab: Standing, home: str, roles: Sequence[StartRole], *, any_runs: bool) -> None:
    """Refuse commands that could not be started, before anything is built; `home` is where they run."""
    if lab.runtime.has_files:  # the commands are in files that come with the nodes, and there are no nodes yet
        return
    if any_runs and commands.problem("ip", os.environ):
        raise HostError("ip is not installed; on Debian: apt-get install iproute2")
    own = lab.record.nodes
    for step in (each for each in roles if not own[each.node].has_own_files):  # a command may be one of these files
        refuse(step, commands.problem(step.argv[0], {**os.environ, **dict(step.env)}, home))


def refuse(step: StartRole, problem: str) -> None:
    """Raise NetlabError for a command with a problem, except a role's: it will fail to say READY."""
    if problem and not step.awaits_ready:
        raise NetlabError(f"{step.key}: command {step.argv[0]}: {problem}")
