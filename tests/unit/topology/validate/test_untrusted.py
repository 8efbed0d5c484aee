"""A topology that nobody vouches for: what it may not say, each with its place."""

import os
from pathlib import Path

import pytest

from netlab.errors import TopologyError, UsageError
from netlab.lab import planning
from netlab.topology import document, validate
from netlab.topology.document import parse
from netlab.topology.trust import flag_problem, outside

ROLE = "OPTIONS = {}\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a program and a role, links out of it, and something beside it."""
    inside = tmp_path / "mine"
    for path in (inside / "include", tmp_path / "others"):
        path.mkdir(parents=True)
    (inside / "mine.py").write_text(ROLE)
    (inside / "rights.py").write_text('CAPABILITIES = ["SYS_ADMIN"]\n')
    (inside / "mine.c").write_text("int x;\n")
    (inside / "text").write_text("mine\n")
    for name in ("secret.py", "secret.c", "secret"):
        (tmp_path / "others" / name).write_text(ROLE)
    (inside / "out.py").symlink_to("../others/secret.py")
    (inside / "out.c").symlink_to("/etc/hostname")
    (inside / "out").symlink_to("/etc/shadow")
    (inside / "way").symlink_to("../others")
    return inside


def mistakes(folder: Path, text: str, *, untrusted: bool = True) -> list[str]:
    """Return the mistakes of a topology in this folder, each with its line and what is wrong."""
    written = parse(text, "x.yml", f"{folder}/x.yml")
    try:
        validate.topology(written, untrusted=untrusted)
    except TopologyError as error:
        return [f"{each.line}: {each.message}" for each in error.mistakes]
    return []


OUTSIDE = "which leads outside"
CASES = {
    "kind": ("a: {kind: host}", "expected no node of kind host"),
    "capabilities": ("a: {capabilities: [SYS_PTRACE]}", "expected no capabilities"),
    "image": ("a: {image: mine}", "expected no image"),
    "role": ("a: {role: ../others/secret.py}", OUTSIDE),
    "role by an absolute path": ("a: {role: /etc/hostname.py}", OUTSIDE),
    "role by a link": ("a: {role: out.py}", OUTSIDE),
    "role by the name of a link": ("a: {role: out}", OUTSIDE),
    "role by a link to a folder": ("a: {role: way/secret.py}", OUTSIDE),
    "role with rights": ("a: {role: rights}", "expected a role without the capability SYS_ADMIN"),
    "role of a process": ("a: {processes: {p: {role: ../others/secret.py}}}", OUTSIDE),
    "variables of the balancer": (
        "{a: {role: balancer, env: {LD_PRELOAD: x}, args: {backends: b}}, b: }",
        "expected no env for netlab's own role balancer",
    ),
    "a command that looks at the balancer": (
        "{a: {role: balancer, ready: {command: [id]}, args: {backends: b}}, b: }",
        "expected no `ready` for netlab's own role balancer",
    ),
    "files among the programs": ("a: {files: {/usr/bin/x: text}}", "expected a path outside the system's programs"),
    "folders among the programs": ("a: {private: [/lib/x]}", "expected a path outside the system's programs"),
    "much memory": ("a: {limits: {memory: 2G}}", "expected a memory of at most 1024M"),
    "xdp": ("a: {xdp: ../others/secret.c}", OUTSIDE),
    "xdp by a link": ("a: {xdp: out.c}", OUTSIDE),
    "tc": ("a: {tc: {egress: {program: ../others/secret.c}}}", OUTSIDE),
    "include": ("a: {xdp: {program: mine.c, include: /etc}}", OUTSIDE),
    "include at home": ("a: {xdp: {program: mine.c, include: ~/}}", OUTSIDE),
    "include by a link": ("a: {xdp: {program: mine.c, include: way}}", OUTSIDE),
    "cflags": ("a: {xdp: {program: mine.c, cflags: [-include, /etc/shadow]}}", "an option that names no file"),
    "files": ("a: {files: {/etc/x: /etc/shadow}}", OUTSIDE),
    "files above": ("a: {files: {/etc/x: {source: ../others/secret}}}", OUTSIDE),
    "files by a link": ("a: {files: {/etc/x: out}}", OUTSIDE),
    "files of a user": ("a: {files: {/etc/x: {text: x, owner: root}}}", "expected no owner"),
    "private of a user": ("a: {private: [{path: /x, owner: root}]}", "expected no owner"),
    "private over the host's": ("a: {private: [{path: /etc, content: host}]}", "found one of this host"),
    "many nodes": ("a: {replicas: 101}", "expected at most 100 nodes"),
}


@pytest.mark.parametrize("name", CASES)
def test_what_reaches_beyond_the_lab_is_a_mistake(folder: Path, name: str) -> None:
    """It is found on its line."""
    nodes, expected = CASES[name]
    nodes = nodes if nodes.startswith("{") else f"{{{nodes}}}"

    found = mistakes(folder, f"name: x\nnodes: {nodes}\n")

    assert [each for each in found if each.startswith("2: ") and expected in each], found


def test_a_container_is_a_mistake(folder: Path) -> None:
    """Only the runtime that confines is good, also where the command line names another one."""
    text = "name: x\nnodes: {a: }\n"
    assert mistakes(folder, f"runtime: docker\n{text}") == ["1: expected the runtime netns, found docker"]

    with pytest.raises(UsageError, match="runs with the runtime netns only"):
        planning.planned(parse(text, "x.yml"), runtime="docker", untrusted=True)


GOOD = """
name: x
nodes:
  a:
    role: mine
    xdp: {program: mine.c, include: include, cflags: [-DX=1]}
    files: {/etc/x: text, /etc/y: {text: hello, mode: 600}}
    private: [/var/x]
    setup: [ip link]
    env: {X: 1}
    limits: {cpu: 0.5, memory: 64M, pids: 50}
  b: {role: client, args: {server: a}}
links: [[a, b]]
"""


def test_what_stays_in_the_folder_is_good(folder: Path) -> None:
    """So are netlab's own roles and programs; and the plan says that nobody vouches for it."""
    assert mistakes(folder, GOOD.replace("role: client, args: {server: a}", "role: worker")) == []
    plan = planning.planned(parse("name: x\nnodes: {a: }", "x.yml"), untrusted=True)

    assert (True, False) == (plan.untrusted, planning.planned(parse("name: x\nnodes: {a: }", "x.yml")).untrusted)


@pytest.mark.parametrize("name", CASES)
def test_whoever_vouches_for_it_may_say_more(folder: Path, name: str) -> None:
    """None of these mistakes is one of a trusted topology."""
    nodes, expected = CASES[name]
    nodes = nodes if nodes.startswith("{") else f"{{{nodes}}}"

    assert not [each for each in mistakes(folder, f"name: x\nnodes: {nodes}\n", untrusted=False) if expected in each]


def test_a_name_outside_is_not_even_looked_for(folder: Path) -> None:
    """The message is the same whether there is such a file, and hints at no name that is there."""
    there, missing = (
        mistakes(folder, f"name: x\nnodes: {{a: {{role: ../others/{name}.py}}}}") for name in ("secret", "sec")
    )

    assert [each.replace("secret", "sec") for each in there] == missing
    with pytest.raises(TopologyError) as told:
        validate.topology(parse("name: x\nnodes: {a: {role: ../others/secre.py}}", "x", f"{folder}/x"), untrusted=True)
    assert "secret" not in str(told.value)


def test_outside_a_folder(tmp_path: Path) -> None:
    """A folder whose name begins like another's is not in it."""
    for name in ("a", "ab"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x").touch()
    beside = str(tmp_path / "a")

    assert (False, True, True, True, True) == (
        outside(beside, "x"),
        outside(beside, "../ab/x"),
        outside(beside, os.path.join(beside, "x")),
        outside("", "x"),
        outside(beside, ".."),
    )


@pytest.mark.parametrize(
    ("flag", "good"),
    [("-DX=1", True), ("-O2", True), ("-mcpu=v3", True), ("-Wno-unused", True), ("-Wp,-include,/etc/shadow", False)]
    + [(flag, False) for flag in ("-I/etc", "-include", "/etc/shadow", "@/etc/shadow", "-fplugin=x.so", "-Wno-a,b")],
)
def test_options_of_the_compiler(flag: str, good: bool) -> None:
    """None may name a file."""
    assert good is not bool(flag_problem(flag))


def test_the_name_that_apply_looks_for(folder: Path) -> None:
    """A topology without a name is a mistake like any other."""
    (folder / "x.yml").write_text("nodes: {a: }\n")
    with pytest.raises(TopologyError, match="expected the key name"):
        planning.planned(document.load(str(folder / "x.yml")), as_it_stands=True)
