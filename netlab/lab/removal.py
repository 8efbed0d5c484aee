"""Finds everything that belongs to a lab on this host, at any stage of `up` or `down`, and removes it.

The lab's name is enough to find everything (docs/adr/0003-the-machine-is-the-journal.md).
"""

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from netlab import paths
from netlab.errors import NetlabError, UsageError, explain
from netlab.kernel import cgroups, files
from netlab.record import lab_folder, mark, store
from netlab.supervise import lab_cgroup
from netlab.words import count

if TYPE_CHECKING:
    from netlab.runtime.base import Runtime


def remove(lab: str, *runtimes: "Runtime") -> list[str]:
    """Remove a lab from this host, and return what was found; any part may be missing.

    If a part cannot be removed, the others are removed all the same, except the folder: without it the part could not
    be found again. NetlabError then says which part; a later `down` tries again.
    """
    folder = paths.folder_of(lab)
    parts: tuple[Callable[[], list[str]], ...] = (
        lambda: _stop_processes(lab, folder),
        lambda: _close_trace(lab),
        lambda: _leave_host(lab, folder),
        *(partial(_destroy, runtime) for runtime in runtimes),
    )
    found: list[str] = []
    problems: list[str] = []
    for part in parts:
        try:
            found += part()
        except Exception as error:  # noqa: BLE001 - in any case the other parts must go
            problems.append(explain(error)[0].removeprefix("netlab: "))
    if not problems and lab_folder.remove(lab):
        found.append(f"the folder {folder}")
    if problems:
        raise NetlabError(
            f"not all of {lab} could be removed: {'; '.join(problems)}; try netlab down --lab {lab} again"
        )
    return found


def _destroy(runtime: "Runtime") -> list[str]:
    names = runtime.destroy()
    return [count(len(names), "node")] if names else []


def _close_trace(lab: str) -> list[str]:
    from netlab.supervise import trace

    return ["a trace instance"] if trace.close_instance(lab) else []


def _leave_host(lab: str, folder: str) -> list[str]:
    if not os.path.isdir(f"{folder}/{paths.OUTSIDE}") and not _has_opened():
        return []
    from netlab.network import host_cleanup

    return host_cleanup.leave(lab, folder, _has_way(lab))


def _has_way(lab: str) -> bool | None:
    """Say whether a lab reaches the outside through this host; None if its record does not tell."""
    try:
        return any(node.internet for node in store.read(lab).nodes.values())
    except (NetlabError, OSError):
        return None


def _has_opened() -> bool:
    """Say whether any lab reaches the outside through this host."""
    return any(paths.is_forwarding(name) for name in files.names(paths.LABS))


def labs_with_leftovers(containers: bool = False) -> list[str]:
    """Return the labs of this machine, also those of which only a name, limits or a trace instance is left.

    With `containers`, return only labs with containers: this asks Docker, which is slower than all the rest.
    """
    from netlab.runtime import cgroup_limits
    from netlab.supervise import trace

    found = dict.fromkeys([*store.labs(), *cgroup_limits.labs(), *lab_cgroup.labs(), *trace.labs()])
    if _has_opened():
        from netlab.network import internet

        found.update(dict.fromkeys(internet.labs()))
    if containers:
        from netlab.runtime import docker

        found.update(dict.fromkeys(docker.labs()))
    for folder in (paths.RUN_NETNS, paths.ETC_NETNS):
        found.update(dict.fromkeys(_named_in(folder)))
    return sorted(found)


def find(lab: str | None) -> str:
    """Return the lab to remove, also if only leftovers of it exist; "" if none is named and none exists.

    Raises as `store.choose` for a lab that does not exist, and UsageError if there are several.
    """
    there = store.labs()
    left = labs_with_leftovers() if lab not in there and (lab or not there) else []
    if lab not in left and (lab or there):
        return store.choose(lab)
    if not lab and len(left) > 1:
        raise UsageError(f"of several labs something is left ({', '.join(left)}): netlab down --all removes them")
    return lab or "".join(left)


def has_names(lab: str, folder: str) -> bool:
    """Say whether a folder of named namespaces has names of this lab."""
    return lab in _named_in(folder, f"{lab}.")


def _named_in(folder: str, prefix: str = "") -> Iterator[str]:
    """Yield the labs to which the names in a folder belong; with `prefix`, only names that begin with it count."""
    for name in files.names(folder):
        target = files.target(f"{folder}/{name}") if name.startswith(prefix) else ""
        if target.startswith(f"{paths.LABS}/"):
            yield target.split("/")[3]


def _stop_processes(lab: str, folder: str) -> list[str]:
    """Stop the lab's supervisor and all other processes of the lab, and remove their control group."""
    from netlab.kernel import kill
    from netlab.supervise import client

    groups = lab_cgroup.find(lab, folder)
    cgroups.thaw(groups)  # frozen processes get no signals, and some cannot even be killed
    found = ["a supervisor"] if client.stop_supervisor(folder) else []
    if os.path.exists(f"{folder}/{paths.ROOMS}"):
        from netlab.runtime import rooms

        rooms.end(folder)  # their first processes heed no other signal
    variable = f"NETLAB_NODE_FILE={folder}/{paths.RECORD}"
    stopped = kill.stop_all(kill.Whose(namespaces(folder), variable, mark.mark(lab), groups))
    if stopped.spared:
        raise NetlabError(f"{', '.join(stopped.spared)} has called this command from inside the lab; end it first")
    if stopped.left:
        raise NetlabError(f"these processes of the lab cannot be ended: {', '.join(stopped.left)}; try again later")
    cgroups.remove(groups)
    return [*found, count(len(stopped.ended), "process", "es")] if stopped.ended else found


def namespaces(folder: str) -> set[tuple[int, int]]:
    """Return the namespaces that a lab holds, each by device and inode number."""
    found = set()
    for name in files.names(f"{folder}/{paths.NETNS}"):
        with suppress(FileNotFoundError):  # another `down` has just removed it
            about = os.stat(f"{folder}/{paths.NETNS}/{name}")
            found.add((about.st_dev, about.st_ino))
    return found
