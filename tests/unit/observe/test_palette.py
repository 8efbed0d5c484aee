"""Colours can be read on their grounds, and told apart by everybody."""

import itertools
import math

import pytest

from netlab.observe import palette
from netlab.observe.palette import Colour

Rgb = tuple[float, ...]
STATES = (palette.GOOD, palette.BAD, palette.DOUBTFUL)
ALL = (*STATES, palette.QUIET, palette.KERNEL, *palette.NODES)
# What eyes without one of the three kinds of cones make of light: Machado, Oliveira, Fernandes 2009, severity 1.
SIGHTS = {
    "usual": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protanopia": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "deuteranopia": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.01182, 0.04294, 0.968881)),
    "tritanopia": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.3039)),
}
# Okabe and Ito's colours, which many take for this, differ by 0.076 or more in this measure.
APART = 0.12
READABLE, VISIBLE = 3.0, 2.4  # WCAG 2: 3 is what large text and graphics need


def of_terminal(number: int) -> Rgb:
    """Return the light of a colour of xterm's cube or greys."""
    levels = (0, 95, 135, 175, 215, 255)
    if number >= 232:
        return light(*[8 + 10 * (number - 232)] * 3)
    red, rest = divmod(number - 16, 36)
    return light(*(levels[each] for each in (red, *divmod(rest, 6))))


def of_hex(text: str) -> Rgb:
    return light(*bytes.fromhex(text[1:]))


def light(*parts: float) -> Rgb:
    """Return amounts of red, green and blue light (sRGB)."""
    scaled = (part / 255 for part in parts)
    return tuple(part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in scaled)


def seen(colour: Rgb, sight: str) -> Rgb:
    """Return the place of a colour in Oklab, where distances are as one sees them."""
    red, green, blue = (
        min(1, max(0, sum(share * part for share, part in zip(row, colour, strict=True)))) for row in SIGHTS[sight]
    )
    long = (0.4122214708 * red + 0.5363325363 * green + 0.0514459929 * blue) ** (1 / 3)
    middle = (0.2119034982 * red + 0.6806995451 * green + 0.1073969566 * blue) ** (1 / 3)
    short = (0.0883024619 * red + 0.2817188376 * green + 0.6299787005 * blue) ** (1 / 3)
    return (
        0.2104542553 * long + 0.793617785 * middle - 0.0040720468 * short,
        1.9779984951 * long - 2.428592205 * middle + 0.4505937099 * short,
        0.0259040371 * long + 0.7827717662 * middle - 0.808675766 * short,
    )


def distance(one: Rgb, other: Rgb) -> float:
    """Return how far apart two colours are for whoever sees the least of it."""
    return min(math.dist(seen(one, sight), seen(other, sight)) for sight in SIGHTS)


def contrast(one: Rgb, other: Rgb) -> float:
    bright, dark = sorted((0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05 for r, g, b in (one, other)), reverse=True)
    return bright / dark


def kinds(colour: Colour) -> tuple[Rgb, Rgb, Rgb]:
    return of_terminal(colour.terminal), of_hex(colour.light), of_hex(colour.dark)


def test_states_are_told_apart_by_everybody() -> None:
    """On a terminal, on a light ground and on a dark one."""
    for one, other in itertools.combinations(STATES, 2):
        assert all(distance(*pair) >= APART for pair in zip(kinds(one), kinds(other), strict=True)), (one, other)


def test_red_and_green_would_not_be_told_apart() -> None:
    """The measure sees what it is for: a usual pair of red and green of one brightness."""
    assert (
        distance(of_hex("#a06000"), of_hex("#608000"))
        < APART
        < math.dist(seen(of_hex("#a06000"), "usual"), seen(of_hex("#608000"), "usual"))
    )


@pytest.mark.parametrize("colour", ALL)
def test_colours_stand_out_from_their_grounds(colour: Colour) -> None:
    """A terminal's ground is not known: white and black."""
    terminal, on_light, on_dark = kinds(colour)

    assert contrast(terminal, light(255, 255, 255)) >= VISIBLE
    assert contrast(terminal, light(0, 0, 0)) >= VISIBLE
    assert contrast(on_light, of_hex(palette.LIGHT)) >= READABLE
    assert contrast(on_dark, of_hex(palette.DARK)) >= READABLE


def test_each_meaning_has_a_colour_of_its_own() -> None:
    assert 3 * len(ALL) == len({each for colour in ALL for each in colour})


def test_pale_is_mostly_ground() -> None:
    assert palette.LIGHT == palette.pale("#102030", share=0)
    assert "#102030" == palette.pale("#102030", share=1)
    assert "#889098" == palette.pale("#102030", share=0.5)
