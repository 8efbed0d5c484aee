"""What an exercise may say, and what is said of one that is wrong."""

from pathlib import Path

import pytest

from netlab.demo.scenes import SCENES
from netlab.errors import TopologyError, UsageError
from netlab.grade import exercise, variations
from netlab.topology import document, validate

LAB = """
nodes:
  a: {}
  b: {xdp: ./program.c}
links: [[a, b]]
checks:
  - {ping: [a, b]}
  - {ping: [b, a]}
"""


@pytest.mark.parametrize("name", SCENES)
def test_a_shipped_exercise_makes_a_topology_whatever_is_drawn(name: str, tmp_path: Path) -> None:
    (tmp_path / "program.c").write_text("int x(struct xdp_md *ctx) { return 2; }")
    found = exercise.read(name)._replace(variations=20)
    told = "".join(f"#ifndef {draw.define}\n" for draw in found.draws if draw.define) + "LAB_WORKER_COUNT"

    for variation in variations.of(found, 1, told):
        text = variations.filled(found.lab, variation.values)
        assert "$" not in text.partition("name:")[2]
        assert validate.topology(document.parse(text, "lab", str(tmp_path / "lab.yml"))).nodes


def test_an_exercise_of_ones_own_has_a_point_for_each_check(tmp_path: Path) -> None:
    (tmp_path / "lab.yml").write_text(LAB)
    (tmp_path / "exercise.yml").write_text("lab: ./lab.yml\nplace: nodes.b.xdp\nvariations: 3\n")

    found = exercise.read(str(tmp_path))

    assert ({"check-1": 1.0, "check-2": 1.0}, 3, "nodes.b.xdp") == (found.points, found.variations, found.place)


def test_a_topology_with_checks_is_an_exercise(tmp_path: Path) -> None:
    (tmp_path / "mine.yml").write_text(LAB)

    found = exercise.read(str(tmp_path / "mine.yml"))

    assert ("mine", "nodes.b.xdp", 2) == (found.name, found.place, len(found.points))


def test_an_exercise_may_change_a_shipped_one(tmp_path: Path) -> None:
    (tmp_path / "exercise.yml").write_text(
        "demo: partb-high\nvariations: 5\npoints: {partb.print.*: 0, partb.fifo: 4}\n"
        "draw: {count: {usual: 20, from: 20, to: 30}}\n"
    )
    shipped, found = exercise.read("partb-high"), exercise.read(str(tmp_path))

    assert (5, shipped.lab, 4.0, 0.0) == (
        found.variations,
        found.lab,
        found.points["partb.fifo"],
        found.points["partb.print.freed"],
    )
    assert [20.0] == [draw.low for draw in found.draws if draw.name == "count"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("demo: partc\n", "exercise.yml:1:7: demo: expected parta, partb-low or partb-high, found 'partc'"),
        ("demo: parta\ndrow: {}\n", "expected a known key, found 'drow' (did you mean 'draw'?)"),
        ("demo: parta\npoints: {parta.evendropped: 2}\n", "did you mean parta.even_dropped?"),
        ("demo: parta\npoints: {parta.rest: -2}\n", "expected points from 0 to 1000, found -2"),
        ("demo: parta\ndraw: {port: {usual: 1}}\n", "expected `of` with a list, or `from` and a higher `to`"),
        ("title: x\n", "expected the key lab, or demo, found neither"),
        ("demo: parta\nfiles: ../..\n", "expected a file or folder below"),
    ],
)
def test_a_mistake_is_told_with_its_place(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "exercise.yml").write_text(text)

    with pytest.raises(UsageError) as raised:
        exercise.read(str(tmp_path))

    assert message in str(raised.value)


def test_what_is_no_exercise_is_refused(tmp_path: Path) -> None:
    (tmp_path / "lab.yml").write_text("nodes: {a: {}}\n")

    with pytest.raises(UsageError, match="there is no exercise partc"):
        exercise.read("partc")
    with pytest.raises(UsageError, match="expected claims that earn points, found none"):
        exercise.read(str(tmp_path / "lab.yml"))


def test_points_may_come_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "points.yml").write_text("parta.*: 2\nparta.rest: 7\n")
    (tmp_path / "wrong.yml").write_text("partb.rest: 7\n")

    found = exercise.read("parta", str(tmp_path / "points.yml")).points

    assert (2.0, 7.0) == (found["parta.alternate"], found["parta.rest"])
    with pytest.raises(TopologyError, match=r"wrong.yml:1:1"):
        exercise.read("parta", str(tmp_path / "wrong.yml"))
