"""A topology that is built in Python, and printed as YAML."""

import os
from collections.abc import Mapping
from typing import Any

from netlab.errors import UsageError
from netlab.topology.document import Document, parse
from netlab.topology.document.dump import dump

_FILE = "(built in Python)"  # what messages call it


class Topology:
    """A topology, built node by node and link by link; each method returns the topology, so that calls can be chained.

    Keys are those of a topology's file (docs/topology.md), as keyword arguments. What is wrong is told when the lab is
    built, by line and column of `text()`. Paths are relative to `folder` (the current one).

        Topology("pair").node("a").node("b", command=["sleep", "inf"]).link("a", "b", subnet="10.0.0.0/24")
    """

    def __init__(self, name: str = "lab", *, folder: str | os.PathLike[str] = ".", **more: Any) -> None:
        self._folder = os.path.abspath(folder)
        self._said: dict[str, Any] = {"name": name, **more, "nodes": {}, "links": []}

    def node(self, name: str, **keys: Any) -> "Topology":
        """Add a node; `keys` are such as role, command, xdp, files. UsageError if there is one of its name."""
        if name in self._said["nodes"]:
            raise UsageError(f"there is a node {name} already: give this one another name")
        self._said["nodes"][name] = {key: value for key, value in keys.items() if value is not None}
        return self

    def switch(self, name: str, **keys: Any) -> "Topology":
        """Add a node that is a switch."""
        return self.node(name, kind="switch", **keys)

    def link(self, a: str | Mapping[str, Any], b: str | Mapping[str, Any], **keys: Any) -> "Topology":
        """Add a link between two nodes; an end may be a mapping, such as {"node": "a", "interface": "wan"}."""
        ends = [each if isinstance(each, str) else dict(each) for each in (a, b)]
        self._said["links"].append({"endpoints": ends, **keys} if keys else ends)
        return self

    def set(self, **keys: Any) -> "Topology":
        """Set keys of the whole topology, such as runtime, description, defaults."""
        self._said.update(keys)
        return self

    def text(self) -> str:
        """Return the topology as YAML, as a file would have it; UsageError for a value that YAML has not."""
        return dump(_plain(self._said))

    __str__ = text

    def document(self) -> Document:
        """Return the tree of its text; TopologyError if it is no topology at all."""
        return parse(self.text(), _FILE, os.path.join(self._folder, _FILE))


def _plain(value: Any) -> Any:
    """Return a value as YAML has it: paths are text, tuples lists."""
    if isinstance(value, Mapping):
        return {str(key) if isinstance(key, os.PathLike) else key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if value is None or isinstance(value, str | int | float | bool):
        return value
    raise UsageError(f"a topology has texts, numbers, lists and mappings; found {value!r}")
