"""The command `netlab`, also as `python -m netlab`: one process from start to end."""

import gc
import os
import sys

COLLECT_FROM = 100_000  # new objects; Python's default, 700, is reached all the time while modules load, in vain


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
        sys.exit(code)  # Python tries once more, and reports what could not be written
    os._exit(code)  # to tear down every module takes longer than to make four namespaces


if __name__ == "__main__":
    run()
