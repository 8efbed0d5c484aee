"""What is seen of a play: lines as they happen and how it went, for people, or all of it as JSON in the end."""

import json
from collections.abc import Sequence

from netlab.cli import show
from netlab.cli.console import Painted
from netlab.demo import show as worded
from netlab.demo.evidence import Claim, Entry, Evidence
from netlab.record import shapes
from netlab.record.model import LabRecord


class Text:
    """Prints lines as they happen, and in the end what was counted and what holds."""

    def begin(self, lab: LabRecord) -> None:
        """Get ready for the lines of a lab."""
        self._timeline = worded.Timeline(lab, Painted())

    def line(self, entry: Entry, begin_ns: int) -> None:
        """Print a line."""
        print(self._timeline.text(entry, begin_ns), flush=True)

    def end(self, evidence: Evidence, claims: Sequence[Claim]) -> None:
        """Print the outcome."""
        print()
        show.stats(evidence.stats)
        print()
        for claim in claims:
            print(worded.claim(claim, Painted()))
        print(worded.verdict(claims), flush=True)


class Json:
    """Prints all in the end, as data."""

    def begin(self, lab: LabRecord) -> None:
        """Nothing is seen yet."""

    def line(self, entry: Entry, begin_ns: int) -> None:
        """Lines come in the end."""

    def end(self, evidence: Evidence, claims: Sequence[Claim]) -> None:
        """Print all of the play."""
        data = {
            "lab": evidence.lab.lab,
            "holds": all(claim.holds for claim in claims),
            "claims": [claim._asdict() for claim in claims],
            "counters": shapes.plain(evidence.stats),
            "timeline": list(worded.as_data(evidence)),
        }
        print(json.dumps(data, indent=2))
