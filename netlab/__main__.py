"""The command `netlab`, which `python -m netlab` is too: a process from its start to its end."""

import gc
import os
import sys

COLLECT_FROM = 100_000  # new objects; Python's 700 come together again and again while modules load, none of it garbage


def run() -> None:
    """Run the command line, and end this process with its exit code."""
    gc.set_threshold(COLLECT_FROM)
    from netlab.cli.main import main
    from netlab.kernel import umask

    umask.take()

    code = main()
    try:
        for stream in (sys.stdout, sys.stderr):
            if stream:
                stream.flush()
    except OSError:
        sys.exit(code)  # Python tries once more, and tells what could not be written
    os._exit(code)  # to take every module down in good order takes longer than to make four namespaces


if __name__ == "__main__":
    run()
