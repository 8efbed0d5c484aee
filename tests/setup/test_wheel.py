"""An installed netlab needs no checkout: it carries programs, roles and topologies, and plays part B anywhere."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from netlab.testing.waiting import PATIENCE_S
from tests.setup.conftest import CHECKOUT

LAB = "wheel-test"
REQUESTS = 6


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build wheel and source distribution; return the folder that holds them."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "hatchling", "build", "-d", str(folder), cwd=CHECKOUT)
    return folder


@pytest.fixture(scope="module")
def installed(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel into a new virtual environment, which sees our libraries but no checkout; return its bin/."""
    folder = tmp_path_factory.mktemp("installed") / "venv"
    run("/usr/bin/python3", "-m", "venv", "--system-site-packages", "--without-pip", str(folder))
    python = folder / "bin" / "python"
    wheel = str(next(built.glob("*.whl")))
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", "--no-index"]
    run(*pip, "--no-warn-script-location", wheel)
    site = run(str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
    # A path added by a .pth file is searched, but the .pth files in it (that of the editable install) are not read.
    Path(site, "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "bin"


@pytest.fixture
def elsewhere(installed: Path, tmp_path: Path) -> Iterator[Path]:
    """Return an empty folder, and take the lab down that was brought up there."""
    yield tmp_path
    run(str(installed / "netlab"), "down", "--lab", LAB)


def run(*command: str, cwd: Path | None = None) -> str:
    """Run a command and return what it printed; fail with all it said."""
    environment = os.environ | {"PIP_ROOT_USER_ACTION": "ignore", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=cwd or "/", env=environment)
    assert done.returncode == 0, f"{' '.join(command)}: exit code {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


def carried() -> set[str]:
    """Return what the checkout has for programs, roles and topologies."""
    files = [path for kind in ("bpf", "roles", "topologies") for path in CHECKOUT.joinpath(kind).rglob("*")]
    return {str(path.relative_to(CHECKOUT)) for path in files if path.is_file() and "__pycache__" not in path.parts}


def test_the_wheel_carries_programs_roles_and_topologies(built: Path) -> None:
    """Every file that netlab needs at run time is in the wheel, and no test or cache is."""
    with zipfile.ZipFile(next(built.glob("*.whl"))) as wheel:
        names = set(wheel.namelist())

    assert {f"netlab/assets/{name}" for name in carried()} <= names
    assert [] == [name for name in names if "__pycache__" in name or name.startswith("tests")]


def test_the_source_distribution_builds_the_same_wheel(built: Path, tmp_path: Path) -> None:
    """Whoever builds from the source distribution gets the same files."""
    run("tar", "--extract", "--directory", str(tmp_path), "--file", str(next(built.glob("*.tar.gz"))))
    unpacked = next(tmp_path.iterdir())

    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path), cwd=unpacked)

    ours, theirs = (zipfile.ZipFile(next(folder.glob("*.whl"))) for folder in (built, tmp_path))
    with ours, theirs:
        assert sorted(ours.namelist()) == sorted(theirs.namelist())


@pytest.mark.root
@pytest.mark.usefixtures("no_leaks")
def test_an_installed_netlab_plays_part_b(installed: Path, elsewhere: Path) -> None:
    """From an empty folder, with a copy of the topology that the wheel carries, every request is served."""
    netlab = str(installed / "netlab")
    assets = run(str(installed / "python"), "-P", "-c", "from netlab import assets; print(assets.folder('topologies'))")
    shutil.copy(Path(assets.strip(), "partb.yml"), elsewhere / "mine.yml")
    fewer = ("--set", f"nodes.client.args.count={REQUESTS}", "--set", "nodes.client.args.interval=0.01")

    run(netlab, "up", "--lab", LAB, *fewer, "mine.yml", cwd=elsewhere)

    assert await_completions(netlab) == REQUESTS
    assert str(CHECKOUT) not in Path("/run/netlab", LAB, "lab.json").read_text()


def await_completions(netlab: str) -> int:
    """Wait until as many completions as requests have come, and return how many there are."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        counts = json.loads(run(netlab, "stats", "--lab", LAB, "--format", "json"))["balancers"]["lb"]
        if counts["completions"] >= REQUESTS or time.monotonic() > deadline:
            return int(counts["completions"])
        time.sleep(0.1)
