"""Notes that name the files of a topology's roles and programs that do not come with netlab; they are no mistakes."""

import os
from collections.abc import Iterator

from netlab import assets
from netlab.topology.model import Topology

_FOLDERS = {"role": "roles", "program": "bpf"}


def of(topology: Topology) -> Iterator[str]:
    """Yield a sentence for each file that is not netlab's own; it says if netlab has a file of the same name."""
    roles = (("role", each.role, each.role_path) for node in topology.nodes for each in node.processes if each.role)
    files = (each.path for node in topology.nodes for each in node.programs)  # several programs may be in one file
    programs = (("program", os.path.basename(path).removesuffix(".c"), path) for path in files)
    for what, name, path in dict.fromkeys((*roles, *programs)):
        own = os.path.join(assets.folder(_FOLDERS[what]), os.path.basename(path))
        if path != own:
            yield f"the {what} {name} is {path}" + (", not netlab's own" if os.path.exists(own) else "")
