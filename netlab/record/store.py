"""A lab on disk: what its folder says of it, and the lock that guards it.

/run/netlab/LAB/ is a private tmpfs (`lab_folder`). Its `lab.json` is what the lab is meant to be. It is written before
anything is made, and never changes. Every process of the lab finds it in NETLAB_NODE_FILE. The file `up` has the time
when the lab was complete; without it the lab is half-built. Everything that a lab needs elsewhere is a symlink into
this folder, so it is always clear what belongs to the lab, even when the folder is gone.

Who may read what: root all of it. The group of whoever has built the lab through sudo: `lab.json` and the logs, but not
`env.json`, the environment from the topology. Everybody: what `netlab status` shows, which is in `status.json` and in
what the supervisor writes.
"""

import errno
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar

from netlab import paths
from netlab.errors import NetlabError, UsageError
from netlab.kernel import files
from netlab.record import form, shapes
from netlab.record.model import LabRecord, NodeRecord

_T = TypeVar("_T")


def labs() -> list[str]:
    """Return the names of the labs that have a folder, complete or not."""
    try:
        return sorted(
            name for name in os.listdir(paths.LABS) if paths.is_label(name) and os.path.isdir(f"{paths.LABS}/{name}")
        )
    except FileNotFoundError:
        return []


def choose(lab: str | None) -> str:
    """Return the lab that a verb means: the one that is named, or the only one.

    Raises NetlabError if there is none, and UsageError, with their names, if there are several.
    """
    there = labs()
    if lab is not None:
        paths.folder_of(lab)
        if lab not in there:
            others = f"; there is {', '.join(there)}" if there else ""
            raise NetlabError(f"no lab named {lab} is up{others}")
        return lab
    if not there:
        raise NetlabError("no lab is up: netlab up FILE builds one")
    if len(there) > 1:
        raise UsageError(f"several labs are up ({', '.join(there)}): choose one with --lab NAME or NETLAB_LAB")
    return there[0]


def read(lab: str) -> LabRecord:
    """Return what the lab is meant to be (`lab.json`); NetlabError if that is missing, damaged or not for this user.

    Without root, the nodes in it have no `env`.
    """
    try:
        found = _load(lab, paths.RECORD, form.parsed)
    except PermissionError:
        raise NetlabError(
            f"{lab} was built by somebody else: without root you see of it what netlab status {lab} shows"
        ) from None
    try:
        variables = _load(lab, paths.ENVIRONMENT, lambda data: shapes.read(dict[str, dict[str, str]], data))
    except PermissionError:
        return found
    whose = {paths.node_of(key) for key in variables}
    own = {name: _with_variables(name, found.nodes[name], variables) for name in whose if name in found.nodes}
    return found._replace(nodes={**found.nodes, **own}) if own else found


def _with_variables(name: str, node: NodeRecord, variables: Mapping[str, Mapping[str, str]]) -> NodeRecord:
    """Return a node with what env.json has of it by NODE, and of its processes by NODE/NAME."""
    own = tuple(each._replace(env=variables.get(f"{name}/{each.name}", {})) for each in node.processes)
    return node._replace(env=variables.get(name, {}), processes=own)


def _variables(record: LabRecord) -> dict[str, Mapping[str, str]]:
    """Return what env.json is to have: by NODE, and by NODE/NAME what is a process's own, where there is anything."""
    of_processes = {
        f"{name}/{each.name}": each.env for name, node in record.nodes.items() for each in node.processes if each.env
    }
    return {**{name: node.env for name, node in record.nodes.items() if node.env}, **of_processes}


def _without_variables(node: NodeRecord) -> NodeRecord:
    return node._replace(env={}, processes=tuple(each._replace(env={}) for each in node.processes))


def gone(lab: str) -> NetlabError:
    """Return the error of a lab that was there, and has been removed meanwhile."""
    return NetlabError(f"{lab} is not up any more")


def is_readable(lab: str) -> bool:
    """Say whether the caller may read all of a lab's record but the variables of processes."""
    return os.access(f"{paths.folder_of(lab)}/{paths.RECORD}", os.R_OK)


def shown(lab: str) -> LabRecord:
    """Return what the caller may see of a lab's record: all that `read` returns, or else what `status` needs."""
    path = f"{paths.folder_of(lab)}/{paths.RECORD}"
    hidden = os.path.exists(path) and not is_readable(lab)
    return public(lab) if hidden else read(lab)


def public(lab: str) -> LabRecord:
    """Return what everybody may see of a lab's record; NetlabError if that is missing or damaged."""
    return _load(lab, paths.STATUS, lambda data: form.parsed(data, is_part=True))


def _load(lab: str, name: str, parse: Callable[[object], _T]) -> _T:
    """Return the content of a file of the record; PermissionError, or NetlabError with the reason, if there is none."""
    path = f"{paths.folder_of(lab)}/{name}"
    try:
        found = parse(files.load(path))
    except PermissionError:
        raise
    except FileNotFoundError:
        if not os.path.isdir(paths.folder_of(lab)):
            raise gone(lab) from None
        raise NetlabError(f"{lab} has no record ({path}), so it is not whole: netlab down --lab {lab}") from None
    except form.OtherFormatError as error:
        raise NetlabError(
            f"{path} is of another version of netlab: it {error}, and this one understands {form.FORMAT}; netlab down"
            f" --lab {lab} removes the lab, and netlab up builds it anew"
        ) from None
    except shapes.MisfitError as misfit:
        what = f"{path} is not what this netlab has written for {lab}"
        raise NetlabError(f"{what}: {misfit}; netlab down --lab {lab}") from None
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise NetlabError(f"{path} is damaged ({why}); netlab down --lab {lab}") from None
    if isinstance(found, LabRecord) and (found.lab, found.folder) != (lab, paths.folder_of(lab)):
        other = f"it is that of {found.lab} in {found.folder}"
        raise NetlabError(f"{path} is not what this netlab has written for {lab}: {other}; netlab down --lab {lab}")
    return found


def own_lab() -> tuple[LabRecord, str]:
    """Return the lab that this process is in, and its node; NetlabError if it is not a process of a lab."""
    lab, node = os.environ.get("NETLAB_LAB", ""), os.environ.get("NETLAB_NODE", "")
    if not lab or not node:
        raise NetlabError("this is no process of a lab: NETLAB_LAB and NETLAB_NODE are not set; try netlab run NODE")
    found = _load(lab, paths.RECORD, form.parsed)
    node_of(found, node)
    return found, node


def node_of(record: LabRecord, name: str) -> NodeRecord:
    """Return a node of a lab; UsageError with the nearest name if there is none of this name."""
    if name in record.nodes:
        return record.nodes[name]
    import difflib

    near = difflib.get_close_matches(name, record.nodes, 1)
    hint = f"did you mean {near[0]}?" if near else f"it has {', '.join(list(record.nodes)[:20])}"
    raise UsageError(f"the lab {record.lab} has no node {name}; {hint}")


def is_complete(lab: str) -> bool:
    """Say whether the lab's `up` has come to its end."""
    return os.path.exists(f"{paths.folder_of(lab)}/{paths.COMPLETE}")


def write(record: LabRecord) -> None:
    """Write the record of a lab whose folder is there, or replace it.

    Containers see some files by themselves, and not the folder: these keep their place on the disk.
    """
    folder = record.folder
    bare = {name: _without_variables(node) for name, node in record.nodes.items()}
    _dump(f"{folder}/{paths.ENVIRONMENT}", shapes.plain(_variables(record)), 0o600)
    _dump(f"{folder}/{paths.STATUS}", form.public(record), 0o444)
    whole = json.dumps(form.plain(record._replace(nodes=bare)), separators=(",", ":"))
    if record.runtime == "docker" and os.path.exists(f"{folder}/{paths.RECORD}"):
        files.overwrite(f"{folder}/{paths.RECORD}", whole)
    else:
        files.write(f"{folder}/{paths.RECORD}", whole, 0o440)


def _dump(path: str, data: object, mode: int) -> None:
    files.write(path, json.dumps(data, separators=(",", ":")), mode)


def mark_complete(lab: str) -> None:
    """Record that the lab is complete."""
    files.write(f"{paths.folder_of(lab)}/{paths.COMPLETE}", f"{time.time_ns()}\n")


@contextmanager
def locked(
    lab: str, patience_s: float = 60.0, waiting: Callable[[], None] = lambda: None, may_do_without: bool = False
) -> Iterator[int]:
    """Hold the lab's lock, so that one command at a time changes it; yields the lock's descriptor.

    A child that inherits the descriptor also holds the lock, until it ends. `waiting` is called once if another process
    has the lock. Raises NetlabError when that process and all below it have used no CPU time for `patience_s` seconds.
    Raises OSError if there is no room for the lock. With `may_do_without`, nobody has the lock then, if there is no
    folder either: there is no lab to guard.
    """
    from netlab.record.lock import Lock

    lock = Lock(paths.LABS, paths.lock(lab))
    try:
        try:
            lock.acquire(lab, patience_s, waiting)
        except OSError as error:
            if (
                error.errno not in (errno.ENOSPC, errno.EDQUOT)
                or not may_do_without
                or os.path.isdir(paths.folder_of(lab))
            ):
                raise
        yield lock.fd
    finally:
        lock.release(is_kept=os.path.isdir(paths.folder_of(lab)))
