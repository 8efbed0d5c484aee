"""Writes a small start of one's own: a program or role with comments, and a topology that uses it."""

import os

from netlab.errors import UsageError
from netlab.named_tuple import NamedTuple
from netlab.paths import TEMPLATES


class Start(NamedTuple):
    """What a start consists of: its files, the topology first, and the command to go on with."""

    files: tuple[str, ...]
    judged: str = ""


STARTS = {
    "dropper": Start(("dropper.yml", "dropper.c")),
    "balancer": Start(("balancer.yml", "balancer.c"), "netlab demo partb-low balancer.yml"),
    "role": Start(("echo.yml", "echo.py")),
    "parta": Start(("parta.yml", "dropper.c"), "netlab demo parta parta.yml"),
    "partb": Start(("partb.yml", "balancer.c", "client.py", "worker.py"), "netlab demo partb-low partb.yml"),
}


def write(kind: str, folder: str) -> list[str]:
    """Write the files of a start into a folder, which is made if needed; return what to tell the user.

    UsageError if one of the files is there already, before any is written: nothing is ever overwritten.
    """
    start = STARTS[kind]
    try:
        os.makedirs(folder or os.curdir, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{folder}: expected a folder, or one that can be made: {error.strerror}") from None
    paths = {os.path.join(folder, name): os.path.join(TEMPLATES, name) for name in start.files}
    if there := [path for path in paths if os.path.lexists(path)]:
        raise UsageError(f"{', '.join(there)}: there already, and nothing is overwritten: choose another folder")
    for path, template in paths.items():
        with open(template, "rb") as file:
            text = file.read()
        try:
            with open(path, "xb") as file:
                file.write(text)
        except OSError as error:
            raise UsageError(f"{path}: cannot be written: {error.strerror}") from None
    topology = next(iter(paths))
    told = [f"netlab: made {', '.join(paths)}", f"netlab: next: sudo netlab up {topology}; its first lines say more"]
    return [*told, *([f"netlab: to have it judged: {start.judged}"] if start.judged else [])]
