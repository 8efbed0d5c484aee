"""What a lab may be called, and where that leads."""

import pytest

from netlab import paths
from netlab.errors import UsageError


@pytest.mark.parametrize("name", ["a", "7", "part-b", "x--y", "a" * 63])
def test_a_label_has_a_folder(name: str) -> None:
    assert paths.is_label(name)
    assert f"/run/netlab/{name}" == paths.folder_of(name)
    assert f"/run/netlab/{name}.lock" == paths.lock(name)


@pytest.mark.parametrize("name", ["", "-", "-a", "a-", "A", "a.b", "a/b", "..", "a\n", "é", "٣", "a" * 64])
def test_no_other_name_leads_anywhere(name: str) -> None:
    """It could lead out of the folder of all labs, or mean another lab."""
    assert not paths.is_label(name)
    with pytest.raises(UsageError, match="is no name for a lab: expected letters a-z, digits and inner hyphens, 63 at"):
        paths.folder_of(name)
