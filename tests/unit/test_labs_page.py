"""The labs of topologies/labs: each says how to try it, uses all of its files, and has a line in docs/labs.md."""

import re
from pathlib import Path

import pytest

from tests.checkout import ROOT

LABS = Path(ROOT) / "topologies" / "labs"
NAMES = sorted(path.stem for path in LABS.glob("[!.]*.yml"))


@pytest.mark.parametrize("name", NAMES)
def test_a_lab_opens_with_a_drawing_and_how_to_try_it(name: str) -> None:
    text = (LABS / f"{name}.yml").read_text()
    opening = text[: text.index("\nname: ")]
    commands = re.findall(r"^#   sudo (netlab .*?)(?:  +#|$)", opening, re.MULTILINE)

    assert all(line.startswith("#") for line in opening.splitlines())
    assert "┌" in opening
    assert 5 <= len(commands) <= 8
    assert f"netlab up topologies/labs/{name}.yml" == commands[0]
    assert "netlab down" == commands[-1]
    assert f"\nname: {name}\n" in text


@pytest.mark.parametrize("name", NAMES)
def test_a_lab_uses_all_of_its_files(name: str) -> None:
    text = (LABS / f"{name}.yml").read_text()
    named = set(re.findall(rf"\./{name}/([^\s\"',}}]+)", text.replace("${node}", "*")))

    assert all(list((LABS / name).glob(path)) for path in named)
    assert {path.name for path in (LABS / name).iterdir()} == {
        path.name for pattern in named for path in (LABS / name).glob(pattern)
    }


def test_the_page_lists_each_lab() -> None:
    page = (Path(ROOT) / "docs" / "labs.md").read_text()

    assert sorted(re.findall(r"^\| \[([\w-]+)\]\(\.\./topologies/labs/\1\.yml\)", page, re.MULTILINE)) == NAMES
