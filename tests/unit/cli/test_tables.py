"""Tables that fit."""

import pytest

from netlab.cli import tables

RED, END = "\x1b[38;5;160m", "\x1b[0m"


def of(*rows: tuple[str, ...], spare: tuple[str, ...] = (), below: tuple[str, ...] = ()) -> tables.Table:
    made = tables.table("NAME", "PID", "WORDS", spare=spare, below=below)
    for row in rows:
        made.add_row(*row)
    return made


ROW = ("one", "12345", "some words that are long")


def test_numbers_stand_at_the_right_and_lines_end_without_spaces() -> None:
    assert ["NAME    PID  WORDS", "one   12345  a", "two       7"] == list(
        of(("one", "12345", "a"), ("two", "7", "")).lines(80)
    )


def test_points_are_numbers() -> None:
    made = tables.table("SUBMISSION", "POINTS", "OF", "WHY")
    made.add_row("ann", "9", "11", "late")

    assert ["SUBMISSION  POINTS  OF  WHY", "ann              9  11  late"] == list(made.lines(80))


def test_a_column_without_anything_is_not_there() -> None:
    assert ["NAME  WORDS", "one   a"] == list(of(("one", "", "a")).lines(80))


def test_what_can_be_spared_goes_first() -> None:
    assert ["NAME  WORDS", "one   some words that are long"] == list(of(ROW, spare=("PID",)).lines(32))


def test_what_may_stand_below_is_folded_and_then_stands_below() -> None:
    made = of(ROW, below=("WORDS",))

    assert ["NAME    PID  WORDS", "one   12345  some words", "             that are", "             long"] == list(
        made.lines(23)
    )
    assert ["NAME    PID", "one   12345", "  some words", "  that are", "  long"] == list(made.lines(14))


def test_at_last_the_widest_column_is_folded() -> None:
    assert ["NAME    PID  WORDS", "one   12345  abcdefgh", "             ijkl"] == list(
        of(("one", "12345", "abcdefghijkl")).lines(21)
    )


@pytest.mark.parametrize("width", [12, 16, 20, 80])
def test_paint_takes_no_room_and_ends_where_it_began(width: int) -> None:
    """Also where a painted text is folded."""
    plain = of(("one", "1", "red words here"))
    painted = of(("one", "1", f"{RED}red words{END} here"))
    lines = list(painted.lines(width))

    assert [line.replace(RED, "").replace(END, "").split() for line in lines] == [
        line.split() for line in plain.lines(width)
    ] or width < 20
    assert all(line.count(RED) == line.count(END) for line in lines)
    assert "redwordshere" in "".join(lines).replace(RED, "").replace(END, "").replace(" ", "")


def test_wide_letters_take_two_columns() -> None:
    assert ["NAME  WORDS", "日本  a", "one   b"] == list(of(("日本", "", "a"), ("one", "", "b")).lines(80))


def test_control_characters_are_shown_as_text() -> None:
    assert r"a\x1b[2Jb\r\n" in list(of(("one", "", "a\x1b[2Jb\r\n")).lines(80))[1]


def test_a_table_without_rows_has_its_titles() -> None:
    assert ["NAME  PID  WORDS"] == list(of().lines(80))
