"""An exercise: the lab that a submission is put into, who judges it, what is drawn for each play, and the points."""

import os
import re
from collections.abc import Mapping
from fnmatch import fnmatchcase

from netlab import paths
from netlab.demo.scenes import SCENES
from netlab.errors import TopologyError, UsageError
from netlab.grade import folders
from netlab.named_tuple import NamedTuple
from netlab.topology import document
from netlab.topology.document.tree import Document, Item, Scalar, Sequence, closest, plain
from netlab.topology.document.tree import Mapping as Tree
from netlab.topology.validate.findings import Findings
from netlab.topology.validate.rules import Fields, choice, integer, one_or_more, pairs, scalar, word

NAME = "exercise.yml"  # in a folder
SHIPPED = os.path.join(paths.PACKAGE, "exercises")
LAB = "netlab-exercise.yml"  # the lab among the files of a submission
KEYS = ("title", "demo", "lab", "files", "place", "expects", "sends", "variations", "draw", "points")
EXPECTS = ("workers", "threads")
_DRAW_KEYS = ("usual", "of", "from", "to", "define", "if", "unless")
_MOST_VARIATIONS = 20
_A_NAME = re.compile(r"[a-z][a-z0-9_]*")
_CHECK = "check-"


class Draw(NamedTuple):
    """A value that is drawn: one of `of`, or a number from `low` to `high`; `usual` where it is not drawn.

    It stays as usual for a program that cannot be told: `define` is a constant that a program may leave to us, by
    `#ifndef`; `needs` a text that the program must have instead, `unless` one that it may not have.
    """

    name: str
    usual: str
    of: tuple[str, ...] = ()
    low: float = 0
    high: float = 0
    is_whole: bool = True
    define: str = ""
    needs: str = ""
    unless: str = ""


class Exercise(NamedTuple):
    """An exercise. `lab` is a topology in which `$NAME` stands for what is drawn, `files` what belongs to it.

    `demo` says which demo's claims are judged; without it, the lab's own checks are. `place` is where a submission's
    program goes. `sends` are options of the client. `points` has what each claim earns, all claims that count.
    `expects` says how many workers, and threads of each, the lab of a submission must have.
    """

    name: str
    title: str
    demo: str
    lab: str
    files: Mapping[str, bytes]
    place: str
    sends: Mapping[str, str]
    variations: int
    draws: tuple[Draw, ...]
    points: Mapping[str, float]
    expects: Mapping[str, int] = {}


def read(wanted: str, points: str = "") -> Exercise:
    """Return one of netlab's exercises by its name, or that of a folder, a file, or a plain topology with checks.

    `points` is a file with other points. UsageError, or TopologyError with all mistakes.
    """
    path = _path(wanted)
    written = document.load(path, what="an exercise")
    is_topology = isinstance(written.root, Tree) and any(key.text == "nodes" for key, _ in written.root.pairs)
    found = _of_topology(written, wanted) if is_topology else _Reader(written).exercise()
    if points:
        found = found._replace(points=_points_of(document.load(points, what="a file of points"), found.points))
    if not sum(found.points.values()):
        raise UsageError(f"{path}: expected claims that earn points, found none: give the lab checks, or name a demo")
    return found


def _path(wanted: str) -> str:
    shipped = os.path.join(SHIPPED, f"{wanted}.yml")
    if wanted in SCENES and os.path.isfile(shipped):
        return shipped
    path = os.path.join(wanted, NAME) if os.path.isdir(wanted) else wanted
    if not os.path.exists(path):
        known = ", ".join(SCENES)
        raise UsageError(
            f"there is no exercise {wanted}: expected {known}, a folder with {NAME}, such a file, "
            "or a topology with checks"
        )
    return path


def _of_topology(written: Document, wanted: str) -> Exercise:
    """Return a topology as an exercise: its checks are the claims, each worth a point, and nothing is drawn."""
    name = os.path.basename(os.path.abspath(wanted)).removesuffix(".yml").removesuffix(".yaml")
    text = folders.text(written.path)
    root = plain(written.root)
    title = str(root.get("description") or name) if isinstance(root, dict) else name
    place = _only_place(written.root)
    return Exercise(name, title, "", text, {}, place, {}, 1, (), _of_checks(written))


def _only_place(root: Item) -> str:
    """Return where the only program of a topology stands; "" if there is none, or several."""
    nodes = _key(root, "nodes")
    found = [
        f"nodes.{node.text}.xdp"
        for node, about in (nodes.pairs if isinstance(nodes, Tree) else ())
        if isinstance(about, Tree) and any(key.text == "xdp" for key, _ in about.pairs)
    ]
    return found[0] if len(found) == 1 else ""


def _key(root: Item, name: str) -> Item | None:
    return next((item for key, item in root.pairs if key.text == name), None) if isinstance(root, Tree) else None


def _of_checks(lab: Document) -> dict[str, float]:
    """Return a point for each check of a lab, by its number."""
    checks = _key(lab.root, "checks")
    count = len(checks.items) if isinstance(checks, Sequence) else 0
    return {f"{_CHECK}{number}": 1.0 for number in range(1, count + 1)}


def check_id(number: int) -> str:
    """Return the id of the claim that a check holds, by its number from 1."""
    return f"{_CHECK}{number}"


def _points_of(written: Document, known: Mapping[str, float]) -> dict[str, float]:
    """Return the points that a mapping from claims, or patterns of claims, gives; the others stay as they are."""
    findings = Findings(written)
    found = _given(findings, written.root, "", known)
    if findings:
        raise TopologyError(written.file, findings.mistakes())
    return found


def _given(findings: Findings, item: Item, path: str, known: Mapping[str, float]) -> dict[str, float]:
    def problem(pattern: str) -> str:
        if any(fnmatchcase(claim, pattern) for claim in known):
            return ""
        near = closest(pattern, list(known))
        return f"a claim of the exercise, or a pattern such as {next(iter(known), 'check-*')}" + (
            f" (did you mean {near}?)" if near else ""
        )

    given = pairs(problem, _amount, "a mapping of claims and their points")(findings, item, path) or ()
    points = dict(known)
    for pattern, amount in sorted(given, key=lambda each: "*" not in each[0]):  # what is named exactly comes last
        points.update({claim: amount for claim in known if fnmatchcase(claim, pattern)})
    return points


def _amount(findings: Findings, item: Item, path: str) -> float | None:
    value = item.value if isinstance(item, Scalar) else None
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1000:
        return float(value)
    findings.wrong(item, path, "points from 0 to 1000")
    return None


class _Reader:
    """Reads the file of an exercise, and what it names."""

    def __init__(self, written: Document) -> None:
        self.written = written
        self.findings = Findings(written)
        self.folder = os.path.dirname(written.path)
        self.known: Mapping[str, float] = {}  # points, before the exercise gives others

    def exercise(self) -> Exercise:
        """Return the exercise; TopologyError with all mistakes."""
        fields = Fields(self.findings, self.written.root, "", KEYS, "an exercise, such as {demo: partb-high}")
        demo = fields.read("demo", choice(*SCENES), "")
        like = read(demo) if demo and not self._is(demo) else None
        lab_file = fields.read("lab", word, "")
        files = folders.some(self.folder, fields.read("files", one_or_more(word, "a file, or a list of files"), ()))
        draws = fields.read("draw", self._draws, ())
        if lab_file:
            lab = folders.text(os.path.join(self.folder, lab_file))
        elif like:
            lab, draws = (
                like.lab,
                (*draws, *(each for each in like.draws if each.name not in {one.name for one in draws})),
            )
        else:
            lab = ""
            self.findings.add(fields.place, "expected the key lab, or demo, found neither")
        self.known = like.points if like else {} if demo else self._checks(lab, draws)
        found = Exercise(
            os.path.basename(self.folder if self._is_in_a_folder else self.written.path.removesuffix(".yml")),
            fields.read("title", word, like.title if like else ""),
            demo,
            lab,
            files,
            fields.read("place", word, like.place if like else ""),
            fields.read("sends", self._sends, like.sends if like else {}),
            fields.read("variations", integer(1, _MOST_VARIATIONS), like.variations if like else 1),
            draws,
            fields.read("points", self._points, self.known),
            fields.read("expects", _expects, like.expects if like else {}),
        )
        if self.findings:
            raise TopologyError(self.written.file, self.findings.mistakes())
        return found._replace(title=found.title or found.name)

    @property
    def _is_in_a_folder(self) -> bool:
        return os.path.basename(self.written.path) == NAME

    def _is(self, demo: str) -> bool:
        return self.written.path == os.path.join(SHIPPED, f"{demo}.yml")

    def _checks(self, lab: str, draws: tuple[Draw, ...]) -> dict[str, float]:
        from netlab.grade.variations import filled

        usual = {draw.name: draw.usual for draw in draws}
        return _of_checks(document.parse(filled(lab, usual), "the exercise's lab")) if lab else {}

    def _points(self, findings: Findings, item: Item, path: str) -> Mapping[str, float]:
        if self.known:
            return _given(findings, item, path, self.known)
        return dict(pairs(lambda _: "", _amount, "a mapping of claims and their points")(findings, item, path) or ())

    def _sends(self, findings: Findings, item: Item, path: str) -> dict[str, str] | None:
        found = pairs(lambda _: "", _as_written, "a mapping of the client's options")(findings, item, path)
        return None if found is None else dict(found)

    def _draws(self, findings: Findings, item: Item, path: str) -> tuple[Draw, ...] | None:
        found = pairs(_name_problem, _draw, "a mapping of names and what is drawn for them")(findings, item, path)
        return None if found is None else tuple(draw._replace(name=name) for name, draw in found)


def _as_written(findings: Findings, item: Item, path: str) -> str | None:
    """Take a single value, or a list of them, as YAML has it on one line."""
    if isinstance(item, Sequence):
        texts = [scalar(findings, child, f"{path}.{at}") for at, child in enumerate(item.items)]
        return f"[{', '.join(each or '' for each in texts)}]"
    return scalar(findings, item, path)


def _expects(findings: Findings, item: Item, path: str) -> dict[str, int]:
    fields = Fields(findings, item, path, EXPECTS, "a mapping such as {workers: 3, threads: 5}")
    found = {key: fields.read(key, integer(1, 1000), 0) for key in EXPECTS}
    return {key: number for key, number in found.items() if number}


def _name_problem(key: str) -> str:
    return "" if _A_NAME.fullmatch(key) else "a name of lower-case letters, digits and underscores"


def _draw(findings: Findings, item: Item, path: str) -> Draw | None:
    fields = Fields(findings, item, path, _DRAW_KEYS, "a mapping such as {usual: 8080, from: 8001, to: 8999}")
    of = fields.read("of", one_or_more(scalar, "a list of values"), ())
    low, high = fields.read("from", _number, 0), fields.read("to", _number, -1)
    if not of and low > high:
        findings.add(fields.place, "expected `of` with a list, or `from` and a higher `to`, found neither")
        return None
    return Draw(
        "",
        fields.require("usual", scalar, ""),
        of,
        low,
        high,
        isinstance(low, int) and isinstance(high, int),
        fields.read("define", word, ""),
        fields.read("if", word, ""),
        fields.read("unless", word, ""),
    )


def _number(findings: Findings, item: Item, path: str) -> int | float | None:
    if isinstance(item, Scalar) and isinstance(item.value, int | float) and not isinstance(item.value, bool):
        number: int | float = item.value
        return number
    findings.wrong(item, path, "a number")
    return None
