"""The pytest plugin: a fixture `lab`, and what a test that fails has seen of its lab. docs/pytest.md is for its users.

A lab has a name of its own, so tests run beside each other. It is built from the topology that the mark `netlab` names,
or from the file beside the test. It is removed after the test, or at the end of the scope that the mark says. If a test
fails, its timeline, status and captures are kept, and the report says where.
"""

import itertools
import json
import os
import re
import shutil
import tempfile
from collections.abc import Generator, Iterator, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from netlab import Lab, Topology

_MARK = "netlab"
_SCOPES: Mapping[str, type[Any]] = {
    "class": pytest.Class,
    "module": pytest.Module,
    "package": pytest.Package,
    "session": pytest.Session,
}
_ARGUMENTS = ("set", "runtime", "timeout", "scope", "capture")
_LINES = 20  # of the timeline, in a report
_NAME = 40  # characters of a file's name in that of a lab
_numbers = itertools.count(1)


class Used:
    """A lab while tests use it: how it was built, and whether a test of it has failed."""

    def __init__(self, lab: "Lab", topology: "str | Topology", folder: Path) -> None:
        self.lab = lab
        self.topology = topology
        self.folder = folder
        self.has_failed = False


class Capturing:
    """A capture of a test's packets into a folder; `running` ends it, once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.running = ExitStack()


_USED = pytest.StashKey[dict[str, Used]]()  # of a session, by scope and how it was built
_OWN = pytest.StashKey[Used]()  # of a test
_CAPTURE = pytest.StashKey[Capturing]()
_KEPT = pytest.StashKey[list[str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the plugin's options."""
    group = parser.getgroup(_MARK, "labs of networks, by netlab")
    add = group.addoption
    add("--netlab-keep", action="store_true", help="leave labs of tests that fail up, and say their names")
    add("--netlab-pause", action="store_true", help="wait for Enter after a test has failed, with its lab up")
    add("--netlab-strict", action="store_true", help="fail where this host cannot build labs, instead of skipping")
    add("--netlab-no-capture", action="store_true", help="capture no packets")
    add("--netlab-dir", metavar="DIR", help="keep what tests that fail have seen there (pytest's temporary folder)")


def pytest_configure(config: pytest.Config) -> None:
    """Make the mark known."""
    config.addinivalue_line(
        "markers",
        f"{_MARK}(topology, set={{}}, runtime='', timeout=30.0, scope='function', capture=True): the lab of a test",
    )
    config.stash[_USED] = {}
    config.stash[_KEPT] = []


@pytest.fixture
def lab(request: pytest.FixtureRequest) -> Iterator["Lab"]:
    """A lab that is up, of the topology that the mark `netlab` names, or of the file beside the test."""
    item: pytest.Item = request.node
    mark = item.get_closest_marker(_MARK)
    how = dict(mark.kwargs) if mark else {}
    if strange := how.keys() - _ARGUMENTS:
        wanted = f"expected {', '.join(_ARGUMENTS)}, or a file or a Topology without a name"
        pytest.fail(f"mark {_MARK}: {wanted}; found {', '.join(sorted(strange))}", pytrace=False)
    scope, captures = how.pop("scope", "function"), how.pop("capture", True)
    used = item.stash[_OWN] = _used(item, _topology(item, mark), scope, how)
    with ExitStack() as running:
        if captures and not item.config.getoption("netlab_no_capture"):
            folder = Path(tempfile.mkdtemp(prefix="captures-", dir=used.folder))
            running.callback(shutil.rmtree, folder, ignore_errors=True)
            capture = item.stash[_CAPTURE] = Capturing(folder)
            capture.running.enter_context(used.lab.capture(folder / "packets.pcapng"))
            running.enter_context(capture.running)
        yield used.lab


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Keep what a test that fails has seen, while its lab is up."""
    report = yield
    used = item.stash.get(_OWN, None)
    if used and report.failed and report.when != "teardown":
        used.has_failed = True
        try:
            report.sections.append((_MARK, _evidence(item, used)))
        except Exception as error:  # noqa: BLE001 - the test's own failure must be seen in any case
            report.sections.append((_MARK, f"what the test has seen cannot be kept: {error}"))
        if item.config.getoption("netlab_pause"):
            _pause(item.config, used.lab.name)
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say which labs are still up."""
    for name in config.stash[_KEPT]:
        terminalreporter.write_line(f"netlab: kept: netlab status {name}, and in the end: netlab down {name}")


def _topology(item: pytest.Item, mark: pytest.Mark | None) -> "str | Topology":
    """Return the topology that is meant; a file is sought beside the test."""
    beside = item.path.parent
    if mark and mark.args:
        topology: str | Topology | os.PathLike[str] = mark.args[0]
        return str(beside / topology) if isinstance(topology, str | os.PathLike) else topology
    names = (f"{item.path.stem}.yml", f"{item.path.stem}.yaml", "topology.yml", "topology.yaml")
    for path in (beside / name for name in names):
        if path.is_file():
            return str(path)
    wanted = f"mark the test with netlab(FILE), or write {names[0]} or {names[2]} beside it"
    pytest.fail(f"no topology: {wanted}", pytrace=False)


def _used(item: pytest.Item, topology: "str | Topology", scope: str, how: dict[str, Any]) -> Used:
    """Return the lab of a test's scope; build it, if this test is the first one."""
    if scope != "function" and scope not in _SCOPES:
        pytest.fail(f"scope is {scope!r}: expected function, {', '.join(_SCOPES)}", pytrace=False)
    owner: Any = item if scope == "function" else item.getparent(_SCOPES[scope])
    if owner is None:
        pytest.fail(f"scope is {scope!r}, but the test is in none", pytrace=False)
    there = item.config.stash[_USED]
    key = json.dumps([owner.nodeid, scope, str(topology), how], sort_keys=True, default=str)
    if key not in there:
        used = there[key] = _built(item, topology, how)

        def remove() -> None:
            del there[key]
            _remove(item.config, used)

        owner.addfinalizer(remove)
    return there[key]


def _built(item: pytest.Item, topology: "str | Topology", how: dict[str, Any]) -> Used:
    """Build a lab; skip the test where this host cannot."""
    from netlab import Lab
    from netlab.errors import HostError, NetlabError

    stem = os.path.basename(topology) if isinstance(topology, str) else "lab"
    called = re.sub(r"[^a-z0-9]+", "-", stem.rpartition(".")[0].lower() or stem)[:_NAME].strip("-") or "lab"
    name = f"{called}-{os.getpid()}-{next(_numbers)}"  # workers beside each other have numbers of their own
    problem: NetlabError | None = None
    try:
        made = Lab.up(topology, name=name, **how)
    except NetlabError as error:
        problem = error  # and told outside of this block, or pytest would tell it twice
    if isinstance(problem, HostError) and not item.config.getoption("netlab_strict"):
        pytest.skip(f"netlab: {problem}")
    if problem:
        pytest.fail(f"netlab: {problem}", pytrace=False)
    return Used(made, topology, _folder(item, name))


def _folder(item: pytest.Item, name: str) -> Path:
    # a lab may be of a wider scope than any fixture that could ask for this
    factory: pytest.TempPathFactory = item.config._tmp_path_factory  # type: ignore[attr-defined]  # noqa: SLF001
    return factory.mktemp(name, numbered=False)


def _remove(config: pytest.Config, used: Used) -> None:
    """Remove a lab, and see that nothing is left of it."""
    from netlab.lab import removal

    name = used.lab.name
    if used.has_failed and config.getoption("netlab_keep"):
        config.stash[_KEPT].append(name)
        return
    used.lab.down()
    if name in removal.labs_with_leftovers():
        pytest.fail(f"netlab: something is left of the lab {name}: netlab doctor", pytrace=False)


# ---- what a test that fails has seen ---------------------------------------------------------------------------------


def _evidence(item: pytest.Item, used: Used) -> str:
    """Write it into a folder, and return what a report says of it."""
    from netlab.observe import timeline
    from netlab.observe.painter import Plain
    from netlab.record import shapes

    wanted = item.config.getoption("netlab_dir")
    parent = Path(str(wanted)) if wanted else used.folder
    folder = parent / re.sub(r"[^A-Za-z0-9_.-]+", "-", item.nodeid.rpartition("/")[2])[-100:]
    number = itertools.count(2)
    while folder.exists():
        folder = folder.with_name(f"{folder.name.partition('~')[0]}~{next(number)}")
    folder.mkdir(parents=True)
    record = used.lab.record
    events = list(used.lab.events())  # also lets the supervisor write down what there is
    chosen = timeline.choose(record, [])
    texts = {}
    for style, ending in (("text", "txt"), ("json", "jsonl")):
        texts[style] = [*map(timeline.form(record, style, Plain()), timeline.read(record, chosen))]
        (folder / f"timeline.{ending}").write_text("".join(f"{line}\n" for line in texts[style]))
    (folder / "state.json").write_text(json.dumps(shapes.plain(used.lab.status()), indent=2))
    if isinstance(used.topology, str):
        shutil.copy(used.topology, folder / "topology.yml")
    else:
        (folder / "topology.yml").write_text(str(used.topology))
    _keep_captures(item, folder)
    last = texts["text"][-_LINES:]
    said = [f"kept in {folder}: {', '.join(sorted(path.name for path in folder.iterdir()))}"]
    said += (
        [f"the last {len(last)} of {len(events)} lines of the timeline:", *last] if last else ["nothing was printed"]
    )
    return "\n".join(said)


def _keep_captures(item: pytest.Item, folder: Path) -> None:
    """End the test's capture, and keep its files."""
    capture = item.stash.get(_CAPTURE, None)
    if capture:
        capture.running.close()
        for path in capture.folder.glob("*.pcapng"):
            shutil.copy(path, folder)


def _pause(config: pytest.Config, name: str) -> None:
    """Wait for a person, who looks into the lab meanwhile."""
    if hasattr(config, "workerinput"):
        return
    with ExitStack() as undo:
        if capture := config.pluginmanager.getplugin("capturemanager"):
            capture.suspend_global_capture(in_=True)
            undo.callback(capture.resume_global_capture)
        undo.enter_context(suppress(EOFError))
        input(f"\nnetlab: the test has failed, its lab {name} is up (netlab status {name}); Enter removes it ")
