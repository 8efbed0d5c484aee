"""Which files a play's programs were made of, and where they are kept, so that they compile there as they did."""

import os
from collections.abc import Iterator, Mapping
from itertools import count
from typing import NamedTuple

from netlab.demo.evidence import Evidence
from netlab.kernel import files
from netlab.topology import sources


class Kept(NamedTuple):
    """What is kept of programs: each node's by its path, and all files, both relative to the folder of programs."""

    paths: Mapping[str, str]
    contents: Mapping[str, bytes]

    def write(self, into: str) -> None:
        """Write all of it into a new folder; raises OSError."""
        os.mkdir(into)
        for name, content in self.contents.items():
            os.makedirs(os.path.dirname(f"{into}/{name}"), exist_ok=True)
            with open(f"{into}/{name}", "xb") as file:
                file.write(content)


def kept(evidence: Evidence) -> Kept:
    """Return the lab's programs as they were compiled, with the headers of their own and of netlab that they include.

    A node's program that needs a name which another one has already is kept in a folder of the node's.
    Raises OSError where a header cannot be read.
    """
    paths: dict[str, str] = {}
    contents: dict[str, bytes] = {}
    for node, source in evidence.sources.items():
        [program] = evidence.lab.nodes[node].programs
        place, own = _own(program.path, source)
        folder = next(each for each in _folders(node) if _is_free(contents, each, own))
        paths[node] = folder + place
        contents.update({folder + name: content for name, content in own.items()})
    return Kept(paths, contents)


def _own(path: str, source: str) -> tuple[str, dict[str, bytes]]:
    """Return where a program is among its files, and these by their paths.

    Where it includes some from above its folder, so many folders above are kept too.
    """
    included = {header.name: header.path for header in sources.headers(path, source)}
    above = max((name.split("/").count("..") for name in included), default=0)
    folder = "/".join(os.path.dirname(path).split("/")[-above:]) if above else ""
    place = os.path.join(folder, os.path.basename(path))
    places = {os.path.normpath(os.path.join("/", folder, name))[1:]: header for name, header in included.items()}
    return place, {**{name: files.read(header) for name, header in places.items()}, place: source.encode()}


def _folders(node: str) -> Iterator[str]:
    """Yield where a node's program could be, the best first; a folder of headers may have the name of a node."""
    yield from ("", f"{node}/")
    yield from (f"{node}-{number}/" for number in count(2))


def _is_free(contents: Mapping[str, bytes], folder: str, own: Mapping[str, bytes]) -> bool:
    """Say whether files can be added to a folder: no other file has a name of theirs, or that of a folder of theirs."""
    for name, content in own.items():
        path = folder + name
        if contents.get(path, content) != content or any(each.startswith(f"{path}/") for each in contents):
            return False
        while path := os.path.dirname(path):
            if path in contents:
                return False
    return True
