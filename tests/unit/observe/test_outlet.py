"""What takes the bytes of a capture."""

import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from netlab.errors import HostError
from netlab.observe.outlet import Outlet


@pytest.fixture
def small_files() -> Iterator[None]:
    """Let this process write files of at most a hundred bytes, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_file_that_takes_no_more_is_named_and_has_no_half_block(small_files: None, tmp_path: Path) -> None:
    path = tmp_path / "a.pcapng"
    with path.open("wb") as file:
        outlet = Outlet(file.fileno(), lambda: True, str(path))
        outlet.write(b"a" * 60)
        with pytest.raises(HostError, match=f"cannot write {path}: File too large; what is in it is whole"):
            outlet.write(b"b" * 60)

    assert b"a" * 60 == path.read_bytes()
