"""Which files a play's programs were made of, and where they are saved, so that they compile there again."""

import os
from collections.abc import Iterator, Mapping, Sequence
from itertools import count

from netlab.demo.evidence import Evidence
from netlab.kernel import files
from netlab.named_tuple import NamedTuple
from netlab.topology import program_text
from netlab.topology.model import OBJECT


class Kept(NamedTuple):
    """What is saved of programs: the path of each, by its key, and all files; relative to the folder of programs."""

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
    """Return the lab's programs as they were compiled, with the headers, own ones and netlab's, that they include.

    If two programs need the same name, the second is in a folder that is called as it is. Raises OSError if a header
    cannot be read.
    """
    paths: dict[str, str] = {}
    contents: dict[str, bytes] = {}
    for key, program in evidence.lab.programs():
        place, own = _own(program.path, evidence.sources[key], program.include)
        folder = next(each for each in _folders(key.replace("/", ".")) if _is_free(contents, each, own))
        paths[key] = folder + place
        contents.update({folder + name: content for name, content in own.items()})
    return Kept(paths, contents)


def _own(path: str, data: bytes, include: Sequence[str]) -> tuple[str, dict[str, bytes]]:
    """Return the path of a program among its files, and these by their paths; an object is alone.

    If it includes files from above its folder, as many folders above it are kept.
    """
    source = "" if path.endswith(OBJECT) else data.decode(errors="replace")
    included = {header.name: header.path for header in program_text.headers(path, source, include)}
    above = max((name.split("/").count("..") for name in included), default=0)
    folder = "/".join(os.path.dirname(path).split("/")[-above:]) if above else ""
    place = os.path.join(folder, os.path.basename(path))
    places = {os.path.normpath(os.path.join("/", folder, name))[1:]: header for name, header in included.items()}
    return place, {**{name: files.read(header) for name, header in places.items()}, place: data}


def _folders(name: str) -> Iterator[str]:
    """Yield folders for a program of this name, the best first; a folder of headers may have it, too."""
    yield from ("", f"{name}/")
    yield from (f"{name}-{number}/" for number in count(2))


def _is_free(contents: Mapping[str, bytes], folder: str, own: Mapping[str, bytes]) -> bool:
    """Say whether files can be added to a folder: no other file has the name of one of them, or of its folder."""
    for name, content in own.items():
        path = folder + name
        if contents.get(path, content) != content or any(each.startswith(f"{path}/") for each in contents):
            return False
        while path := os.path.dirname(path):
            if path in contents:
                return False
    return True
