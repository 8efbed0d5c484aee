"""The sources of netlab's own programs: what stands in bpf/NAME.c and, where there is such a folder, in bpf/NAME/."""

import hashlib
import os
import re
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from netlab import paths
from tests.checkout import ROOT

FOLDER = Path(ROOT) / "bpf"
REASONS = "balancer/reasons.h"  # which file of the balancer has its reasons

Files = Mapping[str, str]  # the text of each file, by its path in FOLDER


def number(name: str) -> int:
    """Return a number that the balancer's settings fix."""
    found = re.search(rf"^#define {name} (\d+)", of("balancer")["balancer/settings.h"], re.MULTILINE)
    assert found, name
    return int(found[1])


def of(name: str) -> dict[str, str]:
    """Return the files of a program, its own first."""
    paths = (FOLDER / f"{name}.c", *sorted((FOLDER / name).glob("*.h")))
    return {os.path.relpath(path, FOLDER): path.read_text(encoding="utf-8") for path in paths}


def changed(files: Files, changes: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return files with changes, made one after the other wherever the old text stands; it must stand somewhere."""
    found = dict(files)
    for old, new in changes:
        assert count(found, old), old
        found = {path: text.replace(old, new) for path, text in found.items()}
    return found


def count(files: Files, text: str) -> int:
    """Return how often a text stands in files."""
    return sum(each.count(text) for each in files.values())


def write(files: Files, folder: str | Path) -> str:
    """Write a program into a folder, and those of its headers that differ from netlab's; return its path.

    A header that stands beside the program is found before that of netlab.
    """
    program = next(iter(files))
    for path, text in files.items():
        if path == program or text != (FOLDER / path).read_text(encoding="utf-8"):
            Path(folder, path).parent.mkdir(exist_ok=True)
            Path(folder, path).write_text(text, encoding="utf-8")
    return str(Path(folder, program))


def kept(files: Files) -> str:
    """Write a program as `write` does, the same text always to the same path, until all tests end; return that path.

    Each text is compiled once so, as netlab keeps what it has compiled by the path, and trusts no header that is new.
    """
    digest = hashlib.sha256(repr(sorted(files.items())).encode()).hexdigest()
    folder = Path(paths.cache_folder()).parent / "sources" / digest
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(prefix=digest, dir=folder.parent))  # processes in two cells may have one number
        beside.chmod(0o755)
        write(files, beside)
        for path in beside.rglob("*"):
            os.utime(path, (0, 0))
        with suppress(OSError):  # another process has been faster
            beside.rename(folder)
    return str(folder / next(iter(files)))
