"""A submission: a C file, or a folder with programs, roles or a topology, read whole before anything of it runs."""

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import count

from netlab.errors import UsageError
from netlab.grade import folders
from netlab.named_tuple import NamedTuple
from netlab.topology import program_text
from netlab.topology.document.source import MAX_BYTES
from netlab.topology.document.tree import printable

_TOPOLOGY = re.compile(r"^[\"']?nodes[\"']?\s*:", re.MULTILINE)
_ENTRY = re.compile(r"\bxdp_md\b|\b__sk_buff\b|\bSEC\s*\(")
_ENDINGS = (".yml", ".yaml")
_LONGEST_NAME = 200  # bytes
_C_ENDINGS = (".c", ".h")
_MOST_C = 4 << 20  # bytes of C, which are looked through before anything is compiled: half a second for each megabyte


class Submission(NamedTuple):
    """What was handed in: its files by their paths, and which of them is the program or the topology, "" for none.

    `problem` says why it cannot be graded. `left_out` are links, pipes and the like.
    """

    name: str
    files: dict[str, bytes]
    program: str = ""
    topology: str = ""
    problem: str = ""
    left_out: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """All C text that was handed in, but for the kernel's types."""
        sources = (data for name, data in self.files.items() if _is_c(name))
        return "\n".join(data.decode(errors="replace") for data in sources)


def read_all(wanted: Sequence[str]) -> list[Submission]:
    """Return all submissions, each with a name of its own; UsageError for one that is not there."""
    names = _names(wanted)
    return [read(path, name) for path, name in zip(wanted, names, strict=True)]


def read(path: str, name: str) -> Submission:
    """Return a submission; UsageError if there is nothing at its path. What is wrong in it is its `problem`."""
    if not os.path.lexists(path):
        raise UsageError(f"{path}: expected a submission, which is a C file or a folder, found nothing")
    if not os.path.isdir(path) and not path.endswith(".c"):
        raise UsageError(f"{path}: expected a C file (.c) or a folder")
    try:
        if not os.path.isdir(path):
            main = os.path.basename(path)
            data = folders.text(path).encode(errors="replace")
            return Submission(name, {main: data}, main, problem=_too_long({main: data}))
        found = folders.contents(path)
    except UsageError as error:
        return Submission(name, {}, problem=str(error))
    submission = Submission(name, found.files, left_out=tuple(found.left_out))
    problem = _too_long(found.files)
    return submission._replace(problem=problem) if problem else _with_main(submission)


def _is_c(name: str) -> bool:
    return name.endswith(_C_ENDINGS) and os.path.basename(name) != program_text.KERNEL_TYPES


def _too_long(files: Mapping[str, bytes]) -> str:
    """Return how the C that is looked through before anything runs is too long, "" if it is not."""
    if (found := sum(len(data) for name, data in files.items() if _is_c(name))) > _MOST_C:
        return f"expected at most {_MOST_C >> 20} MiB of C in .c and .h, found {found:,} bytes: hand in less"
    return ""


def _with_main(submission: Submission) -> Submission:
    """Find the topology, or else the program, of a folder."""
    top = [name for name in submission.files if "/" not in name]
    topologies = [name for name in top if name.endswith(_ENDINGS) and _TOPOLOGY.search(_decoded(submission, name))]
    if len(topologies) == 1:
        found = len(submission.files[topologies[0]])
        problem = f"{topologies[0]}: expected a topology of at most {MAX_BYTES:,} bytes, found {found:,}"
        return submission._replace(topology=topologies[0], problem=problem if found > MAX_BYTES else "")
    if topologies:
        return submission._replace(problem=f"which topology? There are {', '.join(topologies)}: expected one")
    programs = [name for name in top if name.endswith(".c") and _is_program(_decoded(submission, name))]
    if len(programs) > 1:
        return submission._replace(
            problem=f"which program? There are {', '.join(programs)}: expected one .c file, or a topology"
        )
    return submission._replace(program=next(iter(programs), ""))


def _decoded(submission: Submission, name: str) -> str:
    return submission.files[name].decode(errors="replace")


def _is_program(text: str) -> bool:
    return bool(_ENTRY.search(program_text.without_comments(text)))


def _names(wanted: Iterable[str]) -> list[str]:
    """Return a name for each path: its last part, with as many folders before it as tell it from the others."""
    parts = [os.path.abspath(path).removesuffix(".c").split("/") for path in wanted]
    names = []
    for each in parts:
        others = [other for other in parts if other != each]
        length = 1
        while any(other[-length:] == each[-length:] for other in others):
            length += 1
        names.append(_as_folder("-".join(each[-length:])))
    found: list[str] = []
    for name in names:  # the same path twice, or alike when they are made fit for a folder
        numbered = (f"{name}-{number}" for number in count(2))
        found.append(name if name not in found else next(each for each in numbered if each not in (*found, *names)))
    return found


def _as_folder(name: str) -> str:
    """Return a name by which a folder can be called: on one line, not hidden, and not too long."""
    shown = printable(name.lstrip(".")).encode()[:_LONGEST_NAME]
    return shown.decode(errors="ignore") or "submission"
