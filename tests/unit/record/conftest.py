"""What tests of labs on disk share."""

from pathlib import Path

import pytest

from netlab import paths


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place of our own for labs."""
    monkeypatch.setattr(paths, "LABS", str(tmp_path / "labs"))
    return tmp_path / "labs"
