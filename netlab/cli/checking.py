"""The verbs `test` and `wait`: does checks, and shows how each has ended, for people, as JUnit's XML or as TAP."""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stdout
from typing import TYPE_CHECKING, TextIO

from netlab.api import checks
from netlab.api.checks import Result
from netlab.api.lab import Lab
from netlab.cli import chosen, typed
from netlab.cli.console import Painted
from netlab.errors import NetlabError, TimeLimitError, TopologyError, UsageError
from netlab.kernel import searching, signals
from netlab.lab import bring_up
from netlab.lab.standing import Standing
from netlab.observe.log_view import clock
from netlab.record import store
from netlab.topology.checks import Check
from netlab.words import count

if TYPE_CHECKING:
    from netlab.lab.faults import Happened

Say = Callable[[str], None]
NOTHING_TO_DO = 2
_PAINT = Painted()
_ENDINGS = (".yml", ".yaml")
_NS = 1_000_000_000
_SEARCH_S = 5.0  # of CPU time, for one text


def test(args: typed.Test, say: Say) -> int:
    """Do the checks of a lab, or of a topology, whose lab is built for that; return the exit code."""
    if args.junit == "-" and args.tap:
        raise UsageError("expected --junit - or --tap on stdout, found both")
    if args.junit:
        _can_write(args.junit)
    with _lab(args, say) as lab, ExitStack() as at_the_end:
        data = sys.stdout
        if args.junit == "-":  # then stdout has nothing but XML
            at_the_end.enter_context(redirect_stdout(sys.stderr))
        todo = checks.of(lab.record)
        if not todo:
            say(f"netlab: {lab.record.topology or lab.name} has no checks, so nothing was looked at")
            return NOTHING_TO_DO
        done: list[Result] = []
        if args.junit:  # also what was done until an interruption
            at_the_end.callback(lambda: _write(args.junit or "", _junit(lab, done), data))
        show = _show_tap if args.tap else _show
        if args.tap:
            print(f"TAP version 14\n1..{len(todo)}", flush=True)
        for result in checks.run(lab, todo, lambda happened: _tell(happened, args.tap), _search):
            done.append(result)
            show(lab, result, len(done))
    failed = sum(not each.holds for each in done)
    say(f"netlab: {count(len(done) - failed, 'check')} passed, {failed} failed")
    return 1 if failed else 0


def wait(args: typed.Wait) -> int:
    """Wait until checks hold, one after the other; TimeLimitError if one does not in time."""
    lab = Lab(chosen.standing(args), [])
    todo = [_read(lab, text)._replace(within_ns=round(args.timeout * _NS)) for text in args.checks]
    for result in checks.run(lab, todo, search=_search):
        if not result.holds:
            raise TimeLimitError(f"{result.check.title}: expected {result.check.expected}; seen: {result.seen}")
    return 0


def _search(pattern: str, text: str) -> bool:
    """Search with a limit, as some patterns would take for ever; NetlabError if it is reached."""
    try:
        return searching.Searcher(pattern, _SEARCH_S).search(text) is not None
    except searching.TookTooLong:
        shown = searching.shown(pattern)
        raise NetlabError(f"the pattern {shown} takes too long on {text[:60]!r}: write a simpler one") from None


def _read(lab: Lab, text: str) -> Check:
    """Return the check that is typed as YAML, such as `ping: [a, b]`."""
    from netlab.lab import known
    from netlab.topology import document
    from netlab.topology.validate.check_list import read_one
    from netlab.topology.validate.findings import Findings

    if not text.strip():
        raise UsageError("--for: expected a check, such as 'ping: [a, b]', found nothing")
    written = document.parse(text, "--for")
    findings = Findings(written)
    found = read_one(known.of(lab.record), findings, written.root, "")
    if findings or found is None:
        raise TopologyError("--for", findings.mistakes())
    return found


@contextmanager
def _lab(args: typed.Test, say: Say) -> Iterator[Lab]:
    """Yield the lab that is meant: one that is up, or that of a file, which is built, and removed at the end.

    SIGTERM and SIGHUP, by which CI servers end a job, interrupt like Ctrl-C, so that what was done is undone.
    """
    if _is_lab(args):
        args.lab = args.file or args.lab
        standing = chosen.standing(args)
        with signals.raising():
            yield Lab(standing, [])
        return
    plan = chosen.planned(args)
    chosen.elevate(args)
    name = f"{plan.topology.name[:40]}-test-{os.getpid()}" if not args.lab else args.lab
    args.lab = name
    plan = chosen.planned(args)
    notes: list[str] = []
    with signals.raising() as comes_too_late:
        try:
            bring_up.up(plan, args.timeout, notes.append, again=lambda: chosen.planned(args))
        except NetlabError:
            for note in notes:
                say(note)
            raise
        try:
            yield Lab(Standing.read(name), notes)
        finally:
            comes_too_late()
            if args.keep:
                say(f"netlab: {name} stays up: netlab down {name} removes it")
            else:
                bring_up.down(name, notes.append)


def _is_lab(args: typed.Test) -> bool:
    """Say whether a lab that is up is meant, and not a file."""
    if not args.file:
        return bool(store.labs())
    if args.file in store.labs() and not os.path.exists(args.file):
        return True
    if args.file.endswith(_ENDINGS) or os.sep in args.file or os.path.exists(args.file):
        return False
    others = ", ".join(store.labs()) or "none is up"
    raise UsageError(f"{args.file} is neither a file nor a lab ({others})")


# ---- how it is shown -------------------------------------------------------------------------------------------------


def _tell(happened: "Happened", is_tap: bool) -> None:
    print(f"{'# ' if is_tap else '  '}{happened.text}", flush=True)


def _show(lab: Lab, result: Result, _number: int) -> None:
    check = result.check
    sign = _PAINT.good("✓") if result.holds else _PAINT.bad("✗")
    print(f"{sign} {check.title} ({result.seconds:.1f} s)", flush=True)
    if not result.holds:
        print("\n".join(f"    {line}" for line in _reasons(lab, result)), flush=True)


def _reasons(lab: Lab, result: Result) -> Iterator[str]:
    """Yield what was expected and what was seen, and what happened around it."""
    check = result.check
    if check.name:
        yield check.what
    yield f"{os.path.basename(lab.record.topology)}:{check.line}: expected {check.expected}"
    first, *more = result.seen.splitlines() or [""]
    yield f"{'it could not be done' if result.error else 'seen'}: {first}"
    yield from (f"  {line}" for line in more)
    if result.events:
        yield "meanwhile:"
    for event in result.events:
        yield f"  {clock(event.time_ns)} {event.source} {event.stream} {event.text}"


def _show_tap(lab: Lab, result: Result, number: int) -> None:
    """Print a line of the Test Anything Protocol (https://testanything.org), and why a check fails below it."""
    title = result.check.title.replace("\\", "\\\\").replace("#", "\\#").replace("\n", " ")
    print(f"{'ok' if result.holds else 'not ok'} {number} - {title}", flush=True)
    if not result.holds:
        print("\n".join(f"# {line}" for line in _reasons(lab, result)), flush=True)


def _junit(lab: Lab, done: Sequence[Result]) -> bytes:
    """Return JUnit's XML, as CI servers read it."""
    from xml.etree.ElementTree import Element, SubElement, indent, tostring

    failed = sum(not each.holds and not each.error for each in done)
    errors = sum(each.error for each in done)
    total = sum(each.seconds for each in done)
    about = {"name": lab.name, "tests": str(len(done)), "failures": str(failed), "errors": str(errors)}
    suite = Element("testsuite", about, time=f"{total:.3f}")
    for result in done:
        case = SubElement(suite, "testcase", name=result.check.title, classname=lab.name, time=f"{result.seconds:.3f}")
        if not result.holds:
            why = SubElement(case, "error" if result.error else "failure", message=f"expected {result.check.expected}")
            why.text = _printable("\n".join(_reasons(lab, result)))
    indent(suite)
    text: bytes = tostring(suite, encoding="utf-8", xml_declaration=True)
    return text + b"\n"


def _printable(text: str) -> str:
    """Return a text without the signs that XML cannot have."""
    return "".join(sign if sign >= " " or sign in "\n\t" else "\ufffd" for sign in text)


def _can_write(path: str) -> None:
    """Refuse what cannot be written before anything is done."""
    if os.path.isdir(path) or not os.path.isdir(os.path.dirname(path) or "."):
        raise UsageError(f"--junit {path}: expected a file in a folder that is there")


def _write(path: str, data: bytes, stdout: TextIO) -> None:
    if path == "-":
        print(data.decode(), end="", file=stdout, flush=True)
        return
    try:
        with open(path, "wb") as file:
            file.write(data)
    except OSError as error:
        raise NetlabError(f"cannot write {path}: {error.strerror}") from None
