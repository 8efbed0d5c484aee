"""Golden topologies, good and bad, and what no file can show."""

import glob
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from netlab.errors import TopologyError
from netlab.topology import document, validate
from netlab.topology.model import Topology
from tests.checkout import ROOT

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


def topology(text: str) -> Topology:
    return validate.topology(document.parse(text, "lab.yml"))


def mistakes(text: str) -> list[str]:
    """Return the mistakes of a topology, each with its place."""
    with pytest.raises(TopologyError) as caught:
        topology(text)
    return str(caught.value).split("\n")


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


@pytest.mark.parametrize("path", sorted(glob.glob(f"{ROOT}/topologies/*.yml")))
def test_shipped_topologies(path: str) -> None:
    """Every topology that netlab brings along is good, and says what it shows."""
    read = validate.topology(document.load(path))

    assert read.description


def test_replicas_share_their_tuples() -> None:
    """A thousand nodes after a thousand others do not take a million entries."""
    nodes = topology(
        "{name: x, nodes: {a: {replicas: 1000, command: [a]}, b: {replicas: 1000, command: [b], after: a}}}"
    ).nodes

    assert 1000 == len(nodes[-1].after)
    assert nodes[-1].after is nodes[-2].after


def test_without_a_file_nothing_is_looked_up_beside_it() -> None:
    """A topology from text finds netlab's own programs, and no files of the current folder."""
    read = topology("{name: x, nodes: {a: {xdp: balancer}, b: }, links: [[a, b]]}").nodes[0].program

    assert read
    assert os.path.join(ROOT, "bpf", "balancer.c") == read.path
    assert mistakes("{name: x, nodes: {a: {xdp: nothing}, b: }, links: [[a, b]]}")


def make_pipe(path: Path) -> None:
    os.mkfifo(path)


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


@pytest.mark.parametrize("make", [make_pipe, make_socket, Path.mkdir, lambda path: path.symlink_to("/dev/zero")])
@pytest.mark.parametrize(
    ("key", "name", "written"),
    [
        ("role", "mine.py", "mine"),
        ("role", "mine.py", "./mine.py"),
        ("xdp", "mine.c", "mine"),
        ("xdp", "mine.c", "./mine.c"),
    ],
)
def test_what_is_no_regular_file_is_told_for_what_it_is(
    tmp_path: Path, make: Callable[[Path], None], key: str, name: str, written: str
) -> None:
    """A pipe would be waited for, a device never ends; that such a name is near its own is no help."""
    make(tmp_path / name)
    (tmp_path / "lab.yml").write_text(f"{{name: x, nodes: {{a: {{{key}: {written}}}, b: }}, links: [[a, b]]}}")
    with pytest.raises(TopologyError) as caught:
        validate.topology(document.load(str(tmp_path / "lab.yml"), []))

    assert "no regular file" in str(caught.value)
    assert "did you mean" not in str(caught.value)


def test_a_folder_whose_name_is_no_text(tmp_path: Path) -> None:
    """It may hold topologies and roles; only the compiler takes no program from there."""
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff"))
    folder.mkdir()
    (folder / "mine.py").touch()
    (folder / "mine.c").touch()
    (folder / "lab.yml").write_text("{name: x, nodes: {a: {role: mine, xdp: mine}, b: }, links: [[a, b]]}")
    with pytest.raises(TopologyError) as caught:
        validate.topology(document.load(str(folder / "lab.yml"), []))

    assert [mistake.path for mistake in caught.value.mistakes] == ["nodes.a.xdp"]
    assert "is no UTF-8" in str(caught.value)


def test_mistakes_stand_in_the_order_of_the_file() -> None:
    """Mistakes are sorted by line and column, whatever finds them."""
    found = mistakes("name: X\nnodes:\n  a: {role: 5, kind: x}\nlinks:\n  - [a, b]\n  - [a]\nchecks: 5\n")
    places = [tuple(map(int, line.split(":")[1:3])) for line in found]

    assert sorted(places) == places
    assert 5 <= len(places)


def test_a_switch_has_as_many_links_as_a_bridge_has_ports() -> None:
    """1,023 ports are the most that Linux gives a bridge."""
    text = "{name: x, nodes: {s: {kind: switch}, a: {replicas: 1000}, b: {replicas: %d}}, links: [[a, s], [b, s]]}"

    assert 1023 == len(topology(text % 23).links)
    assert ["lab.yml"] == [line.split(":")[0] for line in mistakes(text % 24)]


def test_as_many_nodes_as_one_lab_may_have() -> None:
    """4,096 nodes are allowed, and not one more."""
    text = "{name: x, nodes: {a: {replicas: 1000}, b: {replicas: 1000}, c: {replicas: 1000}, d: {replicas: 1000}, %s}}"
    rest = ", ".join(f"e{number}: " for number in range(1, 97))

    assert 4096 == len(topology(text % rest).nodes)
    assert "4,096" in mistakes(text % f"{rest}, f: ")[0]


def test_hints_stop_before_they_cost_too_much() -> None:
    """Thousands of misspelt names are all reported, the first ones with the name that was meant."""
    found = mistakes("{name: x, nodes: {node: , other: }, links: [" + "[nod, other], " * 3000 + "]}")

    assert 3000 == len(found)
    assert "did you mean 'node'?" in found[0]
    assert "did you mean" not in found[-1]


def test_a_misspelt_key_is_read_on() -> None:
    """What stands under a misspelt key is checked as if the key were right."""
    found = mistakes("{name: x, nodse: {a: {rolle: nothing}}}")

    assert ["nodse", "nodse.a.rolle", "nodse.a.rolle"] == [line.split(": ")[1] for line in found]


def test_an_unknown_kind_hides_what_follows_from_it() -> None:
    """With a misspelt switch nothing is said about addresses that would need one."""
    text = "{name: x, nodes: {s: {kind: swich}, a: , b: }, links: [[{node: a, address: 10.0.0.1/24}, s], [b, s]]}"

    assert 1 == len(mistakes(text))


@pytest.mark.parametrize(("name", "good"), [("a", True), ("a-1", True), ("1", True), ("", False), ("A", False)])
def test_labels(name: str, good: bool) -> None:
    """`is_label` tells whether a lab may have this name."""
    assert good == validate.is_label(name)
