"""Grades on the workers of a Dask scheduler. Who does what, and again what a dead one had, is Dask's affair."""

import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from netlab import __version__
from netlab.errors import HostError, NetlabError, UsageError
from netlab.grade.grading import Job, Round, grade
from netlab.grade.owner import owning
from netlab.grade.result import OURS, Result, unplayed

_REACHED_S, _WORKERS_S = 15.0, 60.0  # until there is a scheduler, and a worker
_LOOK_S = 5.0


@contextmanager
def connected(address: str) -> Iterator[Round]:
    """Yield who does jobs on a cluster; UsageError without the library, HostError without scheduler or workers."""
    try:
        from distributed import Client
    except ImportError as error:
        raise UsageError(
            f"--cluster needs Dask distributed, which is not here ({error}): pip install 'netns-lab[cluster]'"
        ) from None
    try:
        client = Client(address, timeout=_REACHED_S)
    except ValueError as error:
        raise UsageError(f"--cluster {address}: expected an address such as tcp://HOST:8786: {error}") from None
    except OSError as error:
        raise HostError(f"--cluster {address}: no Dask scheduler answers there: {error}") from None
    with client:
        yield lambda jobs, alone: _one_by_one(client, jobs) if alone else _beside(client, jobs)


def _one_by_one(client: Any, jobs: Sequence[Job]) -> Iterator[Result]:
    for job in jobs:
        yield from _beside(client, [job])


def _beside(client: Any, jobs: Sequence[Job]) -> Iterator[Result]:
    """Give all jobs away, and yield each result as it comes; NetlabError if no worker is left to wait for."""
    from distributed import wait

    pending = {client.submit(_grade, job, __version__, pure=False): job for job in jobs}
    last = time.monotonic()
    try:
        while pending:
            try:
                done = wait(list(pending), timeout=_LOOK_S, return_when="FIRST_COMPLETED").done
            except TimeoutError:
                done = set()
            if done or client.nthreads():
                last = time.monotonic()
            if time.monotonic() - last > _WORKERS_S:
                raise HostError(f"the cluster has had no worker for {_WORKERS_S:g} s: start some; --resume goes on")
            for future in done:
                yield _result(future, pending.pop(future))
    finally:
        client.cancel(list(pending))


def _result(future: Any, job: Job) -> Result:
    """Return a result; what no worker survives is an error of ours, and what a host lacks ends the grading."""
    error = future.exception()
    if error is None:
        found: Result = future.result()
        return found
    if isinstance(error, NetlabError):
        raise error
    problem = f"{type(error).__name__}: {error}"
    return unplayed(job.submission.name, "", OURS, problem, job.exercise.points)


def _grade(job: Job, version: str) -> Result:
    """Grade on a worker; HostError if it cannot."""
    host = os.uname().nodename
    if version != __version__:
        raise HostError(f"{host} has netlab {__version__}, and {version} is asked for: install the same on all workers")
    if os.geteuid():
        raise HostError(f"{host}: labs are built by root: start the Dask worker as root")
    with owning() as owner:
        return grade(job, owner, threading.Event())
