"""netlab beside its peers: what `make bench` and `make bench-quick` run, as root.

Nothing here is a test: a test never times. Each part can be run alone; what it finds is kept in docs/benchmarks.json,
and the page is made from that.
"""

import argparse
import importlib
import subprocess
import sys
import time
from pathlib import Path

from tests.bench import page

DOCS = Path(__file__).parent.parent.parent / "docs"
PARTS = ("bringup", "ready", "runtimes", "verbs", "datapath", "requests", "scheduling", "scale")


def main() -> None:
    """Run the parts that are asked for, or all; print their tables, and write them to docs/ unless told not to."""
    parser = argparse.ArgumentParser(prog="tests.bench", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; default: all")
    parser.add_argument("--quick", action="store_true", help="few rounds, under three minutes; print only")
    parser.add_argument("--dry", action="store_true", help="print only, write nothing")
    options = parser.parse_args()
    if unknown := [name for name in options.parts if name not in PARTS]:
        parser.error(f"no such part: {', '.join(unknown)}; there are {', '.join(PARTS)}")
    measured = page.load(DOCS)
    for name in options.parts or PARTS:
        begun = time.monotonic()
        part = importlib.import_module(f"tests.bench.{name}").measure(options.quick)
        print(page.part_text(part), flush=True)
        print(f"({name}: {time.monotonic() - begun:.0f} s)\n", flush=True)
        if not (options.quick or options.dry):
            measured["machine"] = page.machine()
            measured["parts"][name] = page.json_of(part)
            page.write(measured, PARTS, DOCS)


if __name__ == "__main__":
    try:
        main()
    except subprocess.CalledProcessError as error:
        sys.exit(f"bench: {error}\n{(error.stderr or b'').decode()}")
