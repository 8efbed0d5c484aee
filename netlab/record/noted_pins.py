"""What a lab's programs have pinned, written down when it is made; by this `status` sees what has changed."""

import json
from collections.abc import Mapping

from netlab import paths
from netlab.kernel import files
from netlab.record import shapes
from netlab.record.notes import Pinned


def note(folder: str, found: Mapping[str, Pinned]) -> None:
    """Add to what is known of a lab's pins; the keys are their folders below bpf/."""
    _write(folder, {**read(folder), **found})


def forget(folder: str, name: str) -> None:
    """Remove what is known of one folder of pins, if anything is."""
    _write(folder, {each: pinned for each, pinned in read(folder).items() if each != name})


def read(folder: str) -> dict[str, Pinned]:
    """Return what is known of a lab's pins; nothing if that cannot be read."""
    try:
        return shapes.read(dict[str, Pinned], files.load(f"{folder}/{paths.PINNED}"))
    except (OSError, ValueError):
        return {}


def _write(folder: str, known: Mapping[str, Pinned]) -> None:
    files.write(f"{folder}/{paths.PINNED}", json.dumps(shapes.plain(known)), 0o600)
