"""Sets the global variables of an object before it is loaded, by their names and types."""

import ctypes
from collections.abc import Mapping

from netlab import paths
from netlab.programs.build import Refused
from netlab.programs.lab_names import LabNames
from netlab.programs.libbpf_calls import ObjectMap
from netlab.programs.loader import Job
from netlab.programs.written_values import Misfit, Writer
from netlab.record import store
from netlab.record.layouts import STRUCT, Field, Layouts
from netlab.record.model import LabRecord
from netlab.topology.document.tree import Scalar

# enum xdp_action of linux/bpf.h, which is in the types of few programs
_VERDICTS = {"XDP_ABORTED": 0, "XDP_DROP": 1, "XDP_PASS": 2, "XDP_TX": 3, "XDP_REDIRECT": 4}


def set_all(job: Job, maps: Mapping[str, ObjectMap], known: Layouts, macros: set[str]) -> None:
    """Set the variables that a job defines; `macros` are the defined names that are macros instead.

    Raises Refused for a name that is no variable, and for a value that does not fit its type.
    """
    variables = {
        field.name: (each, field)
        for name, each in maps.items()
        if each.is_internal and name in known.maps and known.maps[name].value.kind == STRUCT
        for field in known.structs[known.maps[name].value.type].fields
    }
    for name, value in job.define:
        if name in variables:
            _set(job, *variables[name], known, value)
        elif name not in macros:
            raise Refused("plain", _unknown(name, sorted(variables)))


def _unknown(name: str, there: list[str]) -> str:
    own = [each for each in there if "." not in each]  # others are static variables of functions, such as formats
    it_has = (
        f"it has {', '.join(own)}" if own else "it has none that is kept: a constant of C is declared `const volatile`"
    )
    return f"has no global variable {name}, which `define` is to set: {it_has}"


def _set(job: Job, where: ObjectMap, field: Field, known: Layouts, value: str | int) -> None:
    numbers = {**_VERDICTS, **{name: each for enum in known.enums.values() for name, each in enum.items()}}
    meant = numbers.get(value, value) if isinstance(value, str) else value
    item = Scalar(0, 0, meant, str(value))
    try:
        data = Writer(known, _names(job, meant)).value(field, item, field.name)
    except Misfit as misfit:
        hint = f" ({misfit.hint})" if misfit.hint else ""
        raise Refused("plain", f"cannot set {field.name} as `define` says: {misfit.message}{hint}") from None
    content = where.initial()
    if content is None or field.offset + len(data) > len(content):
        raise Refused("plain", f"has no place for the value of {field.name}: its types do not fit its sections")
    ctypes.memmove(ctypes.addressof(content) + field.offset, data, len(data))


def _names(job: Job, value: str | int) -> LabNames:
    """Return the names of the lab; none for a value that is no text, so that the record need not be read."""
    record = store.read(job.lab) if isinstance(value, str) else LabRecord(job.lab, "", "netns", "", {})
    return LabNames(record, paths.node_of(job.key))
