"""Tables for people. The only user of rich."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

from netlab.cli.console import is_painted

_NUMBERS = {  # columns that are aligned to the right
    "PACKETS", "BYTES", "PID", "CPU", "MEMORY", "FREE THREADS", "CAPACITY", "WEIGHT",
    "COUNT", "POINTS", "OF", "NODES", "ENTRIES", "ID", "INSTRUCTIONS", "XLATED", "JITED", "RUNS", "RUNS/S", "NS/RUN",
    "CARRIED", "LOST", "DOUBLED", "CORRUPTED", "OVERTOOK", "DELAYED NOW", "DROPPED",
    "LOST REQUESTS", "LOST COMPLETIONS", "DOUBLED COMPLETIONS",
}  # fmt: skip


def console() -> Any:
    """Return the console for tables: stdout."""
    from rich.console import Console

    # Texts are printed unchanged: text in brackets, or between colons, may be the name of a folder. And a pipe
    # or a file is as wide as its lines: nothing is cut or folded there.
    width = None if sys.stdout.isatty() else 10_000
    colours: Literal["auto"] | None = "auto" if is_painted() else None
    return Console(markup=False, emoji=False, highlight=False, color_system=colours, width=width)


def painted(text: str) -> Any:
    """Return what `console.Painted` has made, as a table takes it."""
    from rich.text import Text

    return Text.from_ansi(text)


def table(*columns: str) -> Any:
    """Return an empty table with these columns; numbers are aligned to the right."""
    from rich.table import Table

    made = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        right = column in _NUMBERS
        made.add_column(column, justify="right" if right else "left")
    return made


@contextmanager
def progress(what: str, total: int, named: Callable[[Any], str]) -> Iterator[Callable[[Any], None]]:
    """Show a bar on stderr; what is yielded gets each thing that is done, of which `named` returns a line."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    shown = Console(stderr=True, markup=False, highlight=False, emoji=False)
    with Progress(*columns, console=shown, transient=True) as bar:
        task = bar.add_task(what, total=total)
        done: set[str] = set()

        def tell(thing: Any) -> None:
            done.add(thing.name)
            bar.update(task, completed=len(done))
            shown.print(named(thing))

        yield tell
