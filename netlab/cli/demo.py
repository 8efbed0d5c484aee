"""How a play is shown: lines as they happen and the outcome for people, or everything as JSON at the end."""

import json
from collections.abc import Sequence

from netlab.cli import show
from netlab.cli.console import Painted
from netlab.demo import show as worded
from netlab.demo.evidence import Claim, Entry, Evidence
from netlab.record import shapes
from netlab.record.model import LabRecord


class Text:
    """Prints lines as they happen, and at the end the counters and the claims."""

    def begin(self, lab: LabRecord) -> None:
        """Prepare for the lines of a lab."""
        self._timeline = worded.Timeline(lab, Painted())

    def line(self, entry: Entry, begin_ns: int) -> None:
        """Print a line."""
        print(self._timeline.text(entry, begin_ns), flush=True)

    def end(self, evidence: Evidence, claims: Sequence[Claim]) -> None:
        """Print the outcome."""
        print()
        show.stats(evidence.stats)
        print()
        for at, claim in enumerate(claims):
            if worded.is_closer(claim) and not worded.is_closer(claims[at - 1]):
                print("\nA closer look, at the lines and maps of netlab's own programs:")
            print(worded.claim(claim, Painted()))
        print(worded.verdict(claims), flush=True)


class Json:
    """Prints everything at the end, as data."""

    def begin(self, lab: LabRecord) -> None:
        """Print nothing yet."""

    def line(self, entry: Entry, begin_ns: int) -> None:
        """Print nothing yet."""

    def end(self, evidence: Evidence, claims: Sequence[Claim]) -> None:
        """Print everything."""
        data = {
            "lab": evidence.lab.lab,
            "holds": worded.all_hold(claims),
            "claims": [worded.claim_as_data(claim) for claim in claims],
            "counters": shapes.plain(evidence.stats),
            "timeline": list(worded.as_data(evidence)),
        }
        print(json.dumps(data, indent=2))
