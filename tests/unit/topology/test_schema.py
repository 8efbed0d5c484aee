"""The JSON Schema takes what `validate` takes: the same keys everywhere, and every good topology."""

import glob
import json
import re
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest

from netlab.cli import main
from netlab.topology import document, schema, schema_nodes
from netlab.topology.document.tree import plain
from netlab.topology.validate import KEYS as TOPOLOGY_KEYS
from netlab.topology.validate import (
    check_list,
    demo,
    directions,
    links,
    nodes,
    own_files,
    processes,
    programs,
    readiness,
    routes,
    time_line,
)
from tests.checkout import ROOT

GOOD = sorted(glob.glob(f"{ROOT}/topologies/**/*.yml", recursive=True) + glob.glob(f"{ROOT}/tests/golden/ok/*.yml"))


def keys(of: object) -> set[str]:
    """Return the keys of a mapping in the schema, or of the only mapping among several forms."""
    assert isinstance(of, dict)
    forms = [of, *of.get("anyOf", []), *(of.get("items", {}).get("anyOf", []) if "items" in of else [])]
    (found,) = [form["properties"] for form in forms if "properties" in form]
    return set(found)


def at(*path: str) -> object:
    found = schema.TOPOLOGY["properties"]
    for word in path:
        found = found[word]
    return found


def node() -> dict[str, object]:
    (found,) = [form for form in schema_nodes.NODE["anyOf"] if "properties" in form]
    properties: dict[str, object] = found["properties"]
    return properties


@pytest.mark.parametrize(
    ("known", "said"),
    [
        (TOPOLOGY_KEYS, schema.TOPOLOGY),
        (nodes.DEFAULTS, at("defaults")),
        (links.LINK_KEYS, at("links", "items")),
        (links.END_KEYS, schema._END),
        (processes.ENTRY_KEYS, schema_nodes._PROCESS | {"env": 0} | schema_nodes._AUTOSTART),
        (programs.XDP_KEYS, schema_nodes._PROGRAM_KEYS),
        (readiness.READY_KEYS, schema_nodes._READY),
        (own_files.FILE_KEYS, schema_nodes._FILE),
        (own_files.FOLDER_KEYS, schema_nodes._FOLDER),
        (routes.KEYS, schema_nodes._ROUTE),
        (time_line.KEYS, schema._FAULT_KEYS),
        (check_list.KEYS, schema._CHECKS["items"]),
        (demo.KEYS, schema._DEMO),
        (directions.KEYS, schema._IMPAIRMENTS),
    ],
)
def test_the_keys_are_the_same(known: tuple[str, ...], said: dict[str, object]) -> None:
    assert set(known) == (keys(said) if "properties" in said or "anyOf" in said else set(said)) | (
        {"autostart"} if known is processes.ENTRY_KEYS and "autostart" in known else set()
    )


def test_the_keys_of_a_node_are_the_same() -> None:
    assert set(nodes.NODE_KEYS) == set(node())


def test_every_key_has_words() -> None:
    """Also of what is in limits, demo and defaults, and in a route."""
    found = dict(words(schema.TOPOLOGY, ""))

    assert {".limits.memory", ".demo.port", ".defaults.routes", ".routes.via"} <= {
        re.sub(r"^\.nodes(?=\.)", "", place) for place in found
    }
    assert [] == [place for place, said in found.items() if not said]


def words(of: dict[str, Any], place: str) -> Iterator[tuple[str, str]]:
    """Yield the place of each key, and what is said about it."""
    for key, form in of.get("properties", {}).items():
        yield f"{place}.{key}", form.get("description", "")
        yield from words(form, f"{place}.{key}")
    for form in (*of.get("anyOf", ()), of.get("items"), of.get("additionalProperties")):
        if isinstance(form, dict):
            yield from words(form, place)


def test_it_is_a_schema() -> None:
    jsonschema.Draft7Validator.check_schema(schema.TOPOLOGY)


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.removeprefix(f"{ROOT}/"))
def test_a_good_topology_fits(path: str) -> None:
    written = plain(document.load(path).root)
    assert [] == [
        f"{'.'.join(map(str, each.absolute_path))}: {each.message[:200]}"
        for each in jsonschema.Draft7Validator(schema.TOPOLOGY).iter_errors(written)
    ]


@pytest.mark.parametrize(
    "wrong",
    [
        {"nodes": {}},
        {"name": "x", "nodes": {"a": {"colour": "red"}}},
        {"name": "x", "nodes": {"a": {}}, "links": [["a"]]},
        {"name": "x", "nodes": {"a": {"kind": "hub"}}},
        {"name": "x", "nodes": {"a": {}}, "checks": [{"pong": ["a", "b"]}]},
    ],
)
def test_what_is_no_topology_does_not_fit(wrong: object) -> None:
    assert list(jsonschema.Draft7Validator(schema.TOPOLOGY).iter_errors(wrong))


def test_the_verb_prints_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["schema"]) == 0
    assert json.loads(capsys.readouterr().out) == schema.TOPOLOGY


def without_words(said: object, place: str = "") -> list[str]:
    """Return the places of all keys that are not told what they mean."""
    if isinstance(said, list):
        return [found for each in said for found in without_words(each, place)]
    if not isinstance(said, dict):
        return []
    properties = said.get("properties", {})
    found = [f"{place}.{key}" for key, each in properties.items() if not each.get("description")]
    for key, each in said.items():
        found += without_words(list(each.values()) if key == "properties" else each, f"{place}.{key}")
    return found


def test_every_key_is_told_what_it_means() -> None:
    assert without_words(schema.TOPOLOGY) == []
