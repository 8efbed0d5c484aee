"""The commands of the documentation are run, page by page and in their order; JSON is as docs/json.md says."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests import docs_pages
from tests.lab.lab import PARTB, ROOT, lab, netlab
from tests.lab.typed_commands import run

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("no_leaks")]

NO_DEMOS = ("netlab demo",)  # the demos have tests of their own
LEAST = 3  # commands of a page that is worth it
PAIR = Path(ROOT, "topologies", "pair.yml").read_text(encoding="utf-8")
FAULTS = "faults: [{at: 0s, link: client-lb, set: down, for: 0.05s}]\n"


class Page(NamedTuple):
    """A page: the lab that is up before its commands, and the begins of those that are not run, with the reason."""

    name: str
    before: str = ""
    skipped: tuple[str, ...] = ()
    more: tuple[tuple[str, str], ...] = ()  # files that the page speaks of, and does not show


PLAYED = [
    Page("README.md"),
    Page("docs/tutorial.md"),
    Page("docs/assignment.md", skipped=NO_DEMOS),
    Page("docs/links.md", before=f"{ROOT}/topologies/lossy.yml"),
    Page("docs/checks.md"),
    # r1/ospfd is of another lab; partb has no faults of its own
    Page("docs/faults.md", PARTB, ("netlab kill r1/ospfd", "netlab fault run  "), (("faults.yml", FAULTS),)),
    Page("docs/balancer.md", PARTB, ("netlab balancer add worker4",)),  # partb has three
    Page("docs/looking.md", PARTB),
    Page("docs/student.md", skipped=(*NO_DEMOS, "netlab up broken.yml")),  # which is refused
    Page("docs/changing.md", more=(("lab.yml", PAIR),)),
]


@pytest.mark.parametrize("page", PLAYED, ids=lambda page: Path(page.name).stem)
def test_the_commands_of_a_page_run_in_their_order(page: Page, tmp_path: Path) -> None:
    """In a new folder, which has the files that the page shows, as soon as it shows them."""
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "topologies").symlink_to(f"{ROOT}/topologies")
    for name, text in page.more:
        (folder / name).write_text(text)
    count = 0
    with ExitStack() as at_the_end:
        at_the_end.callback(netlab, "down")
        if page.before:
            at_the_end.enter_context(lab(page.before))
        for line in typed(page, folder):
            run(line, folder, tmp_path)
            count += 1

    assert count >= LEAST


def typed(page: Page, folder: Path) -> Iterator[str]:
    """Yield the commands of a page; write files into the folder where they are shown."""
    for block in docs_pages.blocks(Path(ROOT, page.name)):
        if block.title and block.language not in ("", "sh", "console"):
            with (folder / block.title).open("a" if block.more == "append" else "w") as file:
                file.write(block.text)
        for line in docs_pages.lines_of(block):
            command = line.replace("sudo ", "")
            if command.startswith("netlab ") and not command.startswith(page.skipped):
                yield command


# ---- JSON ------------------------------------------------------------------------------------------------------------

JSON = [block for block in docs_pages.blocks(Path(ROOT, "docs", "json.md")) if block.title]
KINDS = {
    "text": lambda value: isinstance(value, str),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "true or false": lambda value: isinstance(value, bool),
    "true, false or null": lambda value: value is None or isinstance(value, bool),
    "text or null": lambda value: value is None or isinstance(value, str),
    "number or null": lambda value: value is None or isinstance(value, int | float),
}


@pytest.fixture(scope="module")
def partb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Build the lab of the page; return a folder with its file of faults, and a submission."""
    folder = tmp_path_factory.mktemp("json")
    (folder / "faults.yml").write_text(FAULTS)
    (folder / "ann.c").write_bytes(Path(ROOT, "netlab", "templates", "dropper.c").read_bytes())
    with lab(PARTB, "--set", "nodes.client.args.count=100000"):
        yield folder


@pytest.mark.parametrize("block", JSON, ids=lambda block: block.title.partition(" --")[0].removeprefix("netlab "))
def test_json_is_as_its_page_says(block: docs_pages.Block, partb: Path) -> None:
    code = None if " grade " in block.title else 0  # a submission need not be right for its results to have a shape
    printed = netlab(*block.title.split()[1:], cwd=partb, code=code).stdout
    found = [json.loads(printed)] if printed.startswith("{\n") else [json.loads(line) for line in printed.splitlines()]

    assert found
    assert [] == [problem for each in found for problem in misfits(json.loads(block.text), each, "")]


def misfits(shape: Any, found: Any, place: str) -> Iterator[str]:
    """Yield what of a value is not as its shape says; a shape with few fields of an item has only those compared."""
    match shape:
        case str():
            if shape in KINDS and not KINDS[shape](found):
                yield f"{place}: expected {shape}, found {found!r}"
        case {"NAME": each}:
            for name, value in found.items():
                yield from misfits(each, value, f"{place}.{name}")
        case dict():
            yield from _fields(shape, found, place)
        case [each]:
            for at, value in enumerate(found):
                yield from misfits(each, value, f"{place}[{at}]")


def _fields(shape: dict[str, Any], found: dict[str, Any], place: str) -> Iterator[str]:
    known = {name.rstrip("?") for name in shape}
    if len(shape) > 1:
        yield from (f"{place}.{name} is not on the page" for name in found.keys() - known)
        yield from (f"{place}.{name} is not there" for name in shape.keys() - found.keys() if not name.endswith("?"))
    for name in known & found.keys():
        yield from misfits(shape.get(name, shape.get(f"{name}?")), found[name], f"{place}.{name}")
