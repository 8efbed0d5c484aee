"""The distribution on a bare Debian 13, with the packages that it needs, and no checkout."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.setup import distribution
from tests.setup.fresh import Fresh, FreshError

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.network]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Build wheel and source distribution once."""
    return distribution.build(tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fresh]:
    """Make the system once; skip where that cannot be, and say why."""
    if shutil.which("debootstrap") is None:
        pytest.skip("debootstrap is not installed")
    made = Fresh(tmp_path_factory.mktemp("bare"), "trixie")
    try:
        made.make()
    except FreshError as error:
        pytest.skip(str(error))
    apt = "sudo env DEBIAN_FRONTEND=noninteractive apt-get -qq"
    install = f"{apt} update && {apt} install -y --no-install-recommends {' '.join(distribution.packages())}"
    done = made.says(".", install)
    assert done.returncode == 0, done.stdout
    yield made
    shutil.rmtree(made.root)


@pytest.mark.usefixtures("no_leaks")
@pytest.mark.parametrize("kind", distribution.KINDS)
def test_it_plays_part_b(kind: str, bare: Fresh, built: dict[str, Path]) -> None:
    """pip brings the Python libraries; every claim holds."""
    distribution.check(distribution.plays(bare, kind, built[kind]))
