"""A machine made of stand-ins: the set-up runs for real, while apt-get, sudo, pip and the interpreter only note it."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parent.parent.parent
ALL_PACKAGES = "python3 python3-venv python3-bpfcc iproute2 linux-libc-dev iputils-ping libseccomp2 libpcap0.8"
REAL_TOOLS = (
    "cat",
    "cksum",
    "cp",
    "dirname",
    "env",
    "grep",
    "ln",
    "make",
    "mkdir",
    "mktemp",
    "readlink",
    "rm",
    "sed",
    "sh",
    "stat",
    "tee",
    "touch",
)
STAND_INS = {
    "id": 'cat "$MACHINE/uid"',
    "nproc": 'cat "$MACHINE/processors"',
    "dpkg-query": 'for name in $(cat "$MACHINE/packages"); do printf "installed=%s " "$name"; done',
    "apt-get": """
        echo "apt-get $*" >>"$MACHINE/calls"
        ! [ -e "$MACHINE/apt-fails" ] || { echo "E: no mirror"; exit 100; }""",
    "sudo": 'echo sudo >>"$MACHINE/calls"; exec "$@"',
    "python3": """
        case "$*" in
        *"-m pytest"*"not root"*) echo "pytest unit $*" >>"$MACHINE/calls"; exit "$(cat "$MACHINE/unit")" ;;
        *"-m pytest"*) echo "pytest lab $*" >>"$MACHINE/calls"; exit "$(cat "$MACHINE/lab")" ;;
        *venv*)
            echo venv >>"$MACHINE/calls"
            mkdir -p .venv/bin
            cp "$0" .venv/bin/python
            touch .venv/bin/netlab ;;
        *launcher.py) [ -e "$MACHINE/no-launcher" ] || printf '#!launcher\\npath = "a\\\\nb"\\n' ;;
        *"-m pip"*)
            shift
            echo "$*" >>"$MACHINE/calls"
            ! [ -e "$MACHINE/pip-fails" ] || { echo "no such package"; exit 1; }
            echo "#!pip" >.venv/bin/netlab ;;
        *compileall*) ;;
        *) echo /usr/bin/python3 3 11 ;;
        esac""",
}


class Machine:
    """A checkout, in a folder with a space in its name, on a machine of stand-ins."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.checkout = folder / "my lab"
        self.prefix = folder / "usr local"
        self.command = self.prefix / "bin" / "netlab"

    def has(self, *, packages: str = ALL_PACKAGES, uid: int = 0, processors: int = 1, cells: bool = True) -> None:
        """Say which packages are installed, who we are, and whether tests can have cells of their own."""
        (self.folder / "processors").write_text(str(processors))
        (self.checkout / ".ci/cell").write_text("#!/bin/sh\n[ $# = 0 ]\n" if not cells else "#!/bin/sh\n")
        (self.checkout / ".ci/cell").chmod(0o700)
        (self.folder / "packages").write_text(packages)
        (self.folder / "uid").write_text(f"{uid}\n")

    def fails(self, tool: str) -> None:
        """Make `apt` or `pip` fail from now on."""
        (self.folder / f"{tool}-fails").touch()

    def pytest_ends(self, *, unit: int = 0, lab: int = 0) -> None:
        """Say how the tests without root and those with root end."""
        (self.folder / "unit").write_text(str(unit))
        (self.folder / "lab").write_text(str(lab))

    def test(self, *arguments: str) -> int:
        """Run the tests and return the exit code."""
        return self.run("sh", ".ci/test", *arguments).returncode

    def without(self, tool: str) -> None:
        """Take a tool away."""
        (self.folder / "bin" / tool).unlink()

    def setup(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run one step of the set-up."""
        return self.run("sh", ".ci/setup", *arguments)

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the checkout, with the stand-ins first, and without the real sudo, on PATH."""
        environment = {
            "PATH": str(self.folder / "bin"),
            "MACHINE": str(self.folder),
            "PYTHON": str(self.folder / "bin" / "python3"),
            "PREFIX": str(self.prefix),
        }
        return subprocess.run(command, check=False, capture_output=True, text=True, cwd=self.checkout, env=environment)

    def calls(self) -> list[str]:
        """Return what was called since this was last asked."""
        file = self.folder / "calls"
        lines = file.read_text().splitlines() if file.exists() else []
        file.write_text("")
        return lines


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """Return a machine where we are root and every package is there."""
    made = Machine(tmp_path)
    (made.checkout / ".ci").mkdir(parents=True)
    made.has()
    (made.checkout / "docs/man").mkdir(parents=True)
    for name in (".ci/setup", ".ci/test", "Makefile", "pyproject.toml", "docs/man/netlab.1"):
        shutil.copy(CHECKOUT / name, made.checkout / name)
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in REAL_TOOLS:
        (tools / tool).symlink_to(shutil.which(tool) or tool)
    for tool, text in STAND_INS.items():
        (tools / tool).write_text(f"#!/bin/sh\n{text}\n")
        os.chmod(tools / tool, 0o700)
    return made
