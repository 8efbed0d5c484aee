"""Saves a play in a folder: what it printed, what was captured, its sources, and a report to hand in."""

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from netlab.demo import report, show, sources
from netlab.demo.evidence import Claim, Evidence
from netlab.demo.outcome import Outcome
from netlab.errors import NetlabError, UsageError
from netlab.kernel import files, umask
from netlab.observe.capture import Captured
from netlab.observe.painter import Plain
from netlab.record import form, shapes


@contextmanager
def folder(path: str) -> Iterator[str]:
    """Make a folder to be filled by a play, and yield its absolute path; after an error nothing of it is left.

    UsageError if there is something at that path already, because nothing is ever overwritten. Also if others could
    change the folder, or put another in its place: they could make root write elsewhere.
    """
    where, made = _made(path, report.CAPTURES)  # from now on it is not empty, so nobody else takes it
    try:
        yield where
    except BaseException:
        _empty(where)
        if made:
            shutil.rmtree(made, ignore_errors=True)
        raise
    _give_away(made or where)


@contextmanager
def lasting(path: str, first: str, *, is_there: bool) -> Iterator[str]:
    """As `folder`, but what is in it stays after an error; it begins with a folder of the name `first`.

    One that `is_there` goes on; UsageError if it does not begin so.
    """
    if is_there:
        _refuse_others(path, os.path.abspath(path))
        if not os.path.isdir(os.path.join(path, first)):
            raise UsageError(f"{path}: expected a folder that an earlier run has saved into, with {first} in it")
        where = made = os.path.abspath(path)
    else:
        where, made = _made(path, first)
    try:
        yield where
    finally:
        _give_away(made or where)


def _made(path: str, first: str) -> tuple[str, str]:
    """Make a folder with a first one in it; return its absolute path, and the topmost folder that was made."""
    where = os.path.abspath(path)
    made = _highest_missing(where)
    try:
        _refuse_others(path, where)
        os.makedirs(where, exist_ok=True)
        _refuse_others(path, where)  # in /tmp somebody else may just have made it
        if not path or os.listdir(where):
            raise UsageError(f"--save {path!r}: expected a folder that is not there yet, or is empty")
        if made:
            os.chmod(where, 0o777 & ~(umask.callers() | 0o022))
        os.mkdir(f"{where}/{first}")
    except OSError as error:
        raise UsageError(f"--save {path}: expected a folder that can be made: {error.strerror}") from error
    return where, made


def _empty(folder: str) -> None:
    """Remove everything in a folder, as far as possible; the error that led here is the one to report."""
    for name in files.names(folder):
        path = f"{folder}/{name}"
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path, ignore_errors=True)
        else:
            with suppress(OSError):
                os.unlink(path)


def _refuse_others(path: str, where: str) -> None:
    """Raise UsageError if others than root, and whoever called us through sudo, can change or replace that folder."""
    user = os.environ.get("SUDO_UID", "")
    friend = int(user) if user.isdecimal() else 0
    wrong = files.problem_around(f"{where}/inside", friend)
    if not wrong and os.path.exists(where):
        wrong = files.problem(os.stat(where), friend)
    if wrong:
        raise UsageError(f"--save {path}: {wrong}: expected a folder of your own, or a new one in such a folder")


def _highest_missing(path: str) -> str:
    """Return the topmost folder on the way to `path` that does not exist; "" if all exist."""
    missing = ""
    while not os.path.lexists(path):
        missing, path = path, os.path.dirname(path)
    return missing


def _give_away(path: str) -> None:
    """Give what root has written to the user who called us through sudo."""
    user, group = os.environ.get("SUDO_UID", ""), os.environ.get("SUDO_GID", "")
    if user.isdigit() and group.isdigit():
        for _, _, names, place in os.fwalk(path):
            for name in (".", *names):
                os.chown(name, int(user), int(group), dir_fd=place, follow_symlinks=False)


def write(
    into: str, played: report.Played, evidence: Evidence, claims: Sequence[Claim], captures: Sequence[Captured]
) -> None:
    """Write everything but the captures: timeline, counters, claims, topology, programs and the report.

    NetlabError when the disk is full, for example.
    """
    with _told(into):
        _write(into, played, evidence, claims, captures)


def failure(into: str, played: report.Played, found: Outcome) -> None:
    """Write what there is of a demo that was not played: the topology, and a report that says why; as `write`."""
    with _told(into):
        texts = {
            "topology.yml": played.topology,
            "claims.json": "[]\n",
            "report.md": "\n".join(report.of_failure(played, found)) + "\n",
        }
        for name, text in texts.items():
            files.write(f"{into}/{name}", text)


@contextmanager
def _told(into: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise NetlabError(f"--save: cannot write to {into}: {error.strerror}") from error


def _write(
    into: str, played: report.Played, evidence: Evidence, claims: Sequence[Claim], captures: Sequence[Captured]
) -> None:
    plain = show.Timeline(evidence.lab, Plain())
    lines = [plain.text(entry, evidence.begin_ns) for entry in evidence.timeline]
    texts = {
        "timeline.txt": "".join(f"{line}\n" for line in lines),
        "timeline.jsonl": "".join(f"{json.dumps(each)}\n" for each in show.as_data(evidence)),
        "counters.json": json.dumps(shapes.plain(evidence.stats), indent=2) + "\n",
        "claims.json": json.dumps([show.claim_as_data(claim) for claim in claims], indent=2) + "\n",
        "topology.yml": played.topology,
        "lab.json": json.dumps(form.plain(evidence.lab), indent=2) + "\n",
    }
    for name, text in texts.items():
        files.write(f"{into}/{name}", text)
    programs = sources.kept(evidence)
    programs.write(f"{into}/{report.PROGRAMS}")
    told = "\n".join(report.text(played, evidence, claims, captures, lines, programs.paths))
    files.write(f"{into}/report.md", told + "\n")
