"""What is laid out for a play: the submission's files, the exercise's, and a lab in which the program has its place."""

from pathlib import Path

import pytest

from netlab.errors import NetlabError, TopologyError
from netlab.grade import exercise, play
from netlab.grade.submission import Submission
from netlab.grade.variations import Variation
from netlab.topology import document
from netlab.topology.document.tree import plain

USUAL = Variation(1, {"port": "9000", "client": "client", "server": "server", "count": "10"}, {"PORT": "9000"})
PARTA = exercise.read("parta")
FIREWALL = PARTA._replace(
    demo="", lab="nodes: {a: {}, fw: {xdp: x.c}}\nlinks: [[a, fw]]\nchecks: [{ping: [a, fw]}]\n", place="nodes.fw.xdp"
)


def test_a_program_gets_its_place_by_a_path_of_its_folder(tmp_path: Path) -> None:
    done = play.lay_out(PARTA, Submission("ann", {"x.c": b"int x;"}, "x.c"), USUAL, str(tmp_path / "work"))

    assert ["nodes.server.xdp.program=./x.c", "nodes.server.xdp.define.PORT=9000"] == done["set"]
    assert "10" == done["sends"]["count"]
    assert (tmp_path / "work" / "x.c").read_text() == "int x;"


def test_a_place_without_a_mapping_is_replaced(tmp_path: Path) -> None:
    done = play.lay_out(FIREWALL, Submission("ann", {"x.c": b""}, "x.c"), USUAL, str(tmp_path / "work"))

    assert ['nodes.fw.xdp={"program": "./x.c", "define": {"PORT": "9000"}}'] == done["set"]


def test_the_checks_of_a_submissions_own_topology_do_not_count(tmp_path: Path) -> None:
    own = b"nodes: {a: {}, fw: {}}\nlinks: [[a, fw]]\nchecks: [{run: [a, 'true']}]\n"
    done = play.lay_out(FIREWALL, Submission("ann", {"l.yml": own}, topology="l.yml"), USUAL, str(tmp_path / "work"))
    found = plain(document.load(done["topology"]).root)

    assert isinstance(found, dict)
    assert [{"ping": ["a", "fw"]}] == found["checks"]


def test_the_exercises_files_take_the_place_of_submitted_ones(tmp_path: Path) -> None:
    mine = FIREWALL._replace(files={"roles/probe.py": b"the teacher's"})
    handed_in = Submission("eve", {"x.c": b"", "roles/probe.py": b"eve's"}, "x.c")
    play.lay_out(mine, handed_in, USUAL, str(tmp_path / "work"))

    assert (tmp_path / "work" / "roles" / "probe.py").read_text() == "the teacher's"


def test_a_program_without_a_place_is_told(tmp_path: Path) -> None:
    with pytest.raises(NetlabError, match="says no place for a program"):
        play.lay_out(FIREWALL._replace(place=""), Submission("ann", {"x.c": b""}, "x.c"), USUAL, str(tmp_path / "work"))


def test_a_lab_of_the_exercises_that_reaches_outside_is_the_teachers_mistake() -> None:
    """Everything else that is missing may be handed in."""
    play.refuse_reaching(PARTA)
    play.refuse_reaching(FIREWALL._replace(lab=f"{FIREWALL.lab}\n".replace("a: {}", "a: {role: theirs}")))

    with pytest.raises(TopologyError, match=r"the lab of parta:1:.*kind"):
        play.refuse_reaching(FIREWALL._replace(lab=FIREWALL.lab.replace("a: {}", "a: {kind: host}")))


@pytest.mark.parametrize("name", [f"{exercise.LAB}/x", "roles", f"{'n' * 252}.h"])
def test_a_file_that_has_no_place_is_the_submissions_mistake(tmp_path: Path, name: str) -> None:
    mine = FIREWALL._replace(files={"roles/probe.py": b""})
    with pytest.raises(NetlabError, match="has no place beside the exercise's files"):
        play.lay_out(mine, Submission("eve", {"x.c": b"", name: b""}, "x.c"), USUAL, str(tmp_path / "work"))
