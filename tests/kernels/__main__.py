"""What of netlab works on which kernel: what `make test-kernels` runs, as root.

Debian's kernels are fetched by apt and booted in virtual machines; images may be named instead. In the whole form the
same tests run on the kernel of this host too, in place, and the table is written to docs/kernels.md.
"""

import argparse
import concurrent.futures
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

from tests.kernels import debian, machine, page

ROOT = Path(__file__).parent.parent.parent
SHORT_LIMITS = machine.Limits(1800, 900)
WHOLE_LIMITS = machine.Limits(4 * 3600, 1800)
THIS = "the running kernel"


class Kernel(NamedTuple):
    """A kernel to try: its image, or "" for the one that runs here."""

    name: str
    image: str


def main() -> int:
    """Try all kernels and show what works; returns the exit code: 1 when anything failed."""
    options = parsed()
    others, lack = wanted(options.images)
    # CI has run all of that on this host already
    here = [] if options.short else [Trial(Kernel(THIS, ""), is_short=False)]
    trials = [Trial(kernel, options.short) for kernel in others]
    together(here)
    together(trials)
    columns = [trial.column() for trial in (*here, *trials)]
    if columns:
        print(page.table(columns, options.short))
    print("".join(page.failures(column) for column in columns), end="")
    if lack:
        print(f"SKIPPED other kernels: {lack}")
    elif not options.short:
        page.write(columns, ROOT / "docs" / "kernels.md")
    failed = [column.kernel for column in columns if column.failed]
    print(f"kernels: {len(columns)} tried, {len(failed)} failed{', others SKIPPED' if lack else ''}")
    return 1 if failed else 0


def together(trials: list["Trial"]) -> None:
    """Run trials beside each other, as many at a time as there are processors, for each machine has one."""
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        running = [pool.submit(trial.run) for trial in trials]
        try:
            for one in running:
                one.result()
        except BaseException:
            machine.end_all()
            raise


def wanted(images: list[str]) -> tuple[list[Kernel], str]:
    """Return the kernels to boot: these images, or else Debian's; none, and why, where that cannot be done."""
    if lacks := machine.lacking():
        return [], ", ".join(lacks)
    if images:
        return [Kernel(os.path.basename(image), os.path.abspath(image)) for image in images], ""
    try:
        packages = debian.offered()
        found = [Kernel(package, debian.unpacked(package)) for package in packages]
    except (debian.Missing, OSError, subprocess.TimeoutExpired) as error:
        return [], str(error)
    debian.forget_all_but(packages)
    return found, ""


class Trial:
    """A kernel, and what comes of trying it."""

    def __init__(self, kernel: Kernel, is_short: bool) -> None:
        self.kernel = kernel
        self.is_short = is_short
        self.ending = machine.Ending("it was not tried", "")
        self.lines: list[dict[str, object]] = []
        self.lasted_s = 0.0

    def run(self) -> None:
        """Boot the kernel, if it is not this host's, and run the tests there."""
        form, began = "short" if self.is_short else "whole", time.monotonic()
        if self.kernel.image:
            limits = SHORT_LIMITS if self.is_short else WHOLE_LIMITS
            command = ["sh", str(ROOT / "tests/kernels/inside.sh"), form]
            self.ending = machine.run(self.kernel.image, command, limits, self.hear)
        else:
            command = [sys.executable, "-m", "tests.kernels.inside", form]
            with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
                for line in process.stdout or ():
                    self.hear(line.rstrip("\n"))
            self.ending = machine.Ending("", f"    exit code {process.returncode}")
        self.lasted_s = time.monotonic() - began

    def hear(self, line: str) -> None:
        """Take a line of what the kernel's side prints, and say on stderr how far it has come."""
        said = json.loads(line)
        self.lines.append(said)
        if "test" in said:
            print(f"{self.kernel.name}: {said['result']} {said['test']} ({said['seconds']:.0f} s)", file=sys.stderr)

    def column(self) -> page.Column:
        """Return what came of it, as a column of the table."""
        return page.column(self.kernel.name, self.lines, self.ending, self.lasted_s)


def parsed() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(prog="tests.kernels", description=__doc__)
    parser.add_argument("images", nargs="*", metavar="IMAGE", help="kernel images; default: Debian's, by apt")
    parser.add_argument("--short", action="store_true", help="some minutes, for every run of CI; writes nothing")
    return parser.parse_args()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    sys.exit(main())
