"""Which program of a file is the one to attach."""

import pytest

from netlab.programs.build import Refused, choose_entry


@pytest.mark.parametrize(
    ("candidates", "wanted", "stem", "entry"),
    [
        (["a", "b"], "b", "a", "b"),
        (["a", "b"], "", "b", "b"),
        (["other", "my_drop"], "", "my-drop", "my_drop"),
        (["other", "xdp_prog"], "", "drop", "xdp_prog"),
        (["other", "xdp"], "", "drop", "xdp"),
        (["other"], "", "drop", "other"),
        (["other", "egress_devmap", "look_run"], "", "drop", "other"),
        (["look_run"], "", "drop", "look_run"),
        (["other", "drop_run"], "", "drop_run", "drop_run"),
        (["other", "look_run"], "look_run", "drop", "look_run"),
    ],
)
def test_the_entry_follows_the_convention(candidates: list[str], wanted: str, stem: str, entry: str) -> None:
    """The function asked for, or named like the file, or by a usual name, or the only one."""
    assert entry == choose_entry(candidates, wanted, stem, others=candidates)


@pytest.mark.parametrize(
    ("candidates", "wanted"), [(["look_run"], ""), (["a", "b"], "c"), ([], "c"), (["a", "b"], ""), ([], "")]
)
def test_no_entry_is_guessed(candidates: list[str], wanted: str) -> None:
    """Where the convention does not decide, nothing is attached."""
    with pytest.raises(Refused) as refused:
        choose_entry(candidates, wanted, "drop")

    assert all(name in refused.value.text for name in candidates if name != "look_run")
