"""Who is graded when: what is kept is not graded again, and what may be late is played again at the end."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest

from netlab.grade import exercise, grading
from netlab.grade.grading import Job, Kept
from netlab.grade.result import Result
from netlab.grade.submission import Submission

EXERCISE = exercise.read("parta")


def jobs(*names: str) -> list[Job]:
    return [Job(EXERCISE, Submission(name, {"a.c": b"int x;"}, "a.c"), 1, 60.0) for name in names]


class Players:
    """Grade by what they are told, and remember who was graded, whether each alone."""

    def __init__(self, **verdicts: str) -> None:
        self.verdicts = verdicts
        self.rounds: list[tuple[list[str], bool]] = []

    def __call__(self, todo: Sequence[Job], alone: bool) -> Iterable[Result]:
        self.rounds.append(([job.submission.name for job in todo], alone))
        for job in todo:
            verdict = self.verdicts[job.submission.name]
            is_late = verdict == "late" and not job.before
            again = (1,) if is_late else ()
            said = "claims fail" if is_late else "full" if verdict == "late" else verdict
            yield Result(job.submission.name, grading.digest(job), said, "", 0.0, 1.0, [], 0.0, (), again)


def test_what_may_be_late_is_played_again_alone_at_the_end() -> None:
    players = Players(ann="full", bob="late", eve="hangs")
    found = grading.run(jobs("ann", "bob", "eve"), players, Kept("", is_resumed=False), lambda _: None)

    assert [(["ann", "bob", "eve"], False), (["bob"], True)] == players.rounds
    assert ["full", "full", "hangs"] == [each.verdict for each in found]


def test_a_run_that_was_killed_goes_on_where_it_was(tmp_path: Path) -> None:
    (tmp_path / "submissions").mkdir()

    class Killed(Players):
        def __call__(self, todo: Sequence[Job], alone: bool) -> Iterable[Result]:
            yield next(iter(super().__call__(todo, alone)))
            raise KeyboardInterrupt

    first, second = Killed(ann="full", bob="full"), Players(ann="hangs", bob="full")
    with pytest.raises(KeyboardInterrupt):
        grading.run(jobs("ann", "bob"), first, Kept(str(tmp_path), is_resumed=False), lambda _: None)
    found = grading.run(jobs("ann", "bob"), second, Kept(str(tmp_path), is_resumed=True), lambda _: None)

    assert [["bob"], []] == [names for names, _ in second.rounds]
    assert ["full", "full"] == [each.verdict for each in found]


def test_what_was_handed_in_anew_is_graded_anew(tmp_path: Path) -> None:
    (tmp_path / "submissions").mkdir()
    (job,) = jobs("ann")
    grading.run([job], Players(ann="full"), Kept(str(tmp_path), is_resumed=False), lambda _: None)
    changed = job._replace(submission=job.submission._replace(files={"a.c": b"int y;"}))
    (found,) = grading.run([changed], Players(ann="hangs"), Kept(str(tmp_path), is_resumed=True), lambda _: None)

    assert found.verdict == "hangs"


def test_names_of_files_that_are_no_text_can_be_written(tmp_path: Path) -> None:
    """One that somebody has handed in would end the reports on all."""

    def players(todo: Sequence[Job], alone: bool) -> Iterable[Result]:
        del alone
        yield from (Result(job.submission.name, "", "full", "\udcfe.c: no", 0, 1, [], 0, ("\udcff.h",)) for job in todo)

    (found,) = grading.run(jobs("ann"), players, Kept("", is_resumed=False), lambda _: None)

    assert ("?.c: no", ["?.h"]) == (found.problem, list(found.left_out))
