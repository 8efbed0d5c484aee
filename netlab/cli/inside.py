"""The verbs that look into programs."""

from collections.abc import Callable

from netlab.cli import chosen, typed
from netlab.cli.console import say


def maps(args: typed.Maps) -> None:
    """Show, watch and change the maps of programs."""
    lab = chosen.standing(args)
    from netlab.cli.maps import operate

    operate(lab, args, say)


def programs(args: typed.Programs) -> None:
    """Show the programs of a lab, and what a run of each takes."""
    lab = chosen.standing(args)
    from netlab.cli.programs import show

    show(lab, args)


VERBS: dict[str, Callable[..., None]] = {"maps": maps, "programs": programs}
