"""Runs netlab and writes down how much of its time was Python's start and imports, in ms, as JSON.

    watched.py OUTPUT STARTED_NS WORDS...

STARTED_NS is when this process was asked for, by CLOCK_MONOTONIC. Imports are timed where Python's own -X importtime
times them: only what is not loaded yet, and with all that it loads in its turn.
"""

import time

begun_ns = time.monotonic_ns()

import importlib  # noqa: E402 - nothing may be loaded before the clock is read
import sys  # noqa: E402

spent_ns = 0
depth = 0


def main(output: str, started_ns: int, words: list[str]) -> None:
    """Run it."""
    bootstrap = vars(importlib)["_bootstrap"]
    load = bootstrap._find_and_load

    def timed(*args: object) -> object:
        global depth, spent_ns  # noqa: PLW0603 - called by Python, deep inside of whatever imports
        depth += 1
        entered_ns = time.perf_counter_ns()
        try:
            return load(*args)
        finally:
            depth -= 1
            if not depth:
                spent_ns += time.perf_counter_ns() - entered_ns

    bootstrap._find_and_load = timed
    sys.argv = ["netlab", *words]
    code = 0
    try:
        from netlab.cli.main import main as netlab

        code = netlab()
    finally:
        with open(output, "w", encoding="ascii") as file:
            file.write(f"[{(begun_ns - started_ns) / 1e6}, {spent_ns / 1e6}]")
    sys.exit(code)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3:])
