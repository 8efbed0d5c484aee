"""What to do about a program that is refused."""

from netlab.programs.hints import with_hint


def test_no_hint_is_given_where_none_is_known() -> None:
    """An unknown complaint stands alone."""
    assert with_hint("something new") == "something new"
