"""`files:` and `private:` of a node: what its processes see in the place of the host's files."""

import os

from netlab import paths
from netlab.errors import reason
from netlab.kernel import files as kernel_files
from netlab.named_tuple import NamedTuple
from netlab.topology import trust
from netlab.topology.document.tree import Item, Mapping, Scalar, join, show
from netlab.topology.document.tree import Sequence as SequenceItem
from netlab.topology.model import OwnFile, OwnFiles, OwnFolder
from netlab.topology.validate.findings import Findings, Place, place
from netlab.topology.validate.rules import DIGITS, LOWER, Fields, choice, text, word
from netlab.topology.validate.untrusted import HINT as UNTRUSTED
from netlab.topology.validate.untrusted import check_own

MAX_BYTES = 16 << 20  # of one file
MOST = 1000  # files of a node, and folders
NODE = "${node}"
_LONGEST_PATH, _LONGEST_NAME = 4095, 255
_LONGEST_OWNER = 32
# The kernel's own, and what netlab, `ip netns` and a lab's nodes share.
KEPT = ("/proc", "/sys", "/dev", paths.LABS, paths.RUN_NETNS, paths.ETC_NETNS)
_ALLOWED = "/dev/shm"  # noqa: S108 - a path that nodes may have for themselves
FILE_KEYS = ("source", "text", "mode", "owner")
FOLDER_KEYS = ("path", "content", "mode", "owner")
_OWNER_LETTERS = LOWER + LOWER.upper() + DIGITS + "_.-"
_CONTENT = choice("empty", "host")


class WrittenFile(NamedTuple):
    """A file as written: its source, or its text; `mode` 0 is not said."""

    path: str
    place: Place
    source: str
    text: str
    mode: int
    owner: str


class WrittenFiles(NamedTuple):
    """What a node has of its own, as written."""

    files: tuple[WrittenFile, ...] = ()
    folders: tuple[OwnFolder, ...] = ()


class Sources:
    """Reads the files that a topology in the folder `beside` gives to nodes; each once, for all nodes."""

    def __init__(self, findings: Findings, beside: str) -> None:
        self._findings = findings
        self._beside = beside
        self._known: dict[str, tuple[bytes, int] | None] = {}

    def own(self, written: WrittenFiles, node: str) -> OwnFiles:
        """Return what a node has of its own; what cannot be read is a mistake, and is left out."""
        found = (self._file(each, node) for each in written.files)
        return OwnFiles(tuple(each for each in found if each), written.folders)

    def _file(self, written: WrittenFile, node: str) -> OwnFile | None:
        if not written.source:
            content = written.text.replace(NODE, node).encode()
            return OwnFile(written.path, content, written.mode or 0o644, written.owner)
        named = written.source.replace(NODE, node)
        if self._findings.untrusted and trust.outside(self._beside, named):
            message = f"expected a path in the topology's folder, found {show(named)}, which leads outside"
            self._findings.add(written.place, message, UNTRUSTED)
            return None
        path = os.path.abspath(os.path.join(self._beside, named))
        if path not in self._known:
            self._known[path] = self._read(written, path)
        if not (known := self._known[path]):
            return None
        return OwnFile(written.path, known[0], written.mode or known[1], written.owner, path)

    def _read(self, written: WrittenFile, path: str) -> tuple[bytes, int] | None:
        """Return the content of a file, and its permissions in a node: it may be executed there if it may be here."""
        try:
            content = kernel_files.read(path, MAX_BYTES)
            return content, 0o755 if os.stat(path).st_mode & 0o111 else 0o644
        except (OSError, ValueError) as error:
            why = reason(error) if isinstance(error, OSError) else "no file can have this name"
            whose = f", which is {path}" if NODE in written.source else ""
            message = f"expected a file to give to the node, found {show(written.source)}{whose}: {why}"
            self._findings.add(written.place, message)
            return None


def read(fields: Fields) -> WrittenFiles:
    """Read `files:` and `private:` of a node, and add the mistakes of places that do not go together."""
    places: dict[str, Place] = {}
    folders = fields.read("private", lambda *at: _read_folders(places, *at), ())
    files = fields.read("files", lambda *at: _read_files(places, *at), ())
    if fields.findings.untrusted:
        for key in ("private", "files"):
            fields.read(key, lambda *at: check_own(places, *at), None)
    for path, where in places.items():
        above = next((each.path for each in files if path.startswith(f"{each.path}/")), "")
        if above:
            fields.findings.add(where, f"expected {show(above)} to be a folder, as {show(path)} is in it, found a file")
    return WrittenFiles(files, folders)


def path_problem(path: str) -> str:
    """Return what was expected of the path of a file or folder of a node's own, "" for a good one."""
    parts = path.split("/")
    if not path.startswith("/") or any(part in ("", ".", "..") for part in parts[1:]):
        return "an absolute path without . and .. such as /etc/frr/frr.conf"
    if not path.isprintable() or len(path.encode(errors="surrogateescape")) > _LONGEST_PATH:
        return f"a path of at most {_LONGEST_PATH:,} printable characters"
    if any(len(part.encode(errors="surrogateescape")) > _LONGEST_NAME for part in parts):
        return f"a path whose names have at most {_LONGEST_NAME} characters"
    return place_problem(path)


def place_problem(path: str) -> str:
    """Return what was expected where a node shares this place with all others, "" where it need not."""
    shared = next((kept for kept in KEPT if path == kept or path.startswith(f"{kept}/")), "")
    if not shared or path == _ALLOWED or path.startswith(f"{_ALLOWED}/"):
        return ""
    return f"a path outside {shared}, which no node has for itself"


def _read_files(places: dict[str, Place], findings: Findings, item: Item, path: str) -> tuple[WrittenFile, ...] | None:
    if not isinstance(item, Mapping) or len(item.pairs) > MOST:
        findings.wrong(item, path, f"a mapping of at most {MOST:,} paths to files")
        return None
    found = []
    for key, value in item.pairs:
        below = join(path, key.text)
        wanted = path_problem(key.text) or _below_root(key.text)
        if _is_new(places, findings, key.text, place(key, below), wanted):
            found.append(_read_file(findings, key, value, below))
    return tuple(each for each in found if each)


def _below_root(path: str) -> str:
    return "a path in a folder, as what is right below / is every node's" if path.count("/") == 1 else ""


def _read_file(findings: Findings, key: Scalar, item: Item, path: str) -> WrittenFile | None:
    if isinstance(item, Scalar):
        named = _source(findings, item, path)
        return WrittenFile(key.text, place(item, path), named, "", 0, "") if named else None
    fields = Fields(findings, item, path, FILE_KEYS, "the path of a file, or a mapping with source or text")
    if not isinstance(item, Mapping):
        return None
    if ("source" in fields) == ("text" in fields):
        which = "both" if "source" in fields else "neither"
        findings.add(place(key, path), f"expected source or text, found {which}")
    source = fields.read("source", _source, "")
    mode, owner = fields.read("mode", _mode, 0), fields.read("owner", _owner, "")
    return WrittenFile(key.text, fields.value_place("source"), source, fields.read("text", text, ""), mode, owner)


def _source(findings: Findings, item: Item, path: str) -> str | None:
    """Take the path of a file; ${node} in it is the node's name."""
    written = word(findings, item, path)
    if written is None or "${" not in written.replace(NODE, ""):
        return written
    findings.wrong(item, path, f"a path in which only {NODE} stands for something else")
    return None


def _read_folders(places: dict[str, Place], findings: Findings, item: Item, path: str) -> tuple[OwnFolder, ...] | None:
    if not isinstance(item, SequenceItem) or len(item.items) > MOST:
        findings.wrong(item, path, f"a list of at most {MOST:,} folders such as [/run/frr]")
        return None
    found = (_read_folder(places, findings, child, f"{path}.{number}") for number, child in enumerate(item.items))
    return tuple(each for each in found if each)


def _read_folder(places: dict[str, Place], findings: Findings, item: Item, path: str) -> OwnFolder | None:
    if isinstance(item, Scalar):
        written = word(findings, item, path)
        good = written is not None and _is_new(places, findings, written, place(item, path), _folder_problem(written))
        return OwnFolder(written) if written and good else None
    fields = Fields(findings, item, path, FOLDER_KEYS, "the path of a folder, or a mapping with path")
    written = fields.require("path", word, "")
    good = bool(written) and _is_new(places, findings, written, fields.value_place("path"), _folder_problem(written))
    keeps = fields.read("content", _CONTENT, "empty") == "host"
    mode, owner = fields.read("mode", _mode, 0), fields.read("owner", _owner, "")
    return OwnFolder(written, keeps, mode, owner) if good else None


def _folder_problem(path: str) -> str:
    return "a folder below /, as / is every node's" if path == "/" else path_problem(path)


def _is_new(places: dict[str, Place], findings: Findings, path: str, where: Place, wanted: str) -> bool:
    """Note a path of a node's own; say whether it is a good one that was not written before."""
    if wanted:
        findings.add(where, f"expected {wanted}, found {show(path)}")
    elif path in places:
        findings.add(where, f"expected each path once, found {show(path)} again (line {places[path].line})")
    else:
        places[path] = where
        return True
    return False


def _mode(findings: Findings, item: Item, path: str) -> int | None:
    """Take permissions in octal, with or without a zero in front, as chmod(1) does."""
    written = item.text if isinstance(item, Scalar) else ""
    digits = written.removeprefix("0o").removeprefix("0")
    if len(digits) in (len("644"), len("1777")) and not digits.strip("01234567"):
        return int(digits, 8)
    findings.wrong(item, path, "permissions such as 0640")
    return None


def _owner(findings: Findings, item: Item, path: str) -> str | None:
    """Take USER or USER:GROUP."""
    written = item.text if isinstance(item, Scalar) and item.value is not None else ""
    parts = written.split(":")
    if len(parts) in (1, 2) and all(_is_account(part) for part in parts):
        return written
    findings.wrong(item, path, "an owner such as frr or frr:frr")
    return None


def _is_account(written: str) -> bool:
    good = 0 < len(written) <= _LONGEST_OWNER and not written.strip(_OWNER_LETTERS) and written[0] not in "-."
    return good and (not written.isdigit() or int(written) < (1 << 32) - 1)
