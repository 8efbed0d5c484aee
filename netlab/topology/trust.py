"""What may be said, and be read, of a topology that nobody vouches for (ADR 36). Reads no content of any file."""

import os

from netlab import assets
from netlab.topology import declared
from netlab.topology.model import Limits, Topology

# What a process may have in its own node; all else reaches beyond that.
CAPABILITIES = ("NET_ADMIN", "NET_BIND_SERVICE", "NET_RAW")
MAX_NODES, MAX_PROCESSES = 100, 400
# What a node may use that says nothing, and at most.
USUAL, MOST = Limits(cpu=1.0, memory=256 << 20, pids=128), Limits(cpu=4.0, memory=1 << 30, pids=1024)


def outside(beside: str, written: str) -> bool:
    """Say whether a path leads out of a topology's folder `beside`: by itself, or by a link. "" is no folder."""
    if not beside or os.path.isabs(os.path.expanduser(written)):
        return True
    top = os.path.realpath(beside)
    return not f"{os.path.realpath(os.path.join(top, written))}/".startswith(f"{top.rstrip('/')}/")


def is_own(path: str, kind: str = "roles") -> bool:
    """Say whether a file is one of netlab's own roles or programs."""
    return os.path.dirname(os.path.realpath(path)) == os.path.realpath(assets.folder(kind))


def is_privileged(role_path: str) -> bool:
    """Say whether a role is one of netlab's own that needs more than a process may have, as it opens maps."""
    return bool(role_path) and is_own(role_path) and not set(declared.capabilities(role_path)) <= set(CAPABILITIES)


def limited(topology: Topology) -> Topology:
    """Return a topology all of whose nodes have limits."""

    def of(said: Limits) -> Limits:
        return Limits(said.cpu or USUAL.cpu, said.memory or USUAL.memory, said.pids or USUAL.pids)

    return topology._replace(nodes=tuple(node._replace(limits=of(node.limits)) for node in topology.nodes))


def flag_problem(flag: str) -> str:
    """Return what was expected of an option for the compiler; "" for one that names no file and no plugin."""
    good = flag.startswith(("-D", "-U", "-O", "-mcpu=", "-std=")) or flag in ("-g", "-Wall", "-Wextra", "-Werror")
    good |= flag.startswith("-Wno-") and "," not in flag
    return "" if good else "an option that names no file, such as -DLIMIT=5"
