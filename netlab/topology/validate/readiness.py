"""`ready:` and `restart:` of a process: what shows that it is ready, and when it starts again by itself."""

import re

from netlab.kernel.searching import compiled
from netlab.topology.document.tree import Item, Mapping, Scalar
from netlab.topology.model import COMMAND, FILE, HTTP, LINE, PORT, Ready, Restart
from netlab.topology.validate.findings import Findings, Name, one_of, place
from netlab.topology.validate.ip import parse_address
from netlab.topology.validate.rules import Fields, choice, integer, word
from netlab.topology.validate.settings import command

KINDS = (LINE, PORT, FILE, COMMAND, HTTP)
READY_KEYS, RESTART_KEYS = (*KINDS, "within"), ("when", "at_most")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0}
_LONGEST_S = 3600.0
_SECONDS = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)(ms|s|m)?")
_WITHIN = f"a time such as 5, 500ms or 10s, up to {_LONGEST_S:g}s"
_PORT = re.compile(r"(?:(tcp|udp)/)?(\d{1,5})(?:/(tcp|udp))?")
_A_PORT = "a port such as 80, 80/tcp or 53/udp"
_MOST_PORTS = 65535
_URL = re.compile(r"(?:http://([^/:\[\]]*|\[[0-9a-fA-F:.]+\]))?(?::(\d{1,5}))?(/[!-~]*)?")
_A_PAGE = "a page such as /health, :8080/health or http://10.0.0.1:8080/health"
HERE = "127.0.0.1"
MOST_RESTARTS = 1000


def seconds(findings: Findings, item: Item, path: str) -> float | None:
    """Take a time, in seconds or with a unit."""
    found = _SECONDS.fullmatch(item.text) if isinstance(item, Scalar) else None
    value = float(found[1]) * _UNITS[found[2] or "s"] if found else 0.0
    if 0 < value <= _LONGEST_S:
        return value
    findings.wrong(item, path, _WITHIN)
    return None


def _line(findings: Findings, item: Item, path: str) -> str | None:
    """Take a text that a line contains, or a regular expression."""
    written = word(findings, item, path)
    if written is None or "\n" in written:
        if written:
            findings.wrong(item, path, "text on one line")
        return None
    try:
        compiled(written)
    except re.error as error:
        hint = r"a backslash makes a character stand for itself, as \("
        findings.wrong(item, path, f"a text or a regular expression ({error.msg})", hint)
        return None
    return written


def _port(findings: Findings, item: Item, path: str) -> str | None:
    """Take a port with its protocol, TCP where none is written; return it as N/tcp."""
    found = _PORT.fullmatch(item.text) if isinstance(item, Scalar) else None
    if found and 0 < int(found[2]) <= _MOST_PORTS and not (found[1] and found[3]):
        return f"{int(found[2])}/{found[1] or found[3] or 'tcp'}"
    findings.wrong(item, path, _A_PORT)
    return None


def _file(findings: Findings, item: Item, path: str) -> str | None:
    written = word(findings, item, path)
    if written is not None and (not written.startswith("/") or written.endswith("/")):
        findings.wrong(item, path, "the absolute path of a file, as the node sees it")
        return None
    return written


def _page(findings: Findings, item: Item, path: str) -> str | None:
    """Take a URL, or what of it differs from http://127.0.0.1:80/; return it whole."""
    found = _URL.fullmatch(item.text) if isinstance(item, Scalar) and item.text else None
    if found is None:
        secure = isinstance(item, Scalar) and item.text.startswith("https:")
        findings.wrong(item, path, _A_PAGE, "for https: `command: [curl, -ksf, …]`" if secure else "")
        return None
    host = (found[1] or HERE).removeprefix("[").removesuffix("]").replace("localhost", HERE)
    number = int(found[2] or 80)
    if "/" in host or not parse_address(Name(host, place(item, path))):
        findings.wrong(item, path, _A_PAGE, "the host is an address, or localhost: names are not looked up")
        return None
    if not 0 < number <= _MOST_PORTS:
        findings.wrong(item, path, _A_PAGE)
        return None
    return f"http://{f'[{host}]' if ':' in host else host}:{number}{found[3] or '/'}"


def ready(is_role: bool, findings: Findings, item: Item, path: str) -> Ready | None:
    """Take what shows that a process is ready; for a role, a time for its READY is enough."""
    what = f"a mapping with {one_of(KINDS)}, and perhaps within"
    fields = Fields(findings, item, path, READY_KEYS, what)
    if not isinstance(item, Mapping):
        return None
    found = Ready(within=fields.read("within", seconds, 0.0))
    written = [kind for kind in KINDS if kind in fields]
    for kind in written[1:]:
        findings.add(fields.key_place(kind), f"expected one of {one_of(KINDS)}, found {written[0]} and {kind}")
    for kind, rule in ((LINE, _line), (PORT, _port), (FILE, _file), (HTTP, _page)):
        if value := fields.read(kind, rule, ""):
            found = found._replace(kind=kind, what=value)
    if argv := fields.read(COMMAND, command, ()):
        found = found._replace(kind=COMMAND, what=" ".join(argv), argv=argv)
    if not item.pairs:
        findings.wrong(item, path, what)
    elif not is_role and [key.text for key, _ in item.pairs] == ["within"]:
        findings.add(place(item, path), f"expected {one_of(KINDS)} of a command, found within alone")
    return found


def restart(findings: Findings, item: Item, path: str) -> Restart | None:
    """Take when a process starts again by itself, and how often in a row."""
    when = choice("no", "on-failure", "always")
    if not isinstance(item, Mapping):
        chosen = when(findings, item, path)
        return None if chosen is None else Restart(chosen)
    fields = Fields(findings, item, path, RESTART_KEYS, "a mapping with when and at_most")
    at_most = fields.read("at_most", integer(1, MOST_RESTARTS), Restart().at_most)
    return Restart(fields.require("when", when, "no"), at_most)
