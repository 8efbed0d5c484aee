"""What is drawn depends on the seed, and on what a program can be told."""

from netlab.grade import exercise, variations
from netlab.grade.exercise import Draw

TELLABLE = "#ifndef SERVICE_PORT\n#define SERVICE_PORT 8080\n#endif\n"


def test_the_first_play_is_as_the_exercise_says() -> None:
    found = exercise.read("partb-high")
    usual = {draw.name: draw.usual for draw in found.draws}

    assert usual == variations.of(found, 5, TELLABLE)[0].values


def test_a_seed_draws_the_same_for_everybody_and_another_one_something_else() -> None:
    found = exercise.read("partb-high")._replace(variations=3)
    drawn = [[each.values for each in variations.of(found, seed, "")] for seed in (1, 1, 2)]

    assert drawn[0] == drawn[1]
    assert drawn[0] != drawn[2]
    assert drawn[0][1] != drawn[0][2]


def test_a_port_is_drawn_only_for_a_program_that_takes_it_from_outside() -> None:
    found = exercise.read("partb-high")
    written_in, told = (variations.of(found, 1, text)[1] for text in ("#define SERVICE_PORT 8080\n", TELLABLE))

    assert ("8080", {}) == (written_in.values["service"], written_in.define)
    assert told.values["service"] != "8080"
    assert {"SERVICE_PORT": told.values["service"]} == told.define


def test_a_comment_tells_nothing() -> None:
    assert not variations.can_be_told(Draw("x", "1", define="PORT"), "/*\n#ifndef PORT\n*/")


def test_names_stay_for_a_program_that_knows_them() -> None:
    draw = Draw("lb", "lb", ("front",), unless="lab.h")

    assert [True, False] == [variations.can_be_told(draw, text) for text in ("", '#include "lab.h"')]


def test_numbers_are_in_their_range() -> None:
    found = exercise.read("partb-low")._replace(variations=20)

    for each in variations.of(found, 9, TELLABLE)[1:]:
        assert 24 <= int(each.values["count"]) <= 36
        assert 0.06 <= float(each.values["interval"]) <= 0.08


def test_words_that_are_not_drawn_stay() -> None:
    assert "echo $HOME 8081" == variations.filled("echo $HOME $port", {"port": "8081"})
