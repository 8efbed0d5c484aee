"""`processes:` of a node, and the keys that say the same of its only process at the node itself."""

from collections.abc import Sequence

from netlab.named_tuple import NamedTuple
from netlab.paths import is_name
from netlab.topology import declared
from netlab.topology.document.tree import Item, Mapping, Scalar, join, show
from netlab.topology.model import Process, Ready, Restart
from netlab.topology.validate.args import Arg, WrittenRole, read_args
from netlab.topology.validate.files import Files
from netlab.topology.validate.findings import Findings, Name, place
from netlab.topology.validate.order import After, expand
from netlab.topology.validate.rules import NAME, Fields, boolean, name, one_or_more, suggest_name
from netlab.topology.validate.settings import command, environment

KEPT = ("after", "autostart", "may_exit", "restart")  # beside several processes, they hold for those that say nothing
OWN = ("role", "args", "command", "ready")
KEYS = (*OWN, *KEPT)  # at a node they say it of its only process
LIST = "processes"
ENTRY_KEYS = (*KEYS, "env")
_AFTER = one_or_more(name, "a list of nodes", least=0)


class WrittenProcess(NamedTuple):
    """A process as written. `process` has all that needs no other one; its name is "" where it is the node's."""

    process: Process
    role: WrittenRole | None
    after: tuple[Name, ...]

    def of(self, members: Sequence[str], after: After) -> list[Process]:
        """Return it as a process of each of these nodes, with what its role says and what it comes after."""
        whole, role = self.process, self.role
        if role:
            args = tuple((arg.key, arg.values or ()) for arg in role.args if arg.given)
            whole = whole._replace(role=role.name, role_path=role.path, args=args, stays=declared.stays(role.path))
        orders = zip(members, expand(after, members), strict=True)
        return [whole._replace(name=whole.name or member, after=keys) for member, keys in orders]


def is_written(fields: Fields) -> bool:
    """Say whether a node has any process, be it well written or not."""
    return any(key in fields for key in ("role", "command", LIST))


def read_processes(files: Files, fields: Fields) -> tuple[WrittenProcess, ...]:
    """Read what a node runs, and add the mistakes of keys that do not go together."""
    if LIST not in fields:
        _check_keys(fields)
        only = _read(files, fields, "", _NOTHING_SAID)
        return (only,) if is_written(fields) else ()
    for key in OWN:
        if key in fields:
            message = f"expected {key} in one of the {LIST}, found it beside them"
            fields.findings.add(fields.key_place(key), message, "move it there, or leave it out")
    shared = _read_kept(fields, _NOTHING_SAID)
    return fields.read(LIST, lambda *at: _read_list(files, shared, *at), ())


def _read_list(
    files: Files, shared: "_Kept", findings: Findings, item: Item, path: str
) -> tuple[WrittenProcess, ...] | None:
    if not isinstance(item, Mapping) or not item.pairs:
        findings.wrong(item, path, "a mapping with at least one process")
        return None
    return tuple(_read_entry(files, shared, findings, key, value, join(path, key.text)) for key, value in item.pairs)


def _read_entry(
    files: Files, shared: "_Kept", findings: Findings, key: Scalar, item: Item, path: str
) -> WrittenProcess:
    if not is_name(key.text):
        findings.add(place(key, path), f"expected {NAME}, found {show(key.text)}", suggest_name(key.text))
    fields = Fields(findings, item, path, ENTRY_KEYS, "a mapping with a role or a command")
    if isinstance(item, Mapping) and not is_written(fields):
        findings.add(place(key, path), "expected a role or a command, found neither")
    else:
        _check_keys(fields)
    found = _read(files, fields, key.text, shared)
    return found._replace(process=found.process._replace(env=fields.read("env", environment, ())))


class _Kept(NamedTuple):
    """What a node may say for all of its processes."""

    after: tuple[Name, ...] = ()
    autostart: bool = True
    may_exit: bool = False
    restart: Restart = Restart()


_NOTHING_SAID = _Kept()


def _read_kept(fields: Fields, shared: _Kept) -> _Kept:
    """Read these keys; `shared` is what holds where nothing is said."""
    return _Kept(
        fields.read("after", _AFTER, shared.after),
        fields.read("autostart", boolean, shared.autostart),
        fields.read("may_exit", boolean, shared.may_exit),
        _read_restart(fields, shared.restart),
    )


def _read(files: Files, fields: Fields, called: str, shared: _Kept) -> WrittenProcess:
    kept = _read_kept(fields, shared)
    process = Process(
        called,
        command=fields.read("command", command, ()),
        autostart=kept.autostart,
        may_exit=kept.may_exit,
        ready=_read_ready(fields),
        restart=kept.restart,
    )
    return WrittenProcess(process, _read_role(files, fields), kept.after)


def _read_restart(fields: Fields, default: Restart) -> Restart:
    if "restart" not in fields:
        return default
    from netlab.topology.validate.readiness import restart  # here, as most labs need none of it

    return fields.read("restart", restart, default)


def _read_ready(fields: Fields) -> Ready | None:
    if "ready" not in fields:
        return None
    from netlab.topology.validate.readiness import ready

    return fields.read("ready", lambda *at: ready("role" in fields, *at), None)


def _read_role(files: Files, fields: Fields) -> WrittenRole | None:
    none: tuple[Arg, ...] = ()
    args = fields.read("args", read_args, none)
    found = fields.read("role", lambda *at: files.rule("roles", *at), None)
    if found is None:
        return None
    return WrittenRole(*found, fields.key_place("role"), args, fields.key_place("args"))


def _check_keys(fields: Fields) -> None:
    """Add the mistakes of keys that do not go together, at a node or in one of its processes."""
    findings = fields.findings
    if "role" in fields and "command" in fields:
        message = "expected a role or a command, found both"
        findings.add(fields.key_place("command"), message, "leave one of them out")
    if "args" in fields and "command" in fields and "role" not in fields:
        findings.add(fields.key_place("args"), "expected a role for these args, found a command", "add them to it")
    if is_written(fields):
        return
    for key in KEYS:
        if key in fields:
            wanted = "a role" if key == "args" else "a role or a command"
            findings.add(fields.key_place(key), f"expected {wanted} that {key} can apply to, found none")
