"""Grades submissions beside each other, keeps each result as soon as it is there, and goes on where it was stopped."""

import hashlib
import json
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress

from netlab import __version__
from netlab.errors import NetlabError
from netlab.grade import variations
from netlab.grade.exercise import Exercise
from netlab.grade.owner import Owner, owning
from netlab.grade.play import Stopped, play
from netlab.grade.result import FINAL, OURS, UNBUILT, Result, from_data, of_plays, unplayed, writable
from netlab.grade.submission import Submission
from netlab.kernel import files
from netlab.named_tuple import NamedTuple

SUBMISSIONS = "submissions"  # a folder for each, where results are kept
Tell = Callable[[Result], None]


class Job(NamedTuple):
    """What is to be graded, whole: it may be done in another process, on another host.

    `before` is the result of a first round, of which some plays are to be played again, alone.
    """

    exercise: Exercise
    submission: Submission
    seed: int
    time_limit: float
    before: Result | None = None


# Does jobs, beside each other or each alone, and yields each result as it comes.
Round = Callable[[Sequence[Job], bool], Iterable[Result]]


def grade(job: Job, owner: Owner, stop: threading.Event) -> Result:
    """Grade one submission: play it in each variation, until a verdict leaves nothing to be played."""
    submission, exercise, before = job.submission, job.exercise, job.before
    key = digest(job)
    if submission.problem or not (submission.program or submission.topology or exercise.files or submission.files):
        problem = submission.problem or "nothing was handed in"
        return unplayed(submission.name, key, UNBUILT, problem, exercise.points)
    plays = {each.number: each for each in before.plays} if before else {}
    for variation in variations.of(exercise, job.seed, submission.text):
        if before and variation.number not in before.again:
            continue
        done = play(exercise, submission, variation, job.time_limit, owner, stop)
        plays[variation.number] = done._replace(alone=before is not None)
        if done.verdict in FINAL:
            break
    found = of_plays(submission.name, key, list(plays.values()), exercise.points, is_alone=before is not None)
    return found._replace(left_out=submission.left_out, where=os.uname().nodename)


def digest(job: Job) -> str:
    """Return what tells whether a kept result is still that of a job."""
    kept = hashlib.sha256()
    about = (__version__, job.seed, job.time_limit, job.exercise._asdict(), job.submission._asdict())
    kept.update(repr(about).encode())
    return kept.hexdigest()


def run(jobs: Sequence[Job], do: Round, kept: "Kept", tell: Tell) -> list[Result]:
    """Grade all, and return the results in the order of the jobs; `tell` gets each one as it comes.

    What is kept is not graded again. What a busy machine may have made fail is played once more at the end, alone.
    """
    found = {name: result for job in jobs if (result := kept.result(job)) for name in [job.submission.name]}
    for result in found.values():
        tell(result)
    todo = [job for job in jobs if job.submission.name not in found]
    for result in map(writable, do(todo, False)):
        found[result.name] = result
        kept.keep(result)
        tell(result)
    again = [job._replace(before=found[job.submission.name]) for job in jobs if found[job.submission.name].again]
    for result in map(writable, do(again, True)):
        found[result.name] = result
        kept.keep(result)
        tell(result)
    return [found[job.submission.name] for job in jobs]


def here(beside: int) -> Round:
    """Return who does jobs on this host, so many beside each other."""
    return lambda jobs, alone: _here(jobs, 1 if alone else beside)


def _here(jobs: Sequence[Job], beside: int) -> Iterator[Result]:
    if not jobs:
        return
    stop = threading.Event()
    with owning() as owner, ThreadPoolExecutor(beside) as pool:
        waiting = {pool.submit(grade, job, owner, stop): job for job in jobs}
        try:
            for each in as_completed(waiting):
                yield _result(each.result, waiting[each])
        except BaseException:
            stop.set()
            for each in waiting:
                each.cancel()
            raise


def _result(take: Callable[[], Result], job: Job) -> Result:
    """Return a result; a mistake of netlab's own is one, too."""
    try:
        return take()
    except (Stopped, NetlabError):
        raise
    except Exception as error:  # noqa: BLE001 - others are graded all the same
        problem = f"an error inside netlab: {type(error).__name__}: {error}"
        return unplayed(job.submission.name, "", OURS, problem, job.exercise.points)


class Kept:
    """The results that a folder keeps, a file for each submission; without a folder, nothing is kept."""

    def __init__(self, folder: str, *, is_resumed: bool) -> None:
        self.folder = folder
        self.is_resumed = is_resumed

    def result(self, job: Job) -> Result | None:
        """Return the result of an earlier run, if it is still that of this job."""
        if not self.is_resumed:
            return None
        try:
            found = from_data(files.load(self._path(job.submission.name)))
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return found if found.digest == digest(job) and found.verdict != OURS else None

    def keep(self, result: Result) -> None:
        """Keep a result, whole or not at all; NetlabError if it cannot be."""
        if not self.folder:
            return
        try:
            with suppress(FileExistsError):
                os.mkdir(os.path.dirname(self._path(result.name)))
            files.write(self._path(result.name), json.dumps(result.as_data(), indent=1) + "\n")
        except OSError as error:
            raise NetlabError(f"--save: cannot write to {self.folder}: {error.strerror}") from error

    def _path(self, name: str) -> str:
        return f"{self.folder}/{SUBMISSIONS}/{name}/result.json"
