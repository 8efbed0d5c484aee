"""Finds what is missing of nodes with files of their own: namespaces, host names, files."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress

from netlab import paths
from netlab.kernel import syscalls

Found = list[tuple[str, str]]  # node, and what, in words


def lost(folder: str, viewers: Mapping[str, Sequence[str]]) -> Found:
    """Return what is gone; `viewers` are the paths that each node has for itself.

    Without root, only what can be seen from outside is told.
    """
    found: Found = []
    held = []
    device = _device(folder)
    for node in viewers:
        ways = [paths.space(folder, node, kind) for kind in ("mnt", "uts")]
        bare = [way for way in ways if _device(way) in (device, None)]
        found += [(node, f"its own files are gone: nothing is mounted at {way}") for way in bare[:1]]
        if not bare:
            held.append(node)

    def look(nodes: Iterator[str]) -> None:
        syscalls.unshare(syscalls.CLONE_FS)  # or this thread could not change its mounts
        with open("/proc/thread-self/ns/mnt", "rb") as host:
            for node in nodes:
                _enter(folder, node)
                found.extend((node, what) for what in _gone(node, viewers[node]))
                syscalls.setns(host.fileno(), syscalls.CLONE_NEWNS)

    with suppress(PermissionError):
        syscalls.in_threads(1, look, held)
    return found


def _enter(folder: str, node: str) -> None:
    descriptors = [os.open(paths.space(folder, node, kind), os.O_RDONLY | os.O_CLOEXEC) for kind in ("uts", "mnt")]
    try:
        for descriptor in descriptors:
            syscalls.setns(descriptor, 0)
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def _gone(node: str, own: Sequence[str]) -> Iterator[str]:
    """Yield what is not as planned in the node that this thread has entered."""
    if (name := os.uname().nodename) != node:
        yield f"its host name is {name}, planned is {node}"
    yield from (f"its own {path} is gone" for path in own if not os.path.lexists(path))


def _device(path: str) -> int | None:
    try:
        return os.stat(path).st_dev
    except OSError:
        return None
