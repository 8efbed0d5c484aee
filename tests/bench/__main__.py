"""netlab beside its peers: what `make bench` and `make bench-quick` run, as root.

Nothing here is a test: a test never times. Each part can be run alone; what it finds is kept in docs/benchmarks.json,
and the page is made from that.
"""

import argparse
import importlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.bench import against, page

DOCS = Path(__file__).parent.parent.parent / "docs"
PARTS = (
    "bringup",
    "ready",
    "runtimes",
    "verbs",
    "datapath",
    "requests",
    "scheduling",
    "scale",
    "files",
    "impairments",
    "views",
)


def main() -> None:
    """Run the parts that are asked for, or all; print their tables, and write them to docs/ unless told not to."""
    options = parsed()
    measured, found = page.load(DOCS), {}
    for name in options.parts or PARTS:
        begun = time.monotonic()
        part = importlib.import_module(f"tests.bench.{name}").measure(options.quick)
        found[name] = part = part._replace(measured=page.measured_now())
        print(page.part_text(part), flush=True)
        print(f"({name}: {time.monotonic() - begun:.0f} s)\n", flush=True)
        if not (options.quick or options.dry):
            measured["machine"] = page.machine()
            measured["parts"][name] = page.json_of(part)
            page.write(measured, PARTS, DOCS)
    if options.save:
        kept = {"machine": page.machine(), "parts": {name: page.json_of(part) for name, part in found.items()}}
        options.save.write_text(json.dumps(kept) + "\n")
    if options.against:
        earlier = page.read(options.against)["parts"]
        theirs = {name: page.part_of(earlier[name]) for name in found if name in earlier}
        print(against.report(found, theirs, os.path.relpath(options.against)))


def parsed() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(prog="tests.bench", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; default: all")
    parser.add_argument("--quick", action="store_true", help="few rounds, less than three minutes; print only")
    parser.add_argument("--dry", action="store_true", help="print only, write nothing")
    parser.add_argument("--save", metavar="FILE", type=Path, help="keep the figures as JSON, for --against")
    parser.add_argument(
        "--against",
        metavar="FILE",
        type=Path,
        help="list each ratio that differs from that run's by more than noise; with --quick: from docs/benchmarks.json",
    )
    options = parser.parse_args()
    if unknown := [name for name in options.parts if name not in PARTS]:
        parser.error(f"no such part: {', '.join(unknown)}; there are {', '.join(PARTS)}")
    if options.quick and not options.against and (DOCS / page.JSON).exists():
        options.against = DOCS / page.JSON
    return options


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # and what is up goes down
    try:
        main()
    except subprocess.CalledProcessError as error:
        sys.exit(f"bench: {error}\n{(error.stderr or b'').decode()}")
