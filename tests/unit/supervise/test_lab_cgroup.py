"""Where a lab's own control group is made, and how it is found again: folders here stand for hierarchies."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from netlab.kernel import cgroups
from netlab.record import mark
from netlab.supervise import lab_cgroup
from tests.contents import CONTENTS, put

Host = Callable[..., None]


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    """Mount hierarchies, each given as its mount point, type, options, root, and the caller's own group in it."""

    def mount(*hierarchies: tuple[str, str, str, str, str]) -> None:
        mounts, own = [], []
        for name, kind, options, root, place in hierarchies:
            (tmp_path / name).mkdir(exist_ok=True)
            if f"{place}/".startswith(f"{root}/".replace("//", "/")):  # or it is not to be seen there
                os.makedirs(f"{tmp_path}/{name}{place.removeprefix(root.rstrip('/'))}", exist_ok=True)
            mounts.append(f"40 30 0:9 {root} {tmp_path / name} rw shared:1 - {kind} {kind} {options}\n")
            own.append(f"5:{'' if kind == 'cgroup2' else options.partition(',')[2]}:{place}\n")
        (tmp_path / "mounts").write_text("".join(mounts))
        (tmp_path / "own").write_text("".join(own))

    monkeypatch.setattr(cgroups, "MOUNTS", f"{tmp_path}/mounts")
    monkeypatch.setattr(cgroups, "OWN", f"{tmp_path}/own")
    (tmp_path / "lab").mkdir()
    before = os.umask(0o022)  # as netlab has it, and the kernel makes its groups
    yield mount
    os.umask(before)


V2 = ("unified", "cgroup2", "rw", "/", "/")
NAMED = ("systemd", "cgroup", "rw,name=systemd", "/", "/user.slice/a.scope")
CPUSET = ("cpuset", "cgroup", "rw,cpuset", "/", "/")
PIDS = ("pids", "cgroup", "rw,pids", "/", "/")


@pytest.mark.parametrize(
    ("hierarchies", "expected"),
    [
        ((CPUSET, PIDS, NAMED, V2), "unified"),
        ((CPUSET, PIDS, NAMED), "systemd/user.slice/a.scope"),
        ((CPUSET, PIDS), "pids"),
        ((("unified", "cgroup2", "rw", "/", "/jobs/7"),), "unified/jobs/7"),
        ((("unified", "cgroup2", "rw", "/docker/x", "/docker/x/y"),), "unified/y"),
    ],
)
def test_the_group_lies_below_that_of_up(
    host: Host, tmp_path: Path, hierarchies: tuple[tuple[str, str, str, str, str], ...], expected: str
) -> None:
    """What limits the caller limits the lab; version 2 comes first, and no controller that would limit it anew."""
    host(*hierarchies)
    made = lab_cgroup.make("one", f"{tmp_path}/lab")

    assert made == f"{tmp_path}/{expected}/{mark.mark('one')}"
    assert os.path.isdir(made)
    assert lab_cgroup.find("one", f"{tmp_path}/lab") == [made]


@pytest.mark.parametrize(
    "hierarchies",
    [(), (CPUSET,), (("unified", "cgroup2", "rw", "/docker/x", "/"),), (("file", "cgroup2", "rw", "/", "/"),)],
)
def test_without_a_group_to_write_to_there_is_none(
    host: Host, tmp_path: Path, hierarchies: tuple[tuple[str, str, str, str, str], ...]
) -> None:
    """And nothing fails: no hierarchy, none to be joined at once, one whose part we are not in, one to read only."""
    host(*hierarchies)
    (tmp_path / "file").mkdir(exist_ok=True)
    (tmp_path / "file").rmdir()
    (tmp_path / "file").touch()

    assert lab_cgroup.make("one", f"{tmp_path}/lab") == ""
    assert lab_cgroup.find("one", f"{tmp_path}/lab") == []


def test_a_group_is_found_by_its_name_when_the_folder_is_lost(host: Host, tmp_path: Path) -> None:
    """Wherever it is; not those of other labs, nor those of a container, whose labs may have the same names."""
    host(("unified", "cgroup2", "rw", "/", "/jobs/7"))
    made = lab_cgroup.make("one", f"{tmp_path}/lab")
    lab_cgroup.make("two", f"{tmp_path}/lab")
    os.mkdir(f"{tmp_path}/unified/netlab.one.4026530000")
    (tmp_path / "lab/group").unlink()

    assert lab_cgroup.find("one", f"{tmp_path}/lab") == [made]
    assert lab_cgroup.labs() == {"one", "two"}


def test_a_file_that_names_another_group_is_not_believed(host: Host, tmp_path: Path) -> None:
    """Or a damaged file would have strangers killed."""
    host(V2)
    (tmp_path / "lab/group").write_text(f"{tmp_path}/unified")

    assert lab_cgroup.find("one", f"{tmp_path}/lab") == []


@pytest.mark.parametrize("content", CONTENTS)
def test_a_damaged_file_is_told_and_the_group_found_by_its_name(host: Host, tmp_path: Path, content: str) -> None:
    """Or `down` would leave it, with who is in it."""
    host(V2)
    folder = f"{tmp_path}/lab"
    made = lab_cgroup.make("one", folder)
    assert lab_cgroup.problem("one", folder) == ("", "")
    os.unlink(f"{folder}/group")
    assert lab_cgroup.problem("one", folder) == ("", "")
    put(f"{folder}/group", content)

    assert lab_cgroup.problem("one", folder)[0].startswith(f"{folder}/group, which says where its control group is, is")
    assert lab_cgroup.find("one", folder) == [made]


@pytest.mark.parametrize(
    ("name", "frozen", "free"), [("cgroup.freeze", "1", "0"), ("freezer.state", "FREEZING", "THAWED")]
)
def test_a_frozen_group_is_told_and_thawed(host: Host, tmp_path: Path, name: str, frozen: str, free: str) -> None:
    host(V2)
    folder = f"{tmp_path}/lab"
    made = lab_cgroup.make("one", folder)
    Path(made, name).write_text(f"{frozen}\n")
    assert lab_cgroup.problem("one", folder) == (f"its control group {made} is frozen", f"echo {free} >{made}/{name}")
    os.truncate(f"{made}/{name}", 0)
    cgroups.thaw([made])

    assert Path(made, name).read_text() == free
    assert lab_cgroup.problem("one", folder) == ("", "")


def test_a_group_that_is_gone_is_reported(host: Host, tmp_path: Path) -> None:
    """But not where this host had no room for one."""
    host(V2)
    folder = f"{tmp_path}/lab"
    made = lab_cgroup.make("one", folder)
    os.rmdir(made)
    assert lab_cgroup.problem("one", folder) == (f"its control group {made} is gone", "")
    host()
    lab_cgroup.make("one", folder)
    host(("file", "cgroup2", "rw", "/", "/"))
    (tmp_path / "file").rmdir()
    (tmp_path / "file").touch()
    lab_cgroup.make("one", folder)

    assert lab_cgroup.problem("one", folder) == ("", "")


DELEGATED = ("unified", "cgroup2", "rw", "/", "/user.slice/user@1000.service/app.slice/terminal.scope")


@pytest.mark.parametrize("mode", [0o777, 0o775])
def test_a_group_that_others_can_change_is_not_built_in(host: Host, tmp_path: Path, mode: int) -> None:
    """They could freeze the supervisor, or kill it; what lies around their group holds for the lab all the same."""
    host(DELEGATED)
    theirs = tmp_path / "unified/user.slice/user@1000.service"
    os.chown(theirs, -1, os.getgroups()[-1] if os.geteuid() else 65534)
    theirs.chmod(mode)

    assert lab_cgroup.make("one", f"{tmp_path}/lab") == f"{tmp_path}/unified/user.slice/{mark.mark('one')}"


@pytest.mark.root
def test_a_group_of_another_users_is_no_labs(host: Host, tmp_path: Path) -> None:
    """Whatever it is called; and no lab is built in one."""
    host(DELEGATED)
    theirs = tmp_path / "unified/user.slice/user@1000.service"
    for name in ("ghost", "phantom"):
        (theirs / mark.mark(name)).mkdir()
    (theirs / mark.mark("ghost")).rename(theirs.parent / mark.mark("ghost"))
    for each in (theirs, theirs.parent / mark.mark("ghost")):
        os.chown(each, 65534, 65534)

    assert lab_cgroup.labs() == set()
    assert lab_cgroup.find("phantom", f"{tmp_path}/lab") == lab_cgroup.find("ghost", f"{tmp_path}/lab") == []
    assert lab_cgroup.make("one", f"{tmp_path}/lab") == f"{tmp_path}/unified/user.slice/{mark.mark('one')}"
    assert lab_cgroup.labs() == {"one"}
