"""`checks:` of a topology → checks, or every mistake in them."""

import ipaddress
import re
from collections.abc import Sequence

from netlab.kernel import searching
from netlab.paths import process_key
from netlab.topology import checks
from netlab.topology.checks import Check
from netlab.topology.document.tree import Item, Mapping, Scalar, join, show
from netlab.topology.document.tree import Sequence as Listed
from netlab.topology.validate import time_line
from netlab.topology.validate.findings import Findings, Name, one_of, place
from netlab.topology.validate.rules import Fields, boolean, integer, sequence, text, word
from netlab.topology.validate.time_line import Known
from netlab.topology.validate.time_line_words import moment

KEYS = (*checks.KINDS, "name", "code", "shows", "hides", "is", "fails", "within", "for", "after")
MOST = 1000
_A_CHECK = f"a mapping with one of {one_of(checks.KINDS)}"
_BELONGS = {"code": (checks.RUN,), "shows": (checks.RUN,), "hides": (checks.RUN,), "is": checks.VALUES}
_PLACES = {
    checks.STATS: (2, "[NODE, PATH], such as [lb, queue_depth]"),
    checks.MAP: (3, "[NODE, MAP, KEY], such as [lb, counts, 0]"),
    checks.INTERFACE: (3, "[NODE, INTERFACE, COUNTER], such as [a, eth0, rx_packets]"),
}
_COMPARED = re.compile(rf"({'|'.join(checks.COMPARISONS)})?\s*(.*)", re.DOTALL)
_SIGNS = ("=", "<", ">", "!")
_WORDS = sequence(text, "a list of words", least=1)


def read(known: Known, findings: Findings, item: Item, path: str) -> tuple[Check, ...] | None:
    """Read a list of checks, in their order."""
    if not isinstance(item, Listed) or len(item.items) > MOST:
        findings.wrong(item, path, f"a list of at most {MOST:,} checks, such as - {{ping: [a, b]}}")
        return None
    found = (read_one(known, findings, child, join(path, str(at))) for at, child in enumerate(item.items))
    return tuple(check for check in found if check)


def read_one(known: Known, findings: Findings, item: Item, path: str) -> Check | None:
    """Read a check; None after adding mistakes."""
    before = len(findings)
    fields = Fields(findings, item, path, KEYS, _A_CHECK)
    if not isinstance(item, Mapping):
        return None
    written = [kind for kind in checks.KINDS if kind in fields]
    for kind in written[1:]:
        findings.add(fields.key_place(kind), f"expected one check, found {written[0]} and {kind}", "two entries")
    if not written:
        findings.add(fields.place, f"expected one of {one_of(checks.KINDS)}, found none")
        return None
    do = written[0]
    for key, kinds in _BELONGS.items():
        if key in fields and do not in kinds:
            findings.add(fields.key_place(key), f"expected no {key} beside {do}, found one", "leave it out")
    node, words = fields.read(do, lambda *at: _where(known, do, *at), ("", ()))
    comparison, wanted = "", ""
    if do in checks.VALUES:
        comparison, wanted = fields.require("is", _comparison, ("", ""))
    found = Check(
        do,
        node,
        words,
        fields.read("code", integer(0, 255), 0),
        fields.read("shows", _pattern, ""),
        fields.read("hides", _pattern, ""),
        comparison,
        wanted,
        bool(fields.read("fails", boolean, False)),
        fields.read("within", _moment, 0),
        fields.read("for", _moment, 0),
        fields.read("after", lambda *at: time_line.read(known, *at, is_timed=False), ()),
        fields.read("name", text, ""),
        item.line,
    )
    return found if len(findings) == before else None


def _where(known: Known, do: str, findings: Findings, item: Item, path: str) -> tuple[str, tuple[str, ...]] | None:
    """Read where a check looks, and for what."""
    if do == checks.RUN and isinstance(item, Mapping):
        return _command(known, findings, item, path)
    words = _WORDS(findings, item, path)
    if not words or not isinstance(item, Listed):
        return None
    first, *rest = words
    node = _source(known, findings, Name(first, place(item.items[0], path))) if do == checks.LINE else None
    if do != checks.LINE:
        node = _node(known, findings, Name(first, place(item.items[0], path)))
    problem = _problem(do, rest)
    if problem:
        findings.wrong(item, path, problem)
    elif do == checks.PING and rest[0] not in known.members and not _is_address(rest[0]):
        hint = findings.nearest(rest[0], known.members)
        findings.add(place(item.items[1], path), f"expected a node or an address, found {show(rest[0])}", hint)
    elif do == checks.LINE and (wrong := _wrong(rest[0])):
        findings.wrong(item.items[1], path, f"a regular expression ({wrong})")
    return (node, tuple(rest)) if node and not problem else None


def _problem(do: str, rest: Sequence[str]) -> str:
    """Return what is expected instead of these words behind the node, "" if they fit."""
    if do == checks.PING:
        return "" if len(rest) == 1 else "[NODE, NODE or address]"
    if do == checks.LINE:
        return "" if len(rest) == 1 else "[NODE, pattern]"
    if do == checks.RUN:
        return "" if rest else "[NODE, COMMAND, ARGUMENT ...]"
    most, form = _PLACES[do]
    return "" if len(rest) == most - 1 else form


def _command(known: Known, findings: Findings, item: Mapping, path: str) -> tuple[str, tuple[str, ...]] | None:
    """Read a command that is one text, for a shell."""
    fields = Fields(findings, item, path, ("node", "command"), "a mapping with node and command")
    node = fields.require("node", word, "")
    command = fields.require("command", word, "")
    found = _node(known, findings, Name(node, fields.value_place("node"))) if node else None
    return (found, ("sh", "-c", command)) if found and command else None


def _node(known: Known, findings: Findings, written: Name) -> str | None:
    """Return the node; a replicated node's name means several, so it is none."""
    members = known.members.get(written.text, ())
    if len(members) == 1:
        return members[0]
    if members:
        message = f"expected one node, found {show(written.text)}, which means {len(members)}"
        findings.add(written.place, message, f"such as {members[0]}")
    else:
        hint = findings.nearest(written.text, known.members)
        findings.add(written.place, f"expected a node, found no node {show(written.text)}", hint)
    return None


def _source(known: Known, findings: Findings, written: Name) -> str | None:
    """Return NODE or NODE/NAME: whose lines are meant."""
    node, slash, name = written.text.partition("/")
    found = _node(known, findings, Name(node, written.place))
    if not found or not slash:
        return found
    there = {process_key(found, name) for name in known.programs.get(found, ())} | {*known.processes.get(found, ())}
    if process_key(found, name) not in there:
        message = f"expected a process or a program of {found}, found none called {show(name)}"
        findings.add(written.place, message, findings.nearest(written.text, there) if there else "")
    return f"{found}/{name}"


def _is_address(word: str) -> bool:
    try:
        ipaddress.ip_address(word)
    except ValueError:
        return False
    return True


def _pattern(findings: Findings, item: Item, path: str) -> str | None:
    found = word(findings, item, path)
    if found is not None and (wrong := _wrong(found)):
        findings.wrong(item, path, f"a regular expression ({wrong})")
        return None
    return found


def _wrong(pattern: str) -> str:
    """Return why a pattern is no regular expression, "" if it is one."""
    try:
        searching.compiled(pattern)
    except re.error as error:
        return str(error)
    return ""


def _comparison(findings: Findings, item: Item, path: str) -> tuple[str, str] | None:
    """Read what a value is to be: 5, text, ">= 5"."""
    written = text(findings, item, path) if isinstance(item, Scalar) else None
    if written is None:
        findings.wrong(item, path, 'a value, or a comparison such as ">= 5"')
        return None
    found = _COMPARED.fullmatch(written.strip())
    comparison, wanted = (found[1] or "==", found[2]) if found else ("==", written)
    if comparison not in ("==", "!=") and not _is_number(wanted):
        findings.wrong(item, path, f"a number behind {comparison}")
        return None
    if wanted[:1] in _SIGNS:  # such as =>
        findings.wrong(item, path, f"a value, or {one_of(checks.COMPARISONS)} and a value")
        return None
    return comparison, wanted


def _is_number(written: str) -> bool:
    try:
        float(written)
    except ValueError:
        return False
    return True


_moment = moment(0)
