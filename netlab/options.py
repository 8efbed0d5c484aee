"""What a role accepts on its command line: one description with two readers.

A role's file may have a literal

    OPTIONS = {
        "target": {"type": "endpoint", "required": True, "help": "the service, as NODE:PORT"},
        "sleep": {"type": "number", "values": [1, 2], "default": [0.2, 0.5], "minimum": 0, "help": "seconds"},
    }

Validation reads it without running the file (`declared`). The role itself parses its command line with it. The file may
also have a literal CAPABILITIES: what its process may do in a container besides the default. With STAYS = True only a
signal ends the role: `status` then takes any end for a fault, else only an end with another code than 0.

KEYS has the keys of an option, EXPECTED its types; docs/roles.md is made from both.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from netlab.named_tuple import NamedTuple

if TYPE_CHECKING:
    from netlab.role_arguments import Namespace

Option = Mapping[str, Any]
Options = Mapping[str, Option]

KEYS = {  # of an option, and what each says; docs/roles.md has this table, too
    "type": "what a value is, one of the types below; every option has it",
    "required": "`True`: the option must be given",
    "default": "the value where none is given; a list where the option takes several",
    "minimum": "the least number",
    "maximum": "the greatest number",
    "choices": "a list of all values that there are",
    "help": "one line for a person",
    "values": "`[least, most]`: the option takes a list of so many values",
    "needs": "`{VALUE: [[CONDITION, ...], ...]}`: what this value requires. All conditions of one of the lists must "
    "hold. A condition is `NAME=VALUE`, or the `NAME` of an option that must have another value than its default",
}
ONE_VALUE = [1, 1]
HIGHEST_PORT = 65535
LONGEST_INTEGER = 19  # digits
SHOWN = 60  # characters


class Endpoint(NamedTuple):
    """The address of a service: `host` is the name of a node, or an address. It is a pair, as sockets take it."""

    host: str
    port: int


EXPECTED = {  # each type, and what a value must be
    "integer": "a whole number",
    "number": "a number",
    "text": "text",
    "port": f"a port from 1 to {HIGHEST_PORT}",
    "endpoint": f"HOST:PORT with a port from 1 to {HIGHEST_PORT}",
    "node": "the name of a node",
    "flag": "true or false",
}


# --- checking values --------------------------------------------------------------------------------------------------


def expected(option: Option) -> str:
    """Return what a value of the option must be, in words."""
    kind = EXPECTED[option["type"]]
    low, high = option.get("minimum"), option.get("maximum")
    if "choices" in option:
        return "one of " + ", ".join(map(str, option["choices"]))
    if low is not None and high is not None:
        return f"{kind} from {low} to {high}"
    if low is not None:
        return f"{kind} of at least {low}"
    return f"{kind} of at most {high}" if high is not None else kind


def problem(option: Option, texts: Sequence[str]) -> str:
    """Return what is wrong with the values of an option ("expected …, found …"), or "" for good ones.

    It does not check whether the nodes in them exist; `hosts` returns their names.
    """
    least, most = option.get("values", ONE_VALUE)
    if not least <= len(texts) <= most:
        count = f"{least}" if least == most else f"{least} to {most}"
        return f"expected {count} value{'s' if most > 1 else ''}, found {len(texts)}"
    for text in texts:
        if value_of(option, text) is None:
            dash = " that does not begin with a dash" if option["type"] == "text" and text.startswith("-") else ""
            return f"expected {expected(option)}{dash}, found {_show(text)}"
    return ""


def unmet(options: Options, given: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, str]]:
    """Yield each option whose value needs something that is not given, and what is wrong ("expected …, found …").

    `given` has the good values of the options that are written, by their names in `options`.
    """
    for name, option in options.items():
        chosen = _text_of(option, given.get(name, ()))
        alternatives = option.get("needs", {}).get(chosen, [])
        if alternatives and not any(all(_holds(each, options, given) for each in one) for one in alternatives):
            words = (" and ".join(each.replace("=", ": ") for each in one) for one in alternatives)
            yield name, f"expected {', or '.join(words)} beside {chosen}, found {_show(chosen)} without"


def _holds(condition: str, options: Options, given: Mapping[str, Sequence[str]]) -> bool:
    name, _, wanted = condition.partition("=")
    option, texts = options[name], given.get(name, ())
    if wanted:
        return _text_of(option, texts) == wanted
    return bool(texts) and value_of(option, texts[0]) != option.get("default")


def _text_of(option: Option, texts: Sequence[str]) -> str:
    return texts[0] if texts else str(option.get("default"))


def hosts(option: Option, texts: Sequence[str]) -> list[str]:
    """Return the names in the values of an option that must be nodes, or groups of replicas, of the lab."""
    if option["type"] == "node":
        return list(texts)
    if option["type"] != "endpoint":
        return []
    names = (endpoint.host for endpoint in map(_endpoint, texts) if endpoint)
    return [name for name in names if name != "localhost" and not _is_address(name)]


def value_of(option: Option, text: str) -> Any:
    """Return the value that `text` means, None if the option does not take it."""
    value: Any = text
    kind = option["type"]
    if kind in ("integer", "port"):
        value = _integer(text)
        if kind == "port" and value is not None and not 0 < value <= HIGHEST_PORT:
            return None
    elif kind == "number":
        value = _number(text)
    elif kind == "endpoint":
        value = _endpoint(text)
    elif kind == "node" and (not text or text.startswith("-")):
        value = None
    elif kind == "text" and text.startswith("-"):
        value = None  # The command line would take it for an option.
    return value if value is not None and _within(option, value) else None


def _within(option: Option, value: object) -> bool:
    if "choices" in option and value not in option["choices"]:
        return False
    if not isinstance(value, int | float):
        return True
    return bool(option.get("minimum", value) <= value <= option.get("maximum", value))


def _integer(text: str) -> int | None:
    digits = text[1:] if text[:1] in ("+", "-") else text
    return int(text) if digits.isascii() and digits.isdigit() and len(digits) <= LONGEST_INTEGER else None


def _number(text: str) -> float | None:
    if text.strip("0123456789+-.eE"):
        return None  # float() would also take "nan", "1_000", blanks and digits of other scripts.
    try:
        number = float(text)
    except ValueError:
        return None
    return number if abs(number) < float("inf") else None


def _endpoint(text: str) -> Endpoint | None:
    host, _, port = text.rpartition(":")
    number = _integer(port) if port.isdigit() else None
    if number is None or not 0 < number <= HIGHEST_PORT or not host.isprintable() or " " in host:
        return None
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
        return Endpoint(host, number) if ":" in host and _is_address(host) else None
    return Endpoint(host, number) if host and host[0] != "-" and ":" not in host else None


def _is_address(host: str) -> bool:
    if ":" not in host and host.strip("0123456789."):
        return False
    from ipaddress import ip_address

    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _show(text: str) -> str:
    return repr(text if len(text) <= SHOWN else text[: SHOWN - 1] + "…")


# --- a role's command line --------------------------------------------------------------------------------------------


def parse(options: Options, description: str, argv: Sequence[str] | None = None) -> "Namespace":
    """Parse a role's command line, and return its options, typed, under their names.

    `argv` is what follows the role's own name, by default that of this process. An option with `values` gives a list,
    an endpoint an Endpoint. If an option is there twice, the last one counts. `--service_port` is `--service-port`. A
    wrong command line ends the process with a message and exit code 2.
    """
    from netlab import role_arguments

    return role_arguments.parse(options, description, argv)
