"""The verb `graph`: a file or a lab that is up, as a drawing."""

import os
import shutil
import sys
from typing import TYPE_CHECKING

from netlab import paths
from netlab.cli import chosen, typed
from netlab.cli.console import is_terminal
from netlab.errors import NetlabError, UsageError
from netlab.observe import graph
from netlab.paths import process_key
from netlab.record import store
from netlab.words import few

if TYPE_CHECKING:
    from netlab.observe.status import LabStatus

_BY_ENDING = {".svg": "svg", ".png": "png", ".pdf": "pdf", ".dot": "dot", ".gv": "dot", ".mmd": "mermaid"}
_BINARY = ("png", "pdf")


def draw(args: typed.Graph) -> None:
    """Draw what is meant into a file, or to stdout."""
    form = args.format or _form(args.save)
    if args.file in store.labs() and not os.path.exists(args.file):
        args.lab, args.file = args.file, ""
    if args.file and not os.path.exists(args.file) and not os.path.dirname(args.file):
        up = few(store.labs()) or "none"
        raise UsageError(f"{args.file}: expected a topology, or a lab that is up ({up}); found no file of this name")
    drawing = _of_file(args) if args.file else _of_lab(args)
    data = graph.mermaid(drawing).encode() if form == "mermaid" else graph.dot(drawing).encode()
    if form not in ("mermaid", "dot"):
        data = graph.render(data.decode(), form)
    if not args.save:
        if form in _BINARY and is_terminal():
            raise UsageError(f"a {form} is not for a terminal: netlab graph --save lab.{form}")
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        return
    try:
        with open(args.save, "xb") as file:
            file.write(data)
    except FileExistsError:
        raise UsageError(f"{args.save} is there already: name another file") from None
    except OSError as error:
        raise NetlabError(f"cannot write {args.save}: {error.strerror}") from None


def _form(save: str | None) -> str:
    """Return the form that is wanted: by the file's ending, or the best one for where stdout goes."""
    if save:
        ending = os.path.splitext(save)[1]
        if ending not in _BY_ENDING:
            raise UsageError(f"{save}: expected a name that ends in {', '.join(_BY_ENDING)}, or --format")
        return _BY_ENDING[ending]
    return "svg" if shutil.which("dot") and not is_terminal() else "mermaid"


def _of_file(args: typed.Graph) -> graph.Drawing:
    from netlab.plan import description

    plan = chosen.planned(args)
    return graph.of(description.describe(plan, paths.folder_of(plan.topology.name)))


def _of_lab(args: typed.Graph) -> graph.Drawing:
    """Draw a lab as it is: what runs, and where something is not as planned."""
    from netlab.lab import link_state
    from netlab.lab.standing import Standing
    from netlab.observe import status

    lab = store.choose(args.lab)
    if not store.is_readable(lab):
        chosen.elevate(args, lab)
    found = status.read(lab)
    states = {name: _states(name, found) for name in found.nodes}
    standing = Standing.read(lab)
    bad = {paths.node_of(problem.where.partition(" ")[0]) for problem in found.problems}
    return graph.of(standing.record, states, bad, link_state.are_down(standing))


def _states(name: str, found: "LabStatus") -> list[str]:
    said = []
    for each in found.nodes[name].processes:
        own = each.process.removeprefix(f"{name}/") if each.process != process_key(name, name) else ""
        word = own or os.path.basename(each.role or (each.command or ("command",))[0])
        said.append(f"{word}: stopped on request" if each.stopped_by_request else f"{word}: {each.state}")
    return said
