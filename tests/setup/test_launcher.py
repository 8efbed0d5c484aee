"""The checkout's command: it starts without Python's site module, and finds what it would have found with it."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.setup.conftest import CHECKOUT

LAUNCHER = CHECKOUT / ".ci" / "launcher.py"
MAIN = """
import json, sys
def run():
    print(json.dumps([sys.path, sys.executable, sys.argv, sys.flags.no_site, 'site' in sys.modules]))
"""


class Checkout:
    """A folder with a stand-in for netlab, and a virtual environment with a .pth file that leaves a trace."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.python = folder / ".venv/bin/python"
        self.command = folder / ".venv/bin/netlab"
        self.trace = folder / "trace"
        (folder / "netlab").mkdir(parents=True)
        (folder / "netlab" / "__main__.py").write_text(MAIN)
        subprocess.run(["/usr/bin/python3", "-m", "venv", "--without-pip", folder / ".venv"], check=True)
        site = next(folder.glob(".venv/lib/python*/site-packages"))
        (site / "checkout.pth").write_text(f"{folder}\n")
        (site / "trace.pth").write_text(f"import os; os.close(os.open({str(self.trace)!r}, os.O_CREAT))\n")

    def launcher(self) -> str:
        """Return what becomes the command, made with what must not matter."""
        environment = os.environ | {"PYTHONPATH": "/from-the-environment"}
        return subprocess.check_output([str(self.python), "-I", str(LAUNCHER)], text=True, env=environment)


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """Return a checkout, in a folder with a space in its name, with its command."""
    made = Checkout(tmp_path / "my lab's")
    made.command.write_text(made.launcher())
    made.command.chmod(0o755)
    made.trace.unlink()
    return made


def test_folders_are_those_that_site_finds(checkout: Checkout, tmp_path: Path) -> None:
    """Whoever calls it, by a link too, from wherever, and whatever the environment says."""
    show = "import json, sys; print(json.dumps([sys.path, sys.executable]))"
    expected = json.loads(subprocess.check_output([checkout.python, "-I", "-c", show]))
    checkout.trace.unlink()
    link = tmp_path / "netlab"
    link.symlink_to(checkout.command)

    environment = os.environ | {"PYTHONPATH": "/from-the-environment", "PYTHONNOUSERSITE": ""}
    found = json.loads(subprocess.check_output([link, "up", "a b"], cwd=tmp_path, env=environment))

    assert [*expected, [str(link), "up", "a b"], 1, False] == found
    assert str(checkout.folder) in found[0]


def test_no_pth_file_runs(checkout: Checkout) -> None:
    subprocess.run([checkout.command], check=True, stdout=subprocess.DEVNULL)

    assert not checkout.trace.exists()


def test_no_module_of_pythonpath_runs(checkout: Checkout, tmp_path: Path) -> None:
    """Not even one that Python itself needs to start; the variable goes on to what is started."""
    (tmp_path / "hostile" / "encodings").mkdir(parents=True)
    (tmp_path / "hostile" / "encodings" / "__init__.py").write_text("raise SystemExit(99)")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "hostile")}
    (checkout.folder / "netlab" / "__main__.py").write_text("import os\ndef run(): print(os.environ['PYTHONPATH'])")

    assert f"{tmp_path / 'hostile'}\n" == subprocess.check_output([checkout.command], env=environment, text=True)


def test_what_it_starts_runs_in_the_virtual_environment(checkout: Checkout) -> None:
    """Roles find what was installed there."""
    executable = json.loads(subprocess.check_output([checkout.command]))[1]

    assert str(checkout.python) == executable


@pytest.mark.parametrize("folder", ["with space", "long" * 40])
def test_where_no_line_can_name_the_interpreter_pips_own_stays(checkout: Checkout, tmp_path: Path, folder: str) -> None:
    interpreter = tmp_path / folder / "python3"
    interpreter.parent.mkdir()
    interpreter.write_bytes(checkout.python.resolve().read_bytes())
    interpreter.chmod(0o755)
    checkout.python.unlink()
    checkout.python.symlink_to(interpreter)

    assert checkout.launcher() == ""
