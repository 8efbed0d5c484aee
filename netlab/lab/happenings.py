"""Has written down what happens to a lab: by its supervisor, whose readers hear of it at once, or without one."""

import os
import time
from collections.abc import Mapping

from netlab.errors import NetlabError
from netlab.supervise import logs, talk
from netlab.supervise.happening_log import LONGEST, HappeningLog


def write_down(
    folder: str, kind: str, about: str, text: str, ns: int = 0, data: Mapping[str, object] | None = None
) -> None:
    """Let the supervisor write down what has happened (now, unless a time is given), or do so where there is none.

    `about` is a node or a process, "" for the whole lab. It never raises: what has happened has happened.
    """
    text, ns = "".join(each if each.isprintable() else " " for each in text)[:LONGEST], ns or time.monotonic_ns()
    try:
        with talk.to(folder) as supervisor:
            supervisor.ask("happened", event=kind, about=about or None, text=text, ns=ns, data=data)
    except NetlabError:
        if os.path.isdir(folder):
            HappeningLog(folder, logs.FILE_LIMIT).write(kind, about, text, ns, data)
