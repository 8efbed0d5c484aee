"""Who may import whom: down the house only, and slow libraries only where they are used."""

import ast
import os
import subprocess
import sys

import pytest

from tests.waiting import PATIENCE_S

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# From the roof down. A module imports only modules of rows below its own; modules of one row know nothing of each other
# unless the row is marked as a family, whose members may.
ROWS: list[tuple[str, ...]] = [
    ("__main__",),
    ("cli",),
    ("demo", "reload"),
    ("report", "apply", "operate"),
    ("host",),
    ("removal", "health"),
    ("balancer", "launch", "describe", "hosts", "compose"),
    ("process", "supervisor", "programs", "loader", "links", "runtime", "inspection"),
    ("attaching",),
    ("compiling",),
    ("compile_cache", "handover"),
    ("compiled", "maps", "features"),
    (
        "child",
        "trace",
        "diagnosis",
        "files",
        "cache_folder",
        "umask",
        "hints",
        "refusal",
        "bpf",
        "headers",
        "netlink",
        "messages",
        "sysctls",
        "record",
        "lock",
        "logs",
        "identity",
        "syscalls",
        "stopping",
        "tracking",
        "facts",
        "logfile",
        "turns",
        "joining",
        "waiting",
        "commands",
        "condition",
        "shapes",
    ),
    ("plan",),
    ("steps", "routing"),
    ("validate",),
    ("options", "declared", "document", "assets", "addresses"),
    ("model",),
    ("errors", "reading", "lazily", "role", "usage", "prometheus", "capabilities", "progress"),
    ("talk",),
]
FAMILIES = {7, 12, 14, 16}
ONLY_USERS = {
    "yaml": {"document"},
    "bcc": {"compiling"},
    "psutil": {"process"},
    "pyroute2": {"messages"},
    "rich": {"report"},
    "docker": {"runtime"},
    "ctypes": {"bpf", "compiled", "compiling", "features", "maps", "syscalls"},
}


def modules() -> dict[str, list[str]]:
    """Return every file of netlab by the module, or the package below netlab, it belongs to."""
    found: dict[str, list[str]] = {}
    for folder, _, names in os.walk(f"{ROOT}/netlab"):
        for name in names:
            path = os.path.relpath(f"{folder}/{name}", f"{ROOT}/netlab")
            if name.endswith(".py") and path != "__init__.py":
                found.setdefault(path.split("/")[0].removesuffix(".py"), []).append(path)
    return found


def imported(path: str) -> set[str]:
    """Return the modules that a file imports anywhere, but not for type checking alone."""
    with open(path, encoding="utf-8") as file:
        tree = ast.parse(file.read())
    skipped = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    found = set()
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def row(module: str) -> int:
    """Return the floor a module lives on."""
    return next(at for at, names in enumerate(ROWS) if module in names)


@pytest.mark.parametrize("module", sorted(modules()))
def test_imports_point_down(module: str) -> None:
    """The house has no stairs up: what is below never needs what is above it."""
    assert any(module in names for names in ROWS), f"netlab.{module} has no place in the house: give it one in ROWS"
    here = row(module)
    for path in modules()[module]:
        for name in imported(f"{ROOT}/netlab/{path}"):
            parts = name.split(".")
            if parts[0] == "netlab" and len(parts) > 1 and parts[1] in modules() and parts[1] != module:
                below = row(parts[1]) > here or (row(parts[1]) == here and here in FAMILIES)
                assert below, f"netlab/{path} imports netlab.{parts[1]}, which is not below it"


def test_libraries_have_one_user() -> None:
    """Each slow or dangerous library has its place."""
    for module, paths in modules().items():
        for path in paths:
            for name in imported(f"{ROOT}/netlab/{path}"):
                users = ONLY_USERS.get(name.split(".")[0], {module})
                assert module in users, f"netlab/{path} imports {name}, which only {sorted(users)} may"


def test_roles_know_little_of_netlab() -> None:
    """A role may use the maps, the balancer, what roles share, its options and the errors; netlab imports no role."""
    for name in os.listdir(f"{ROOT}/roles"):
        if name.endswith(".py"):
            ours = {each for each in imported(f"{ROOT}/roles/{name}") if each.startswith("netlab.")}
            allowed = ("netlab.maps", "netlab.balancer", "netlab.options", "netlab.role", "netlab.errors")
            assert all(each.startswith(allowed) for each in ours), f"roles/{name} imports {sorted(ours)}"
    for paths in modules().values():
        for path in paths:
            assert not any(each.split(".")[0] == "roles" for each in imported(f"{ROOT}/netlab/{path}"))


SLOW = {
    *("yaml", "psutil", "rich", "bcc", "pyroute2"),
    *("argparse", "asyncio", "ctypes", "dataclasses", "logging", "pathlib", "subprocess"),
}


@pytest.mark.parametrize(
    "modules", ["netlab.cli", "netlab.cli, netlab.launch, netlab.runtime.netns", "netlab.supervisor"]
)
def test_fast_paths_import_nothing_slow(modules: str) -> None:
    """The command line, what `exec` needs, and the process that stays in every lab start without slow libraries."""
    code = f"import {modules}, sys; print(*sys.modules)"
    shown = subprocess.run(
        [sys.executable, "-S", "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=PATIENCE_S
    )

    assert not SLOW & set(shown.stdout.split())
