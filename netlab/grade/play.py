"""One play of a submission: its files are laid out, a process of its own plays it, and whatever is left is removed."""

import errno
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from tempfile import TemporaryDirectory
from typing import Any

from netlab import paths
from netlab.errors import HostError, NetlabError, TopologyError, explain
from netlab.grade import child
from netlab.grade.exercise import LAB, Exercise
from netlab.grade.owner import Owner
from netlab.grade.result import Play
from netlab.grade.submission import Submission
from netlab.grade.variations import Variation, filled
from netlab.kernel import files
from netlab.lab import bring_up
from netlab.topology import document, validate
from netlab.topology.document.dump import dump
from netlab.topology.document.tree import Mapping as Tree
from netlab.topology.document.tree import plain
from netlab.topology.validate.untrusted import HINT as UNTRUSTED

_GRACE_S, _REMOVAL_S = 25.0, 30.0  # behind the time limit: for the judge; and until a lab is removed
_LOOK_S = 0.1
_MOST_BYTES = 64 << 20  # of what a child writes
_SIZE = "64M"  # of a lab's folder, half of which its logs may take
_WORK = "work"
_DUMPING = threading.Lock()  # its library is imported whole at first use, and until then seen half by other threads
_NO_PLACE = (errno.EISDIR, errno.ENOTDIR, errno.EEXIST, errno.ENOTEMPTY, errno.ENAMETOOLONG)


class Stopped(Exception):  # noqa: N818 - it is no error
    """Grading was interrupted."""


def play(
    exercise: Exercise,
    submission: Submission,
    variation: Variation,
    time_limit: float,
    owner: Owner,
    stop: threading.Event,
) -> Play:
    """Play a submission once, and return how it ended; Stopped if `stop` is set meanwhile."""
    began = time.monotonic()
    lab, folder = owner.place()
    try:
        job = {**lay_out(exercise, submission, variation, f"{folder}/{_WORK}"), "lab": lab, "time_limit": time_limit}
        files.write(f"{folder}/{child.JOB}", json.dumps(job), 0o600)
        done = _done(folder, time_limit + _GRACE_S, stop)
    except NetlabError as error:  # the submission does not fit the exercise's lab
        done = {"outcome": "usage", "problem": explain(error)[0], "claims": [], "tail": []}
    finally:
        _clean(lab, folder)
    shown = done["problem"].replace(f"{folder}/{_WORK}/", "").replace(f"{folder}/{_WORK}", "the submission's folder")
    done = {**done, "problem": shown}
    return Play(variation.number, variation.values, **done, seconds=time.monotonic() - began)


def refuse_reaching(exercise: Exercise) -> None:
    """Raise TopologyError for an exercise whose lab itself reaches outside: no submission is to be blamed for that."""
    usual = {draw.name: draw.usual for draw in exercise.draws}
    name = "program.c"
    nothing = Submission("", {name: b""}, name if exercise.place else "")
    with TemporaryDirectory() as folder:
        job = lay_out(exercise, nothing, Variation(1, usual, {}), f"{folder}/{_WORK}")
        written = document.load(job["topology"], job["set"])
        try:
            validate.topology(written, untrusted=True)
        except TopologyError as error:
            reaching = [mistake for mistake in error.mistakes if mistake.hint.startswith(UNTRUSTED)]
            if reaching:  # other mistakes may be what is to be handed in
                raise TopologyError(f"the lab of {exercise.name}", reaching) from None


def lay_out(exercise: Exercise, submission: Submission, variation: Variation, folder: str) -> dict[str, Any]:
    """Write all files of a play into a new folder; return what is played there.

    The exercise's own files take the place of submitted ones. NetlabError if the program has no place.
    """
    for name, data in {**submission.files, **exercise.files}.items():
        _write(folder, name, data)
    files.ensure_folder(folder, files.FOR_ALL)
    path = os.path.join(folder, submission.topology or LAB)
    sets: list[str] = []
    if not submission.topology:
        _write(folder, LAB, filled(exercise.lab, variation.values).encode())
        sets = _program_set(exercise, submission, variation, path)
    elif not exercise.demo:
        files.write(path, _with_checks(submission, filled(exercise.lab, variation.values)))
    sends = {name: filled(value, variation.values) for name, value in exercise.sends.items()}
    expects = dict(exercise.expects) if submission.topology else {}
    return {"demo": exercise.demo, "topology": path, "set": sets, "sends": sends, "expects": expects}


def _write(folder: str, name: str, data: bytes) -> None:
    """Write a file of a play; NetlabError if it has no place among the others."""
    path = os.path.join(folder, name)
    try:
        files.ensure_folder(os.path.dirname(path), files.FOR_ALL)
        files.write(path, data)
    except (OSError, HostError) as error:
        if isinstance(error, OSError) and error.errno not in _NO_PLACE:
            raise
        why = (isinstance(error, OSError) and error.strerror) or "a file is where a folder belongs"
        raise NetlabError(f"{name} has no place beside the exercise's files: {why}") from None


def _with_checks(submission: Submission, lab: str) -> str:
    """Return a submission's topology with the checks of the exercise's lab; its own ones do not count."""
    text = submission.files[submission.topology].decode(errors="replace")
    own, ours = (plain(document.parse(each, submission.topology).root) for each in (text, lab))
    if not isinstance(own, dict) or not isinstance(ours, dict):
        raise NetlabError(f"{submission.topology}: expected a topology")
    with _DUMPING:
        return dump({**own, "checks": ours.get("checks", [])})


def _program_set(exercise: Exercise, submission: Submission, variation: Variation, lab: str) -> list[str]:
    """Return the changes of the lab that put the submission's program into its place."""
    if not submission.program:
        return []
    place = filled(exercise.place, variation.values)
    if not place:
        raise NetlabError("the exercise says no place for a program (place: nodes.NODE.xdp), so none can be handed in")
    program = f"./{submission.program}"
    if isinstance(_at(document.load(lab).root, place.split(".")), Tree):
        return [
            f"{place}.program={program}",
            *(f"{place}.define.{key}={value}" for key, value in variation.define.items()),
        ]
    return [f"{place}={json.dumps({'program': program, 'define': dict(variation.define)})}"]


def _at(item: object, place: list[str]) -> object:
    for key in place:
        item = next((each for name, each in item.pairs if name.text == key), None) if isinstance(item, Tree) else None
    return item


def _done(folder: str, deadline_s: float, stop: threading.Event) -> Mapping[str, Any]:
    """Run the child, and return what it has written; what it should have, if it does not."""
    environment = {**os.environ, paths.SIZE_VARIABLE: os.environ.get(paths.SIZE_VARIABLE) or _SIZE}
    with open(f"{folder}/talk", "wb") as talk:
        process = subprocess.Popen(
            [sys.executable, "-I", "-m", child.__name__, folder, str(os.getpid())],
            stdin=subprocess.DEVNULL,
            stdout=talk,
            stderr=talk,
            env=environment,
            start_new_session=True,
        )
    in_time = _wait(process, deadline_s, stop)
    if stop.is_set():
        raise Stopped
    if not in_time:
        return {"outcome": "not-over-in-time", "problem": f"not over after {deadline_s:g} s", "claims": [], "tail": []}
    try:
        found: dict[str, Any] = json.loads(files.read(f"{folder}/{child.DONE}", _MOST_BYTES))
    except (OSError, ValueError):
        said = files.read(f"{folder}/talk").decode(errors="replace").strip().splitlines()
        why = f"the play ended with {process.returncode} and said nothing" + (f": {said[-1]}" if said else "")
        return {"outcome": "error-of-netlab", "problem": why, "claims": [], "tail": said[-20:]}
    return found


def _wait(process: "subprocess.Popen[bytes]", deadline_s: float, stop: threading.Event) -> bool:
    """Wait for the end; after the deadline, or when told to stop, end the process. Say whether it ended in time."""
    until = time.monotonic() + deadline_s
    while process.poll() is None and time.monotonic() < until and not stop.is_set():
        with suppress(subprocess.TimeoutExpired):
            process.wait(_LOOK_S)
    if process.returncode is not None:
        return True
    process.terminate()  # it removes its lab
    try:
        process.wait(_REMOVAL_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    return False


def _clean(lab: str, folder: str) -> None:
    """Remove whatever is left of a play."""
    with suppress(NetlabError):  # the next one tries again
        bring_up.down(lab, lambda _: None)
    shutil.rmtree(folder, ignore_errors=True)
