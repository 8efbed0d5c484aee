"""Nodes as containers of a Docker engine; their network namespaces are held and named as in the other runtime.

The engine makes containers without a network; netlab joins them. What must be known of them later is in the lab's file
`containers`, so only `up` and `down` talk to the engine: see record.notes.
"""

import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from netlab import paths
from netlab.errors import HostError, NetlabError
from netlab.kernel import files, syscalls
from netlab.kernel.pids import has_started_another, is_alive, start_ticks
from netlab.record import shapes
from netlab.record.model import LabRecord
from netlab.record.notes import Containers, ProcessId
from netlab.runtime import cgroup_limits, engine, own_folders
from netlab.runtime.base import Command, Place, Rights
from netlab.runtime.container_files import ContainerFiles, gone
from netlab.runtime.names import Names
from netlab.topology.model import OwnFiles

_SETTLE_S, _SETTLE_INTERVAL_S = 1.0, 0.1
_STARTS_S, _STARTS_INTERVAL_S = 10.0, 0.005
# What a container's first process runs, below the engine's own init, which reaps: it only has to stay.
_STAY = ["sleep", "infinity"]
# A node may change its interfaces and routes, as in a namespace; all else is the engine's default.
_CAPABILITIES = ["NET_ADMIN"]
_LAB, _NODE, _MARK = "netlab.lab", "netlab.node", "netlab.mark"
_IPV6 = ("net.ipv6.conf.all.disable_ipv6", "net.ipv6.conf.default.disable_ipv6")  # the engine disables it


class Docker:
    """The containers of one lab.

    `record` is what they are meant to be. To remove a lab, its name and folder are enough.
    """

    has_files = True

    def __init__(self, lab: str, folder: str, record: LabRecord | None = None) -> None:
        self._lab = lab
        self._folder = folder
        self._record = record
        hosts = [name for name, node in record.nodes.items() if node.kind == "host"] if record else []
        self._names = Names(lab, folder, paths.RUN_NETNS, paths.ETC_NETNS, paths.BACK, hosts)

    @property
    def _planned(self) -> LabRecord:
        if self._record is None:
            raise NetlabError(f"the record of {self._lab} is lost: netlab down --lab {self._lab}")
        return self._record

    def create(self, nodes: Sequence[str], own: Mapping[str, OwnFiles] | None = None) -> None:
        """Start a container for each of these nodes, and give it the names of a namespace.

        Raises HostError, before anything is made, if no engine answers or an image is missing.
        """
        before, given = self._read() or Containers(engine.address(), os.urandom(8).hex(), {}), own or {}
        named, nodes = nodes, [node for node in nodes if node not in self._names.hosts]
        mark, made = before.mark, dict(before.nodes)
        with engine.connected(before.engine) as client:
            for image, users in self._images(nodes).items():
                engine.check_image(client, image, users)
            self._refuse_others(client, nodes)
            self._write(before)
            self._names.make(named)
            self._names.hold_host(named)

            def make(items: Iterator[str]) -> None:
                for node in items:
                    made[node] = self._make(client, node, mark, given.get(node, OwnFiles()))

            syscalls.in_threads(min(engine.THREADS, len(nodes) or 1), make, nodes)
            self._write(before._replace(nodes=made))

    def remove(self, nodes: Sequence[str]) -> None:
        """Remove the containers of these nodes, and their names; what is missing is left out."""
        known = self._read()
        if known:
            with engine.connected(known.engine) as client:
                ours = client.containers(all=True, filters={"label": f"{_MARK}={known.mark}"})
                gone = [each for each in ours if each["Labels"].get(_NODE) in nodes]
                syscalls.in_threads(engine.THREADS, partial(_remove_all, client), gone)
            self._write(known._replace(nodes={name: each for name, each in known.nodes.items() if name not in nodes}))
        self._names.remove_of(nodes)
        own_folders.remove(self._folder, nodes)

    def open_middle(self) -> None:
        """Make the middle of the lab's links if there is none; it is no container."""
        self._names.open_middle()

    def destroy(self) -> list[str]:
        """Remove the lab's containers, then the names of their namespaces; return the names of both.

        If all else of the lab is gone, the names show that it had containers. So they stay if no engine answers.
        """
        removed = self._remove_containers()
        return list(dict.fromkeys([*self._names.remove(), *removed]))

    def _remove_containers(self) -> list[str]:
        known = self._read()
        if not known and self._has_none():
            return []
        where = known.engine if known else engine.address()
        # An `up` that was cut off may have asked for a container that is not listed yet.
        until = time.monotonic() + (_SETTLE_S if known and not known.nodes else 0)
        removed: list[str] = []
        with engine.connected(where) as client:
            while True:
                labelled = client.containers(all=True, filters={"label": f"{_LAB}={self._lab}"})
                ours = [container for container in labelled if self._is_ours(container, known.mark if known else "")]
                removed += [name for container in ours for name in _names(container)]
                syscalls.in_threads(engine.THREADS, partial(_remove_all, client), ours)
                if time.monotonic() >= until:
                    return removed
                time.sleep(_SETTLE_INTERVAL_S)

    def _has_none(self) -> bool:
        """Say whether a lab whose engine is not recorded cannot have containers."""
        if os.path.exists(f"{self._folder}/{paths.RECORD}") and not os.path.lexists(
            f"{self._folder}/{paths.CONTAINERS}"
        ):
            return True  # `up` records which engine it asks, before it asks for anything
        return not self._names.there() and not engine.answers(engine.address())

    def broken(self, nodes: Sequence[str]) -> list[tuple[str, str]]:
        """Return which containers have ended and which names are gone, as (node, in words)."""
        known = self._read()
        if known and not engine.answers(known.engine):
            return [("", f"its Docker engine at {known.engine} has ended")]
        alive = {name: first.pid for name, first in known.nodes.items() if is_alive(*first)} if known else {}
        found = [
            (node, "its container has ended")
            for node in nodes
            if node not in alive and node not in self._names.hosts and node != paths.MIDDLE
        ]
        for node in (each for each in nodes if each in alive):
            found += ((node, what) for what in gone(alive[node], self._planned.nodes[node].own_paths()))
        return [*found, *self._names.lost(nodes)]

    def netns_path(self, node: str) -> str:
        """Return the path of the node's namespace, which is a mount in the lab's folder."""
        return self._names.target(node)

    def wrap(self, node: str, argv: Sequence[str], rights: Rights = ()) -> Command:  # noqa: ARG002 - it is trusted
        """Return how `argv` runs in the node's container; NetlabError if that has ended."""
        if node in self._names.hosts:
            return Command(["ip", "netns", "exec", paths.netns_name(self._lab, node), *argv])
        first = self._first(node)
        if not first or not is_alive(*first):
            raise NetlabError(f"the container {self._lab}.{node} has ended: netlab down and up make it anew")
        return Command(list(argv), Place(*first, self._planned.nodes[node].capabilities))

    def memory_kills(self, node: str) -> int:
        """Return how many processes of the node the kernel has killed, while its container runs."""
        first = self._first(node)
        limited = first and self._planned.nodes[node].limits.memory and is_alive(*first)
        return cgroup_limits.memory_kills_around(first.pid) if first and limited else 0

    def _first(self, node: str) -> ProcessId | None:
        """Return the first process of a node's container, None if it is not known."""
        known = self._read()
        return known.nodes.get(node) if known else None

    def _read(self) -> Containers | None:
        try:
            return shapes.read(Containers, files.load(f"{self._folder}/{paths.CONTAINERS}"))
        except (OSError, ValueError):  # `up` has not written it yet, or the folder is gone
            return None

    def _write(self, known: Containers) -> None:
        files.write(f"{self._folder}/{paths.CONTAINERS}", json.dumps(shapes.plain(known)))

    def _is_ours(self, container: Mapping[str, Any], mark: str) -> bool:
        """Say whether a container with the lab's label is this lab's own.

        It has the lab's mark. If the mark is gone with the lab's folder, it is the lab's if it was given that folder to
        see.
        """
        return bool(container["Labels"].get(_MARK) == mark) if mark else _was_given(container, self._folder)

    def _refuse_others(self, client: Any, nodes: Sequence[str]) -> None:
        """Raise NetlabError if a container that is not the lab's has a name that the lab needs."""
        wanted = {f"{self._lab}.{node}" for node in nodes}
        for container in client.containers(all=True, filters={"name": f"^/{self._lab}[.]"}):
            for name in wanted.intersection(_names(container)):
                left = self._is_ours(container, "")
                way = f"netlab down --lab {self._lab}" if left else f"docker rm -f {name}"
                raise NetlabError(
                    f"a container named {name} exists: {way} removes it, or give the lab another name with --lab"
                )

    def _images(self, nodes: Sequence[str]) -> dict[str, list[str]]:
        images: dict[str, list[str]] = {}
        for node in nodes:
            images.setdefault(self._planned.nodes[node].image, []).append(node)
        return images

    def _make(self, client: Any, node: str, mark: str, own: OwnFiles) -> ProcessId:
        """Start a node's container, hold its namespace, and return its first process."""
        its = ContainerFiles(self._planned, self._folder, node, own)
        config = self._config(client, node, mark, its.mounts())
        container = client.create_container_from_config(config, f"{self._lab}.{node}")["Id"]
        its.give(client, container)
        client.start(container)
        pid = client.inspect_container(container)["State"]["Pid"]
        first = ProcessId(pid, start_ticks(pid))
        self._await_stay(client, container, node, first)
        try:
            self._names.hold(node, f"/proc/{pid}/ns/net")
        except OSError as error:
            raise NetlabError(f"cannot hold the namespace of the container of {node}: {error}") from error
        return first

    def _await_stay(self, client: Any, container: str, node: str, first: ProcessId) -> None:
        """Return when the engine's init has started the process that keeps the container alive.

        Raises NetlabError if that ended, as in an image without it, and HostError if the engine is not of this host.
        A process that is about to end has lost its root before the engine knows of it: so one look is not enough.
        """
        until = time.monotonic() + _STARTS_S
        while time.monotonic() < until:
            if not (seen := self._sees_our_files(first.pid)):
                engine.check_running(client, container, node)
            elif has_started_another(*first):
                return
            time.sleep(_STARTS_INTERVAL_S)
        if seen:
            raise NetlabError(f"the container of {node} has not started `{_STAY[0]}` after {_STARTS_S:g} s")
        raise HostError(
            f"the containers of this Docker engine do not see {self._folder}: netlab needs an engine of this host, "
            f"with its mounts and its process ids"
        )

    def _sees_our_files(self, pid: int) -> bool:
        """Say whether the engine's paths and process ids are this machine's, and not another's."""
        here = f"{self._folder}/{paths.RECORD}"
        try:
            return os.path.samefile(here, f"/proc/{pid}/root{here}")
        except OSError:
            return False

    def _config(self, client: Any, node: str, mark: str, mounts: Sequence[Mapping[str, object]]) -> Any:
        about = self._planned.nodes[node]
        allowed = about.limits
        host = client.create_host_config(
            network_mode="none",
            init=True,
            userns_mode="host",
            cap_add=_CAPABILITIES,
            sysctls=dict.fromkeys(_IPV6, "0") if os.path.exists("/proc/sys/net/ipv6") else {},
            # as a quota: the engine would refuse more processors than the host has, and that is no limit
            cpu_period=cgroup_limits.PERIOD_US if allowed.cpu else None,
            cpu_quota=round(allowed.cpu * cgroup_limits.PERIOD_US) or None,
            mem_limit=allowed.memory or None,
            memswap_limit=allowed.memory or None,  # otherwise what does not fit into memory would go to swap
            pids_limit=allowed.pids or None,
            mounts=mounts,
        )
        return client.create_container_config(
            image=about.image,
            entrypoint=_STAY,
            command=[],
            hostname=paths.label_of(node),
            user="0:0",
            working_dir="/",
            environment=self._planned.variables(node),
            labels={_LAB: self._lab, _NODE: node, _MARK: mark},
            healthcheck={"test": ["NONE"]},
            host_config=host,
        )


def labs() -> set[str]:
    """Return the labs that have containers in the chosen engine; none if no engine answers."""
    where = engine.address()
    if not engine.answers(where):
        return set()
    with engine.connected(where) as client:
        labelled = client.containers(all=True, filters={"label": _LAB})
    named = [(container["Labels"][_LAB], container) for container in labelled]
    return {lab for lab, container in named if _was_given(container, f"{paths.LABS}/{lab}")}


def _was_given(container: Mapping[str, Any], folder: str) -> bool:
    """Say whether a lab's folder is mounted in a container: only the lab's own containers have it."""
    return any(mount.get("Source") == f"{folder}/{paths.RECORD}" for mount in container["Mounts"])


def _remove_all(client: Any, containers: Iterator[Mapping[str, Any]]) -> None:
    for container in containers:
        engine.remove(client, container["Id"])


def _names(container: Mapping[str, Any]) -> list[str]:
    return [name.lstrip("/") for name in container["Names"]]
