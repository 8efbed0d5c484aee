"""What tests need of others' packages is asked for in pyproject.toml."""

import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from scapy.utils import RawPcapReader

from tests.checkout import ROOT

PROJECT = tomllib.loads((Path(ROOT) / "pyproject.toml").read_text())["project"]
NEEDED = {
    each.name: each for each in map(Requirement, PROJECT["dependencies"] + PROJECT["optional-dependencies"]["dev"])
}


@pytest.mark.parametrize("name", sorted(NEEDED))
def test_what_is_installed_is_what_is_asked_for(name: str) -> None:
    """A virtual environment sees the system's packages: an older one there must not count."""
    assert NEEDED[name].specifier.contains(metadata.version(name))


def test_the_scapy_of_debian_12_is_too_old() -> None:
    """Its readers of captures cannot be used by `with`, as tests do."""
    assert not NEEDED["scapy"].specifier.contains("2.5.0")
    assert hasattr(RawPcapReader, "__enter__")
