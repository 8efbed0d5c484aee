"""A second user of this machine: a process that has given up root for good, in which functions run."""

import json
import os
import select
import signal
from collections.abc import Callable, Iterator
from typing import Any

from netlab.testing.waiting import PATIENCE_S

SECOND = 65534  # the user, with a group of the same number


def as_user(work: Callable[[], object], group: int = SECOND) -> Any:
    """Return what some work comes to as the second user, or the name of the OSError that it ends in."""
    user = User(work, group)
    return user.result()


class User:
    """A process of the second user that does some work and answers in JSON."""

    def __init__(self, work: Callable[[], object], group: int = SECOND) -> None:
        self._hears, says = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                os.setgroups([])
                os.setresgid(group, group, group)
                os.setresuid(SECOND, SECOND, SECOND)
                os.umask(0)
                try:
                    answer = work()
                except OSError as error:
                    answer = type(error).__name__
                os.write(says, json.dumps(answer).encode())
            finally:
                os._exit(0)
        os.close(says)

    def result(self) -> Any:
        """Wait for the answer."""
        with open(self._hears, "rb") as pipe:
            ready, _, _ = select.select([pipe], [], [], PATIENCE_S)
            text = pipe.read() if ready else b""
        if not ready:
            os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        assert text, f"no answer within {PATIENCE_S:g} s" if not ready else "it ended without an answer"
        return json.loads(text)


def walk(top: str) -> Iterator[str]:
    """Yield a folder and everything in it that the process can see."""
    yield top
    for folder, folders, names in os.walk(top):
        yield from (os.path.join(folder, name) for name in (*folders, *names))
