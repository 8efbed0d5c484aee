"""How a play is shown: lines as they happen and the outcome for people, or everything as JSON at the end."""

import os
from collections.abc import Sequence

from netlab.cli import json_data, show, typed
from netlab.cli.console import Painted, say
from netlab.demo import outcome
from netlab.demo import show as worded
from netlab.demo.evidence import Claim, Entry, Evidence
from netlab.demo.outcome import Outcome
from netlab.errors import NetlabError
from netlab.record.model import LabRecord


class Text:
    """Prints lines as they happen, and at the end the counters and the claims."""

    def begin(self, lab: LabRecord) -> None:
        """Prepare for the lines of a lab."""
        self._timeline = worded.Timeline(lab, Painted())

    def line(self, entry: Entry, begin_ns: int) -> None:
        """Print a line."""
        print(self._timeline.text(entry, begin_ns), flush=True)

    def end(self, evidence: Evidence, claims: Sequence[Claim], found: Outcome) -> None:
        """Print the outcome."""
        print()
        show.stats(evidence.stats)
        print()
        for at, claim in enumerate(claims):
            if worded.is_closer(claim) and not worded.is_closer(claims[at - 1]):
                print("\nA closer look, at the lines and maps of netlab's own programs:")
            print(worded.claim(claim, Painted()))
        print(worded.verdict(claims), flush=True)
        if found.problem:
            say(found.problem)

    def fail(self, found: Outcome) -> None:
        """Say why the demo was not played."""
        say(found.problem)


class Json:
    """Prints everything at the end, as data."""

    def __init__(self) -> None:
        self._lab: str | None = None
        self._is_done = False

    def begin(self, lab: LabRecord) -> None:
        """Print nothing yet."""
        self._lab = lab.lab

    def line(self, entry: Entry, begin_ns: int) -> None:
        """Print nothing yet."""

    def end(self, evidence: Evidence, claims: Sequence[Claim], found: Outcome) -> None:
        """Print everything."""
        self._is_done = True
        data = {
            "lab": evidence.lab.lab,
            **_outcome(found, show_holds=worded.all_hold(claims)),
            "claims": [worded.claim_as_data(claim) for claim in claims],
            "counters": evidence.stats,
            "timeline": list(worded.as_data(evidence)),
        }
        json_data.show(data)

    def fail(self, found: Outcome) -> None:
        """Print why the demo was not played, as data, unless it was and only something after it failed."""
        say(found.problem)
        if not self._is_done:
            data = {"lab": self._lab, **_outcome(found, show_holds=False), "claims": [], "counters": {}, "timeline": []}
            json_data.show(data)


def _outcome(found: Outcome, *, show_holds: bool) -> dict[str, object]:
    return {"holds": show_holds, "outcome": found.word, "exit_code": found.code, "problem": found.problem}


def play(args: typed.Demo) -> int:
    """Play a demo and show it; return the exit code."""
    from netlab.demo.run import run

    audience = Json() if args.format == "json" else Text()
    try:
        return run(args, audience, say).code
    except BrokenPipeError as error:  # an error here, but no error for verbs that only show something
        raise NetlabError("nobody reads on: the demo was not played to its end") from error
    except (Exception, KeyboardInterrupt) as error:
        if os.environ.get("NETLAB_DEBUG") and not isinstance(error, NetlabError):
            raise
        found = outcome.of_error(error)
        audience.fail(found)
        return found.code
