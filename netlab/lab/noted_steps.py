"""The steps that a lab was made by, written down in its folder: by them `apply` knows what stands.

The file has JSON. A named tuple is an object with its type as the only key, so any step can be written and read back.
It is root's, as it has the environment of processes. While a change is made, and after one that was cut off, `open` are
the steps of which nobody knows whether they are done.
"""

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from netlab import paths
from netlab.errors import NetlabError
from netlab.kernel import files
from netlab.named_tuple import NamedTuple

if TYPE_CHECKING:
    from netlab.plan.steps import Step
    from netlab.plan.sysctl_step import ChangeSysctls

_BYTES, _ENCODING = "bytes", "latin-1"


class Noted(NamedTuple):
    """What stands, and of which steps nobody knows whether they are done, each in the order of a plan."""

    done: "tuple[Step, ...]"
    open: "tuple[Step | ChangeSysctls, ...]" = ()


def write(folder: str, done: "Iterable[Step]", open_: "Iterable[Step | ChangeSysctls]" = ()) -> None:
    """Write down what stands in the lab with this folder."""
    data = {"done": [_plain(step) for step in done], "open": [_plain(step) for step in open_]}
    files.write(f"{folder}/{paths.STEPS}", json.dumps(data, separators=(",", ":")), 0o600)


def read(lab: str) -> Noted:
    """Return what was written down; NetlabError if this netlab does not understand it."""
    path = f"{paths.folder_of(lab)}/{paths.STEPS}"
    kinds = _kinds()
    try:
        data = files.load(path)
        return Noted(*(tuple(_typed(each, kinds) for each in data[name]) for name in ("done", "open")))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise NetlabError(
            f"{path}, which says how {lab} was made, cannot be read ({error}): netlab down --lab {lab}, and then up"
        ) from None


def is_cut_off(noted: Noted) -> bool:
    """Say whether a change has not come to its end."""
    return bool(noted.open)


def _plain(value: object) -> object:
    if isinstance(value, tuple):
        items = [_plain(each) if type(each) not in _SIMPLE else each for each in value]
        return {type(value).__name__: items} if hasattr(value, "_fields") else items
    return {_BYTES: value.decode(_ENCODING)} if isinstance(value, bytes) else value


_SIMPLE = {str, int, float, bool, type(None)}


def _typed(value: Any, kinds: Mapping[str, type]) -> Any:
    if isinstance(value, list):
        return tuple(_typed(each, kinds) for each in value)
    if not isinstance(value, dict):
        return value
    ((name, content),) = value.items()
    return content.encode(_ENCODING) if name == _BYTES else kinds[name](*_typed(content, kinds))


def _kinds() -> dict[str, type]:
    """Return all named tuples that can be in a step, by name."""
    from typing import get_args

    from netlab.plan import steps, sysctl_step
    from netlab.topology import impairment, model
    from netlab.topology.document import tree

    found: dict[str, type] = {kind.__name__: kind for kind in (*get_args(steps.Step), steps.Interface)}
    for module in (sysctl_step, model, tree, impairment):
        of = {name: kind for name, kind in vars(module).items() if isinstance(kind, type) and hasattr(kind, "_fields")}
        found.update((name, kind) for name, kind in of.items() if kind.__module__ == module.__name__)
    return found
