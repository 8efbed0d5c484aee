"""Directions of links that are led through the middle: sets them, and takes away what does so."""

from collections.abc import Callable, Sequence

from netlab.errors import NetlabError
from netlab.network import impairments
from netlab.network.visits import failed
from netlab.paths import MIDDLE
from netlab.plan.middle_steps import Impair
from netlab.plan.undo import Undo


def set_all(steps: Sequence[Impair], netns_path: Callable[[str], str]) -> None:
    """Do these steps; NetlabError says which one failed, and why."""
    for step in steps:
        try:
            impairments.set_direction(netns_path(MIDDLE), step.source, step.target, step.impairment)
        except OSError as error:
            raise failed(step, error.strerror or str(error)) from error


def clear_all(steps: Sequence[Impair], netns_path: Callable[[str], str]) -> None:
    """Undo these steps; NetlabError says which one failed, and why."""
    for step in steps:
        try:
            impairments.clear_direction(netns_path(MIDDLE), step.source, step.target)
        except (NetlabError, OSError) as error:
            raise failed(Undo(step), str(error)) from error
