"""What a person sets a link to, KEY=VALUE, as fields of an impairment."""

from collections.abc import Sequence
from typing import Any

from netlab.errors import UsageError
from netlab.topology.validate.directions import KEYS


def changes(values: Sequence[str]) -> dict[str, Any]:
    """Return what KEY=VALUE change, by the fields of an impairment; a value is written as in a topology."""
    from netlab.errors import TopologyError
    from netlab.topology import document
    from netlab.topology.validate import impairments
    from netlab.topology.validate.findings import Findings

    changes: dict[str, Any] = {}
    for each in values:
        key, _, text = each.partition("=")
        if key not in KEYS:
            from netlab.topology.document.tree import nearest

            raise UsageError(f"{each}: expected a key, found {key!r} ({nearest(key, KEYS)})")
        try:
            written = document.parse(text, each)
        except TopologyError as error:
            raise UsageError(f"{each}: the value cannot be read: {error.mistakes[0].message}") from None
        findings = Findings(written)
        found = impairments.read_value(findings, key, written.root)
        if mistakes := findings.mistakes():
            hint = f" ({mistakes[0].hint})" if mistakes[0].hint else ""
            raise UsageError(f"{each}: {mistakes[0].message}{hint}")
        if found.keys() & changes.keys():
            raise UsageError(f"{each}: expected {key} once, found it twice")
        changes.update(found)
    return changes
