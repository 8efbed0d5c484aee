"""Finds the programs and roles that a topology names: beside it first, then among netlab's own."""

import os
import stat

from netlab.assets import folder
from netlab.topology.document.tree import Item, show
from netlab.topology.model import OBJECT
from netlab.topology.trust import is_own
from netlab.topology.validate.findings import Findings, place
from netlab.topology.validate.rules import word
from netlab.topology.validate.untrusted import refuse_outside

SUFFIXES = {"bpf": ".c", "roles": ".py"}
WHAT = {"bpf": "a program", "roles": "a role"}


Constants = tuple[tuple[str, str | int], ...]


class Files:
    """Looks up programs (kind `bpf`) and roles (kind `roles`) for the topology in the folder `beside`."""

    def __init__(self, beside: str) -> None:
        self._beside = beside
        self._known: dict[tuple[str, str], str] = {}
        self._programs: dict[str, bytes] = {}
        self._transmits: dict[tuple[object, ...], bool] = {}

    def rule(self, kind: str, findings: Findings, item: Item, path: str) -> tuple[str, str] | None:
        """Return the name of the program or role that `item` names, and the absolute path of its file."""
        written = word(findings, item, path)
        if written is None:
            return None
        if "/" in written and refuse_outside(findings, item, path, self._beside, written):
            return None
        suffix = SUFFIXES[kind]
        suffix = OBJECT if kind == "bpf" and written.endswith(OBJECT) else suffix
        if "/" not in written and not written.endswith(suffix):
            file = self._by_name(kind, written)
            where = f"no {show(f'{kind}/{written}{suffix}')[1:-1]} beside the topology, nor in netlab"
        elif written.endswith(suffix):
            file = self._by_path(written)
            where = "no such file" + (" beside the topology" if self._beside and not os.path.isabs(written) else "")
        else:
            endings = f"{suffix} or {OBJECT}" if kind == "bpf" else suffix
            file, where = "", f"a path that does not end in {endings}"
        if file and findings.untrusted and not is_own(file, kind):
            inside = os.path.relpath(file, self._beside) if self._beside else file
            if refuse_outside(findings, item, path, self._beside, inside):  # by a link
                return None
        wrong = self._unfit(kind, file) if file else ""
        if file and not wrong:
            name = os.path.basename(file)[: -len(suffix)]
            return name.removesuffix(".bpf") if kind == "bpf" else name, file
        message = f"expected {WHAT[kind]}, found {show(written)}: {wrong or where}"
        known = [] if wrong else self._neighbours(written, suffix) or self._names(kind)
        findings.add(place(item, path), message, findings.nearest(written, known) if known else "")
        return None

    def folder(self, findings: Findings, item: Item, path: str) -> str | None:
        """Return the absolute path of a folder that `item` names, such as one with headers."""
        written = word(findings, item, path)
        if written is None or refuse_outside(findings, item, path, self._beside, written):
            return None
        found = os.path.abspath(os.path.join(self._beside, os.path.expanduser(written)))
        if os.path.isdir(found):
            return found
        findings.add(place(item, path), f"expected a folder with headers, found {show(written)}: no such folder")
        return None

    def may_transmit(
        self, program: str, define: Constants, include: tuple[str, ...] = (), cflags: tuple[str, ...] = ()
    ) -> bool:
        """Say whether a program that `rule` has found may return XDP_TX."""
        case = (program, define, include, cflags)
        if case not in self._transmits:
            data = self._programs[program]
            if program.endswith(OBJECT):
                from netlab.topology import dialect  # here, as most labs have no objects

                self._transmits[case] = dialect.may_transmit(program, data, define, include, cflags)
            else:
                from netlab.topology import program_text

                text = data.decode(errors="replace")
                self._transmits[case] = program_text.may_transmit(program, text, define, include, cflags)
        return self._transmits[case]

    def has_words(self, program: str, words: str) -> bool:
        """Say whether these words are in a program that `rule` has found."""
        return words.encode() in self._programs.get(program, b"")

    def _unfit(self, kind: str, file: str) -> str:
        """Return why a file cannot be a program or role, "" if it can."""
        try:
            mode = os.stat(file).st_mode
            if not stat.S_ISREG(mode):
                what = "a directory" if stat.S_ISDIR(mode) else "a device, pipe or socket"
                return f"{show(file)} is {what}, no regular file"
            if kind == "bpf" and file not in self._programs:
                from netlab.topology import program_text  # here, as labs without programs need none of it

                self._programs[file] = program_text.read_bytes(file)
        except OSError as error:
            return f"{show(file)} cannot be read: {error.strerror}"
        if kind == "bpf" and file.endswith(OBJECT) and (wrong := _object_problem(self._programs[file])):
            return f"{show(file)} is {wrong}"
        if kind == "bpf" and os.fsencode(file).decode(errors="replace") != file:
            return f"{show(file)} is no UTF-8, and the compiler takes no other path: rename it, or its folder"
        return ""

    def _by_path(self, written: str) -> str:
        file = os.path.abspath(os.path.join(self._beside, written))
        return file if _is_there(file) else ""

    def _by_name(self, kind: str, written: str) -> str:
        """Return the file of this name, or "". A thousand nodes with one role need one look-up."""
        if (kind, written) not in self._known:
            files = (os.path.join(directory, written + SUFFIXES[kind]) for directory in self._folders(kind))
            self._known[kind, written] = next(filter(_is_there, files), "")
        return self._known[kind, written]

    def _folders(self, kind: str) -> tuple[str, ...]:
        return (os.path.join(self._beside, kind), self._beside, folder(kind)) if self._beside else (folder(kind),)

    def _neighbours(self, written: str, suffix: str) -> list[str]:
        """Return the paths of the files with this ending in the folder of a written path, for a hint."""
        directory = os.path.dirname(written)
        names = _files(os.path.join(self._beside, directory), suffix) if directory else []
        return [os.path.join(directory, name) for name in names]

    def _names(self, kind: str) -> list[str]:
        """Return the names of all programs or roles there are, for a hint."""
        suffix = SUFFIXES[kind]
        names = {name[: -len(suffix)] for directory in self._folders(kind) for name in _files(directory, suffix)}
        return sorted(names)


def _object_problem(data: bytes) -> str:
    """Return what a file is that is no object for BPF; "" for one that may be loaded."""
    from netlab.topology import object_file  # here, as most labs have no objects

    try:
        object_file.sections(data)
    except object_file.BadObjectError as error:
        return str(error)
    return ""


def _is_there(file: str) -> bool:
    """Say whether there is a file, or whether we may not see if there is one."""
    try:
        os.stat(file)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return False
    except OSError:
        return True
    return True


def _files(directory: str, suffix: str) -> list[str]:
    """Return the names of a folder's files with this ending; none if it cannot be read."""
    try:
        names = os.listdir(directory)
    except OSError:
        return []
    return sorted(name for name in names if name.endswith(suffix) and not name.startswith(("_", ".")))
