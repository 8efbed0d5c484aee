"""The set-up on a fresh Debian 12, by a user with sudo, from a folder with a space in its name."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.setup import distribution
from tests.setup.conftest import CHECKOUT
from tests.setup.fresh import Fresh, FreshError

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.network]
FOLDER = "my lab"


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fresh]:
    """Make the system once for all tests here, with the checkout in the user's home; skip where that cannot be."""
    if shutil.which("debootstrap") is None:
        pytest.skip("debootstrap is not installed")
    made = Fresh(tmp_path_factory.mktemp("fresh"))
    try:
        made.make()
    except FreshError as error:
        pytest.skip(str(error))
    made.copy(CHECKOUT, FOLDER)
    yield made
    shutil.rmtree(made.root)


@pytest.fixture
def installed(fresh: Fresh) -> Fresh:
    """Return the system with netlab installed."""
    done = fresh.says(FOLDER, "make install")
    assert done.returncode == 0, done.stdout
    return fresh


def foreign_files(fresh: Fresh) -> list[str]:
    """Return the files below the user's home that are not the user's."""
    owner = fresh.home.stat().st_uid
    return [str(path) for path in fresh.home.rglob("*") if os.lstat(path).st_uid != owner]


@pytest.mark.usefixtures("no_leaks")
def test_install_does_everything_once(installed: Fresh) -> None:
    """The command is where the user and sudo find it, the files are the user's, and a second run says nothing."""
    versions = installed.says(".", "netlab --version && sudo netlab --version")
    again = installed.says(FOLDER, "make install")

    assert versions.returncode == 0, versions.stdout
    assert [] == foreign_files(installed)
    assert (0, "") == (again.returncode, again.stdout)


@pytest.mark.usefixtures("no_leaks")
def test_the_demo_plays_both_parts(installed: Fresh) -> None:
    """`make demo` plays three times, installs nothing more, and leaves no file of root's."""
    done = installed.says(FOLDER, "make demo")

    assert done.returncode == 0, done.stdout
    assert done.stdout.count(" claims hold") == 3
    assert "✗" not in done.stdout
    assert "installing" not in done.stdout
    assert [] == foreign_files(installed)


@pytest.mark.usefixtures("no_leaks")
def test_tests_run_as_the_user_and_as_root(installed: Fresh) -> None:
    """`make test` runs some tests as the user and, through sudo, those that need root."""
    done = installed.says(FOLDER, "make test ARGS='tests/unit tests/setup/test_wheel.py'")

    assert done.returncode == 0, done.stdout
    assert done.stdout.count(" passed") == 2, done.stdout
    assert [] == foreign_files(installed)


@pytest.mark.usefixtures("no_leaks")
@pytest.mark.parametrize("kind", distribution.KINDS)
def test_the_distribution_plays_part_b(kind: str, installed: Fresh, tmp_path: Path) -> None:
    """With the packages that are there now, and an environment of its own; test_bare does this on Debian 13."""
    distribution.check(distribution.plays(installed, kind, distribution.build(tmp_path)[kind]))


HOSTILE = """
mkdir -p hostile/encodings hostile/json
for file in hostile/ip hostile/netlab hostile/env; do
    printf '#!/bin/sh\\ntouch /tmp/ran-%s-$(id -u)\\nexec /usr/bin/false\\n' "${file##*/}" >$file
    chmod +x $file
done
echo 'import os; os.mkdir(f"/tmp/ran-python-{os.getuid()}")' >hostile/encodings/__init__.py
cp hostile/encodings/__init__.py hostile/json/
printf 'name: mine\\nnodes:\\n  a: {command: [sh, -c, "echo hello; exec sleep 100"], env: {TOKEN: secret}}\\n' >mine.yml
export PYTHONPATH=$PWD/hostile TMPDIR=$PWD/hostile PATH=$PWD/hostile:$PATH
umask 000
/usr/local/bin/netlab up mine.yml && /usr/local/bin/netlab exec a printenv TOKEN
sleep 0.5
/usr/local/bin/netlab logs
umask 077
sudo su -s /bin/sh nobody -c 'netlab status; netlab logs'
/usr/local/bin/netlab down
ls /tmp
"""


@pytest.mark.usefixtures("no_leaks")
def test_nothing_of_the_callers_runs_as_root(installed: Fresh) -> None:
    """Through the real sudo: neither modules nor commands; who has built the lab reads its logs without root."""
    (installed.home / "try.sh").write_text(HOSTILE)
    done = installed.says(".", "sh try.sh")

    assert "ran-" not in done.stdout, done.stdout
    assert "secret" in done.stdout
    assert "hello" in done.stdout
    assert "lab mine is up" in done.stdout
    assert "was built by somebody else" in done.stdout
