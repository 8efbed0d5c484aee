"""The verb `doctor`: what this host has and lacks, for people and as JSON."""

import json
from collections.abc import Sequence

from netlab.cli import typed
from netlab.cli.console import Painted, say
from netlab.observe import doctor
from netlab.words import count

VERSION = 1  # of the JSON
_PAINT = Painted()
_SIGNS = {
    doctor.GOOD: _PAINT.good("✓"),
    doctor.NEEDED: _PAINT.bad("✗"),
    doctor.OPTIONAL: "-",
    doctor.UNKNOWN: _PAINT.doubtful("?"),
    doctor.LEFT: _PAINT.doubtful("!"),
}
_HOST_UNFIT = 3


def examine(args: typed.Doctor) -> int:
    """Show what was found; exit code 3 if something is missing without which netlab does not work."""
    found = list(doctor.examine())
    if args.format == "json":
        print(json.dumps({"version": VERSION, "findings": [each._asdict() for each in found]}, indent=2))
    else:
        _show(found)
    missing = sum(each.state == doctor.NEEDED for each in found)
    if missing:
        say(f"netlab: {count(missing, 'thing')} missing: each line with a cross says what mends it")
    return _HOST_UNFIT if missing else 0


def _show(found: Sequence[doctor.Finding]) -> None:
    width = max(len(each.subject) for each in found)
    for each in found:
        print(f"{_SIGNS[each.state]} {each.subject:<{width}}  {each.found}")
        if each.mend:
            print(f"  {'':<{width}}  → {each.mend}")
