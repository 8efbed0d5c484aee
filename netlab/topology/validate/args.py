"""`args:`: the options of a role, checked against what the role's file declares."""

from netlab import options
from netlab.named_tuple import NamedTuple
from netlab.topology import declared
from netlab.topology.document.tree import Item, Mapping, Scalar, Sequence, join, show
from netlab.topology.validate.findings import Findings, Name, Place, place
from netlab.topology.validate.names import Names
from netlab.topology.validate.rules import DIGITS
from netlab.topology.validate.settings import LETTERS


class Arg(NamedTuple):
    """An option as written: its values as text, () for `true`, None if they were wrong.

    `given` is false for `false`, which means the same as leaving the option out.
    """

    key: str
    values: tuple[str, ...] | None
    place: Place
    given: bool = True


class WrittenRole(NamedTuple):
    """What a process runs: the name and file of its role, where both were written, and the options."""

    name: str
    path: str
    place: Place
    args: tuple[Arg, ...]
    args_place: Place


def read_args(findings: Findings, item: Item, path: str) -> tuple[Arg, ...] | None:
    """Read `args:`."""
    if not isinstance(item, Mapping):
        findings.wrong(item, path, "a mapping of the role's options")
        return None
    seen: dict[str, str] = {}
    args = []
    for key, value in item.pairs:
        below = join(path, key.text)
        if not key.text or key.text[0] not in LETTERS or key.text.strip(LETTERS + DIGITS + "_-"):
            message = f"expected an option's name of letters, digits, _ and -, found {show(key.text)}"
            findings.add(place(key, below), message)
        elif (first := seen.setdefault(_dashed(key.text), key.text)) != key.text:
            findings.add(place(key, below), f"expected each option once, found it as {first} and as {key.text}")
        else:
            args.append(_read_arg(findings, key.text, value, below))
    return tuple(args)


def _read_arg(findings: Findings, key: str, item: Item, path: str) -> Arg:
    where = place(item, path)
    if isinstance(item, Scalar) and isinstance(item.value, bool):
        return Arg(key, (), where, item.value)
    entries = item.items if isinstance(item, Sequence) else (item,)
    if not entries:
        findings.wrong(item, path, "at least one value")
    values = []
    for number, entry in enumerate(entries):
        if isinstance(entry, Scalar) and entry.value is not None and not isinstance(entry.value, bool):
            # A number is passed on as written, but roles need not know 0x10.
            hexadecimal = isinstance(entry.value, int) and "x" in entry.text
            values.append(str(entry.value) if hexadecimal else entry.text)
        else:
            findings.wrong(entry, f"{path}.{number}" if isinstance(item, Sequence) else path, "a number or text")
    return Arg(key, tuple(values) if values and len(values) == len(entries) else None, where)


class Roles:
    """Checks the options of nodes against those of their roles; each role's file is read once."""

    def __init__(self, findings: Findings, names: Names) -> None:
        self._findings = findings
        self._names = names
        self._known: dict[str, options.Options | None] = {}

    def check(self, role: WrittenRole) -> None:
        """Add the mistakes in the options of one node's role."""
        accepted = self._options(role)
        if accepted is None:
            return
        known = {_dashed(name): option for name, option in accepted.items()}
        given: dict[str, Arg] = {}
        for arg in role.args:
            key = _dashed(arg.key)
            if key not in known:
                message = f"expected an option of the role {role.name}, found {show(arg.key)}"
                from netlab.topology.validate import levels

                if elsewhere := levels.hint_for_args(arg.key):
                    self._findings.add(arg.place, message, elsewhere)
                    continue
                self._findings.add(arg.place, message, self._findings.nearest(arg.key, accepted))
                key = _dashed(self._findings.closest(arg.key, list(accepted)))
            given[key] = arg
            if key in known and arg.values is not None:
                self._check_values(known[key], arg, arg.values)
        for name, option in accepted.items():
            if option.get("required") and _dashed(name) not in given:
                message = f"expected the option {name} of the role {role.name}, found none"
                self._findings.add(role.args_place, message, str(option.get("help", "")))
        texts = {name: given[_dashed(name)].values for name in accepted if _dashed(name) in given}
        good = {
            name: values for name, values in texts.items() if values and not options.problem(accepted[name], values)
        }
        if len(good) == len(texts):
            for name, wrong in options.unmet(accepted, good):
                self._findings.add(given[_dashed(name)].place if name in good else role.args_place, wrong)

    def _options(self, role: WrittenRole) -> options.Options | None:
        if role.path not in self._known:
            self._known[role.path] = None
            try:
                self._known[role.path] = declared.read(role.path)
                declared.capabilities(role.path)
                declared.stays(role.path)
            except (OSError, ValueError) as error:
                reason = error.strerror if isinstance(error, OSError) else error
                message = f"expected a role that can be read, found {role.path}: {reason}"
                self._findings.add(role.place, message)
        return self._known[role.path]

    def _check_values(self, option: options.Option, arg: Arg, values: tuple[str, ...]) -> None:
        expected = options.expected(option)
        if (option["type"] == "flag") != (not values):
            shown = ("true" if arg.given else "false") if not values else show(" ".join(values))
            self._findings.add(arg.place, f"expected {expected}, found {shown}")
        elif values and (wrong := options.problem(option, values)):
            near = self._findings.closest(values[0], option.get("choices", ()))
            self._findings.add(arg.place, wrong, f"did you mean {show(near)}?" if near not in ("", values[0]) else "")
        else:
            for host in options.hosts(option, values):
                self._names.find_host(Name(host, arg.place))


def _dashed(key: str) -> str:
    return key.replace("_", "-")
