"""The documentation as a site (`make docs`): it is whole, and loads nothing from other machines."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from netlab.cli.verbs import VERBS
from netlab.topology.schema import TOPOLOGY
from tests.checkout import ROOT

LOADED = re.compile(r"<(?:script|img|iframe|link)\b[^>]*\b(?:src|href)=\"?((?:https?:)?//[^\s\">]+)")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the site once; a warning, such as of a link that leads nowhere, is an error."""
    if not shutil.which("dot"):
        pytest.skip("Graphviz is not installed")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", str(folder)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True, env=environment)
    assert (0, "") == (done.returncode, done.stdout + done.stderr)
    return folder


def test_it_loads_nothing_from_other_machines(site: Path) -> None:
    pages = list(site.rglob("*.html"))

    assert len(pages) > 80
    assert [] == [found for page in pages for found in LOADED.findall(page.read_text(encoding="utf-8"))]
    assert [] == [page for page in site.rglob("*.css") if re.search(r"url\([\"']?https?:", page.read_text())]


def test_the_reference_has_all_that_the_code_has(site: Path) -> None:
    pages = {page.stem: page.read_text(encoding="utf-8") for page in (site / "reference").glob("*.html")}

    assert [] == [verb for verb in VERBS if f'<h3 id="{verb}"' not in pages["verbs"]]
    assert [] == [key for key in TOPOLOGY["properties"] if f"<td><code>{key}</code>" not in pages["keys"]]
    assert all(name in pages["reasons"] for name in ("QUEUED", "PASS_ODD", "CARRIER_SENT", "no-receiver"))
    assert all(name in pages["python"] for name in ("Lab.up", "Node.run", "Topology.link", "CommandError"))


def test_pictures_are_drawn_and_files_are_shown(site: Path) -> None:
    assert (site / "how.html").read_text(encoding="utf-8").count("<svg") >= 5
    assert 'href="source/bpf/dropper.c.html"' in (site / "assignment.html").read_text(encoding="utf-8")
    assert "DROP_EVEN" in (site / "source" / "bpf" / "dropper.c.html").read_text(encoding="utf-8")
