"""What of netlab works on which kernel: what `make test-kernels` runs, as root.

Debian's kernels are fetched by apt and booted in virtual machines; images may be named instead. In the whole form the
same tests run on the kernel of this host too, in place, and the table is written to docs/kernels.md, but not of images
that were named. The short form does both when --write is said.
"""

import argparse
import concurrent.futures
import json
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import NamedTuple

from tests.kernels import debian, machine, page

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "docs" / "kernels.md"
THIS = "the running kernel"


class Form(NamedTuple):
    """How long a form of the run may take in seconds: all machines together, one test, and one command of a test.

    A command's patience is for emulated processors; it is less than a test's, so that a test can say what was missing.
    """

    name: str
    whole_s: float
    test_s: float
    patience_s: int


SHORT = Form("short", 1200, 600, 300)
WHOLE = Form("whole", 4 * 3600, 1800, 1200)


class Kernel(NamedTuple):
    """A kernel to try: its image, or "" for the one that runs here."""

    name: str
    image: str


def main() -> int:
    """Try all kernels and show what works; returns the exit code: 1 when anything failed."""
    options = parsed()
    form = SHORT if options.short else WHOLE
    others, notes, lacks = wanted(options.images)
    print("".join(f"{note}\n" for note in notes), end="")
    writes = options.write or not (options.short or options.images)
    # CI has run the short form's tests on this host already
    here = [Trial(Kernel(THIS, ""), form)] if writes or not options.short else []
    trials = [Trial(kernel, form) for kernel in others]
    together(here)
    together(trials)
    columns = [trial.column() for trial in (*here, *trials)]
    if columns:
        print(page.table(columns, options.short))
    print("".join(page.failures(column) for column in columns), end="")
    if writes and not lacks:
        page.write(columns, options.short, machine.has_kvm(), PAGE)
    print("".join(f"SKIPPED {lack}\n" for lack in lacks), end="")
    failed = [column.kernel for column in columns if column.failed]
    which = f" ({', '.join(failed)})" if failed else ""
    print(f"kernels: {len(columns)} tried, {len(failed)} failed{which}{', others SKIPPED' if lacks else ''}")
    return 1 if failed else 0


def together(trials: list["Trial"]) -> None:
    """Run trials beside each other, as many at a time as there are processors, for each machine has one.

    The time that their form has is for all of them.
    """
    begun, stop = time.monotonic(), threading.Event()
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        running = [pool.submit(trial.run, begun, stop) for trial in trials]
        try:
            for one in running:
                one.result()
        except BaseException:
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def wanted(images: list[str]) -> tuple[list[Kernel], list[str], list[str]]:
    """Return the kernels to boot: these images, or else Debian's; what is to be said of them; and what is missing."""
    if lacks := machine.lacking():
        return [], [], [f"other kernels: {', '.join(lacks)}"]
    if images:
        return [Kernel(os.path.basename(image), os.path.abspath(image)) for image in images], [], []
    found, notes, lacks = debian.kernels()
    return [Kernel(package, image) for package, image in found.items()], notes, lacks


class Trial:
    """A kernel, and what comes of trying it."""

    def __init__(self, kernel: Kernel, form: Form) -> None:
        self.kernel = kernel
        self.form = form
        self.ending = machine.Ending("it was not tried", "")
        self.lines: list[dict[str, object]] = []
        self.lasted_s = 0.0

    def run(self, begun: float, stop: threading.Event) -> None:
        """Boot the kernel, if it is not this host's, and run the tests there; the form's time counts from `begun`."""
        form, began = self.form, time.monotonic()
        limits = machine.Limits(begun + form.whole_s - began, form.test_s, stop)
        if self.kernel.image:
            patience = [] if machine.has_kvm() else [str(form.patience_s)]
            command = ["sh", str(ROOT / "tests/kernels/inside.sh"), form.name, *patience]
            self.ending = machine.run(self.kernel.image, command, limits, self.hear)
        else:
            # in a cell, so that others may use this host meanwhile
            command = [str(ROOT / ".ci/cell"), sys.executable, "-m", "tests.kernels.inside", form.name]
            self.ending = machine.run_here(command, str(ROOT), limits, self.hear)
        self.lasted_s = time.monotonic() - began

    def hear(self, line: str) -> None:
        """Take a line of what the kernel's side prints, and say on stderr how far it has come."""
        said = json.loads(line)
        self.lines.append(said)
        if "test" in said:
            print(f"{self.kernel.name}: {said['result']} {said['test']} ({said['seconds']:.0f} s)", file=sys.stderr)

    def column(self) -> page.Column:
        """Return what came of it, as a column of the table."""
        return page.column(self.kernel.name, self.lines, self.ending, self.lasted_s, self.form is SHORT)


def parsed() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(prog="tests.kernels", description=__doc__)
    parser.add_argument("images", nargs="*", metavar="IMAGE", help="kernel images; default: Debian's, by apt")
    parser.add_argument(
        "--short", action="store_true", help="what every run of CI tries, in twenty minutes; writes nothing"
    )
    parser.add_argument(
        "--write",
        action="store_true",
        help="write docs/kernels.md, with the running kernel in it, as the whole form does with Debian's kernels",
    )
    return parser.parse_args()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    sys.exit(main())
