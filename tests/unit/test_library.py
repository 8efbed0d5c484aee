"""What no module outside of the command line does to its process: print, end, replace or move it, mask signals."""

import ast
from collections.abc import Iterator

import pytest

from tests.unit.test_imports import MODULES, parsed, room

FORBIDDEN = {
    "prints": ("print", "sys.stdout", "sys.stderr"),
    "ends or replaces": (
        *("sys.exit", "os._exit", "os.abort", "SystemExit"),
        *(f"os.exec{kind}" for kind in ("v", "ve", "vp", "vpe", "l", "le", "lp", "lpe")),
    ),
    "moves": ("os.chdir", "os.fchdir", "os.chroot", "syscalls.unshare_mounts"),
    "has signals otherwise": ("signal.signal", "signal.pthread_sigmask"),
}
OWN_PROCESSES = {
    "__main__",
    "programs.loader_child",
    "programs.event_collector",
    "programs.room_inside",
    "network.packet_holder",
    "supervise.supervisor",
    "demo.matching_child",
    "grade.child",
    "runtime.room_child",
}
MAY = {  # and why
    "role": {"prints"},  # a role is a program, and this is how it speaks
    "programs.child_processes": {"ends or replaces", "has signals otherwise", "prints"},  # in the copy that it forks
    "programs.bcc": {"prints"},  # in the loader's child, where bcc prints
    "balancer.health_checks": {"has signals otherwise"},  # in the child that a check starts
    "runtime.entry": {"ends or replaces", "moves"},  # children that it forks
    "supervise.child": {"ends or replaces", "moves", "has signals otherwise"},  # the same
    "programs.room": {"moves"},  # in the loader's child, which loads one program and ends
    "kernel.enclosing": {"moves"},  # for processes of our own
    "kernel.syscalls": {"ends or replaces", "moves"},  # for processes of our own
    "kernel.searching": {"has signals otherwise"},  # in processes of our own
    "kernel.signals": {"has signals otherwise"},  # contexts, after which they are as before
}


def used(tree: ast.AST) -> Iterator[str]:
    """Yield the names that a module uses, as they are written: `print`, `os.chdir`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            yield f"{node.value.id}.{node.attr}"


@pytest.mark.parametrize("module", sorted(name for name in MODULES if room(name) != "cli" or name == "__main__"))
def test_nothing_below_cli_prints_exits_or_changes_the_process(module: str) -> None:
    """The process of whoever imports netlab stays as it is; messages go to a function that the caller passes."""
    names = set(used(parsed(MODULES[module])))
    found = {what for what, forbidden in FORBIDDEN.items() if names.intersection(forbidden)}

    assert module in OWN_PROCESSES or found == MAY.get(module, set())
