"""Rules for what a node has besides its process: command, environment, sysctls, limits, image, capabilities."""

from netlab.kernel.capabilities import NAMES
from netlab.topology.document.tree import Item, Scalar, Sequence
from netlab.topology.model import Limits
from netlab.topology.validate.findings import Findings
from netlab.topology.validate.rules import DIGITS, LOWER, Fields, integer, pairs, scalar, sequence, word

LETTERS = LOWER + LOWER.upper()
UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
LIMITS = ("cpu", "memory", "pids")
# Docker's engine accepts no less of either, and a topology should be good for every runtime.
MIN_CORES = 0.01
MAX_CORES = 4096
MIN_MEMORY = 6 << 20
MAX_MEMORY = 1 << 50
MAX_PIDS = 1 << 22  # the kernel has no more
LONGEST_NUMBER = 16  # digits


def is_word(written: str) -> bool:
    """Say whether `written` is a C identifier, which is also what a shell takes as a variable's name."""
    return bool(written) and not written.strip(LETTERS + DIGITS + "_") and written[0] not in DIGITS


def _variable_problem(key: str) -> str:
    if key.startswith("NETLAB_"):
        return "a variable of your own, as NETLAB_… are netlab's"
    return "" if is_word(key) else "a variable's name of letters, digits and underscores"


def _sysctl_problem(key: str) -> str:
    parts = key.split(".")
    # A slash in a name means a dot, as for sysctl(8), but a name of dots and slashes alone would lead elsewhere.
    good = len(parts) > 1 and parts[0] == "net" and all(part.strip("/") for part in parts)
    return "" if good and not key.strip(LETTERS + DIGITS + "._-/") else "a dotted name such as net.ipv4.tcp_ecn"


def _setting(findings: Findings, item: Item, path: str) -> str | None:
    """Take a number or text on one line: what a sysctl is set to."""
    written = word(findings, item, path)
    if written is not None and "\n" in written:
        findings.wrong(item, path, "text on one line")
        return None
    return written


def command(findings: Findings, item: Item, path: str) -> tuple[str, ...] | None:
    """Take a program and its arguments, as a list."""
    expected = "a list of a program and its arguments"
    if isinstance(item, Scalar) and isinstance(item.value, str):
        findings.wrong(item, path, expected, "such as [sleep, 60], or [sh, -c, '…'] for a shell")
        return None
    words = sequence(scalar, expected, least=1)(findings, item, path)
    if words and isinstance(item, Sequence) and not words[0].strip():
        findings.wrong(item.items[0], f"{path}.0", "the name of a program")
        return None
    return words


def image(findings: Findings, item: Item, path: str) -> str | None:
    """Take the name of a container image."""
    written = word(findings, item, path)
    if written is not None and (written.startswith("-") or any(character.isspace() for character in written)):
        findings.wrong(item, path, "the name of a container image")
        return None
    return written


def limits(findings: Findings, item: Item, path: str) -> Limits | None:
    """Take how many cores, how much memory, and how many processes and threads a node may use."""
    fields = Fields(findings, item, path, LIMITS, "a mapping with cpu, memory or pids")
    return Limits(
        fields.read("cpu", _cores, 0.0),
        fields.read("memory", _memory, 0),
        fields.read("pids", _PIDS, 0),
    )


_PIDS = integer(1, MAX_PIDS, "a number of processes and threads")


def _cores(findings: Findings, item: Item, path: str) -> float | None:
    value = item.value if isinstance(item, Scalar) else None
    if isinstance(value, int | float) and not isinstance(value, bool) and MIN_CORES <= value <= MAX_CORES:
        return float(value)
    findings.wrong(item, path, f"a number of cores from {MIN_CORES} to {MAX_CORES}")
    return None


def _memory(findings: Findings, item: Item, path: str) -> int | None:
    """Take bytes, or a number with K, M or G, which count in 1,024."""
    if isinstance(item, Scalar):
        unit = UNITS.get(item.text[-1:], 1)
        digits = item.text[:-1] if unit > 1 else item.text
        if (
            digits.isascii()
            and digits.isdigit()
            and len(digits) <= LONGEST_NUMBER
            and MIN_MEMORY <= int(digits) * unit <= MAX_MEMORY
        ):
            return int(digits) * unit
    findings.wrong(item, path, "an amount of memory such as 64M or 1G, at least 6M")
    return None


def _capability(findings: Findings, item: Item, path: str) -> str | None:
    """Take the name of a capability, with or without CAP_."""
    written = item.text.upper().removeprefix("CAP_") if isinstance(item, Scalar) else ""
    if written in NAMES:
        return written
    near = findings.closest(written, NAMES) if written else ""
    findings.wrong(item, path, "a capability such as SYS_PTRACE", f"did you mean {near}?" if near else "")
    return None


capabilities = sequence(_capability, "a list of capabilities such as [SYS_PTRACE]")
environment = pairs(_variable_problem, scalar, "a mapping of variables to values")
sysctls = pairs(_sysctl_problem, _setting, "a mapping of sysctls to values")
