"""Who may import whom: down the house only, and slow libraries only where they are used."""

import ast
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from functools import cache

import pytest

from netlab.testing.waiting import PATIENCE_S
from tests.checkout import ROOT

# From the roof down. A room imports only rooms of rows below its own; inside a room, any module may import any other.
# The basement is what stands beside the rooms: errors, paths, and what roles and all rooms share.
ROWS: list[tuple[str, ...]] = [
    ("cli", "testing"),
    ("grade", "web"),
    ("api",),
    ("demo",),
    ("observe",),
    ("lab",),
    ("supervise", "balancer", "network", "maps"),
    ("runtime", "programs", "plan", "judge"),
    ("record",),
    ("topology",),
    ("kernel",),
    ("basement",),
]
MOST_ROWS = 15
BESIDE = {"__main__": "cli", "maps": "maps"}  # modules without a folder that are not of the basement
FACE = ("netlab.maps", "netlab.balancer", "netlab.options", "netlab.role", "netlab.errors")  # what roles may import
ONLY_USERS = {
    "yaml": {f"topology.document.{name}" for name in ("composer", "dump", "parser")},
    "bcc": {"programs.bcc"},
    "psutil": {"supervise.client"},
    "pyroute2": {"network.message_classes"},
    "rich": {"observe.top_cells", "observe.top_screen"},  # it comes with textual
    "textual": {"observe.top_screen"},
    "argcomplete": {"cli.completion"},
    "docker": {"runtime.engine"},
    "distributed": {"grade.cluster"},
    "nicegui": {"web.page", "web.server", "web.side"},
    "uvicorn": {"web.server"},
    "fastapi": {"web.server"},
    "igraph": {"web.layout"},
    "ctypes": {
        *(f"programs.{name}" for name in ("bcc", "bpf", "compiled", "features", "map_reader", "maps")),
        *(f"programs.{name}" for name in ("libbpf_calls", "kernel_header", "kernel_numbers", "global_variables")),
        "programs.gate",
        "programs.gate_program",
        "kernel.syscalls",
        "kernel.seccomp",
        "observe.packet_filter",  # libpcap
        "kernel.rights",
    },
}
# What is in a path of netlab's own, and in no other text.
OWNED = ("/run/netlab", "/run/netns", "/etc/netns", "/var/cache", "lab.json", "env.json", "status.json", "trace.log")
OWNED_FOLDERS = ("maps", "programs", "logs", "bpf", "netns", "tracing", "layouts")


def modules() -> dict[str, str]:
    """Return the file of each of netlab's modules by its name below netlab; a package's is that of its `__init__`."""
    found = {}
    for folder, folders, names in os.walk(f"{ROOT}/netlab"):
        folders[:] = [name for name in folders if name != "templates"]  # nobody imports those: they are copied
        for name in names:
            path = os.path.relpath(f"{folder}/{name}", f"{ROOT}/netlab")
            if name.endswith(".py") and path != "__init__.py":
                found[path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")] = f"{folder}/{name}"
    return found


MODULES = modules()


@cache
def parsed(path: str) -> ast.Module:
    with open(path, encoding="utf-8") as file:
        return ast.parse(file.read())


@cache
def imported(path: str) -> set[str]:
    """Return the modules that a file imports anywhere, but not for type checking alone."""
    tree = parsed(path)
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


def room(module: str) -> str:
    """Return the room that a module stands in."""
    first = module.partition(".")[0]
    return first if os.path.isdir(f"{ROOT}/netlab/{first}") else BESIDE.get(first, "basement")


def row(module: str) -> int:
    """Return the floor that a module's room is on."""
    return next(at for at, rooms in enumerate(ROWS) if room(module) in rooms)


def test_the_table_has_every_room_once_in_few_rows() -> None:
    """Every room has its place, once, and no place is empty."""
    assert len(ROWS) <= MOST_ROWS
    assert sorted(name for rooms in ROWS for name in rooms) == sorted({room(module) for module in MODULES})


@pytest.mark.parametrize("module", sorted(MODULES))
def test_imports_point_down(module: str) -> None:
    """The house has no stairs up: what is below never needs what is above it."""
    for name in imported(MODULES[module]):
        ours = name.removeprefix("netlab.")
        if ours != name and ours in MODULES and room(ours) != room(module):
            assert row(ours) > row(module), f"netlab.{module} imports {name}, which is not below it"


@pytest.mark.parametrize("name", sorted({room(module) for module in MODULES}))
def test_no_two_of_a_room_share_a_name(name: str) -> None:
    """Neither modules nor classes: a name said inside a room means one thing."""
    inside = [module for module in MODULES if room(module) == name]
    files = Counter(module.rpartition(".")[2] for module in inside)
    classes = Counter(
        node.name for module in inside for node in parsed(MODULES[module]).body if isinstance(node, ast.ClassDef)
    )

    assert [] == [each for found in (files, classes) for each, count in found.items() if count > 1]


def texts(tree: ast.AST) -> Iterator[str]:
    """Yield every text of a module that is no docstring."""
    documentation = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documentation:
            yield node.value


@pytest.mark.parametrize("module", sorted(set(MODULES) - {"paths", "demo.save", "demo.report"}))
def test_paths_stand_in_one_module(module: str) -> None:
    """No other spells a path that netlab owns. What `demo --save` writes is the caller's."""
    folders = tuple(f"/{name}{end}" for name in OWNED_FOLDERS for end in ("", "/"))
    spelt = [
        text
        for text in texts(parsed(MODULES[module]))
        if any(each in text for each in OWNED) or (text.startswith("/") and text in folders)
    ]

    assert [] == spelt


def test_libraries_have_one_user() -> None:
    """Each slow or dangerous library has its place."""
    for module, path in MODULES.items():
        for name in imported(path):
            users = ONLY_USERS.get(name.split(".")[0], {module})
            assert module in users, f"netlab.{module} imports {name}, which only {sorted(users)} may"


def test_roles_import_only_what_they_may() -> None:
    """A role may use the maps, the balancer, what roles share, its options and the errors; netlab imports no role."""
    for name in os.listdir(f"{ROOT}/roles"):
        if name.endswith(".py"):
            ours = {each for each in imported(f"{ROOT}/roles/{name}") if each.startswith("netlab.")}
            assert all(each.startswith(FACE) for each in ours), f"roles/{name} imports {sorted(ours)}"
    for path in MODULES.values():
        assert not any(each.split(".")[0] == "roles" for each in imported(path))


SLOW = {
    *("yaml", "psutil", "bcc", "pyroute2"),
    *("argparse", "asyncio", "ctypes", "dataclasses", "logging", "pathlib", "subprocess"),
}


PLANS = {"netlab.topology", "netlab.plan"}
WRITES = {"netlab.record.lock", "netlab.record.mark"}
UP_AND_DOWN = "netlab.cli.main, netlab.lab.bring_up, netlab.lab.removal, netlab.runtime.netns"


@pytest.mark.parametrize(
    ("modules", "more"),
    [
        pytest.param("netlab.cli.main", PLANS | WRITES, id="all verbs"),
        pytest.param(
            "netlab.cli.main, netlab.cli.become, netlab.lab.launch, netlab.runtime.netns",
            {
                *PLANS,
                *WRITES,
                "netlab.record.notes",
                "netlab.supervise",
                "netlab.cli.signal_proxy",
                "argparse",
                "threading",
            },
            id="exec",
        ),
        pytest.param(UP_AND_DOWN, {*PLANS, "netlab.record.notes", "netlab.supervise.client"}, id="up"),
        pytest.param(
            f"{UP_AND_DOWN}, netlab.supervise.client, netlab.supervise.trace",
            {*PLANS, "netlab.record.facts", "netlab.supervise.logs", "netlab.supervise.stream"},
            id="down",
        ),
        pytest.param(
            "netlab.cli.main, netlab.lab.removal, netlab.observe.status, netlab.lab.drift, netlab.runtime.netns",
            {*WRITES - {"netlab.record.mark"}, "netlab.plan.planner", "netlab.plan.addresses", "netlab.plan.routes"},
            id="status",
        ),
        pytest.param("netlab.api.lab, netlab.api.processes, netlab.api.link", {*PLANS, "netlab.observe"}, id="Python"),
        pytest.param("netlab.supervise.supervisor", PLANS, id="supervisor"),
    ],
)
def test_fast_paths_import_nothing_slow(modules: str, more: set[str]) -> None:
    """What verbs that are typed often need, and the process that stays in every lab, start without what they need not.

    `up` plans before it loads these, and loads what a lab has as it comes to it.
    """
    loaded = set(python(f"import {modules}, sys; print(*sys.modules)").split())

    assert set() == (SLOW | more) & loaded


def test_the_package_alone_imports_nothing() -> None:
    """What is imported before the command has put off the collection of garbage costs it a millisecond."""
    code = "import sys; before = {*sys.modules}; import netlab; print(*sys.modules.keys() - before)"

    assert "netlab" == python(code).strip()


def test_a_command_line_is_parsed_without_translations() -> None:
    """argparse would load gettext, which reads the locale; what it says, also of several, is in English."""
    code = """
import sys
from netlab.cli.arguments import by_argparse
print(by_argparse(["status", "mine"]).named, *({"gettext", "locale"} & set(sys.modules)))
import gettext
print(gettext.__spec__.name)
try:
    by_argparse(["down", "one", "two"])
except SystemExit as end:
    print(end.code)
"""

    assert python(code).split() == ["mine", "gettext", "2"]


def python(code: str) -> str:
    """Run code in a Python of its own, without the site module, and return what it prints."""
    argv = [sys.executable, "-S", "-c", code]
    return subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True, timeout=PATIENCE_S).stdout
