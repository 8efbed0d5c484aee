"""Wheel and source distribution, as they are given out, on a fresh system."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.setup.conftest import CHECKOUT
from tests.setup.fresh import USER, Fresh

KINDS = {"wheel": "*.whl", "sdist": "*.tar.gz"}
PLAY = """
set -e
python3 -m venv --system-site-packages {kind}
{kind}/bin/python -m pip install --quiet --disable-pip-version-check {file} 2>&1 | grep -v WARNING || true
find {kind}/share -type f
cd /tmp
sudo ~/{kind}/bin/netlab demo partb-high
"""


def packages() -> list[str]:
    """Return the Debian packages that an installed netlab needs, as the set-up has them."""
    (found,) = re.findall(r"^PACKAGES='(.*)'$", (CHECKOUT / ".ci" / "setup").read_text(), re.MULTILINE)
    return str(found).split()


def build(folder: Path) -> dict[str, Path]:
    """Build both; return the file of each."""
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-d", folder], cwd=CHECKOUT, check=True)
    return {kind: next(folder.glob(name)) for kind, name in KINDS.items()}


def plays(fresh: Fresh, kind: str, file: Path) -> str:
    """Install a distribution by pip into an environment of its own, and play part B; return all output."""
    shutil.copy(file, fresh.home / file.name)
    done = fresh.says(".", PLAY.format(kind=kind, file=f"/home/{USER}/{file.name}"))
    assert done.returncode == 0, done.stdout
    return done.stdout


def check(said: str) -> None:
    """Check that every claim holds, and that the manual page and completion came along."""
    claims = re.search(r"^(\d+) of (\d+) claims hold$", said, re.MULTILINE)
    assert claims, said
    assert claims[1] == claims[2]
    assert "✗" not in said
    for name in ("man/man1/netlab.1", "bash-completion/completions/netlab", "zsh/site-functions/_netlab"):
        assert f"share/{name}\n" in said
    assert "share/fish/vendor_completions.d/netlab.fish\n" in said
