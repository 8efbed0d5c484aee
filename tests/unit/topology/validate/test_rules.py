"""What one value must be."""

import pytest

from netlab.topology import validate


@pytest.mark.parametrize(("name", "good"), [("a", True), ("a-1", True), ("1", True), ("", False), ("A", False)])
def test_labels(name: str, good: bool) -> None:
    """`is_label` tells whether a lab may have this name."""
    assert good == validate.is_label(name)
