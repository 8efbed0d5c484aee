"""The verb `grade`: reads exercise and submissions, shows how it goes on, and prints or saves what became of them."""

import csv
import json
import os
import secrets
import sys
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from netlab.cli import console, typed
from netlab.cli.console import Painted, say
from netlab.demo import save
from netlab.errors import NetlabError, UsageError
from netlab.grade import exercise as exercises
from netlab.grade import grading, pages, submission
from netlab.grade.exercise import Exercise
from netlab.grade.grading import Job, Kept
from netlab.grade.play import refuse_reaching
from netlab.grade.result import FULL, Result, all_full
from netlab.kernel import files, signals
from netlab.words import count

_STATE = "grade.json"
_MOST_SEED = 1 << 32
_LONGEST_NAME = 40  # in the table


def grade(args: typed.Grade) -> int:
    """Grade all submissions; return the exit code: 0 if all are full, 1 if not."""
    exercise = exercises.read(args.exercise, args.points or "")
    refuse_reaching(exercise)
    submissions = submission.read_all(args.submissions)
    with signals.raising(), _folder(args) as folder:
        seed = _seed(args, folder)
        jobs = [Job(exercise, each, seed, args.time_limit) for each in submissions]
        kept = Kept(folder or "", is_resumed=args.resume)
        try:
            with _doing(args) as do, _shown(len(jobs)) as tell:
                results = grading.run(jobs, do, kept, tell)
        except KeyboardInterrupt:
            if folder:
                say("netlab: what is graded is kept: the same command with --resume goes on")
            raise
        if folder:
            _write(folder, exercise, results, seed)
            say(f"netlab: the reports are in {args.save}: {os.path.join(str(args.save), 'report.html')} leads to each")
    _print(args.format, exercise, results, seed)
    return 0 if all_full(results) else 1


def _doing(args: typed.Grade) -> AbstractContextManager[grading.Round]:
    """Return the context of who grades: this host, or a cluster."""
    if not args.cluster:
        return nullcontext(grading.here(args.jobs))
    from netlab.grade.cluster import connected

    return connected(args.cluster)


def _folder(args: typed.Grade) -> Any:
    """Return the context of the folder that keeps everything."""
    if args.save:
        return save.lasting(args.save, grading.SUBMISSIONS, is_there=args.resume)
    if args.resume:
        raise UsageError("--resume goes on with what --save DIR has begun: expected --save with that folder")
    return nullcontext()


def _seed(args: typed.Grade, folder: str | None) -> int:
    """Return the seed: what is asked for, that of the run that is resumed, or a new one, which is kept."""
    known = None
    if folder and args.resume:
        try:
            known = int(files.load(f"{folder}/{_STATE}")["seed"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise NetlabError(f"{folder}/{_STATE} cannot be read ({error}): grade into a new folder") from None
    seed = args.seed if args.seed is not None else known if known is not None else secrets.randbelow(_MOST_SEED)
    if folder:
        files.write(f"{folder}/{_STATE}", json.dumps({"seed": seed, "exercise": args.exercise}) + "\n")
    return seed


def _shown(total: int) -> Any:
    """Return a context that yields who is told each result: a bar on a terminal, otherwise a line each."""
    if console.is_watched():
        from netlab.cli.tables import progress

        return progress("grading", total, lambda result: f"{result.name}: {result.verdict}")
    return nullcontext(lambda result: say(f"netlab: {result.name}: {result.verdict}"))


def _write(folder: str, exercise: Exercise, results: list[Result], seed: int) -> None:
    """Write the reports, each as Markdown and as HTML, and the table as CSV and JSON."""
    for result in results:
        blocks = list(pages.of_one(exercise, result))
        own = f"{folder}/{grading.SUBMISSIONS}/{result.name}"
        files.write(f"{own}/report.md", pages.markdown(blocks))
        files.write(f"{own}/report.html", pages.html(blocks))
    blocks = list(pages.of_all(exercise, results, seed))
    files.write(f"{folder}/report.md", pages.markdown(blocks))
    files.write(f"{folder}/report.html", pages.html(blocks))
    files.write(f"{folder}/results.json", json.dumps(pages.as_data(exercise, results, seed), indent=1) + "\n")
    with open(f"{folder}/results.csv", "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(pages.as_csv_rows(exercise, results))


def _print(form: str, exercise: Exercise, results: list[Result], seed: int) -> None:
    if form == "json":
        print(json.dumps(pages.as_data(exercise, results, seed), indent=2))
    elif form == "csv":
        csv.writer(sys.stdout, lineterminator="\n").writerows(pages.as_csv_rows(exercise, results))
    else:
        _table(exercise, results, seed)


def _table(exercise: Exercise, results: list[Result], seed: int) -> None:
    from netlab.cli import tables

    paint = Painted()
    table = tables.table("SUBMISSION", "VERDICT", "POINTS", "OF", "WHY")
    for each in results:
        verdict = paint.good(each.verdict) if each.verdict == FULL else paint.bad(each.verdict)
        points = pages.amount(each.points), pages.amount(each.of)
        name = each.name if len(each.name) <= _LONGEST_NAME else f"{each.name[: _LONGEST_NAME - 1]}…"
        table.add_row(name, verdict, *points, pages.why(exercise, each))
    tables.show(table)
    full = sum(each.verdict == FULL for each in results)
    print(f"{count(len(results), 'submission')}, {full} full; --seed {seed} draws the same again")
