"""What is drawn for each play of an exercise. Pure: the same seed gives every submission the same variations."""

import random
import re
from collections.abc import Mapping
from functools import lru_cache
from string import Template

from netlab.grade.exercise import Draw, Exercise
from netlab.named_tuple import NamedTuple
from netlab.topology import program_text

_DIGITS = 3  # behind the point


class Variation(NamedTuple):
    """A play: its number from 1, what `$NAME` stands for, and the constants that its program is compiled with."""

    number: int
    values: Mapping[str, str]
    define: Mapping[str, str]


def of(exercise: Exercise, seed: int, program: str) -> list[Variation]:
    """Return the plays of an exercise for a submission whose program, with its headers, has this text.

    The first is as the exercise says. In the others everything is drawn that the program can be told.
    """
    return [_variation(exercise, seed, program, number) for number in range(1, exercise.variations + 1)]


def _variation(exercise: Exercise, seed: int, program: str, number: int) -> Variation:
    draws = random.Random(f"{seed} {exercise.name} {number}")  # noqa: S311 - hidden by the seed, not by its strength
    values, define = {}, {}
    for draw in exercise.draws:
        drawn = _drawn(draw, draws)
        varies = number > 1 and can_be_told(draw, program)
        values[draw.name] = drawn if varies else draw.usual
        if draw.define and _leaves_to_us(draw.define, program):
            define[draw.define] = values[draw.name]
    return Variation(number, values, define)


def _drawn(draw: Draw, draws: random.Random) -> str:
    if draw.of:
        return draws.choice(draw.of)
    if draw.is_whole:
        return str(draws.randint(int(draw.low), int(draw.high)))
    return f"{draws.uniform(draw.low, draw.high):.{_DIGITS}f}"


def can_be_told(draw: Draw, program: str) -> bool:
    """Say whether a value may be drawn for a program: one with the value written into it is no worse for that."""
    if draw.unless and draw.unless in program:
        return False
    if draw.define or draw.needs:
        return bool(draw.needs and draw.needs in program) or bool(draw.define and _leaves_to_us(draw.define, program))
    return True


def _leaves_to_us(constant: str, program: str) -> bool:
    """Say whether a program takes a constant from outside: `#ifndef` stands before what it is otherwise."""
    return bool(re.search(rf"^[ \t]*#[ \t]*ifndef[ \t]+{re.escape(constant)}\b", _code(program), re.MULTILINE))


@lru_cache(maxsize=8)  # each play asks for each constant
def _code(program: str) -> str:
    return program_text.without_comments(program)


def filled(text: str, values: Mapping[str, str]) -> str:
    """Return a text with each `$NAME` that has a value replaced by it; others stay as they are."""
    return Template(text).safe_substitute(values)
