"""Golden topologies, good and bad, and what no file can show."""

import glob
import os
from typing import Any

import pytest

from netlab.errors import TopologyError
from netlab.topology import document, validate
from tests.checkout import ROOT
from tests.unit.topology.texts import mistakes

GOLDEN = os.path.join(ROOT, "tests", "golden")


def names(kind: str) -> list[str]:
    return sorted(os.path.basename(path)[: -len(".yml")] for path in glob.glob(f"{GOLDEN}/{kind}/*.yml"))


def agree(path: str, text: str) -> bool:
    """Return whether the file holds the text; after a change that is meant, UPDATE_GOLDEN=1 writes it anew."""
    if os.environ.get("UPDATE_GOLDEN"):
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
    with open(path, encoding="utf-8") as file:
        return file.read() == text


def described(value: Any, indent: str = "") -> str:
    """Return a named tuple with those of its fields that are not at their defaults, one to a line."""
    if not hasattr(value, "_fields"):
        return repr(value)
    lines = []
    for field in value._fields:
        content = getattr(value, field)
        if content == value._field_defaults.get(field, ...):
            continue
        if isinstance(content, tuple) and not hasattr(content, "_fields") and content:
            entries = "".join(f"\n{indent}    {described(entry, indent + '    ')}" for entry in content)
            lines.append(f"\n{indent}  {field}:{entries}")
        else:
            lines.append(f"\n{indent}  {field}: {described(content, indent + '  ')}")
    return type(value).__name__ + "".join(lines)


@pytest.mark.parametrize("name", names("ok"))
def test_good_topologies(name: str) -> None:
    """A good topology becomes the model that stands beside it."""
    text = described(validate.topology(document.load(f"{GOLDEN}/ok/{name}.yml"))) + "\n"

    assert agree(f"{GOLDEN}/ok/{name}.model.txt", text.replace(GOLDEN, "GOLDEN"))


@pytest.mark.parametrize("name", names("bad"))
def test_bad_topologies(name: str) -> None:
    """A bad topology is refused with all the messages that stand beside it."""
    with pytest.raises(TopologyError) as caught:
        validate.topology(document.load(f"{GOLDEN}/bad/{name}.yml"))

    assert agree(f"{GOLDEN}/bad/{name}.txt", f"{caught.value}\n".replace(f"{GOLDEN}/", ""))


@pytest.mark.parametrize("path", sorted(glob.glob(f"{ROOT}/topologies/**/*.yml", recursive=True)))
def test_shipped_topologies(path: str) -> None:
    """Every topology that netlab brings along is good, and says what it shows."""
    read = validate.topology(document.load(path))

    assert read.description


def test_a_misspelt_key_is_read_as_the_known_one() -> None:
    """What stands under a misspelt key is checked as if the key were right."""
    found = mistakes("{name: x, nodse: {a: {rolle: nothing}}}")

    assert ["nodse", "nodse.a.rolle", "nodse.a.rolle"] == [line.split(": ")[1] for line in found]
