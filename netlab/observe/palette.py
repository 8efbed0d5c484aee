"""The one palette of all views: colours by their meaning, told apart also by who is colour-blind.

Each meaning is also said in words: no view shows anything by colour alone. A test sees the colours as people with
protanopia, deuteranopia and tritanopia do.
"""

from netlab.named_tuple import NamedTuple

LIGHT, DARK = "#ffffff", "#14181d"  # the grounds


class Colour(NamedTuple):
    """A colour: its number among a terminal's 256, for any ground, and as #rrggbb for a light and for a dark ground."""

    terminal: int
    light: str
    dark: str


GOOD = Colour(30, "#00797d", "#2fb5b5")
BAD = Colour(160, "#b00000", "#f4433c")
DOUBTFUL = Colour(172, "#bb7300", "#f2b84b")  # what may become good or bad
QUIET = Colour(244, "#6b7280", "#8b95a3")  # what is idle, off, or beside the point
KERNEL = Colour(60, "#4d4d75", "#9a9ac4")  # programs
NODES = (  # in turns; none of them is good, bad or doubtful
    Colour(39, "#0079c4", "#3ebcff"),
    Colour(99, "#6a4fd0", "#a58bff"),
    Colour(108, "#557f55", "#9cc79c"),
    Colour(206, "#c4309c", "#ff7fdf"),
    Colour(92, "#7a00c2", "#b45cf0"),
    Colour(131, "#8f4a4a", "#d18a8a"),
)


def node(number: int) -> Colour:
    """Return the colour of a node by its place in the lab."""
    return NODES[number % len(NODES)]


def pale(colour: str, ground: str = LIGHT, share: float = 0.12) -> str:
    """Return a colour as it fills an area on a ground: so much of it, and the rest is ground."""
    parts = ((int(colour[at : at + 2], 16), int(ground[at : at + 2], 16)) for at in (1, 3, 5))
    return "#" + "".join(f"{round(own * share + below * (1 - share)):02x}" for own, below in parts)
