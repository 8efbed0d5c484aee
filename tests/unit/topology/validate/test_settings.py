"""What a node has besides its process."""

from pathlib import Path

import pytest

from netlab.errors import TopologyError
from tests.unit.described import SETTINGS, described


def test_unknown_capabilities_are_mistakes(tmp_path: Path) -> None:
    """The nearest known name is offered."""
    text = SETTINGS.replace("CAP_BPF", "SYS_ADMN").replace("  c: {role: ./mine.py}\n", "").replace(", [b, c]", "")
    with pytest.raises(TopologyError, match=r"found 'SYS_ADMN' \(did you mean SYS_ADMIN"):
        described(text, tmp_path)
