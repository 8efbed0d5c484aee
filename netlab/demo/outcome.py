"""How a demo has ended, by a word and an exit code: so that who judges many programs need not read what was printed."""

from collections.abc import Sequence

from netlab.errors import (
    BuildError,
    BuildLimitError,
    HostError,
    NetlabError,
    OutsideError,
    TimeLimitError,
    UsageError,
    VerifierError,
    explain,
)
from netlab.judge.claim import Claim
from netlab.named_tuple import NamedTuple


class Outcome(NamedTuple):
    """A word for it, the exit code, and what went wrong, "" if nothing did."""

    word: str
    code: int
    problem: str = ""


HOLDS = Outcome("holds", 0)
FAILS = Outcome("claims-fail", 1)
_CODES: tuple[tuple[type[BaseException], str, int], ...] = (
    (UsageError, "usage", 2),
    (HostError, "host", 3),
    (BuildLimitError, "not-over-in-time", 6),
    (BuildError, "does-not-build", 4),
    (VerifierError, "refused-by-the-verifier", 5),
    (TimeLimitError, "not-over-in-time", 6),
    (OutsideError, "reaches-outside", 9),
    (NetlabError, "did-not-start", 8),
    (KeyboardInterrupt, "interrupted", 1),
)
_OURS = ("error-of-netlab", 7)


def of_claims(claims: Sequence[Claim]) -> Outcome:
    """Return the outcome of a play that was played to its end; a claim that cannot be judged is no failure."""
    return FAILS if any(claim.holds is False for claim in claims) else HOLDS


def of_error(error: BaseException) -> Outcome:
    """Return the outcome of a play that ended with an error."""
    text, code = explain(error)
    if code == HostError.exit_code:  # also errors of the system, which have no type of netlab's
        return Outcome("host", code, text)
    found = next(((word, code) for kind, word, code in _CODES if isinstance(error, kind)), _OURS)
    return Outcome(*found, text)
