"""A claim: one sentence of the exercise, and what a play shows of it."""

from collections.abc import Iterable, Sequence

from netlab.named_tuple import NamedTuple


class Claim(NamedTuple):
    """One sentence of the exercise, whether it holds, and the figures that show it.

    `holds` is None if it cannot be judged; the figures say why. `id` never changes. `is_timed` says that a busy machine
    alone can make it fail.
    """

    text: str
    holds: bool | None
    figures: str
    id: str = ""
    is_timed: bool = False

    @property
    def verdict(self) -> str:
        """Return met, failed or unjudged."""
        return "unjudged" if self.holds is None else "met" if self.holds else "failed"


def few(figures: Iterable[str], limit: int = 4) -> str:
    """Return figures on one line; of many, the first ones, and how many more there are."""
    shown = list(figures)
    more = [f"and {len(shown) - limit} more"] if shown[limit:] else []
    return "; ".join([*shown[:limit], *more])


def unjudged(text: str, why: str, name: str) -> Claim:
    """Return a claim that cannot be judged."""
    return Claim(text, None, f"cannot be judged: {why}", name)


def judged(text: str, wrong: Sequence[str], right: str, name: str, *, is_timed: bool = False) -> Claim:
    """Return a claim that fails if anything is wrong; of a failed one the figures say first what is wrong."""
    figures = few(wrong) if wrong else right
    return Claim(text, not wrong, figures, name, is_timed)
