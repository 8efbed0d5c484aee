"""What a lab that stands has that faults and checks may name."""

from netlab.paths import node_of
from netlab.record.links import links
from netlab.record.model import LabRecord
from netlab.topology.validate.time_line import Known


def of(record: LabRecord) -> Known:
    """Return what there is; nodes also by the name of what they are replicas of."""
    members: dict[str, list[str]] = {}
    for name, node in record.nodes.items():
        members.setdefault(name, []).append(name)
        if node.replica_of:
            members.setdefault(node.replica_of, []).append(name)
    processes: dict[str, list[str]] = {}
    for key, _ in record.processes():
        processes.setdefault(node_of(key), []).append(key)
    switches = [name for name, node in record.nodes.items() if node.kind == "switch"]
    programs = {name: [each.name for each in node.programs] for name, node in record.nodes.items()}
    return Known(members, processes, links(record), switches, programs)
