"""A record as JSON: all of it with the number of its format, and the part that everybody may see."""

import json

from netlab.record import shapes, whole
from netlab.record.model import LabRecord, ProcessRecord

FORMAT = 11  # of lab.json and status.json; change it for anything that an older netlab would not understand
_KEY = "format"


class OtherFormatError(ValueError):
    """A record of another format: with this number, or without any."""

    def __init__(self, number: object) -> None:
        super().__init__("has no format number" if number is None else f"has format {json.dumps(number)[:20]}")


def parsed(data: object, is_part: bool = False) -> LabRecord:
    """Return a record from its JSON; MisfitError if it is not one, OtherFormatError if it has another format.

    With `is_part` it is the part that everybody may see.
    """
    if not isinstance(data, dict):
        raise shapes.MisfitError("an object", data)
    if type(data.get(_KEY)) is not int or data[_KEY] != FORMAT:
        raise OtherFormatError(data.get(_KEY))
    found = shapes.read(LabRecord, {key: value for key, value in data.items() if key != _KEY}, is_part)
    if not is_part:
        whole.check_whole(found)
    return found


def plain(record: LabRecord) -> dict[str, object]:
    """Return all of a record as its JSON."""
    return {"lab": record.lab, _KEY: FORMAT, **shapes.plain(record)}


def public(record: LabRecord) -> dict[str, object]:
    """Return the part of a record that `status` needs, as JSON."""
    nodes = {
        name: {
            **{key: shapes.plain(getattr(node, key)) for key in ("kind", "limits")},
            **({"loopback": list(node.loopback)} if node.loopback else {}),
            "interfaces": {name: {"addresses": list(port.addresses)} for name, port in node.interfaces.items()},
            "programs": [
                {"name": each.name, "interfaces": list(each.interfaces), "hook": each.hook} for each in node.programs
            ],
            "processes": [_public_process(process) for process in node.processes],
        }
        for name, node in record.nodes.items()
    }
    about = {key: getattr(record, key) for key in ("topology", "runtime", "folder", "untrusted")}
    return {"lab": record.lab, _KEY: FORMAT, **about, "nodes": nodes}


def _public_process(process: ProcessRecord) -> dict[str, object]:
    """Leave out the arguments of a command, which are private; a role's file and its interpreter are not."""
    about = {key: getattr(process, key) for key in ("name", "role", "autostart", "stays", "may_exit")}
    return {**about, "argv": list(process.argv[:2]) if process.role else []}
